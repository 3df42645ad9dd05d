//! The window of message timestamps that one commit loads.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Message timestamps from `start_ms` up to, not including, `end_ms`, in ms since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// First message timestamp that is loaded.
    pub start_ms: i64,
    /// First message timestamp that is not loaded; always after `start_ms`.
    pub end_ms: i64,
}

/// Where a message timestamp lies, seen from a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Before the window's start.
    Before,
    /// In the window.
    Inside,
    /// At the window's end or later.
    After,
}

impl Window {
    /// Makes the window, or nothing where it would hold no timestamp.
    pub fn new(start_ms: i64, end_ms: i64) -> Option<Self> {
        (start_ms < end_ms).then_some(Self { start_ms, end_ms })
    }

    /// Says where `timestamp_ms` lies.
    pub fn verdict(self, timestamp_ms: i64) -> Verdict {
        if timestamp_ms < self.start_ms {
            Verdict::Before
        } else if timestamp_ms < self.end_ms {
            Verdict::Inside
        } else {
            Verdict::After
        }
    }

    /// Whether every timestamp of `other` lies in this window.
    pub fn contains(self, other: Self) -> bool {
        self.start_ms <= other.start_ms && other.end_ms <= self.end_ms
    }

    /// Whether some instant lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }
}

/// Both bounds in UTC, as ISO 8601; a bound outside the calendar is written in ms.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |f: &mut fmt::Formatter<'_>, ms| match Timestamp::from_millisecond(ms) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) => write!(f, "{ms} ms"),
        };
        f.write_str("[")?;
        bound(f, self.start_ms)?;
        f.write_str(", ")?;
        bound(f, self.end_ms)?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_in_and_the_end_is_out() {
        let window = Window::new(1_000, 2_000).unwrap();
        assert_eq!(window.verdict(999), Verdict::Before);
        assert_eq!(window.verdict(1_000), Verdict::Inside);
        assert_eq!(window.verdict(1_999), Verdict::Inside);
        assert_eq!(window.verdict(2_000), Verdict::After);
        assert_eq!(Window::new(5, 5), None);
        assert_eq!(
            window.to_string(),
            "[1970-01-01T00:00:01Z, 1970-01-01T00:00:02Z)"
        );
    }

    #[test]
    fn neighbours_do_not_overlap() {
        let window = Window::new(10, 20).unwrap();
        for (start, end, overlaps) in [
            (0, 10, false),
            (0, 11, true),
            (12, 13, true),
            (19, 30, true),
            (20, 30, false),
        ] {
            let other = Window::new(start, end).unwrap();
            assert_eq!(window.overlaps(other), overlaps);
            assert_eq!(other.overlaps(window), overlaps);
        }
    }

    #[test]
    fn a_window_contains_itself_and_what_is_narrower() {
        let window = Window::new(0, 10).unwrap();
        assert!(window.contains(window));
        assert!(window.contains(Window::new(3, 10).unwrap()));
        assert!(!window.contains(Window::new(3, 11).unwrap()));
    }
}
