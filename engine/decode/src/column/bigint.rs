//! BIGINT: integers, and numbers or numeric strings that are exactly an integer.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Int64Type;

use super::primitive::Primitives;
use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

/// The least BIGINT. The service keeps -2^63 for itself.
const BIGINT_MIN: i64 = i64::MIN + 1;
/// Digits of the greatest one.
const BIGINT_DIGITS: u8 = 19;

#[derive(Debug, Default)]
pub(super) struct BigIntColumn(Primitives<Int64Type>);

impl BigIntColumn {
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Int(value) => Some(value),
            Value::Unsigned(value) => i64::try_from(value).ok(),
            Value::Number(text) | Value::Text(text) => {
                let number = DecimalText::parse(text).ok_or(RejectReason::UnreadableText)?;
                i64::try_from(number.scaled(BIGINT_DIGITS, 0)?).ok()
            }
            _ => return Err(RejectReason::WrongType),
        };
        let value = value.filter(|value| *value >= BIGINT_MIN);
        self.0.push(value.ok_or(RejectReason::OutOfRange)?);
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        self.0.push_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}
