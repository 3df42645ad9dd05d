//! DOUBLE: numbers and numeric strings, each as the nearest of the 64-bit floats, and the strings `NaN`, `Infinity`
//! and `-Infinity`. A number beyond the largest float is out of range rather than infinite.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Float64Type;

use super::primitive::Primitives;
use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct DoubleColumn(Primitives<Float64Type>);

impl DoubleColumn {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest float is what a DOUBLE is"
    )]
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Float(value) => value,
            Value::Int(value) => value as f64,
            Value::Unsigned(value) => value as f64,
            Value::Text("NaN") => f64::NAN,
            Value::Text("Infinity") => f64::INFINITY,
            Value::Text("-Infinity") => f64::NEG_INFINITY,
            Value::Number(text) | Value::Text(text) => parse(text)?,
            _ => return Err(RejectReason::WrongType),
        };
        self.0.push(value);
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

fn parse(text: &str) -> Result<f64, RejectReason> {
    // The standard library also takes `inf`, `nan` and the like in any case; a mistyped word shouldn't become a value.
    DecimalText::parse(text).ok_or(RejectReason::UnreadableText)?;
    let value: f64 = text.parse().map_err(|_| RejectReason::UnreadableText)?;
    if value.is_infinite() {
        return Err(RejectReason::OutOfRange);
    }
    Ok(value)
}
