//! DATETIME: instants to the millisecond; finer ones are refused.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::TimestampMillisecondType;
use engine_model::TimeFormat;
use jiff::tz::TimeZone;

use super::primitive::Primitives;
use crate::instant::InstantReader;
use crate::reject::RejectReason;
use crate::value::Value;

const NANOSECONDS_PER_MS: u32 = 1_000_000;

#[derive(Debug)]
pub(super) struct DateTimeColumn {
    reader: InstantReader,
    /// Since the epoch.
    ms: Primitives<TimestampMillisecondType>,
}

impl DateTimeColumn {
    pub(super) fn new(zone: &TimeZone, format: Option<TimeFormat>) -> Self {
        Self {
            reader: InstantReader::new(zone.clone(), format),
            ms: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let instant = self.reader.read(value)?;
        if !instant.nanoseconds.is_multiple_of(NANOSECONDS_PER_MS) {
            return Err(RejectReason::NeedsRounding);
        }
        // Years up to 9999 fit many times over.
        let ms = i64::from(instant.nanoseconds / NANOSECONDS_PER_MS);
        self.ms.push(instant.seconds * 1_000 + ms);
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        self.ms.push_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.ms.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.ms.finish())
    }
}
