//! FLOAT: as DOUBLE, each number as the nearest of the 32-bit floats.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Float32Type;

use super::primitive::Primitives;
use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct FloatColumn(Primitives<Float32Type>);

impl FloatColumn {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the nearest float is what a FLOAT is"
    )]
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Int(value) => value as f32,
            Value::Unsigned(value) => value as f32,
            Value::Text("NaN") => f32::NAN,
            Value::Text("Infinity") => f32::INFINITY,
            Value::Text("-Infinity") => f32::NEG_INFINITY,
            // From its text: by way of a 64-bit float it could be rounded twice.
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

fn parse(text: &str) -> Result<f32, RejectReason> {
    DecimalText::parse(text).ok_or(RejectReason::UnreadableText)?;
    let value: f32 = text.parse().map_err(|_| RejectReason::UnreadableText)?;
    if value.is_infinite() {
        return Err(RejectReason::OutOfRange);
    }
    Ok(value)
}
