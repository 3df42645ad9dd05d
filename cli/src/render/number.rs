//! Numbers as people read them.

use std::time::Duration;

use indicatif::{BinaryBytes, HumanCount};
use jiff::SignedDuration;

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// `1 row`, `1,234,567 rows`.
pub(crate) fn of(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `1.50 GiB`.
pub(crate) fn bytes(number: u64) -> String {
    BinaryBytes(number).to_string()
}

/// `1.25 s`, `12.3 s`, and from a minute on whole seconds: `2m 5s`.
pub(crate) fn seconds(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds) {
        Ok(time) if seconds >= 60.0 => duration(time),
        _ if seconds >= 10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.2} s"),
    }
}

/// `2m 5s`, rounded down to whole seconds.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

/// `amount` for each second of `time`; nothing for no time at all.
pub(crate) fn per_second(amount: u64, time: Duration) -> Option<u64> {
    let per_second = (u128::from(amount) * 1_000_000_000).checked_div(time.as_nanos())?;
    Some(u64::try_from(per_second).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_have_units() {
        assert_eq!(
            (count(0), count(1_234_567)),
            ("0".into(), "1,234,567".into())
        );
        assert_eq!(
            (of(0, "row"), of(1, "row"), of(1_000, "row")),
            ("0 rows".into(), "1 row".into(), "1,000 rows".into())
        );
        assert_eq!(
            (bytes(1023), bytes(3 << 29)),
            ("1023 B".into(), "1.50 GiB".into())
        );
        assert_eq!(
            (seconds(0.04), seconds(59.94)),
            ("0.04 s".into(), "59.9 s".into())
        );
        assert_eq!(
            (seconds(125.9), seconds(7_200.0)),
            ("2m 5s".into(), "2h".into())
        );
        assert_eq!(duration(Duration::from_millis(999)), "0s");
        assert_eq!(per_second(10, Duration::from_millis(500)), Some(20));
        assert_eq!(per_second(10, Duration::ZERO), None);
    }
}
