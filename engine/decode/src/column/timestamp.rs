//! TIMESTAMP and `TIMESTAMP_NTZ`, to the nanosecond, of the years that 64 bits of nanoseconds reach (1677 to 2262): instants,
//! and what a clock on the wall shows. Texts of the latter have no offset, and instants are shown by a clock of the job's
//! zone.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::TimestampNanosecondType;

use super::ColumnSpec;
use super::primitive::Primitives;
use crate::instant::InstantReader;
use crate::reject::RejectReason;
use crate::value::Value;

const NANOSECONDS_PER_S: i128 = 1_000_000_000;
/// Digits of a second that are kept.
const SECOND_DIGITS: u8 = 9;

/// Whose time a column holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// Instants.
    Utc,
    /// What some clock shows, wherever it hangs.
    OnTheWall,
}

#[derive(Debug)]
pub(super) struct TimestampColumn {
    clock: Clock,
    reader: InstantReader,
    /// Since 1970-01-01T00:00:00 of the clock.
    nanoseconds: Primitives<TimestampNanosecondType>,
}

impl TimestampColumn {
    pub(super) fn new(clock: Clock, spec: &ColumnSpec<'_>) -> Self {
        Self {
            clock,
            reader: spec.instants(SECOND_DIGITS),
            nanoseconds: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let shown = match self.clock {
            Clock::Utc => self.reader.read(value)?,
            Clock::OnTheWall => self.reader.read_wall_clock(value)?,
        };
        let nanoseconds =
            i128::from(shown.seconds) * NANOSECONDS_PER_S + i128::from(shown.nanoseconds);
        let nanoseconds = i64::try_from(nanoseconds).map_err(|_| RejectReason::OutOfRange)?;
        self.nanoseconds.push(nanoseconds);
        Ok(())
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.nanoseconds.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.nanoseconds.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.nanoseconds.finish())
    }
}
