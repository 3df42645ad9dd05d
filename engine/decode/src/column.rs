//! Column buffers: one file per kind of column.
//!
//! A buffer takes the value of one row at a time and can be truncated back to any number of rows, which Arrow's
//! builders can't. What a column accepts is said in the file of its kind.

mod bigint;
mod boolean;
mod datetime;
mod decimal;
mod double;
mod null;
mod primitive;
mod string;
mod timestamp;

use arrow::array::ArrayRef;
use engine_model::{ColumnType, TimeFormat};
use jiff::tz::TimeZone;

use crate::reject::RejectReason;
use crate::value::Value;
use bigint::BigIntColumn;
use boolean::BooleanColumn;
use datetime::DateTimeColumn;
use decimal::DecimalColumn;
use double::DoubleColumn;
use string::StringColumn;
use timestamp::TimestampColumn;

pub(crate) use null::{data_type, null_array, repeated_array, row_bytes};

/// The values of one column since the last flush.
#[derive(Debug)]
pub(crate) struct ColumnBuffer {
    nullable: bool,
    kind: Kind,
}

/// Chosen once per column; what a row costs is the jump.
#[derive(Debug)]
enum Kind {
    BigInt(BigIntColumn),
    Boolean(BooleanColumn),
    DateTime(DateTimeColumn),
    Decimal(DecimalColumn),
    Double(DoubleColumn),
    String(StringColumn),
    Timestamp(TimestampColumn),
}

/// Calls the same method of whichever kind it is.
macro_rules! of_kind {
    ($kind:expr, $column:ident => $call:expr) => {
        match $kind {
            Kind::BigInt($column) => $call,
            Kind::Boolean($column) => $call,
            Kind::DateTime($column) => $call,
            Kind::Decimal($column) => $call,
            Kind::Double($column) => $call,
            Kind::String($column) => $call,
            Kind::Timestamp($column) => $call,
        }
    };
}

impl ColumnBuffer {
    /// An empty buffer for a column of this type, or nothing where values of the type can't be loaded. `zone` and
    /// `format` are for the types that hold instants.
    pub(crate) fn new(
        column_type: &ColumnType,
        nullable: bool,
        zone: &TimeZone,
        format: Option<TimeFormat>,
    ) -> Option<Self> {
        let kind = match column_type {
            ColumnType::BigInt => Kind::BigInt(BigIntColumn::default()),
            ColumnType::Boolean => Kind::Boolean(BooleanColumn::default()),
            ColumnType::DateTime => Kind::DateTime(DateTimeColumn::new(zone, format)),
            ColumnType::Decimal { precision, scale } => {
                Kind::Decimal(DecimalColumn::new(*precision, *scale))
            }
            ColumnType::Double => Kind::Double(DoubleColumn::default()),
            ColumnType::String => Kind::String(StringColumn::default()),
            ColumnType::Timestamp => Kind::Timestamp(TimestampColumn::new(zone, format)),
            _ => return None,
        };
        Some(Self { nullable, kind })
    }

    /// Appends one more row without a value. After an error the buffer is as it was.
    pub(crate) fn append_null(&mut self) -> Result<(), RejectReason> {
        if !self.nullable {
            return Err(RejectReason::NullNotAllowed);
        }
        of_kind!(&mut self.kind, column => column.append_null());
        Ok(())
    }

    /// Appends the value of one more row, which isn't NULL, and tells the bytes of text that it takes beside
    /// [`row_bytes`]. After an error the buffer must be truncated to the rows it had.
    #[inline]
    pub(crate) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        match &mut self.kind {
            Kind::String(column) => return column.append(value),
            Kind::BigInt(column) => column.append(value)?,
            Kind::Boolean(column) => column.append(value)?,
            Kind::DateTime(column) => column.append(value)?,
            Kind::Decimal(column) => column.append(value)?,
            Kind::Double(column) => column.append(value)?,
            Kind::Timestamp(column) => column.append(value)?,
        }
        Ok(0)
    }

    /// Whether a number with a fraction or an exponent, or beyond 64 bits, must be given as the message spells it.
    /// DOUBLE alone holds no more than a parser's float.
    pub(crate) fn needs_number_text(&self) -> bool {
        !matches!(self.kind, Kind::Double(_))
    }

    /// Forgets what was appended after the first `rows` rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        of_kind!(&mut self.kind, column => column.truncate(rows));
    }

    /// Takes the values as an array. The next batch gets room for as many.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        of_kind!(&mut self.kind, column => column.finish())
    }
}

#[cfg(test)]
mod tests;
