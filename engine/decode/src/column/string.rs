//! STRING: any value as text. Strings as they are, numbers as the message spells them, objects and arrays byte for
//! byte.

use std::io::Write;
use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use engine_model::limits::CELL_BYTES_MAX;

use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct StringColumn {
    /// All texts, one behind the other.
    text: Vec<u8>,
    /// Where each row's text starts, and where the last one ends.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Default for StringColumn {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl StringColumn {
    fn with_capacity(rows: usize, text_bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            text: Vec::with_capacity(text_bytes),
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    /// Tells the bytes of the text.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        let start = self.text.len();
        match *value {
            Value::Text(text) | Value::Number(text) => self.push(text.as_bytes())?,
            Value::Json(json) => self.push(json)?,
            Value::Bool(true) => self.push(b"true")?,
            Value::Bool(false) => self.push(b"false")?,
            // JSON has one spelling per integer.
            Value::Int(value) => self.push_integer(value)?,
            Value::Unsigned(value) => self.push_integer(value)?,
            Value::Float(_) | Value::Null => return Err(RejectReason::WrongType),
        }
        self.end_row()?;
        self.nulls.append_non_null();
        Ok(self.text.len() - start)
    }

    fn push(&mut self, text: &[u8]) -> Result<(), RejectReason> {
        if text.len() > CELL_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        self.text.extend_from_slice(text);
        Ok(())
    }

    fn push_integer(&mut self, value: impl std::fmt::Display) -> Result<(), RejectReason> {
        // Memory takes every byte.
        write!(self.text, "{value}").map_err(|_| RejectReason::BatchFull)
    }

    fn end_row(&mut self) -> Result<(), RejectReason> {
        let end = i32::try_from(self.text.len()).map_err(|_| RejectReason::BatchFull)?;
        self.offsets.push(end);
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end);
        self.nulls.append_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().copied().unwrap_or_default();
        self.text.truncate(usize::try_from(end).unwrap_or_default());
        self.nulls.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let room = Self::with_capacity(self.offsets.len() - 1, self.text.len());
        let mut full = mem::replace(self, room);
        let offsets = OffsetBuffer::new(full.offsets.into());
        let text = Buffer::from_vec(full.text);
        let array = StringArray::try_new(offsets, text, full.nulls.finish());
        Arc::new(array.expect("what comes in is UTF-8, and rows end between characters"))
    }
}
