//! Instants and windows in UTC and in the job's zone.

use engine::model::Window;
use engine::model::job::OffsetBounds;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// The zone's name, or its offset.
fn zone_name(zone: &TimeZone) -> String {
    static PRINTER: DateTimePrinter = DateTimePrinter::new();
    PRINTER
        .time_zone_to_string(zone)
        .unwrap_or_else(|_| "local".to_owned())
}

/// The zone of a scheduled time that was written with it; UTC where it wasn't.
pub(super) fn zone_of(scheduled_time: &str) -> TimeZone {
    let at = scheduled_time.parse::<ZonedDateTime>();
    at.map_or(TimeZone::UTC, |at| at.time_zone().clone())
}

/// An instant in UTC, to the second.
pub(super) fn second(instant_ms: i64) -> String {
    Timestamp::from_millisecond(instant_ms)
        .map_or_else(|_| format!("{instant_ms} ms"), |at| format!("{at:.0}"))
}

/// The window in UTC and, on a second line, in `zone`; only the first where that says it all, or where a bound is no
/// timestamp.
pub(super) fn window_lines(window: Window, bounds: &OffsetBounds, zone: &TimeZone) -> Vec<String> {
    let mut lines = vec![bounds.shown(window)];
    if zone_name(zone) != "UTC" {
        let local = local(window, zone);
        lines.extend(local.map(|local| format!("{local} in {}", zone_name(zone))));
    }
    lines
}

/// The window with the offsets from UTC that `zone` has then, for tables of windows.
pub(super) fn window_in(window: Window, zone: &TimeZone) -> String {
    let known = if zone_name(zone) == "UTC" {
        None
    } else {
        local(window, zone)
    };
    known.unwrap_or_else(|| window.to_string())
}

/// Nothing where a bound is not in the calendar.
fn local(window: Window, zone: &TimeZone) -> Option<String> {
    let local = |ms| {
        let instant = Timestamp::from_millisecond(ms).ok()?;
        Some(instant.display_with_offset(zone.to_offset(instant)))
    };
    let (start, end) = local(window.start_ms).zip(local(window.end_ms))?;
    Some(format!("[{start}, {end})"))
}

#[cfg(test)]
mod tests {
    use engine::model::job::OffsetBound;

    use super::*;

    #[test]
    fn a_window_is_told_in_both_zones() {
        let window = Window::new(1_795_104_000_000, 1_795_190_400_000).unwrap();
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(
            window_lines(window, &OffsetBounds::default(), &shanghai),
            [
                "[2026-11-19T16:00:00Z, 2026-11-20T16:00:00Z)",
                "[2026-11-20T00:00:00+08:00, 2026-11-21T00:00:00+08:00) in Asia/Shanghai",
            ]
        );
        let utc = window.to_string();
        assert_eq!(
            window_lines(window, &OffsetBounds::default(), &TimeZone::UTC),
            [&*utc]
        );
        assert_eq!(window_in(window, &TimeZone::UTC), utc);
        assert_eq!(
            window_in(window, &shanghai),
            "[2026-11-20T00:00:00+08:00, 2026-11-21T00:00:00+08:00)"
        );
    }

    #[test]
    fn a_bound_that_is_an_offset_is_told_as_such() {
        let window = Window {
            end_ms: 1_795_190_400_000,
            ..Window::ALL
        };
        let bounds = OffsetBounds {
            start: Some(OffsetBound::At(17)),
            end: None,
        };
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(
            window_lines(window, &bounds, &shanghai),
            ["[offset 17, 2026-11-20T16:00:00Z)"]
        );
        let both = OffsetBounds {
            start: Some(OffsetBound::Group),
            end: Some(OffsetBound::Latest),
        };
        assert_eq!(
            window_lines(Window::ALL, &both, &TimeZone::UTC),
            ["[the group's position, latest)"]
        );
    }

    #[test]
    fn the_zone_is_that_of_the_scheduled_time() {
        for (scheduled, zone) in [
            ("2026-11-23T00:15:00+08:00[Asia/Shanghai]", "Asia/Shanghai"),
            ("2026-11-23T00:15:00+05:30[+05:30]", "+05:30"),
            ("", "UTC"),
        ] {
            assert_eq!(zone_name(&zone_of(scheduled)), zone);
        }
        assert_eq!(second(1_795_104_000_999), "2026-11-19T16:00:00Z");
        assert_eq!(second(i64::MAX), "9223372036854775807 ms");
    }
}
