//! STRING, VARCHAR and CHAR: any value as text. Strings as they are, numbers as the message spells them, objects and arrays
//! byte for byte.

use std::fmt::{self, Write};
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};

use super::texts::Texts;
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
            && bytecount(text) > max
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
        let (offsets, text, nulls) = self.texts.finish();
        let array = StringArray::try_new(offsets, text, nulls);
        Arc::new(array.expect("what comes in is UTF-8, and rows end between characters"))
    }
}

/// Characters of a text in UTF-8: bytes that don't go on with one.
fn bytecount(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// An integer's digits, with its sign.
struct Digits {
    bytes: [u8; 20],
    length: usize,
}

impl Digits {
    fn of(value: impl fmt::Display) -> Self {
        let mut digits = Self {
            bytes: [0; 20],
            length: 0,
        };
        // Twenty characters hold every integer of 64 bits.
        let _fits = write!(digits, "{value}");
        digits
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Digits {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
