//! What columns of fixed width share.

use std::mem;

use arrow::array::{ArrowPrimitiveType, NullBufferBuilder, PrimitiveArray};

use super::room_after;

/// Values of one Arrow type, some of them missing.
#[derive(Debug)]
pub(super) struct Primitives<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Default for Primitives<T> {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl<T: ArrowPrimitiveType> Primitives<T> {
    fn with_capacity(rows: usize) -> Self {
        Self {
            values: Vec::with_capacity(rows),
            nulls: NullBufferBuilder::new(rows),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    pub(super) fn push_nulls(&mut self, count: usize) {
        let rows = self.values.len() + count;
        self.values.resize(rows, T::Native::default());
        self.nulls.append_n_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> PrimitiveArray<T> {
        let room = Self::with_capacity(room_after(self.values.len()));
        let mut full = mem::replace(self, room);
        PrimitiveArray::new(full.values.into(), full.nulls.finish())
    }
}
