//! STRING, VARCHAR and CHAR: any value as text. Strings as they are, numbers as the message spells them, objects and arrays
//! byte for byte.

use arrow::array::ArrayRef;

use super::texts::{Digits, Texts};
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct StringColumn {
    texts: Texts,
    /// Characters that a VARCHAR or a CHAR takes.
    chars_max: Option<usize>,
}

impl StringColumn {
    pub(super) fn new(chars_max: Option<usize>) -> Self {
        Self {
            texts: Texts::default(),
            chars_max,
        }
    }

    /// Tells the bytes of the text.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        match *value {
            Value::Text(text) | Value::Number(text) => self.push(text.as_bytes()),
            Value::Json(json) => self.push(json),
            Value::Bool(true) => self.push(b"true"),
            Value::Bool(false) => self.push(b"false"),
            // JSON has one spelling per integer.
            Value::Int(value) => self.push(Digits::of(value).bytes()),
            Value::Unsigned(value) => self.push(Digits::of(value).bytes()),
            Value::Float(_) | Value::Bytes(_) | Value::Null => Err(RejectReason::WrongType),
        }
    }

    #[inline]
    fn push(&mut self, text: &[u8]) -> Result<usize, RejectReason> {
        if let Some(max) = self.chars_max
            && text.len() > max
            && characters(text) > max
        {
            return Err(RejectReason::TooManyCharacters);
        }
        self.texts.push(text)
    }

    pub(super) fn append_null(&mut self) {
        self.texts.push_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.texts.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.texts.finish_strings()
    }
}

/// Characters of a text in UTF-8: bytes that don't go on with one.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}
