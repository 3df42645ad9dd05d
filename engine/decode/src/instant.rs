//! Instants from text and numbers.

use engine_model::TimeFormat;
use jiff::Timestamp;
use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::number::DecimalText;
use crate::reject::RejectReason;
use crate::value::Value;

/// 0000-01-01T00:00:00Z, in seconds since the epoch.
const SECONDS_MIN: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, in seconds since the epoch.
const SECONDS_MAX: i64 = 253_402_300_799;
/// Digits of 64-bit integers.
const INTEGER_DIGITS: u8 = 19;
const EPOCH: civil::DateTime = civil::date(1970, 1, 1).at(0, 0, 0, 0);

/// A point in time of the years 0000 to 9999 (UTC).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instant {
    /// Since the epoch, rounded down.
    pub(crate) seconds: i64,
    /// Within the second, 0 to 999,999,999.
    pub(crate) nanoseconds: u32,
}

/// How one column reads its instants.
#[derive(Clone, Debug)]
pub(crate) struct InstantReader {
    zone: TimeZone,
    format: Option<TimeFormat>,
}

impl InstantReader {
    /// Texts without an offset are read in `zone`, numbers by `format`.
    pub(crate) fn new(zone: TimeZone, format: Option<TimeFormat>) -> Self {
        Self { zone, format }
    }

    /// The instant that `value` says.
    pub(crate) fn read(&self, value: &Value<'_>) -> Result<Instant, RejectReason> {
        match *value {
            Value::Int(number) => self.epoch(i128::from(number)),
            Value::Unsigned(number) => self.epoch(i128::from(number)),
            Value::Number(text) if self.format.is_some() => self.epoch(integer(text)?),
            Value::Text(text) => match (self.format, DecimalText::parse(text)) {
                (Some(_), Some(number)) => self.epoch(number.scaled(INTEGER_DIGITS, 0)?),
                _ => parse(text, &self.zone),
            },
            _ => Err(RejectReason::WrongType),
        }
    }

    /// What a clock on the wall shows: `value` where it is a text, which has no offset then, else the zone's clock at the
    /// instant that it says. As if the clock were in UTC.
    pub(crate) fn read_wall_clock(&self, value: &Value<'_>) -> Result<Instant, RejectReason> {
        if let Value::Text(text) = *value
            && (self.format.is_none() || DecimalText::parse(text).is_none())
        {
            let (wall, nanoseconds) = parse_wall_clock(text)?;
            return in_range(wall.duration_since(EPOCH).as_secs(), nanoseconds);
        }
        let Instant {
            seconds,
            nanoseconds,
        } = self.read(value)?;
        let instant = Timestamp::from_second(seconds).map_err(|_| RejectReason::OutOfRange)?;
        let offset_seconds = self.zone.to_offset(instant).seconds();
        in_range(seconds + i64::from(offset_seconds), nanoseconds)
    }

    fn epoch(&self, number: i128) -> Result<Instant, RejectReason> {
        let number = i64::try_from(number).map_err(|_| RejectReason::OutOfRange)?;
        match self.format {
            None => Err(RejectReason::WrongType),
            Some(TimeFormat::EpochS) => in_range(number, 0),
            Some(TimeFormat::EpochMs) => {
                let ms = u32::try_from(number.rem_euclid(1_000)).unwrap_or_default();
                in_range(number.div_euclid(1_000), ms * 1_000_000)
            }
        }
    }
}

fn integer(text: &str) -> Result<i128, RejectReason> {
    DecimalText::parse(text)
        .ok_or(RejectReason::UnreadableText)?
        .scaled(INTEGER_DIGITS, 0)
}

fn in_range(seconds: i64, nanoseconds: u32) -> Result<Instant, RejectReason> {
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        return Err(RejectReason::OutOfRange);
    }
    Ok(Instant {
        seconds,
        nanoseconds,
    })
}

/// Reads `yyyy-MM-dd`, alone or followed by `T` or a space and `HH:mm:ss`, a fraction of a second, and an offset (`Z`,
/// `+08:00`, `+0800`, `+08`). Without an offset it is the wall clock of `zone`; of the two instants that a clock shows
/// when it is set back the first counts, and a time that it skips is unreadable.
///
/// No leap seconds and no 24:00: a column could only hold them changed.
fn parse(text: &str, zone: &TimeZone) -> Result<Instant, RejectReason> {
    let mut text = Cursor(text.as_bytes());
    let wall = text.wall_clock().ok_or(RejectReason::UnreadableText)?;
    let nanoseconds = text.fraction()?;
    let offset_seconds = match text.offset().ok_or(RejectReason::UnreadableText)? {
        Some(seconds) => seconds,
        None => match zone.to_ambiguous_timestamp(wall).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.seconds(),
            AmbiguousOffset::Fold { before, .. } => before.seconds(),
            AmbiguousOffset::Gap { .. } => return Err(RejectReason::UnreadableText),
        },
    };
    let seconds = wall.duration_since(EPOCH).as_secs() - i64::from(offset_seconds);
    in_range(seconds, nanoseconds)
}

/// Reads the same without an offset.
fn parse_wall_clock(text: &str) -> Result<(civil::DateTime, u32), RejectReason> {
    let mut text = Cursor(text.as_bytes());
    let wall = text.wall_clock().ok_or(RejectReason::UnreadableText)?;
    let nanoseconds = text.fraction()?;
    if !text.0.is_empty() {
        return Err(RejectReason::UnreadableText);
    }
    Ok((wall, nanoseconds))
}

/// Reads the same as a day, in days since 1970-01-01.
pub(crate) fn read_date(text: &str) -> Result<i32, RejectReason> {
    let (wall, nanoseconds) = parse_wall_clock(text)?;
    if wall.time() != civil::Time::midnight() || nanoseconds != 0 {
        return Err(RejectReason::NeedsRounding);
    }
    let days = wall.duration_since(EPOCH).as_hours().div_euclid(24);
    i32::try_from(days).map_err(|_| RejectReason::OutOfRange)
}

/// What is left of a text. Each method takes its part off the front, or gives nothing.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn wall_clock(&mut self) -> Option<civil::DateTime> {
        let year = self.two_digits()? * 100 + self.two_digits()?;
        self.byte(b'-')?;
        let month = self.two_digits()?;
        self.byte(b'-')?;
        let day = self.two_digits()?;
        let date = civil::Date::new(year, narrow(month)?, narrow(day)?).ok()?;
        if self.0.is_empty() {
            return Some(date.at(0, 0, 0, 0));
        }
        self.byte(b'T').or_else(|| self.byte(b' '))?;
        let hour = self.two_digits()?;
        self.byte(b':')?;
        let minute = self.two_digits()?;
        self.byte(b':')?;
        let second = self.two_digits()?;
        let time = civil::Time::new(narrow(hour)?, narrow(minute)?, narrow(second)?, 0).ok()?;
        Some(date.to_datetime(time))
    }

    /// The nanoseconds of `.` and any number of digits; 0 where there is no `.`.
    fn fraction(&mut self) -> Result<u32, RejectReason> {
        if self.byte(b'.').is_none() {
            return Ok(0);
        }
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        if digits.is_empty() {
            return Err(RejectReason::UnreadableText);
        }
        self.0 = rest;
        if digits.iter().skip(9).any(|digit| *digit != b'0') {
            return Err(RejectReason::NeedsRounding);
        }
        let padded = digits.iter().copied().chain([b'0'; 9]).take(9);
        Ok(padded.fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
    }

    /// The offset in seconds, or `Some(None)` at the end of the text.
    #[expect(
        clippy::option_option,
        reason = "no offset and an unreadable one differ"
    )]
    fn offset(&mut self) -> Option<Option<i32>> {
        let sign = match self.0.split_first() {
            None => return Some(None),
            Some((b'Z', [])) => return Some(Some(0)),
            Some((b'+', rest)) => {
                self.0 = rest;
                1
            }
            Some((b'-', rest)) => {
                self.0 = rest;
                -1
            }
            Some(_) => return None,
        };
        let hours = self.two_digits()?;
        let minutes = if self.0.is_empty() {
            0
        } else {
            // ISO 8601 has `+0800` beside `+08:00`.
            let _colon = self.byte(b':');
            self.two_digits()?
        };
        let valid = self.0.is_empty() && hours < 24 && minutes < 60;
        valid.then(|| Some(sign * (i32::from(hours) * 3_600 + i32::from(minutes) * 60)))
    }

    fn two_digits(&mut self) -> Option<i16> {
        let ([tens, ones], rest) = self.0.split_first_chunk()?;
        if !tens.is_ascii_digit() || !ones.is_ascii_digit() {
            return None;
        }
        self.0 = rest;
        Some(i16::from(tens - b'0') * 10 + i16::from(ones - b'0'))
    }

    fn byte(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        (*first == expected).then(|| self.0 = rest)
    }
}

/// Two digits as jiff takes them.
fn narrow(two_digits: i16) -> Option<i8> {
    i8::try_from(two_digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }

    fn ms(text: &str) -> Result<i64, RejectReason> {
        parse(text, &shanghai())
            .map(|instant| instant.seconds * 1_000 + i64::from(instant.nanoseconds) / 1_000_000)
    }

    #[test]
    fn texts_with_and_without_an_offset() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.000Z", 0),
            ("1970-01-01T08:00:00", 0),
            ("1970-01-01 08:00:00.5", 500),
            ("1970-01-01 08:00:00.5000000000000", 500),
            ("1970-01-01", -8 * 3_600_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1970-01-01T08:00:00+08:00", 0),
            ("1970-01-01 05:30:00+0530", 0),
            ("1969-12-31T16:00:00-08", 0),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2026-11-22T10:00:00.123Z", 1_795_341_600_123),
            ("0000-01-01T00:00:00Z", SECONDS_MIN * 1_000),
            ("9999-12-31T23:59:59.999Z", SECONDS_MAX * 1_000 + 999),
        ] {
            assert_eq!(ms(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn other_texts_are_unreadable() {
        for text in [
            "",
            "20261122",
            "2026-11-22T",
            "2026-11-22T10",
            "2026-11-22T10:00",
            "2026-11-22T10:00:00.",
            "2026-11-22T10:00:00z",
            "2026-11-22T10:00:00Zx",
            "2026-11-22T10:00:00+8",
            "2026-11-22T10:00:00+08:",
            "2026-11-22T10:00:00+24:00",
            "2026-11-22T10:00:00[Asia/Shanghai]",
            "2026-11-22T24:00:00",
            "2026-11-22T23:59:60",
            "2026-02-29",
            "2026-13-01",
            "2026-1-01",
            " 2026-11-22",
            "2026-11-22 ",
            "-2026-11-22",
            "10:00:00",
            "上海",
        ] {
            assert_eq!(ms(text), Err(RejectReason::UnreadableText), "{text:?}");
        }
    }

    #[test]
    fn instants_outside_the_years_are_out_of_range() {
        for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
            assert_eq!(ms(text), Err(RejectReason::OutOfRange), "{text}");
        }
    }

    #[test]
    fn a_clock_set_forward_skips_and_one_set_back_repeats() {
        let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("a POSIX time zone");
        let seconds = |text: &str| parse(text, &zone).map(|instant| instant.seconds);
        assert_eq!(
            seconds("2026-03-08 02:30:00"),
            Err(RejectReason::UnreadableText)
        );
        assert_eq!(
            seconds("2026-11-01 01:30:00"),
            seconds("2026-11-01 01:30:00-04:00")
        );
    }

    #[test]
    fn numbers_need_a_format() {
        let read = |format, value| InstantReader::new(TimeZone::UTC, format).read(&value);
        let instant = |seconds, nanoseconds| {
            Ok(Instant {
                seconds,
                nanoseconds,
            })
        };
        let (s, ms) = (Some(TimeFormat::EpochS), Some(TimeFormat::EpochMs));
        for (format, value, expected) in [
            (None, Value::Int(1), Err(RejectReason::WrongType)),
            (None, Value::Number("1.0"), Err(RejectReason::WrongType)),
            (None, Value::Text("1"), Err(RejectReason::UnreadableText)),
            (s, Value::Unsigned(12), instant(12, 0)),
            (s, Value::Text("12"), instant(12, 0)),
            (s, Value::Text("1970-01-01"), instant(0, 0)),
            (s, Value::Number("1.2e1"), instant(12, 0)),
            (s, Value::Number("1.5"), Err(RejectReason::NeedsRounding)),
            (s, Value::Bool(true), Err(RejectReason::WrongType)),
            (
                s,
                Value::Int(SECONDS_MAX + 1),
                Err(RejectReason::OutOfRange),
            ),
            (s, Value::Unsigned(u64::MAX), Err(RejectReason::OutOfRange)),
            (ms, Value::Int(-1), instant(-1, 999_000_000)),
            (ms, Value::Int(1_001), instant(1, 1_000_000)),
        ] {
            assert_eq!(read(format, value), expected, "{format:?} {value:?}");
        }
    }
}
