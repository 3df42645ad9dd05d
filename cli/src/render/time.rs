//! Instants and windows in UTC and in the job's zone.

use engine::model::Window;
use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

/// The zone's name, or its offset.
fn zone_name(zone: &TimeZone) -> String {
    static PRINTER: DateTimePrinter = DateTimePrinter::new();
    PRINTER
        .time_zone_to_string(zone)
        .unwrap_or_else(|_| "local".to_owned())
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
}
