//! The window of message timestamps that one commit loads.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Message timestamps from `start_ms` up to, not including, `end_ms`, in ms since the epoch.
///
/// Where a bound is an offset, timestamps have none on that side: `start_ms` is [`i64::MIN`], `end_ms` is [`i64::MAX`], and
/// both are `null` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WindowJson", into = "WindowJson")]
pub struct Window {
    /// First message timestamp that is loaded.
    pub start_ms: i64,
    /// First message timestamp that is not loaded; always after `start_ms`.
    pub end_ms: i64,
}

/// How a window is written.
#[derive(Serialize, Deserialize)]
struct WindowJson {
    start_ms: Option<i64>,
    end_ms: Option<i64>,
}

impl From<Window> for WindowJson {
    fn from(window: Window) -> Self {
        Self {
            start_ms: Some(window.start_ms).filter(|ms| *ms != i64::MIN),
            end_ms: Some(window.end_ms).filter(|ms| *ms != i64::MAX),
        }
    }
}

impl From<WindowJson> for Window {
    fn from(json: WindowJson) -> Self {
        Self {
            start_ms: json.start_ms.unwrap_or(i64::MIN),
            end_ms: json.end_ms.unwrap_or(i64::MAX),
        }
    }
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
    /// All timestamps, also those of messages that have none: the window is bounded by offsets alone.
    pub const ALL: Self = Self {
        start_ms: i64::MIN,
        end_ms: i64::MAX,
    };

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

    /// Whether a bound of the window is a timestamp, so that its messages need one.
    pub fn is_by_time(self) -> bool {
        self != Self::ALL
    }

    /// Whether the window's end is an instant after `now_ms`.
    pub fn ends_after(self, now_ms: i64) -> bool {
        self.end_ms != i64::MAX && self.end_ms > now_ms
    }

    /// Whether every timestamp of `other` lies in this window.
    pub fn contains(self, other: Self) -> bool {
        self.start_ms <= other.start_ms && other.end_ms <= self.end_ms
    }

    /// From the start of this window to the end of `last`.
    #[must_use]
    pub fn through(self, last: Self) -> Self {
        Self {
            start_ms: self.start_ms,
            end_ms: last.end_ms,
        }
    }

    /// Whether some instant lies in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.start_ms < other.end_ms && other.start_ms < self.end_ms
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", Bound(self.start_ms), Bound(self.end_ms))
    }
}

/// A bound of a window, in UTC as ISO 8601; outside the calendar it is written in ms, and one that is no timestamp as
/// `by offset`.
pub(crate) struct Bound(pub(crate) i64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ms) = *self;
        match Timestamp::from_millisecond(ms) {
            Ok(instant) => write!(f, "{instant}"),
            Err(_) if ms == i64::MIN || ms == i64::MAX => f.write_str("by offset"),
            Err(_) => write!(f, "{ms} ms"),
        }
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
    fn a_bound_that_is_no_time_is_left_out() {
        let open = Window {
            start_ms: 1_000,
            ..Window::ALL
        };
        assert_eq!(open.to_string(), "[1970-01-01T00:00:01Z, by offset)");
        assert!(open.is_by_time() && !Window::ALL.is_by_time());
        assert!(!open.ends_after(0) && Window::new(0, 5).unwrap().ends_after(4));
        let text = serde_json::to_string(&open).unwrap();
        assert_eq!(text, r#"{"start_ms":1000,"end_ms":null}"#);
        assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), open);
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
