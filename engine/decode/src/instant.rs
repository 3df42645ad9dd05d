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
const NANOSECONDS_PER_S: i64 = 1_000_000_000;
/// The same, where instants within a second are counted.
const NANOSECONDS_OF_A_SECOND: u32 = 1_000_000_000;
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

    /// What a clock on the wall shows: `value` where it is a text, which has no offset then, else the zone's clock at the
    /// instant that it says. As if the clock were in UTC.
    pub(crate) fn read_wall_clock(&self, value: &Value<'_>) -> Result<Instant, RejectReason> {
        match self.spelled(value)? {
            Spelled::WallClock(wall, nanoseconds) => self.instant(wall, 0, nanoseconds),
            Spelled::OtherClock(_) => Err(RejectReason::UnreadableText),
            Spelled::Instant(Instant {
                seconds,
                nanoseconds,
            }) => {
                let instant =
                    Timestamp::from_second(seconds).map_err(|_| RejectReason::OutOfRange)?;
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
        let nanoseconds = number * i128::from(NANOSECONDS_PER_S / unit.per_second());
        self.since_epoch(nanoseconds)
    }

    /// The same for a number that need not be whole.
    fn decimal(&self, number: &DecimalText<'_>, unit: TimeUnit) -> Result<Spelled, RejectReason> {
        let scale = match unit {
            TimeUnit::S => 9,
            TimeUnit::Ms => 6,
            TimeUnit::Us => 3,
            TimeUnit::Ns => 0,
        };
        let exactly = number.scaled(DECIMAL_DIGITS, scale, None);
        let nanoseconds = match (exactly, self.resolution.rounding) {
            (Err(RejectReason::NeedsRounding), Some(_)) if self.wants_nearest_nanosecond() => {
                let tenths = earlier(number, scale + 1)?;
                (tenths + 5).div_euclid(10)
            }
            (Err(RejectReason::NeedsRounding), Some(_)) => earlier(number, scale)?,
            (exactly, _) => exactly?,
        };
        self.since_epoch(nanoseconds)
    }

    /// Whether digits below a nanosecond count. Where a coarser unit is rounded to, those above say which is nearest.
    fn wants_nearest_nanosecond(&self) -> bool {
        let Resolution { digits, rounding } = self.resolution;
        rounding == Some(Rounding::HalfUp) && digits == NANOSECOND_DIGITS
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
        if read.offset().is_some() {
            let instant = read.to_timestamp().map_err(unreadable)?;
            return self.since_epoch(instant.as_nanosecond());
        }
        let wall = read.to_datetime().map_err(unreadable)?;
        let nanoseconds = u32::try_from(wall.subsec_nanosecond()).unwrap_or_default();
        let whole = wall.with().subsec_nanosecond(0).build();
        Ok(Spelled::WallClock(whole.map_err(unreadable)?, nanoseconds))
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
        match nanoseconds.checked_sub(NANOSECONDS_OF_A_SECOND) {
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
        // Where a coarser unit is rounded to, the digits down to a nanosecond say which is nearest.
        let nearest =
            resolution.rounding == Some(Rounding::HalfUp) && resolution.digits == NANOSECOND_DIGITS;
        let up = nearest && finer.peek().is_some_and(|digit| **digit >= b'5');
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
mod tests {
    use super::*;

    fn shanghai() -> TimeZone {
        TimeZone::fixed(jiff::tz::offset(8))
    }

    fn reader(zone: TimeZone, format: Option<ValueFormat>) -> InstantReader {
        let resolution = Resolution {
            digits: NANOSECOND_DIGITS,
            rounding: None,
        };
        InstantReader::new(zone, format, resolution)
    }

    fn ms(text: &str) -> Result<i64, RejectReason> {
        reader(shanghai(), None)
            .read(&Value::Text(text))
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
        let reader = reader(zone, None);
        let seconds = |text| {
            reader
                .read(&Value::Text(text))
                .map(|instant| instant.seconds)
        };
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
        let read = |unit: Option<TimeUnit>, value| {
            reader(TimeZone::UTC, unit.map(ValueFormat::Epoch)).read(&value)
        };
        let instant = |seconds, nanoseconds| {
            Ok(Instant {
                seconds,
                nanoseconds,
            })
        };
        let (s, ms) = (Some(TimeUnit::S), Some(TimeUnit::Ms));
        let (us, ns) = (Some(TimeUnit::Us), Some(TimeUnit::Ns));
        for (format, value, expected) in [
            (None, Value::Int(1), Err(RejectReason::WrongType)),
            (None, Value::Number("1.0"), Err(RejectReason::WrongType)),
            (None, Value::Text("1"), Err(RejectReason::UnreadableText)),
            (s, Value::Unsigned(12), instant(12, 0)),
            (s, Value::Text("12"), instant(12, 0)),
            (s, Value::Text("1970-01-01"), instant(0, 0)),
            (s, Value::Number("1.2e1"), instant(12, 0)),
            (s, Value::Number("1.5"), instant(1, 500_000_000)),
            (s, Value::Number("-1.5"), instant(-2, 500_000_000)),
            (s, Value::Text("1e-9"), instant(0, 1)),
            (s, Value::Text("1e-10"), Err(RejectReason::NeedsRounding)),
            (s, Value::Bool(true), Err(RejectReason::WrongType)),
            (
                s,
                Value::Int(SECONDS_MAX + 1),
                Err(RejectReason::OutOfRange),
            ),
            (s, Value::Unsigned(u64::MAX), Err(RejectReason::OutOfRange)),
            (ms, Value::Int(-1), instant(-1, 999_000_000)),
            (ms, Value::Int(1_001), instant(1, 1_000_000)),
            (us, Value::Int(-1), instant(-1, 999_999_000)),
            (us, Value::Number("1.5"), instant(0, 1_500)),
            (
                ns,
                Value::Unsigned(1_795_341_600_123_456_789),
                instant(1_795_341_600, 123_456_789),
            ),
            (ns, Value::Number("1.5"), Err(RejectReason::NeedsRounding)),
        ] {
            assert_eq!(read(format, value), expected, "{format:?} {value:?}");
        }
    }

    #[test]
    fn finer_digits_are_rounded_by_choice() {
        for (digits, text, half_up, down) in [
            (
                3,
                "1970-01-01T00:00:00.0014999999999Z",
                (0, 1_000_000),
                (0, 1_000_000),
            ),
            (
                3,
                "1970-01-01T00:00:00.0015Z",
                (0, 2_000_000),
                (0, 1_000_000),
            ),
            (3, "1969-12-31T23:59:59.9999Z", (0, 0), (-1, 999_000_000)),
            (9, "1970-01-01T00:00:00.0000000015Z", (0, 2), (0, 1)),
            (
                9,
                "1970-01-01T00:00:00.9999999999Z",
                (1, 0),
                (0, 999_999_999),
            ),
            (0, "1970-01-01T00:00:00.5Z", (1, 0), (0, 0)),
            (3, "0.0005", (0, 1_000_000), (0, 0)),
            (3, "-0.0005", (0, 0), (-1, 999_000_000)),
            (3, "0.00049999999999", (0, 0), (0, 0)),
            (9, "0.00000000051", (0, 1), (0, 0)),
            (9, "-0.00000000051", (-1, 999_999_999), (-1, 999_999_999)),
            // Halfway the later one is taken, however it is spelled.
            (9, "-0.0000000005", (0, 0), (-1, 999_999_999)),
            (
                9,
                "1969-12-31T23:59:59.9999999995Z",
                (0, 0),
                (-1, 999_999_999),
            ),
        ] {
            for (rounding, (seconds, nanoseconds)) in
                [(Rounding::HalfUp, half_up), (Rounding::Down, down)]
            {
                let resolution = Resolution {
                    digits,
                    rounding: Some(rounding),
                };
                let format = Some(ValueFormat::Epoch(TimeUnit::S));
                let reader = InstantReader::new(TimeZone::UTC, format, resolution);
                let expected = Instant {
                    seconds,
                    nanoseconds,
                };
                assert_eq!(
                    reader.read(&Value::Text(text)),
                    Ok(expected),
                    "{text} {rounding:?}"
                );
            }
        }
    }

    #[test]
    fn patterns_read_texts_and_numbers() {
        let read = |pattern: &str, value| {
            let reader = reader(shanghai(), Some(ValueFormat::Pattern(pattern.to_owned())));
            let wall = reader.read_wall_clock(&value).map(|shown| shown.seconds);
            (reader.read(&value).map(|instant| instant.seconds), wall)
        };
        let both = |seconds: i64| (Ok(seconds), Ok(seconds + 8 * 3_600));
        let bad = (
            Err(RejectReason::UnreadableText),
            Err(RejectReason::UnreadableText),
        );
        for (pattern, value, expected) in [
            ("%Y%m%d", Value::Unsigned(20_261_122), both(1_795_276_800)),
            ("%Y%m%d", Value::Text("20261122"), both(1_795_276_800)),
            ("%Y%m%d", Value::Text("20261122x"), bad),
            ("%Y-%m-%d %T", Value::Text("2026-11-22 23:59:60"), bad),
            ("%Y%m%d%H%M%S", Value::Text("20261122000060"), bad),
            (
                "%Y%m%d%H%M%S",
                Value::Text("20601122000059"),
                both(2_868_278_459),
            ),
            (
                "%Y-%m-%d %T %Q",
                Value::Text("2026-03-08 02:30:00 America/New_York"),
                bad,
            ),
            ("%Y%m%d", Value::Text("20261322"), bad),
            (
                "%d/%m/%Y %H:%M",
                Value::Text("22/11/2026 18:00"),
                both(1_795_341_600),
            ),
            (
                "%Y-%m-%dT%H:%M:%S%z",
                Value::Text("2026-11-22T10:00:00+0000"),
                both(1_795_341_600),
            ),
            ("%d %b %Y", Value::Text("22 Nov 2026"), both(1_795_276_800)),
        ] {
            assert_eq!(read(pattern, value), expected, "{pattern} {value:?}");
        }
        let wrong = (Err(RejectReason::WrongType), Err(RejectReason::WrongType));
        assert_eq!(read("%Y%m%d", Value::Bool(true)), wrong);
    }
}
