//! STRING, VARCHAR and CHAR: any value as text. Strings as they are, numbers as the message spells them, objects and arrays
//! byte for byte, bytes in base64.

use std::mem;

use arrow::array::ArrayRef;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use engine_model::limits::CELL_BYTES_MAX;

use super::texts::Strings;
use crate::number::Digits;
use crate::payload::SCRATCH_BYTES_KEPT;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct StringColumn {
    texts: Strings,
    /// Characters that a VARCHAR or a CHAR takes.
    chars_max: Option<usize>,
    /// For bytes in base64; kept for its memory.
    scratch: String,
}

impl StringColumn {
    pub(super) fn new(chars_max: Option<usize>) -> Self {
        Self {
            texts: Strings::default(),
            chars_max,
            scratch: String::new(),
        }
    }

    /// Tells the bytes of the text.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        match *value {
            Value::Text(text) | Value::Number(text) | Value::Json(text) => self.push(text),
            Value::Bool(true) => self.push("true"),
            Value::Bool(false) => self.push("false"),
            // JSON has one spelling per integer.
            Value::Int(value) => self.push(Digits::of(value).text()),
            Value::Unsigned(value) => self.push(Digits::of(value).text()),
            Value::Bytes(bytes) => self.push_base64(bytes),
            Value::Float(_) | Value::Null => Err(RejectReason::WrongType),
        }
    }

    #[inline]
    fn push(&mut self, text: &str) -> Result<usize, RejectReason> {
        if let Some(max) = self.chars_max
            && text.len() > max
            && characters(text) > max
        {
            return Err(RejectReason::TooManyCharacters);
        }
        self.texts.push(text)
    }

    fn push_base64(&mut self, bytes: &[u8]) -> Result<usize, RejectReason> {
        // More could only be too long.
        if bytes.len() > CELL_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        let mut text = mem::take(&mut self.scratch);
        text.clear();
        BASE64_STANDARD.encode_string(bytes, &mut text);
        let pushed = self.push(&text);
        self.scratch = text;
        pushed
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.texts.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.texts.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
        self.texts.finish()
    }
}

/// Characters of a text in UTF-8: bytes that don't go on with one.
fn characters(text: &str) -> usize {
    text.bytes().filter(|byte| byte & 0xc0 != 0x80).count()
}
