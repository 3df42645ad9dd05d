//! TINYINT, SMALLINT, INT and BIGINT: integers of the type's range, and numbers or numeric strings that are exactly one, or
//! become one where the job says how they are rounded.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType};
use engine_model::Rounding;

use super::primitive::Primitives;
use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

/// The least BIGINT. The service keeps -2^63 for itself.
pub(super) const BIGINT_MIN: i64 = i64::MIN + 1;
/// Digits of the greatest one.
const BIGINT_DIGITS: u8 = 19;

#[derive(Debug)]
pub(super) struct IntegerColumn<T: ArrowPrimitiveType> {
    values: Primitives<T>,
    /// The least value, where that isn't the least that `T` holds.
    least: i64,
    rounding: Option<Rounding>,
}

impl<T: ArrowPrimitiveType<Native: TryFrom<i64>>> IntegerColumn<T> {
    pub(super) fn new(least: i64, rounding: Option<Rounding>) -> Self {
        Self {
            values: Primitives::default(),
            least,
            rounding,
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Int(value) => Some(value),
            Value::Unsigned(value) => i64::try_from(value).ok(),
            Value::Number(text) | Value::Text(text) => {
                let number = DecimalText::parse(text).ok_or(RejectReason::UnreadableText)?;
                i64::try_from(number.scaled(BIGINT_DIGITS, 0, self.rounding)?).ok()
            }
            _ => return Err(RejectReason::WrongType),
        };
        let value = value.filter(|value| *value >= self.least);
        let value = value.and_then(|value| T::Native::try_from(value).ok());
        self.values.push(value.ok_or(RejectReason::OutOfRange)?);
        Ok(())
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.values.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.values.finish())
    }
}
