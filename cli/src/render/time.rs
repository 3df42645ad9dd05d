//! Instants and windows in UTC and in the job's zone.

use engine::model::Window;
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

/// The window in UTC and, on a second line, in `zone`; only the first where that says it all.
pub(super) fn window_lines(window: Window, zone: &TimeZone) -> Vec<String> {
    let utc = window.to_string();
    let name = zone_name(zone);
    let local = |ms| {
        let instant = Timestamp::from_millisecond(ms).ok()?;
        Some(
            instant
                .display_with_offset(zone.to_offset(instant))
                .to_string(),
        )
    };
    match (local(window.start_ms), local(window.end_ms)) {
        (Some(start), Some(end)) if name != "UTC" => {
            vec![utc, format!("[{start}, {end}) in {name}")]
        }
        _ => vec![utc],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_told_in_both_zones() {
        let window = Window::new(1_795_104_000_000, 1_795_190_400_000).unwrap();
        let shanghai = TimeZone::get("Asia/Shanghai").unwrap();
        assert_eq!(
            window_lines(window, &shanghai),
            [
                "[2026-11-19T16:00:00Z, 2026-11-20T16:00:00Z)",
                "[2026-11-20T00:00:00+08:00, 2026-11-21T00:00:00+08:00) in Asia/Shanghai",
            ]
        );
        assert_eq!(window_lines(window, &TimeZone::UTC).len(), 1);
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
