//! Column buffers: one file per kind of column.
//!
//! A buffer takes the value of one row at a time and can be truncated back to any number of rows, which Arrow's
//! builders can't. What a column accepts is said in the file of its kind.

mod binary;
mod boolean;
mod date;
mod datetime;
mod decimal;
mod floating;
mod integer;
mod json;
mod nested;
mod null;
mod primitive;
mod string;
mod texts;
mod timestamp;

use std::mem;

use arrow::array::ArrayRef;
use arrow::datatypes::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use engine_model::{ColumnType, Rounding, ValueFormat};
use jiff::tz::TimeZone;

use crate::instant::{InstantReader, Resolution};
use crate::reject::RejectReason;
use crate::value::Value;
use binary::BinaryColumn;
use boolean::BooleanColumn;
use date::DateColumn;
use datetime::DateTimeColumn;
use decimal::DecimalColumn;
use floating::FloatingColumn;
use integer::{BIGINT_MIN, IntegerColumn};
use json::JsonColumn;
use nested::NestedColumn;
use string::StringColumn;
use timestamp::{Clock, TimestampColumn};

pub(crate) use null::{data_type, null_array, repeated_array, row_bytes};

/// Room, of rows or bytes, for the batch after one of `size`: they differ a little, and without an eighth more every other buffer
/// would have to be moved into one twice as large.
fn room_after(size: usize) -> usize {
    size + size / 8
}

/// What a column is made of.
#[derive(Clone, Debug)]
pub(crate) struct ColumnSpec<'a> {
    pub(crate) column_type: &'a ColumnType,
    pub(crate) nullable: bool,
    /// Of times without an offset.
    pub(crate) zone: &'a TimeZone,
    /// How values spell instants or bytes.
    pub(crate) format: Option<&'a ValueFormat>,
    /// What becomes of digits that the column can't hold.
    pub(crate) rounding: Option<Rounding>,
}

impl<'a> ColumnSpec<'a> {
    /// A column that takes NULL and has no settings.
    fn plain(column_type: &'a ColumnType, zone: &'a TimeZone) -> Self {
        Self {
            column_type,
            nullable: true,
            zone,
            format: None,
            rounding: None,
        }
    }

    /// How instants are read for a column that keeps so many `digits` of a second.
    fn instants(&self, digits: u8) -> InstantReader {
        let resolution = Resolution {
            digits,
            rounding: self.rounding,
        };
        InstantReader::new(self.zone.clone(), self.format.cloned(), resolution)
    }
}

/// The values of one column since the last flush.
#[derive(Debug)]
pub(crate) struct ColumnBuffer {
    nullable: bool,
    /// Rows without a value behind those of `kind`, counted and not yet appended: most columns that miss a value miss the next as well.
    nulls_due: usize,
    kind: Kind,
}

/// Chosen once per column; what a row costs is the jump.
#[derive(Debug)]
enum Kind {
    BigInt(IntegerColumn<Int64Type>),
    Binary(BinaryColumn),
    Boolean(BooleanColumn),
    Date(DateColumn),
    DateTime(DateTimeColumn),
    Decimal(DecimalColumn),
    Double(FloatingColumn<Float64Type>),
    Float(FloatingColumn<Float32Type>),
    Int(IntegerColumn<Int32Type>),
    Json(JsonColumn),
    Nested(NestedColumn),
    SmallInt(IntegerColumn<Int16Type>),
    String(StringColumn),
    Timestamp(TimestampColumn),
    TinyInt(IntegerColumn<Int8Type>),
}

/// Calls the same method of whichever kind it is.
macro_rules! of_kind {
    ($kind:expr, $column:ident => $call:expr) => {
        match $kind {
            Kind::BigInt($column) => $call,
            Kind::Binary($column) => $call,
            Kind::Boolean($column) => $call,
            Kind::Date($column) => $call,
            Kind::DateTime($column) => $call,
            Kind::Decimal($column) => $call,
            Kind::Double($column) => $call,
            Kind::Float($column) => $call,
            Kind::Int($column) => $call,
            Kind::Json($column) => $call,
            Kind::Nested($column) => $call,
            Kind::SmallInt($column) => $call,
            Kind::String($column) => $call,
            Kind::Timestamp($column) => $call,
            Kind::TinyInt($column) => $call,
        }
    };
}

impl ColumnBuffer {
    /// An empty buffer for such a column, or nothing for a map whose keys are maps or the like.
    pub(crate) fn new(spec: &ColumnSpec<'_>) -> Option<Self> {
        let rounding = spec.rounding;
        let kind = match spec.column_type {
            ColumnType::BigInt => Kind::BigInt(IntegerColumn::new(BIGINT_MIN, rounding)),
            ColumnType::Binary => {
                let is_base64 = matches!(spec.format, Some(ValueFormat::Base64));
                Kind::Binary(BinaryColumn::new(is_base64))
            }
            ColumnType::Boolean => Kind::Boolean(BooleanColumn::default()),
            ColumnType::Date => Kind::Date(DateColumn::new(spec)),
            ColumnType::DateTime => Kind::DateTime(DateTimeColumn::new(spec)),
            ColumnType::Decimal { precision, scale } => {
                Kind::Decimal(DecimalColumn::new(*precision, *scale, rounding))
            }
            ColumnType::Double => Kind::Double(FloatingColumn::default()),
            ColumnType::Float => Kind::Float(FloatingColumn::default()),
            ColumnType::Int => Kind::Int(IntegerColumn::new(i64::MIN, rounding)),
            ColumnType::Json => Kind::Json(JsonColumn::default()),
            ColumnType::SmallInt => Kind::SmallInt(IntegerColumn::new(i64::MIN, rounding)),
            ColumnType::String => Kind::String(StringColumn::new(None)),
            ColumnType::VarChar(chars) | ColumnType::Char(chars) => {
                Kind::String(StringColumn::new(usize::try_from(*chars).ok()))
            }
            ColumnType::Timestamp => Kind::Timestamp(TimestampColumn::new(Clock::Utc, spec)),
            ColumnType::TimestampNtz => {
                Kind::Timestamp(TimestampColumn::new(Clock::OnTheWall, spec))
            }
            ColumnType::TinyInt => Kind::TinyInt(IntegerColumn::new(i64::MIN, rounding)),
            ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_) => {
                Kind::Nested(NestedColumn::new(spec.column_type, spec.zone)?)
            }
        };
        Some(Self {
            nullable: spec.nullable,
            nulls_due: 0,
            kind,
        })
    }

    /// Appends one more row without a value. After an error the buffer is as it was.
    #[inline]
    pub(crate) fn append_null(&mut self) -> Result<(), RejectReason> {
        if !self.nullable {
            return Err(RejectReason::NullNotAllowed);
        }
        self.nulls_due += 1;
        Ok(())
    }

    #[inline(never)]
    fn append_nulls_due(&mut self) {
        let count = mem::take(&mut self.nulls_due);
        of_kind!(&mut self.kind, column => column.append_nulls(count));
    }

    /// Appends the value of one more row, which isn't NULL, and tells the bytes of text that it takes beside
    /// [`row_bytes`]. After an error the buffer must be truncated to the rows it had.
    #[inline]
    pub(crate) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        if self.nulls_due > 0 {
            self.append_nulls_due();
        }
        match &mut self.kind {
            Kind::String(column) => return column.append(value),
            Kind::Binary(column) => return column.append(value),
            Kind::Json(column) => return column.append(value),
            Kind::Nested(column) => return column.append(value),
            Kind::BigInt(column) => column.append(value)?,
            Kind::Boolean(column) => column.append(value)?,
            Kind::Date(column) => column.append(value)?,
            Kind::DateTime(column) => column.append(value)?,
            Kind::Decimal(column) => column.append(value)?,
            Kind::Double(column) => column.append(value)?,
            Kind::Float(column) => column.append(value)?,
            Kind::Int(column) => column.append(value)?,
            Kind::SmallInt(column) => column.append(value)?,
            Kind::Timestamp(column) => column.append(value)?,
            Kind::TinyInt(column) => column.append(value)?,
        }
        Ok(0)
    }

    /// Whether a number with a fraction or an exponent, or beyond 64 bits, must be given as the message spells it.
    /// DOUBLE alone holds no more than a parser's float.
    pub(crate) fn needs_number_text(&self) -> bool {
        !matches!(self.kind, Kind::Double(_))
    }

    /// Whether a string of the payload must be given as the message spells it, quotes and all.
    pub(crate) fn needs_string_text(&self) -> bool {
        matches!(self.kind, Kind::Json(_))
    }

    /// Forgets what was appended after the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.append_nulls_due();
        of_kind!(&mut self.kind, column => column.truncate(rows));
    }

    /// Takes the values as an array. The next batch gets room for as many.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        self.append_nulls_due();
        of_kind!(&mut self.kind, column => column.finish())
    }
}

#[cfg(test)]
mod tests;
