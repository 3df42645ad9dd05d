//! Dates and instants between text and the integers that SQLite holds: days, milliseconds, nanoseconds.

use std::str::FromStr as _;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

/// Nanoseconds of a millisecond.
pub(crate) const NANOS_PER_MS: i64 = 1_000_000;

const SECONDS_PER_DAY: i64 = 86_400;
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// What the integer of a value counts, and whether it is read in a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// DATE: days since the epoch.
    Days,
    /// DATETIME: milliseconds since the epoch.
    Millis,
    /// TIMESTAMP: nanoseconds since the epoch.
    Nanos,
    /// `TIMESTAMP_NTZ`: nanoseconds of the wall clock, read as UTC.
    WallNanos,
}

/// The wall clock reading of a value in `zone`.
pub(crate) fn civil(value: i64, scale: Scale, zone: &TimeZone) -> Option<DateTime> {
    let since_epoch = match scale {
        Scale::Days => SignedDuration::from_secs(value.checked_mul(SECONDS_PER_DAY)?),
        Scale::Millis => SignedDuration::from_millis(value),
        Scale::Nanos | Scale::WallNanos => SignedDuration::from_nanos(value),
    };
    let offset = match scale {
        Scale::Days | Scale::WallNanos => SignedDuration::ZERO,
        Scale::Millis | Scale::Nanos => {
            // What jiff's timestamps don't reach are the last hours of the year 9999.
            let instant = Timestamp::from_duration(since_epoch).unwrap_or(Timestamp::MAX);
            duration(zone.to_offset(instant))
        }
    };
    EPOCH.checked_add(since_epoch.checked_add(offset)?).ok()
}

/// The value of a wall clock reading in `zone`. A reading that a clock change skipped or doubled is taken at the
/// offset before the change.
pub(crate) fn value(reading: DateTime, scale: Scale, zone: &TimeZone) -> Option<i64> {
    let shown = reading.duration_since(EPOCH);
    let offset = match zone.to_ambiguous_timestamp(reading).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
    };
    let instant = shown.checked_sub(duration(offset))?;
    match scale {
        Scale::Days => Some(shown.as_secs().div_euclid(SECONDS_PER_DAY)),
        Scale::Millis => i64::try_from(instant.as_nanos().div_euclid(NANOS_PER_MS.into())).ok(),
        Scale::Nanos => i64::try_from(instant.as_nanos()).ok(),
        Scale::WallNanos => i64::try_from(shown.as_nanos()).ok(),
    }
}

fn duration(offset: Offset) -> SignedDuration {
    SignedDuration::from_secs(offset.seconds().into())
}

/// Reads `2026-03-02`, `2026-03-02 03:04:05` and fractions of a second.
pub(crate) fn parse(text: &str) -> Option<DateTime> {
    let text = text.trim();
    DateTime::from_str(text)
        .ok()
        .or_else(|| Date::from_str(text).ok().map(DateTime::from))
}

/// `2026-03-02` for a DATE, else `2026-03-02 03:04:05`, with a fraction where there is one.
pub(crate) fn text(value: i64, scale: Scale, zone: &TimeZone) -> Option<String> {
    let reading = civil(value, scale, zone)?;
    let text = match (scale, reading.subsec_nanosecond()) {
        (Scale::Days, _) => reading.strftime("%Y-%m-%d").to_string(),
        (_, 0) => reading.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        (Scale::Millis, _) => reading.strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        (Scale::Nanos | Scale::WallNanos, _) => {
            reading.strftime("%Y-%m-%d %H:%M:%S%.f").to_string()
        }
    };
    Some(text)
}

/// Fields of a MaxCompute format, longest first: `yyyy-mm-dd hh:mi:ss.ff3`.
const FIELDS: [(&str, &str); 9] = [
    ("hh24", "%H"),
    ("yyyy", "%Y"),
    ("ff3", "%3f"),
    ("mm", "%m"),
    ("dd", "%d"),
    ("hh", "%H"),
    ("mi", "%M"),
    ("ss", "%S"),
    ("%", "%%"),
];

/// A MaxCompute format as one of `strftime`.
fn strftime_format(format: &str) -> String {
    let mut rest = format;
    let mut converted = String::new();
    while let Some(first) = rest.chars().next() {
        let field = FIELDS.into_iter().find(|(field, _)| {
            rest.get(..field.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(field))
        });
        let (bytes, text) = match field {
            Some((field, code)) => (field.len(), code.to_owned()),
            None => (first.len_utf8(), first.to_string()),
        };
        converted.push_str(&text);
        rest = rest.split_at(bytes).1;
    }
    converted
}

/// `to_char` of an instant.
pub(crate) fn format(reading: DateTime, format: &str) -> String {
    reading.strftime(&strftime_format(format)).to_string()
}

/// `to_date` of a text.
pub(crate) fn parse_format(text: &str, format: &str) -> Option<DateTime> {
    let parsed = jiff::fmt::strtime::parse(strftime_format(format), text).ok()?;
    parsed
        .to_datetime()
        .ok()
        .or_else(|| parsed.to_date().ok().map(DateTime::from))
}

/// A unit of dates, as functions name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Part {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "yyyy" | "year" => Self::Year,
            "mm" | "month" | "mon" => Self::Month,
            "dd" | "day" => Self::Day,
            "hh" | "hour" => Self::Hour,
            "mi" | "minute" => Self::Minute,
            "ss" | "second" => Self::Second,
            "ff3" => Self::Millisecond,
            _ => return None,
        })
    }

    pub(crate) fn of(self, reading: DateTime) -> i64 {
        match self {
            Self::Year => reading.year().into(),
            Self::Month => reading.month().into(),
            Self::Day => reading.day().into(),
            Self::Hour => reading.hour().into(),
            Self::Minute => reading.minute().into(),
            Self::Second => reading.second().into(),
            Self::Millisecond => reading.millisecond().into(),
        }
    }

    /// `reading` with everything below the part cleared.
    pub(crate) fn truncate(self, reading: DateTime) -> Option<DateTime> {
        let keep = |part: Self, value: i8| if self.rank() >= part.rank() { value } else { 0 };
        let month = if self.rank() >= Self::Month.rank() {
            reading.month()
        } else {
            1
        };
        let day = if self.rank() >= Self::Day.rank() {
            reading.day()
        } else {
            1
        };
        let nanos = if self == Self::Millisecond {
            i32::from(reading.millisecond()) * 1_000_000
        } else {
            0
        };
        DateTime::new(
            reading.year(),
            month,
            day,
            keep(Self::Hour, reading.hour()),
            keep(Self::Minute, reading.minute()),
            keep(Self::Second, reading.second()),
            nanos,
        )
        .ok()
    }

    /// `reading` moved by `count` of the part.
    pub(crate) fn add(self, reading: DateTime, count: i64) -> Option<DateTime> {
        let span = match self {
            Self::Year => jiff::Span::new().try_years(count),
            Self::Month => jiff::Span::new().try_months(count),
            Self::Day => jiff::Span::new().try_days(count),
            Self::Hour => jiff::Span::new().try_hours(count),
            Self::Minute => jiff::Span::new().try_minutes(count),
            Self::Second => jiff::Span::new().try_seconds(count),
            Self::Millisecond => jiff::Span::new().try_milliseconds(count),
        };
        reading.checked_add(span.ok()?).ok()
    }

    /// How many borders of the part lie between the two.
    pub(crate) fn difference(self, later: DateTime, earlier: DateTime) -> Option<i64> {
        let months =
            |reading: DateTime| i64::from(reading.year()) * 12 + i64::from(reading.month());
        let unit_ms = match self {
            Self::Year => return Some(i64::from(later.year()) - i64::from(earlier.year())),
            Self::Month => return Some(months(later) - months(earlier)),
            Self::Day => 86_400_000,
            Self::Hour => 3_600_000,
            Self::Minute => 60_000,
            Self::Second => 1_000,
            Self::Millisecond => 1,
        };
        let between = self
            .truncate(later)?
            .duration_since(self.truncate(earlier)?);
        i64::try_from(between.as_millis() / unit_ms).ok()
    }

    fn rank(self) -> u8 {
        match self {
            Self::Year => 0,
            Self::Month => 1,
            Self::Day => 2,
            Self::Hour => 3,
            Self::Minute => 4,
            Self::Second => 5,
            Self::Millisecond => 6,
        }
    }
}

/// The last day of the month of `reading`, at midnight.
pub(crate) fn last_day(reading: DateTime) -> Option<DateTime> {
    let first = Part::Month.truncate(reading)?;
    first.checked_add(1.month()).ok()?.checked_sub(1.day()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_integers_round_trip() {
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        for (given, scale, number) in [
            ("2026-03-02", Scale::Days, 20_514),
            ("1900-01-01", Scale::Days, -25_567),
            ("2026-03-02 11:04:05.678", Scale::Millis, 1_772_420_645_678),
            ("1970-01-01 07:59:59.999", Scale::Millis, -1),
            (
                "9999-12-31 23:59:59.999",
                Scale::Millis,
                253_402_271_999_999,
            ),
            (
                "2026-03-02 11:04:05.678901234",
                Scale::Nanos,
                1_772_420_645_678_901_234,
            ),
            (
                "2026-03-02 03:04:05",
                Scale::WallNanos,
                1_772_420_645_000_000_000,
            ),
        ] {
            assert_eq!(
                value(parse(given).unwrap(), scale, &shanghai),
                Some(number),
                "{given}"
            );
            assert_eq!(text(number, scale, &shanghai).as_deref(), Some(given));
        }
        assert_eq!(parse("yesterday"), None);
        assert_eq!(text(i64::MAX, Scale::Days, &TimeZone::UTC), None);
    }

    #[test]
    fn formats_are_maxcomputes() {
        let reading = parse("2026-03-02 03:04:05.678").unwrap();
        assert_eq!(format(reading, "yyyymmdd"), "20260302");
        assert_eq!(
            format(reading, "yyyy-mm-dd hh:mi:ss.ff3"),
            "2026-03-02 03:04:05.678"
        );
        assert_eq!(format(reading, "年YYYY%"), "年2026%");
        let parsed = parse_format("20260302", "yyyymmdd").unwrap();
        assert_eq!(Part::Day.truncate(reading), Some(parsed));
        assert_eq!(
            Part::Month.add(parse("2026-01-31").unwrap(), 1),
            parse("2026-02-28")
        );
        assert_eq!(
            Part::Day.difference(reading, parse("2026-02-28 23:59:59").unwrap()),
            Some(2)
        );
        assert_eq!(last_day(reading), parse("2026-03-31"));
    }
}
