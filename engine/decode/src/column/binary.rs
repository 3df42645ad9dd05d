//! BINARY: strings as their bytes in UTF-8, and the message's own key or payload as they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};

use super::texts::Texts;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug, Default)]
pub(super) struct BinaryColumn(Texts);

impl BinaryColumn {
    /// Tells the bytes of the value.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        match *value {
            Value::Text(text) => self.0.push(text.as_bytes()),
            Value::Bytes(bytes) => self.0.push(bytes),
            _ => Err(RejectReason::WrongType),
        }
    }

    pub(super) fn append_null(&mut self) {
        self.0.push_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let (offsets, bytes, nulls) = self.0.finish();
        Arc::new(BinaryArray::new(offsets, bytes, nulls))
    }
}
