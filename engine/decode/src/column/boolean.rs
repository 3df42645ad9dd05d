//! BOOLEAN: `true` and `false`, and the strings of the same words in any case.

use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, BooleanBufferBuilder, NullBufferBuilder};

use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct BooleanColumn {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Default for BooleanColumn {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl BooleanColumn {
    fn with_capacity(rows: usize) -> Self {
        Self {
            values: BooleanBufferBuilder::new(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let value = match *value {
            Value::Bool(value) => value,
            Value::Text(text) if text.eq_ignore_ascii_case("true") => true,
            Value::Text(text) if text.eq_ignore_ascii_case("false") => false,
            Value::Text(_) => return Err(RejectReason::UnreadableText),
            _ => return Err(RejectReason::WrongType),
        };
        self.values.append(value);
        self.nulls.append_non_null();
        Ok(())
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.values.append_n(count, false);
        self.nulls.append_n_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let room = Self::with_capacity(super::room_after(self.values.len()));
        let mut full = mem::replace(self, room);
        Arc::new(BooleanArray::new(full.values.finish(), full.nulls.finish()))
    }
}
