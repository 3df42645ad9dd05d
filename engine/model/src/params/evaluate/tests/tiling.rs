//! Consecutive windows leave no hole and do not overlap, whatever the clocks do.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span, Timestamp, ZonedDateTime};

use super::*;
use crate::params::Expression;

/// A window's bounds for one scheduled time, in ms since the epoch.
struct Schedule {
    start: Expression,
    end: Expression,
}

impl Schedule {
    fn new(start: &str, end: &str) -> Self {
        Self {
            start: parse(start).unwrap(),
            end: parse(end).unwrap(),
        }
    }

    fn window(&self, at: &ScheduledTime) -> (i64, i64) {
        let bound = |expression| {
            let text = evaluate(expression, at).unwrap();
            parse_bound(&text, at.at().time_zone()).unwrap().instant_ms
        };
        (bound(&self.start), bound(&self.end))
    }

    /// Asserts that the windows of `times` follow each other. They may be empty, where the clocks repeat an hour.
    fn assert_tiles(&self, times: impl IntoIterator<Item = ZonedDateTime>) {
        let mut previous: Option<(ScheduledTime, i64)> = None;
        for time in times {
            let at = ScheduledTime::new(time);
            let (start, end) = self.window(&at);
            if let Some((before, previous_end)) = previous {
                assert_eq!(previous_end, start, "between {before} and {at}");
            }
            assert!(start <= end, "{at}: {start} to {end}");
            previous = Some((at, end));
        }
    }
}

/// All changes of clocks of all zones from 2015 to 2030.
fn changes() -> Vec<ZonedDateTime> {
    let from: Timestamp = "2015-01-01T00:00:00Z".parse().unwrap();
    let to: Timestamp = "2031-01-01T00:00:00Z".parse().unwrap();
    let mut changes = Vec::new();
    for name in jiff::tz::db().available() {
        let Ok(zone) = TimeZone::get(name.as_str()) else {
            continue;
        };
        let own = zone
            .following(from)
            .take_while(|change| change.timestamp() < to);
        changes.extend(own.map(|change| change.timestamp().to_zoned_datetime(zone.clone())));
    }
    assert!(changes.len() > 1000, "no time zones on this machine");
    changes
}

/// Whether the clocks move by whole hours and by at most one.
fn is_plain(change: &ZonedDateTime) -> bool {
    let before = (change - SignedDuration::from_secs(1)).offset().seconds();
    let moved = change.offset().seconds() - before;
    moved.abs() <= 3600 && moved % 3600 == 0
}

/// The runs of a schedule that follows the clock: a time that is skipped has none, and of one that is repeated the
/// first counts.
fn clock_runs(
    zone: &TimeZone,
    first: DateTime,
    step: SignedDuration,
    count: i32,
) -> impl Iterator<Item = ZonedDateTime> {
    (0..count).filter_map(move |run| {
        let local = first + step * run;
        let ambiguous = zone.to_ambiguous_zoned_datetime(local);
        let time = ambiguous.compatible().unwrap();
        (time.datetime() == local).then_some(time)
    })
}

#[test]
fn hourly_windows_tile_when_runs_are_an_hour_apart() {
    let schedule = Schedule::new("$[yyyymmddhh24-1/24]0000", "$[yyyymmddhh24]0000");
    for change in changes().iter().filter(|change| is_plain(change)) {
        for minute in [0, 15] {
            let first = change - SignedDuration::from_mins(3 * 60 - minute);
            schedule.assert_tiles((0..6).map(|hour| &first + SignedDuration::from_hours(hour)));
        }
    }
}

#[test]
fn hourly_windows_tile_when_runs_follow_the_clock() {
    let schedule = Schedule::new("$[yyyymmddhh24-1/24]0000", "$[yyyymmddhh24]0000");
    let hour = SignedDuration::from_hours(1);
    for change in changes().iter().filter(|change| is_plain(change)) {
        let first = change.date().at(change.hour(), 15, 0, 0) - hour * 4;
        schedule.assert_tiles(clock_runs(change.time_zone(), first, hour, 8));
    }
}

#[test]
fn five_minute_windows_tile_when_runs_follow_the_clock() {
    let schedule = Schedule::new("$[yyyymmddhh24mi-8/24/60]00", "$[yyyymmddhh24mi-3/24/60]00");
    let step = SignedDuration::from_mins(5);
    for change in changes() {
        let around = change.date().at(change.hour(), 0, 0, 0);
        for first in [around - step * 30, around + step * 6] {
            schedule.assert_tiles(clock_runs(change.time_zone(), first, step, 36));
        }
    }
}

#[test]
fn daily_weekly_and_monthly_windows_tile() {
    let daily = Schedule::new("$[yyyymmdd-1]000000", "$[yyyymmdd]000000");
    let weekly = Schedule::new("$[yyyymmdd-7]000000", "$[yyyymmdd]000000");
    let monthly = Schedule::new("$[add_months(yyyymmdd,-1)]000000", "$[yyyymmdd]000000");
    for change in changes() {
        let zone = change.time_zone();
        let on = |date: Date, hour: i8| {
            date.to_datetime(Time::constant(hour, 15, 0, 0))
                .to_zoned_datetime(zone.clone())
                .unwrap()
        };
        for hour in [0, 2] {
            let days = |step: i64| (-2..3).map(move |n| Span::new().days(n * step));
            daily.assert_tiles(days(1).map(|span| on(change.date() + span, hour)));
            weekly.assert_tiles(days(7).map(|span| on(change.date() + span, hour)));
            let month = change.date().first_of_month();
            monthly.assert_tiles((-1..3).map(|n| on(month + Span::new().months(n), hour)));
        }
    }
}

#[test]
fn monthly_windows_of_the_last_days_do_not_tile() {
    // Shorter months end earlier; a schedule on day 29 or later can't tile, and a checker must be able to see it.
    let monthly = Schedule::new("$[add_months(yyyymmdd,-1)]000000", "$[yyyymmdd]000000");
    let (_, january_end) = monthly.window(&at("2023-01-31 00:15:00"));
    let (february_start, _) = monthly.window(&at("2023-02-28 00:15:00"));
    assert_ne!(january_end, february_start);
}

#[test]
fn a_day_that_a_zone_never_had_leaves_a_hole() {
    // Samoa went from 29 to 31 December 2011, so no run was due on the 30th, which would have loaded the 29th.
    let daily = Schedule::new("$[yyyymmdd-1]000000", "$[yyyymmdd]000000");
    let apia = zone("Pacific/Apia");
    let window = |text| daily.window(&ScheduledTime::parse(text, &apia).unwrap());
    let (_, end) = window("2011-12-29T00:15");
    let (start, empty_end) = window("2011-12-31T00:15");
    assert_eq!(start, empty_end);
    assert_eq!(start - end, 24 * 3_600_000);
}
