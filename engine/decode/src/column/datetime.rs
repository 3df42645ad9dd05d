//! DATETIME: instants to the millisecond; finer ones are refused, or rounded where the job says so.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::TimestampMillisecondType;

use super::ColumnSpec;
use super::primitive::Primitives;
use crate::instant::InstantReader;
use crate::reject::RejectReason;
use crate::value::Value;

const NANOSECONDS_PER_MS: u32 = 1_000_000;
/// Digits of a second that are kept.
const SECOND_DIGITS: u8 = 3;

#[derive(Debug)]
pub(super) struct DateTimeColumn {
    reader: InstantReader,
    /// Since the epoch.
    ms: Primitives<TimestampMillisecondType>,
}

impl DateTimeColumn {
    pub(super) fn new(spec: &ColumnSpec<'_>) -> Self {
        Self {
            reader: spec.instants(SECOND_DIGITS),
            ms: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let instant = self.reader.read(value)?;
        // Years up to 9999 fit many times over.
        let ms = i64::from(instant.nanoseconds / NANOSECONDS_PER_MS);
        self.ms.push(instant.seconds * 1_000 + ms);
        Ok(())
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.ms.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.ms.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.ms.finish())
    }
}
