//! The time that parameters are computed from.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ZonedDateTime};

use super::bound::{self, BoundError};

/// When a run was due, to the second, in the job's time zone. It stays the same however late the run starts and however
/// often it is repeated, so every attempt computes the same window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduledTime {
    at: ZonedDateTime,
}

impl ScheduledTime {
    /// Cuts `at` to the second.
    pub fn new(at: ZonedDateTime) -> Self {
        let excess = SignedDuration::from_nanos(at.subsec_nanosecond().into());
        // Only in the very first second that jiff knows is there no whole one; nothing is scheduled then.
        let at = at.checked_sub(excess).unwrap_or(at);
        Self { at }
    }

    /// Reads `2022-11-22T10:05:00`, `20221122100500` and the other forms of [`parse_bound`](super::parse_bound). A
    /// local time is one in `zone`; one with an offset or a zone of its own is converted to `zone`.
    ///
    /// # Errors
    ///
    /// As [`parse_bound`](super::parse_bound).
    pub fn parse(text: &str, zone: &TimeZone) -> Result<Self, BoundError> {
        let (timestamp, _) = bound::parse_instant(text, zone)?;
        Ok(Self::new(timestamp.to_zoned_datetime(zone.clone())))
    }

    /// The time itself, with the job's time zone.
    pub fn at(&self) -> &ZonedDateTime {
        &self.at
    }

    /// The day before the scheduled day; `None` on the first day that jiff knows.
    pub fn business_date(&self) -> Option<Date> {
        self.at.date().yesterday().ok()
    }
}

impl From<ZonedDateTime> for ScheduledTime {
    fn from(at: ZonedDateTime) -> Self {
        Self::new(at)
    }
}

impl fmt::Display for ScheduledTime {
    /// As RFC 9557 has it: `2022-11-22T10:05:00+08:00[Asia/Shanghai]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.fmt(f)
    }
}
