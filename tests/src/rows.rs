//! Rows as the client of MaxCompute takes them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use engine_tunnel::{BlockSource, BoxError, RecordBatches};

/// Columns `id` and `name`.
pub const COLUMNS: &str = "(id BIGINT, name STRING)";

/// Rows of a block, which can be read as often as it takes.
#[derive(Debug)]
pub struct Rows(pub Vec<RecordBatch>);

impl Rows {
    /// Rows for [`COLUMNS`] with these ids, in two batches.
    pub fn of(ids: std::ops::Range<i64>) -> Self {
        let middle = i64::midpoint(ids.start, ids.end);
        let batches = [ids.start..middle, middle..ids.end];
        let batches = batches.into_iter().filter(|ids| !ids.is_empty());
        Self(batches.map(Self::batch).collect())
    }

    fn batch(ids: std::ops::Range<i64>) -> RecordBatch {
        let name = |id: i64| (id % 3 != 0).then(|| format!("名 {id}"));
        let names: StringArray = ids.clone().map(name).collect();
        Self::columns(vec![
            ("id", Arc::new(Int64Array::from_iter_values(ids))),
            ("name", Arc::new(names)),
        ])
    }

    /// One batch of these columns, which may hold NULL.
    ///
    /// # Panics
    ///
    /// When they differ in length.
    pub fn columns(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|batch| batch.num_rows() as u64).sum()
    }
}

impl BlockSource for Rows {
    fn open(&self) -> Result<RecordBatches, BoxError> {
        Ok(Box::new(self.0.clone().into_iter().map(Ok)))
    }
}
