//! Days and times, by counting days in a calendar.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Refused;

const SECONDS_PER_DAY: i128 = 86_400;
const NANOSECONDS_PER_S: i128 = 1_000_000_000;
/// Nanoseconds from the year 0000 to 1970, and to the year 10000.
const FIRST: i128 = -719_528 * SECONDS_PER_DAY * NANOSECONDS_PER_S;
const BEHIND_LAST: i128 = 2_932_897 * SECONDS_PER_DAY * NANOSECONDS_PER_S;
const MONTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// What a text says: what a clock shows, and the offset that it gives.
struct Reading {
    /// Nanoseconds since the clock showed 1970-01-01T00:00:00.
    shown: i128,
    offset_s: Option<i32>,
}

/// The days since 1970-01-01 of a text that is a day, or its midnight.
pub(super) fn day(text: &str) -> Result<i128, Refused> {
    let shown = wall_clock(text)?;
    let day = SECONDS_PER_DAY * NANOSECONDS_PER_S;
    if shown % day == 0 {
        Ok(shown / day)
    } else {
        Err(Refused)
    }
}

/// The nanoseconds since the epoch of a text; without an offset it is read in `zone`.
pub(super) fn instant(text: &str, zone: &TimeZone) -> Result<i128, Refused> {
    let Reading { shown, offset_s } = read(text)?;
    let instant = match offset_s {
        Some(offset_s) => before(shown, offset_s),
        None => first_showing(shown, zone)?,
    };
    in_range(instant)
}

/// What a clock shows by a text, which has no offset, in nanoseconds since it showed 1970-01-01T00:00:00.
pub(super) fn wall_clock(text: &str) -> Result<i128, Refused> {
    match read(text)? {
        Reading {
            shown,
            offset_s: None,
        } => Ok(shown),
        Reading { .. } => Err(Refused),
    }
}

/// What a clock of `zone` shows at an instant; both in nanoseconds.
pub(super) fn shown_at(instant: i128, zone: &TimeZone) -> Result<i128, Refused> {
    in_range(before(instant, -offset_s(instant, zone)))
}

pub(super) fn in_range(nanoseconds: i128) -> Result<i128, Refused> {
    if (FIRST..BEHIND_LAST).contains(&nanoseconds) {
        Ok(nanoseconds)
    } else {
        Err(Refused)
    }
}

/// The first instant at which a clock of `zone` shows this; none where the clock skips it.
fn first_showing(shown: i128, zone: &TimeZone) -> Result<i128, Refused> {
    let day = SECONDS_PER_DAY * NANOSECONDS_PER_S;
    let offsets = [shown - day, shown + day].map(|instant| offset_s(instant, zone));
    let instants = offsets.map(|offset| (before(shown, offset), offset));
    let showing = instants
        .into_iter()
        .filter(|(instant, offset)| offset_s(*instant, zone) == *offset);
    showing.map(|(instant, _)| instant).min().ok_or(Refused)
}

fn before(nanoseconds: i128, seconds: i32) -> i128 {
    nanoseconds - i128::from(seconds) * NANOSECONDS_PER_S
}

/// The offset of `zone` at an instant. No zone changes it within the days that are too late or too early for jiff.
fn offset_s(instant: i128, zone: &TimeZone) -> i32 {
    let range = Timestamp::MIN.as_nanosecond()..=Timestamp::MAX.as_nanosecond();
    let instant = instant.clamp(*range.start(), *range.end());
    let instant = Timestamp::from_nanosecond(instant).expect("an instant within jiff's range");
    zone.to_offset(instant).seconds()
}

fn read(text: &str) -> Result<Reading, Refused> {
    let date = text.get(..10).filter(|date| looks_like(date, "dddd-dd-dd"));
    let date = date.ok_or(Refused)?;
    let (year, month, day) = (number(date, 0, 4), number(date, 5, 7), number(date, 8, 10));
    let days = days(year, month, day).ok_or(Refused)?;
    let mut rest = text.get(10..).ok_or(Refused)?;
    let mut seconds = 0;
    let mut nanoseconds = 0;
    let mut offset_s = None;
    if !rest.is_empty() {
        let time = rest.get(..9).ok_or(Refused)?;
        if !looks_like(time, "Tdd:dd:dd") && !looks_like(time, " dd:dd:dd") {
            return Err(Refused);
        }
        let (hour, minute, second) = (number(time, 1, 3), number(time, 4, 6), number(time, 7, 9));
        if hour > 23 || minute > 59 || second > 59 {
            return Err(Refused);
        }
        seconds = hour * 3_600 + minute * 60 + second;
        rest = rest.get(9..).ok_or(Refused)?;
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = fraction.strip_suffix(rest).ok_or(Refused)?;
            nanoseconds = fraction_ns(digits)?;
        }
        offset_s = offset(rest)?;
    }
    let seconds = i128::from(days) * SECONDS_PER_DAY + i128::from(seconds);
    Ok(Reading {
        shown: seconds * NANOSECONDS_PER_S + i128::from(nanoseconds),
        offset_s,
    })
}

/// Whether each `d` of `shape` is a digit and everything else is there as it is.
fn looks_like(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.chars().zip(shape.chars()).all(|(c, kind)| match kind {
            'd' => c.is_ascii_digit(),
            kind => c == kind,
        })
}

/// The number that the digits of `text` from `start` to `end` are.
fn number(text: &str, start: usize, end: usize) -> u32 {
    let digits = text.get(start..end).and_then(|digits| digits.parse().ok());
    digits.expect("they look like digits")
}

/// The nanoseconds of a fraction of a second.
fn fraction_ns(digits: &str) -> Result<u32, Refused> {
    let significant = digits.trim_end_matches('0');
    if digits.is_empty() || significant.len() > 9 {
        return Err(Refused);
    }
    format!("{significant:0<9}").parse().map_err(|_| Refused)
}

/// The seconds of `Z`, `+08`, `+0800` or `+08:00`; nothing for nothing.
fn offset(text: &str) -> Result<Option<i32>, Refused> {
    if text.is_empty() {
        return Ok(None);
    }
    if text == "Z" {
        return Ok(Some(0));
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.strip_prefix(['+', '-']).ok_or(Refused)?;
    let shapes = ["dd", "dddd", "dd:dd"];
    if !shapes.iter().any(|shape| looks_like(digits, shape)) {
        return Err(Refused);
    }
    let digits = format!("{:0<4}", digits.replace(':', ""));
    let (hours, minutes) = (number(&digits, 0, 2), number(&digits, 2, 4));
    if hours > 23 || minutes > 59 {
        return Err(Refused);
    }
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).map_err(|_| Refused)?;
    Ok(Some(sign * seconds))
}

/// The days from 1970-01-01 to a day of the calendar, which goes on before its introduction as it does today.
fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    let leaps =
        |year: u32| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let index = usize::try_from(month).ok()?.checked_sub(1)?;
    let in_month = MONTHS.get(index)? + u32::from(month == 2 && leaps(year));
    if !(1..=in_month).contains(&day) {
        return None;
    }
    let of_years = (0..year).map(|year| 365 + u32::from(leaps(year)));
    let of_months: u32 = MONTHS.iter().take(index).sum();
    let leap_day = u32::from(month > 2 && leaps(year));
    let days = of_years.sum::<u32>() + of_months + leap_day + day - 1;
    // From the first day of the year 0000 to 1970.
    Some(i32::try_from(days).ok()? - 719_528)
}
