//! The job's time zone.

use jiff::fmt::temporal::{DateTimeParser, DateTimePrinter};
use jiff::tz::TimeZone;

/// Reads an IANA name such as `Asia/Shanghai`, or an offset such as `+08:00`.
pub(super) fn parse(text: &str) -> Option<TimeZone> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    // The library also reads POSIX rules, in which `UTC+8` lies west of Greenwich: a trap more than a help.
    let posix = text.contains(|c: char| c.is_ascii_digit() || c == ',')
        && !text.starts_with(['+', '-'])
        && !text.starts_with("Etc/");
    if posix {
        return None;
    }
    PARSER.parse_time_zone(text).ok()
}

/// The zone as [`parse`] reads it; `unknown` for one that has neither name nor offset.
pub(super) fn name(zone: &TimeZone) -> String {
    static PRINTER: DateTimePrinter = DateTimePrinter::new();
    PRINTER
        .time_zone_to_string(zone)
        .unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_offsets_read_and_write_back() {
        for text in ["Asia/Shanghai", "UTC", "+08:00", "-05:30", "Etc/GMT-8"] {
            assert_eq!(parse(text).map(|zone| name(&zone)).as_deref(), Some(text));
        }
        for text in [
            "",
            "Asia/Shangai",
            "UTC+8",
            "EST5EDT,M3.2.0,M11.1.0",
            "CST-8",
            "+8x",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
