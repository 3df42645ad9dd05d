//! Rows in record form: for each a record with a field for each cell that isn't NULL, and a checksum; behind them their
//! number and a checksum of the checksums.
//!
//! ```text
//! body   := record* META_COUNT zigzag(records) META_CHECKSUM varint(crc of the record CRCs)
//! record := field* END_RECORD varint(crc)
//! field  := tag(column's number from 1, wire type) value
//! ```
//!
//! It looks like protobuf, and isn't: nested values and instants have no length in front, so that only the table's columns
//! say where a value ends. The CRCs, all CRC-32C, cover column numbers and values in a fixed width instead of the bytes on
//! the wire; counts, lengths and NULL marks are in none.

mod batches;
mod crc;
mod decimal;
mod reader;
mod writer;

use engine_model::ColumnType;

pub(crate) use self::batches::RecordBatchReader;
pub use self::reader::{RecordReader, Value};
pub(crate) use self::writer::RecordWriter;

/// Ends a record; its CRC follows.
const END_RECORD: u32 = (1 << 25) - 1024;
/// Ends the metrics that the server may add; their CRC follows.
const END_METRICS: u32 = (1 << 25) - 256;
/// The number of records.
const META_COUNT: u32 = (1 << 25) - 2;
/// The CRC over the CRCs of all records.
const META_CHECKSUM: u32 = (1 << 25) - 1;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// Wire types of tags.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// What a cell looks like on the wire, which is less than what its type says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A zigzag varint: all integers, DATE and DATETIME; intervals of months, too.
    Integer,
    /// A varint of 0 or 1.
    Boolean,
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// A length and bytes: texts, BINARY, JSON and DECIMAL.
    Text,
    /// Seconds and nanoseconds: `TIMESTAMP` and `TIMESTAMP_NTZ`; intervals of days, too.
    Instant,
    /// A count, then the elements, each behind a NULL mark.
    List(Box<Shape>),
    /// A list of keys, then a list of values.
    Map(Box<Shape>, Box<Shape>),
    /// The fields, each behind a NULL mark.
    Struct(Vec<Shape>),
    /// A count, then the elements, which are never NULL: VECTOR, which no [`ColumnType`] stands for.
    Vector(Box<Shape>),
}

impl Shape {
    /// The shape of cells of `column_type`.
    pub fn of(column_type: &ColumnType) -> Self {
        let boxed = |column_type| Box::new(Self::of(column_type));
        match column_type {
            ColumnType::TinyInt
            | ColumnType::SmallInt
            | ColumnType::Int
            | ColumnType::BigInt
            | ColumnType::Date
            | ColumnType::DateTime => Self::Integer,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Float => Self::Float,
            ColumnType::Double => Self::Double,
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Binary
            | ColumnType::Json
            | ColumnType::Decimal { .. } => Self::Text,
            ColumnType::Timestamp | ColumnType::TimestampNtz => Self::Instant,
            ColumnType::Array(element) => Self::List(boxed(element)),
            ColumnType::Map(key, value) => Self::Map(boxed(key), boxed(value)),
            ColumnType::Struct(fields) => {
                Self::Struct(fields.iter().map(|(_, field)| Self::of(field)).collect())
            }
        }
    }

    fn wire_type(&self) -> u32 {
        match self {
            Self::Integer | Self::Boolean => VARINT,
            Self::Double => FIXED64,
            Self::Float => FIXED32,
            _ => DELIMITED,
        }
    }
}

/// A decimal in plain notation. Unlike Arrow's own it shows all digits, even those that the precision has no room for.
pub(super) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let text = decimal::DecimalText::new(unscaled, scale);
    String::from_utf8_lossy(text.as_bytes()).into_owned()
}

/// Moves the sign to the lowest bit, so that small numbers stay short.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests;
