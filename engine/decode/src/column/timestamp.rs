//! TIMESTAMP: instants to the nanosecond, of the years that 64 bits of nanoseconds reach (1677 to 2262).

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::TimestampNanosecondType;
use engine_model::TimeFormat;
use jiff::tz::TimeZone;

use super::primitive::Primitives;
use crate::instant::{Instant, InstantReader};
use crate::reject::RejectReason;
use crate::value::Value;

const NANOSECONDS_PER_S: i128 = 1_000_000_000;

#[derive(Debug)]
pub(super) struct TimestampColumn {
    reader: InstantReader,
    /// Since the epoch.
    nanoseconds: Primitives<TimestampNanosecondType>,
}

impl TimestampColumn {
    pub(super) fn new(zone: &TimeZone, format: Option<TimeFormat>) -> Self {
        Self {
            reader: InstantReader::new(zone.clone(), format),
            nanoseconds: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let instant = self.reader.read(value)?;
        self.nanoseconds.push(nanoseconds(instant)?);
        Ok(())
    }

    pub(super) fn append_null(&mut self) {
        self.nanoseconds.push_null();
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.nanoseconds.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.nanoseconds.finish())
    }
}

/// Nanoseconds since the epoch.
pub(super) fn nanoseconds(instant: Instant) -> Result<i64, RejectReason> {
    let nanoseconds =
        i128::from(instant.seconds) * NANOSECONDS_PER_S + i128::from(instant.nanoseconds);
    i64::try_from(nanoseconds).map_err(|_| RejectReason::OutOfRange)
}
