//! Instants from text and numbers.

use engine_model::{Rounding, TimeUnit, ValueFormat};
use jiff::Timestamp;
use jiff::civil;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{AmbiguousOffset, TimeZone};

use crate::number::{DecimalText, Digits};
use crate::reject::RejectReason;
use crate::value::Value;

/// 0000-01-01T00:00:00Z, in seconds since the epoch.
const SECONDS_MIN: i64 = -62_167_219_200;
/// 9999-12-31T23:59:59Z, in seconds since the epoch.
const SECONDS_MAX: i64 = 253_402_300_799;
/// Digits of a number that 128 bits hold.
const DECIMAL_DIGITS: u8 = 38;
const NANOSECOND_DIGITS: u8 = 9;
const NANOSECONDS_PER_S: u32 = 1_000_000_000;
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
    format: Option<ValueFormat>,
    resolution: Resolution,
}

/// Digits of a second that a column holds, and what becomes of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolution {
    /// 0 to 9.
    pub(crate) digits: u8,
    pub(crate) rounding: Option<Rounding>,
}

impl Resolution {
    /// Whether digits below a nanosecond count. Where a coarser unit is rounded to, those above say which is nearest.
    fn is_nearest_nanosecond(self) -> bool {
        self.rounding == Some(Rounding::HalfUp) && self.digits == NANOSECOND_DIGITS
    }
}

impl InstantReader {
    /// Texts without an offset are read in `zone`, numbers by `format`.
    pub(crate) fn new(zone: TimeZone, format: Option<ValueFormat>, resolution: Resolution) -> Self {
        Self {
            zone,
            format,
            resolution,
        }
    }

    /// The instant that `value` says.
    #[inline]
    pub(crate) fn read(&self, value: &Value<'_>) -> Result<Instant, RejectReason> {
        match self.spelled(value)? {
            Spelled::Instant(instant) | Spelled::OtherClock(instant) => Ok(instant),
            Spelled::WallClock(wall, nanoseconds) => {
                let offset = match self.zone.to_ambiguous_timestamp(wall).offset() {
                    AmbiguousOffset::Unambiguous { offset } => offset,
                    AmbiguousOffset::Fold { before, .. } => before,
                    AmbiguousOffset::Gap { .. } => return Err(RejectReason::UnreadableText),
                };
                self.instant(wall, offset.seconds(), nanoseconds)
            }
        }
    }

    /// What a clock on the wall shows: `value` where it is a text without an offset, else the zone's clock at the instant that
    /// a number or a pattern says. As if the clock were in UTC.
    pub(crate) fn read_wall_clock(&self, value: &Value<'_>) -> Result<Instant, RejectReason> {
        match self.spelled(value)? {
            Spelled::WallClock(wall, nanoseconds) => self.instant(wall, 0, nanoseconds),
            Spelled::OtherClock(_) => Err(RejectReason::UnreadableText),
            Spelled::Instant(Instant {
                seconds,
                nanoseconds,
            }) => {
                // What jiff's timestamps don't reach are the last hours of the year 9999.
                let instant = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
                let offset_seconds = self.zone.to_offset(instant).seconds();
                in_range(seconds + i64::from(offset_seconds), nanoseconds)
            }
        }
    }

    fn spelled(&self, value: &Value<'_>) -> Result<Spelled, RejectReason> {
        let epoch = match &self.format {
            None | Some(ValueFormat::Base64) => None,
            Some(ValueFormat::Epoch(unit)) => Some(*unit),
            Some(ValueFormat::Pattern(pattern)) => {
                return match *value {
                    Value::Text(text) | Value::Number(text) => self.by_pattern(pattern, text),
                    Value::Int(number) => self.by_pattern(pattern, Digits::of(number).text()),
                    Value::Unsigned(number) => self.by_pattern(pattern, Digits::of(number).text()),
                    _ => Err(RejectReason::WrongType),
                };
            }
        };
        match (*value, epoch) {
            (Value::Int(number), Some(unit)) => self.whole(number.into(), unit),
            (Value::Unsigned(number), Some(unit)) => self.whole(number.into(), unit),
            (Value::Number(text), Some(unit)) => {
                let number = DecimalText::parse(text).ok_or(RejectReason::UnreadableText)?;
                self.decimal(&number, unit)
            }
            (Value::Text(text), Some(unit)) => match DecimalText::parse(text) {
                Some(number) => self.decimal(&number, unit),
                None => self.parse(text),
            },
            (Value::Text(text), None) => self.parse(text),
            _ => Err(RejectReason::WrongType),
        }
    }

    /// So many `unit`s since the epoch.
    fn whole(&self, number: i128, unit: TimeUnit) -> Result<Spelled, RejectReason> {
        let digits = NANOSECOND_DIGITS - unit.second_digits();
        self.since_epoch(number * 10_i128.pow(digits.into()))
    }

    /// The same for a number that need not be whole.
    fn decimal(&self, number: &DecimalText<'_>, unit: TimeUnit) -> Result<Spelled, RejectReason> {
        let scale = (NANOSECOND_DIGITS - unit.second_digits()).cast_signed();
        let nanoseconds = match self.resolution.rounding {
            None => number.scaled(DECIMAL_DIGITS, scale, None)?,
            Some(_) if self.resolution.is_nearest_nanosecond() => {
                (earlier(number, scale + 1)? + 5).div_euclid(10)
            }
            Some(_) => earlier(number, scale)?,
        };
        self.since_epoch(nanoseconds)
    }

    fn since_epoch(&self, nanoseconds: i128) -> Result<Spelled, RejectReason> {
        let per_second = i128::from(NANOSECONDS_PER_S);
        let seconds = i64::try_from(nanoseconds.div_euclid(per_second));
        let seconds = seconds.map_err(|_| RejectReason::OutOfRange)?;
        let within = u32::try_from(nanoseconds.rem_euclid(per_second)).unwrap_or_default();
        self.rounded(seconds, within).map(Spelled::Instant)
    }

    /// Reads `yyyy-MM-dd`, alone or followed by `T` or a space and `HH:mm:ss`, a fraction of a second, and an offset (`Z`,
    /// `+08:00`, `+0800`, `+08`). Without an offset it is the wall clock of the zone; of the two instants that a clock
    /// shows when it is set back the first counts, and a time that it skips is unreadable.
    ///
    /// No leap seconds and no 24:00: a column could only hold them changed.
    fn parse(&self, text: &str) -> Result<Spelled, RejectReason> {
        let mut text = Cursor(text.as_bytes());
        let wall = text.wall_clock().ok_or(RejectReason::UnreadableText)?;
        let nanoseconds = text.fraction(self.resolution)?;
        match text.offset().ok_or(RejectReason::UnreadableText)? {
            None => Ok(Spelled::WallClock(wall, nanoseconds)),
            Some(offset_seconds) => self
                .instant(wall, offset_seconds, nanoseconds)
                .map(Spelled::OtherClock),
        }
    }

    /// Zones by name are not read: which instant a clock shows twice would be a guess.
    fn by_pattern(&self, pattern: &str, text: &str) -> Result<Spelled, RejectReason> {
        let unreadable = |_| RejectReason::UnreadableText;
        let read = strtime::parse(pattern, text).map_err(unreadable)?;
        if read.iana_time_zone().is_some() || hides_leap_second(pattern, text, &read) {
            return Err(RejectReason::UnreadableText);
        }
        let wall = read.to_datetime().map_err(unreadable)?;
        let nanoseconds = u32::try_from(wall.subsec_nanosecond()).unwrap_or_default();
        let whole = wall.with().subsec_nanosecond(0).build();
        let whole = whole.map_err(unreadable)?;
        match read.offset() {
            None => Ok(Spelled::WallClock(whole, nanoseconds)),
            Some(offset) => self
                .instant(whole, offset.seconds(), nanoseconds)
                .map(Spelled::Instant),
        }
    }

    /// `wall` is what a clock shows that is `offset_seconds` ahead of UTC, `nanoseconds` up to a whole second.
    fn instant(
        &self,
        wall: civil::DateTime,
        offset_seconds: i32,
        nanoseconds: u32,
    ) -> Result<Instant, RejectReason> {
        let seconds = wall.duration_since(EPOCH).as_secs() - i64::from(offset_seconds);
        self.rounded(seconds, nanoseconds)
    }

    fn rounded(&self, seconds: i64, nanoseconds: u32) -> Result<Instant, RejectReason> {
        let Resolution { digits, rounding } = self.resolution;
        let unit = 10_u32.pow(u32::from(NANOSECOND_DIGITS.saturating_sub(digits)));
        let rest = nanoseconds % unit;
        let down = nanoseconds - rest;
        let nanoseconds = match rounding {
            _ if rest == 0 => nanoseconds,
            None => return Err(RejectReason::NeedsRounding),
            Some(Rounding::HalfUp) if rest >= unit / 2 => down + unit,
            Some(_) => down,
        };
        match nanoseconds.checked_sub(NANOSECONDS_PER_S) {
            Some(nanoseconds) => in_range(seconds + 1, nanoseconds),
            None => in_range(seconds, nanoseconds),
        }
    }
}

/// `number` times 10 to the power of `scale`, rounded down.
fn earlier(number: &DecimalText<'_>, scale: i8) -> Result<i128, RejectReason> {
    match number.scaled(DECIMAL_DIGITS, scale, None) {
        Err(RejectReason::NeedsRounding) => {
            let toward_zero = number.scaled(DECIMAL_DIGITS, scale, Some(Rounding::Down))?;
            Ok(toward_zero - i128::from(number.is_negative()))
        }
        exactly => exactly,
    }
}

/// Whether `text` has a leap second, which is read as the second before: a `60` that might as well be a `59`.
fn hides_leap_second(pattern: &str, text: &str, read: &BrokenDownTime) -> bool {
    if read.second() != Some(59) {
        return false;
    }
    let same = |other: &BrokenDownTime| {
        let parts = |time: &BrokenDownTime| (time.to_datetime().ok(), time.offset());
        parts(other) == parts(read)
    };
    text.match_indices("60").any(|(at, _)| {
        let (before, behind) = text.split_at(at);
        let plain = format!("{before}59{}", behind.get(2..).unwrap_or_default());
        strtime::parse(pattern, plain).is_ok_and(|other| same(&other))
    })
}

/// What a value says before it is known whose clock shows it.
enum Spelled {
    Instant(Instant),
    /// An instant as a clock shows it that is so far ahead of UTC as the text says.
    OtherClock(Instant),
    /// What a clock shows, without the fraction of the second, and that.
    WallClock(civil::DateTime, u32),
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

    /// The nanoseconds of `.` and any number of digits, up to a whole second; 0 where there is no `.`.
    fn fraction(&mut self, resolution: Resolution) -> Result<u32, RejectReason> {
        if self.byte(b'.').is_none() {
            return Ok(0);
        }
        let end = self.0.iter().position(|byte| !byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        if digits.is_empty() {
            return Err(RejectReason::UnreadableText);
        }
        self.0 = rest;
        let mut finer = digits.iter().skip(9).peekable();
        let up =
            resolution.is_nearest_nanosecond() && finer.peek().is_some_and(|digit| **digit >= b'5');
        if resolution.rounding.is_none() && finer.any(|digit| *digit != b'0') {
            return Err(RejectReason::NeedsRounding);
        }
        let padded = digits.iter().copied().chain([b'0'; 9]).take(9);
        let nanoseconds = padded.fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
        Ok(nanoseconds + u32::from(up))
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
mod tests;
