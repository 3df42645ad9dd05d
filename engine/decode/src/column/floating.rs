//! FLOAT and DOUBLE: numbers and numeric strings, each as the nearest of the floats of 32 or 64 bits, and the strings `NaN`,
//! `Infinity` and `-Infinity`. A number beyond the largest float is out of range rather than infinite.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType};
use arrow::datatypes::{Float32Type, Float64Type};

use super::primitive::Primitives;
use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct FloatingColumn<T: ArrowPrimitiveType>(Primitives<T>);

/// An Arrow type of floats, and how its values come about.
pub(super) trait Floating: ArrowPrimitiveType<Native: FromStr> {
    const NAN: Self::Native;
    const INFINITY: Self::Native;
    const NEG_INFINITY: Self::Native;

    fn of_int(value: i64) -> Self::Native;
    fn of_unsigned(value: u64) -> Self::Native;
    /// Nothing where the parser's float could be rounded a second time.
    fn of_float(value: f64) -> Option<Self::Native>;
    fn is_infinite(value: Self::Native) -> bool;
}

macro_rules! floating {
    ($arrow:ty, $native:ident, $of_float:expr) => {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the nearest float is what such a column holds"
        )]
        impl Floating for $arrow {
            const NAN: $native = $native::NAN;
            const INFINITY: $native = $native::INFINITY;
            const NEG_INFINITY: $native = $native::NEG_INFINITY;

            fn of_int(value: i64) -> $native {
                value as $native
            }
            fn of_unsigned(value: u64) -> $native {
                value as $native
            }
            fn of_float(value: f64) -> Option<$native> {
                $of_float(value)
            }
            fn is_infinite(value: $native) -> bool {
                value.is_infinite()
            }
        }
    };
}

floating!(Float32Type, f32, |_| None);
floating!(Float64Type, f64, Some);

impl<T: ArrowPrimitiveType> Default for FloatingColumn<T> {
    fn default() -> Self {
        Self(Primitives::default())
    }
}

impl<T: Floating> FloatingColumn<T> {
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Float(value) => T::of_float(value).ok_or(RejectReason::WrongType)?,
            Value::Int(value) => T::of_int(value),
            Value::Unsigned(value) => T::of_unsigned(value),
            Value::Text("NaN") => T::NAN,
            Value::Text("Infinity") => T::INFINITY,
            Value::Text("-Infinity") => T::NEG_INFINITY,
            Value::Number(text) | Value::Text(text) => parse::<T>(text)?,
            _ => return Err(RejectReason::WrongType),
        };
        self.0.push(value);
        Ok(())
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.0.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.0.finish())
    }
}

fn parse<T: Floating>(text: &str) -> Result<T::Native, RejectReason> {
    // The standard library also takes `inf`, `nan` and the like in any case; a mistyped word shouldn't become a value.
    DecimalText::parse(text).ok_or(RejectReason::UnreadableText)?;
    let value: T::Native = text.parse().map_err(|_| RejectReason::UnreadableText)?;
    if T::is_infinite(value) {
        return Err(RejectReason::OutOfRange);
    }
    Ok(value)
}
