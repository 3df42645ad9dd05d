//! BINARY: strings as their bytes in UTF-8, or as the bytes that they spell in base64, and the message's own key or payload
//! as they are.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use engine_model::limits::CELL_BYTES_MAX;

use super::texts::Texts;
use crate::payload::SCRATCH_BYTES_KEPT;
use crate::reject::RejectReason;
use crate::value::Value;

/// The standard alphabet, with or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[derive(Debug, Default)]
pub(super) struct BinaryColumn {
    values: Texts,
    /// Whether strings are base64.
    is_base64: bool,
    /// For what base64 spells; kept for its memory.
    scratch: Vec<u8>,
}

impl BinaryColumn {
    pub(super) fn new(is_base64: bool) -> Self {
        Self {
            is_base64,
            ..Self::default()
        }
    }

    /// Tells the bytes of the value.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        match *value {
            Value::Text(text) if self.is_base64 => self.push_base64(text),
            Value::Text(text) => self.values.push(text.as_bytes()),
            Value::Bytes(bytes) => self.values.push(bytes),
            _ => Err(RejectReason::WrongType),
        }
    }

    fn push_base64(&mut self, text: &str) -> Result<usize, RejectReason> {
        // Four characters spell three bytes.
        if text.len() / 4 * 3 > CELL_BYTES_MAX + 3 {
            return Err(RejectReason::TooLong);
        }
        self.scratch.clear();
        let read = BASE64.decode_vec(text, &mut self.scratch);
        read.map_err(|_| RejectReason::UnreadableText)?;
        self.values.push(&self.scratch)
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.values.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.scratch.clear();
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
        let (offsets, bytes, nulls) = self.values.finish();
        Arc::new(BinaryArray::new(offsets, bytes, nulls))
    }
}
