//! Window bounds: from the text that a parameter became to an instant.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

#[cfg(test)]
mod tests;

/// First digits of bare-digit bounds that are all epoch numbers today: `1669…` as a year, but never as a message's.
const FIRST_YEAR: i16 = 1970;

/// One end of a window, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// In ms since the epoch, as message timestamps are.
    pub instant_ms: i64,
    /// What a person should look at; the instant is good.
    pub warnings: Vec<BoundWarning>,
}

/// A bound that was read, but perhaps not as meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoundWarning {
    /// Fewer than 14 digits: what was missing counts as zero.
    Completed {
        /// How many digits there were.
        digits: usize,
        /// The local time that they were read as.
        read_as: DateTime,
    },
    /// More than 14 digits: all behind the 12th are the seconds.
    SurplusDigits {
        /// How many digits there were.
        digits: usize,
        /// The local time that they were read as.
        read_as: DateTime,
    },
    /// The clocks skip this local time: it was shifted forward by as much as they do.
    Skipped {
        /// The local time as written.
        local: DateTime,
    },
    /// The clocks show this local time twice: the earlier one counts.
    Repeated {
        /// The local time as written.
        local: DateTime,
    },
}

impl fmt::Display for BoundWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed { digits, read_as } => write!(
                f,
                "{digits} digits were read as {read_as}; write all 14 of `yyyymmddhh24miss`"
            ),
            Self::SurplusDigits { digits, read_as } => write!(
                f,
                "{digits} digits were read as {read_as}; write the 14 of `yyyymmddhh24miss`"
            ),
            Self::Skipped { local } => write!(
                f,
                "the clocks skip {local}; it was shifted forward, write an offset to be exact"
            ),
            Self::Repeated { local } => write!(
                f,
                "the clocks show {local} twice; the earlier one counts, write an offset to be exact"
            ),
        }
    }
}

/// A text that is no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundError {
    kind: BoundErrorKind,
    /// The text, and what a library says about it; `None` when it is opaque.
    found: Option<(String, String)>,
}

/// What a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BoundErrorKind {
    /// Neither bare digits nor an ISO 8601 date or date-time.
    Unrecognized,
    /// Bare digits, but not 8, 10, 12, 14 or more.
    DigitCount,
    /// A month outside 1 to 12.
    Month,
    /// A day that the month doesn't have.
    Day,
    /// An hour outside 0 to 23.
    Hour,
    /// A minute outside 0 to 59.
    Minute,
    /// Seconds outside 0 to 59, leap seconds among them.
    Second,
    /// Bare digits with a year before 1970: most likely epoch seconds or milliseconds.
    BeforeEpoch,
    /// Finer than the milliseconds of message timestamps.
    SubMillisecond,
    /// A time zone that isn't known, or an offset that its time zone doesn't have then.
    TimeZone,
    /// Beyond the instants that can be computed with.
    OutOfRange,
}

impl BoundError {
    fn new(kind: BoundErrorKind, text: &str) -> Self {
        Self {
            kind,
            found: Some((text.to_owned(), String::new())),
        }
    }

    fn explained(kind: BoundErrorKind, text: &str, error: &jiff::Error) -> Self {
        Self {
            kind,
            found: Some((text.to_owned(), format!(": {error}"))),
        }
    }

    /// What went wrong, for a caller to act on.
    pub fn kind(&self) -> BoundErrorKind {
        self.kind
    }

    /// The same error without the text, for values that come from the environment and must not be shown.
    #[must_use]
    pub fn opaque(self) -> Self {
        Self {
            found: None,
            ..self
        }
    }
}

impl BoundErrorKind {
    fn problem(self) -> &'static str {
        match self {
            Self::Unrecognized => {
                "is no time; write `yyyymmddhh24miss` digits or ISO 8601 such as 2022-11-22T07:00:00"
            }
            Self::DigitCount => {
                "has a wrong number of digits; write the 14 of `yyyymmddhh24miss`, and epoch \
                 milliseconds as `{ epoch_ms: N }`"
            }
            Self::Month => "has a month outside 01 to 12; check the order of the digits",
            Self::Day => "has a day that the month does not have; check the order of the digits",
            Self::Hour => "has an hour outside 00 to 23; the end of a day is 00 of the next",
            Self::Minute => "has a minute outside 00 to 59; check the order of the digits",
            Self::Second => "has seconds outside 00 to 59; check the number of zeros",
            Self::BeforeEpoch => {
                "has a year before 1970; write epoch milliseconds as `{ epoch_ms: N }`, and \
                 `earliest` for the beginning"
            }
            Self::SubMillisecond => {
                "is finer than a millisecond, and message timestamps are not; cut it"
            }
            Self::TimeZone => "has a time zone or offset that can't be; check its name",
            Self::OutOfRange => "is too far away to compute with; use a nearer one",
        }
    }
}

impl fmt::Display for BoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = self.kind.problem();
        match &self.found {
            Some((text, detail)) => write!(f, "`{text}` {problem}{detail}"),
            None => write!(f, "a value from the environment {problem}"),
        }
    }
}

impl std::error::Error for BoundError {}

/// Reads a window bound.
///
/// - Bare digits, `yyyymmdd[hh24[mi[ss]]]`, are local in `zone`. What is missing counts as zero. All digits behind the
///   12th are the seconds, 0 to 59: a zero too many does no harm. Both are warned of.
/// - ISO 8601: `2022-11-22T07:00:00` is local in `zone`; `…Z`, `…+08:00` and `…[Asia/Tokyo]` say so themselves; a date
///   alone is its midnight. Down to the millisecond.
///
/// A local time that the clocks skip is shifted forward, and of two the earlier counts. As both ends of a window follow
/// the same rule, the end of one window is the start of the next.
///
/// ```
/// use engine_model::params::parse_bound;
/// use jiff::tz::TimeZone;
///
/// let zone = TimeZone::get("Asia/Shanghai")?;
/// assert_eq!(parse_bound("20221122070000", &zone)?.instant_ms, 1_669_071_600_000);
/// assert!(parse_bound("20221322070000", &zone).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// A [`BoundError`] that shows the text: use [`BoundError::opaque`] where it must stay hidden.
pub fn parse_bound(text: &str, zone: &TimeZone) -> Result<Bound, BoundError> {
    let (timestamp, warnings) = parse_instant(text, zone)?;
    Ok(Bound {
        instant_ms: timestamp.as_millisecond(),
        warnings,
    })
}

pub(super) fn parse_instant(
    text: &str,
    zone: &TimeZone,
) -> Result<(Timestamp, Vec<BoundWarning>), BoundError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return iso(text, zone);
    }
    let (read_as, reading) = digits(text).map_err(|kind| BoundError::new(kind, text))?;
    let (timestamp, clocks) = instant(read_as, zone)
        .map_err(|error| BoundError::explained(BoundErrorKind::OutOfRange, text, &error))?;
    Ok((timestamp, reading.into_iter().chain(clocks).collect()))
}

fn digits(text: &str) -> Result<(DateTime, Option<BoundWarning>), BoundErrorKind> {
    let count = text.len();
    // 13 digits are epoch milliseconds far more often than a date with half a second number.
    if !matches!(count, 8 | 10 | 12) && count < 14 {
        return Err(BoundErrorKind::DigitCount);
    }
    let number = |start: usize, end: usize| {
        text.get(start..end)
            .and_then(|part| part.parse::<i16>().ok())
            .unwrap_or(0)
    };
    let two = |start: usize, kind, max: i8| {
        i8::try_from(number(start, start + 2))
            .ok()
            .filter(|found| *found <= max)
            .ok_or(kind)
    };
    let year = number(0, 4);
    if year < FIRST_YEAR {
        return Err(BoundErrorKind::BeforeEpoch);
    }
    let month = two(4, BoundErrorKind::Month, 12)?;
    Date::new(year, month, 1).map_err(|_| BoundErrorKind::Month)?;
    let day = two(6, BoundErrorKind::Day, 31)?;
    let date = Date::new(year, month, day).map_err(|_| BoundErrorKind::Day)?;
    let hour = two(8, BoundErrorKind::Hour, 23)?;
    let minute = two(10, BoundErrorKind::Minute, 59)?;
    let seconds = text.get(12..).unwrap_or_default().trim_start_matches('0');
    let second = match seconds {
        "" => 0,
        seconds => seconds
            .parse::<i8>()
            .ok()
            .filter(|second| *second <= 59)
            .ok_or(BoundErrorKind::Second)?,
    };
    let read_as = date.at(hour, minute, second, 0);
    let digits = count;
    let warning = match count {
        14 => None,
        ..14 => Some(BoundWarning::Completed { digits, read_as }),
        _ => Some(BoundWarning::SurplusDigits { digits, read_as }),
    };
    Ok((read_as, warning))
}

fn iso(text: &str, zone: &TimeZone) -> Result<(Timestamp, Vec<BoundWarning>), BoundError> {
    if !is_extended(text.as_bytes()) {
        return Err(BoundError::new(BoundErrorKind::Unrecognized, text));
    }
    // The library reads a leap second as the second before it, which would be a bound that nobody wrote.
    if text.as_bytes().get(16..19) == Some(b":60") {
        return Err(BoundError::new(BoundErrorKind::Second, text));
    }
    let pieces = Pieces::parse(text)
        .map_err(|error| BoundError::explained(BoundErrorKind::Unrecognized, text, &error))?;
    let time = pieces.time().unwrap_or(Time::midnight());
    let local = pieces.date().to_datetime(time);
    if local.subsec_nanosecond() % 1_000_000 != 0 {
        return Err(BoundError::new(BoundErrorKind::SubMillisecond, text));
    }
    let named = pieces
        .to_time_zone()
        .map_err(|error| BoundError::explained(BoundErrorKind::TimeZone, text, &error))?;
    match (pieces.offset(), named) {
        // Both are given, and the library checks that they agree.
        (Some(_), Some(_)) => text
            .parse::<ZonedDateTime>()
            .map(|zoned| (zoned.timestamp(), Vec::new()))
            .map_err(|error| BoundError::explained(BoundErrorKind::TimeZone, text, &error)),
        (Some(offset), None) => offset
            .to_numeric_offset()
            .to_timestamp(local)
            .map(|timestamp| (timestamp, Vec::new()))
            .map_err(|error| BoundError::explained(BoundErrorKind::OutOfRange, text, &error)),
        (None, named) => instant(local, named.as_ref().unwrap_or(zone))
            .map(|(timestamp, clocks)| (timestamp, clocks.into_iter().collect()))
            .map_err(|error| BoundError::explained(BoundErrorKind::OutOfRange, text, &error)),
    }
}

/// Whether the text begins like `2022-11-22` or `2022-11-22T07:`. The library also takes forms without separators,
/// where one digit too few or too many changes the meaning.
fn is_extended(text: &[u8]) -> bool {
    let at = |position: usize| text.get(position).copied();
    let date =
        text.iter().take(4).all(u8::is_ascii_digit) && (at(4), at(7)) == (Some(b'-'), Some(b'-'));
    let timed = matches!(at(10), Some(b'T' | b't' | b' '));
    date && (!timed || at(13) == Some(b':'))
}

fn instant(
    local: DateTime,
    zone: &TimeZone,
) -> Result<(Timestamp, Option<BoundWarning>), jiff::Error> {
    use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};

    let ambiguous = zone.to_ambiguous_timestamp(local);
    let warning = match ambiguous.offset() {
        Unambiguous { .. } => None,
        Gap { .. } => Some(BoundWarning::Skipped { local }),
        Fold { .. } => Some(BoundWarning::Repeated { local }),
    };
    Ok((ambiguous.compatible()?, warning))
}
