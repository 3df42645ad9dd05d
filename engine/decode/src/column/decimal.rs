//! DECIMAL: numbers and numeric strings from their text, never through a float. Digits that the scale can't hold are
//! refused unless they are zeros, or rounded where the job says so.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Decimal128Type};
use engine_model::Rounding;

use super::primitive::Primitives;
use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct DecimalColumn {
    precision: u8,
    scale: u8,
    /// 10 to the power of the scale.
    unit: i128,
    /// 10 to the power of the precision; unscaled values are nearer to zero.
    limit: u128,
    rounding: Option<Rounding>,
    values: Primitives<Decimal128Type>,
}

impl DecimalColumn {
    pub(super) fn new(precision: u8, scale: u8, rounding: Option<Rounding>) -> Self {
        Self {
            precision,
            scale,
            unit: 10_i128.pow(scale.into()),
            limit: 10_u128.pow(precision.into()),
            rounding,
            values: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Int(value) => self.whole(value.into())?,
            Value::Unsigned(value) => self.whole(value.into())?,
            Value::Number(text) | Value::Text(text) => DecimalText::parse(text)
                .ok_or(RejectReason::UnreadableText)?
                .scaled(self.precision, self.scale.cast_signed(), self.rounding)?,
            _ => return Err(RejectReason::WrongType),
        };
        self.values.push(value);
        Ok(())
    }

    fn whole(&self, value: i128) -> Result<i128, RejectReason> {
        let scaled = value.checked_mul(self.unit);
        scaled
            .filter(|value| value.unsigned_abs() < self.limit)
            .ok_or(RejectReason::OutOfRange)
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.values.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let data_type = DataType::Decimal128(self.precision, self.scale.cast_signed());
        Arc::new(self.values.finish().with_data_type(data_type))
    }
}
