//! The record (protobuf) form: fields tagged with their column's number, a CRC after each record, a footer with the
//! count and the CRC of the CRCs.
//!
//! ```text
//! stream := record* footer
//! record := field* END_RECORD varint(crc)        a column without a field is null
//! field  := varint(number << 3 | wire type) value
//! footer := META_COUNT zigzag(records) META_CHECKSUM varint(crc over the records' crcs)
//! ```
//!
//! Values of nested types have no length in front, so a field can be passed over only by who knows its type. CRCs cover
//! column numbers and values, not counts, null marks and lengths.

mod cells;
mod input;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use engine_model::ColumnType;

pub(crate) use reader::RecordReader;
pub(crate) use writer::RecordWriter;

/// Ends a record; its CRC follows.
const END_RECORD: u32 = (1 << 25) - 1024;
/// The number of records, in the footer.
const META_COUNT: u32 = (1 << 25) - 2;
/// The CRC over all record CRCs, in the footer.
const META_CHECKSUM: u32 = (1 << 25) - 1;

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const DELIMITED: u32 = 2;
const FIXED32: u32 = 5;

/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;

/// The wire type that fields of a column are tagged with.
fn wire_type(column: &ColumnType) -> u32 {
    match column {
        ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::Boolean
        | ColumnType::DateTime
        | ColumnType::Date => VARINT,
        ColumnType::Float => FIXED32,
        ColumnType::Double => FIXED64,
        _ => DELIMITED,
    }
}
