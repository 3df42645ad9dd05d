//! `TIMESTAMP_NTZ`: what a clock on the wall shows, to the nanosecond, of the years that 64 bits of nanoseconds reach (1677 to
//! 2262). Texts have no offset; instants are shown by a clock of the job's zone.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::TimestampNanosecondType;
use engine_model::TimeFormat;
use jiff::tz::TimeZone;

use super::primitive::Primitives;
use super::timestamp::nanoseconds;
use crate::instant::InstantReader;
use crate::reject::RejectReason;
use crate::value::Value;

#[derive(Debug)]
pub(super) struct TimestampNtzColumn {
    reader: InstantReader,
    /// Since 1970-01-01T00:00:00 on the same clock.
    nanoseconds: Primitives<TimestampNanosecondType>,
}

impl TimestampNtzColumn {
    pub(super) fn new(zone: &TimeZone, format: Option<TimeFormat>) -> Self {
        Self {
            reader: InstantReader::new(zone.clone(), format),
            nanoseconds: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let wall_clock = self.reader.read_wall_clock(value)?;
        self.nanoseconds.push(nanoseconds(wall_clock)?);
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
