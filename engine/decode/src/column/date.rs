//! DATE: days of the years 0000 to 9999, from texts, and from instants as a clock in the job's zone shows them. A time of
//! day is refused unless it is midnight, or the job says to drop it.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Date32Type;
use engine_model::Rounding;

use super::ColumnSpec;
use super::primitive::Primitives;
use crate::instant::InstantReader;
use crate::reject::RejectReason;
use crate::value::Value;

const SECONDS_PER_DAY: i64 = 86_400;
/// So many that the time of day is known exactly.
const SECOND_DIGITS: u8 = 9;

#[derive(Debug)]
pub(super) struct DateColumn {
    reader: InstantReader,
    drops_time: bool,
    /// Since 1970-01-01.
    days: Primitives<Date32Type>,
}

impl DateColumn {
    pub(super) fn new(spec: &ColumnSpec<'_>) -> Self {
        Self {
            reader: spec.instants(SECOND_DIGITS),
            drops_time: spec.rounding == Some(Rounding::Down),
            days: Primitives::default(),
        }
    }

    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<(), RejectReason> {
        let shown = self.reader.read_wall_clock(value)?;
        let is_midnight = shown.nanoseconds == 0 && shown.seconds.rem_euclid(SECONDS_PER_DAY) == 0;
        if !is_midnight && !self.drops_time {
            return Err(RejectReason::NeedsRounding);
        }
        let days = i32::try_from(shown.seconds.div_euclid(SECONDS_PER_DAY));
        self.days.push(days.map_err(|_| RejectReason::OutOfRange)?);
        Ok(())
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.days.push_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.days.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.days.finish())
    }
}
