//! What columns of varying width share.

use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use engine_model::limits::CELL_BYTES_MAX;

use super::room_after;
use crate::reject::RejectReason;

/// Texts or bytes, some of them missing.
#[derive(Debug)]
pub(super) struct Texts {
    /// All of them, one behind the other.
    bytes: Vec<u8>,
    /// Where each row starts, and where the last one ends.
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Default for Texts {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl Texts {
    fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self {
            bytes: Vec::with_capacity(bytes),
            offsets,
            nulls: NullBufferBuilder::new(rows),
        }
    }

    /// Appends one more row and tells its bytes. After an error there may be bytes of it, which [`Self::truncate`] takes away.
    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) -> Result<usize, RejectReason> {
        if text.len() > CELL_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        self.bytes.extend_from_slice(text);
        let end = i32::try_from(self.bytes.len()).map_err(|_| RejectReason::BatchFull)?;
        self.offsets.push(end);
        self.nulls.append_non_null();
        Ok(text.len())
    }

    pub(super) fn push_nulls(&mut self, count: usize) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.resize(self.offsets.len() + count, end);
        self.nulls.append_n_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows + 1);
        let end = self.offsets.last().copied().unwrap_or_default();
        self.bytes
            .truncate(usize::try_from(end).unwrap_or_default());
        self.nulls.truncate(rows);
    }

    /// Takes the rows as the parts of an array. The next batch gets room for a few more.
    pub(super) fn finish(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        let rows = room_after(self.offsets.len() - 1);
        let room = Self::with_capacity(rows, room_after(self.bytes.len()));
        let mut full = mem::replace(self, room);
        let offsets = OffsetBuffer::new(full.offsets.into());
        (offsets, Buffer::from_vec(full.bytes), full.nulls.finish())
    }
}

/// Texts alone, so that nobody needs to check again whether they are UTF-8.
#[derive(Debug, Default)]
pub(super) struct Strings(Texts);

impl Strings {
    /// As [`Texts::push`].
    #[inline]
    pub(super) fn push(&mut self, text: &str) -> Result<usize, RejectReason> {
        self.0.push(text.as_bytes())
    }

    pub(super) fn push_nulls(&mut self, count: usize) {
        self.0.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.0.truncate(rows);
    }

    /// Takes the rows as an array. The next batch gets room for a few more.
    #[expect(unsafe_code, reason = "a check of all text takes a tenth of decoding")]
    pub(super) fn finish(&mut self) -> ArrayRef {
        let (offsets, text, nulls) = self.0.finish();
        // SAFETY: `text` is whole strings, one behind the other, and rows start and end between them: bytes come in by `push`
        // alone, a whole string at a time, and go at `truncate`, to where a row ends. `offsets` rise, for each is the length
        // of `text` when a row was added to it; there is one for each row and one more, and a bit of `nulls` for each row.
        Arc::new(unsafe { StringArray::new_unchecked(offsets, text, nulls) })
    }
}
