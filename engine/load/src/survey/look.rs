//! What is seen at one place of a log.

use engine_model::Window;

/// The messages at one place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// One past the last message that was seen, or the end of what was asked for where there was none.
    pub(crate) end: i64,
    /// The timestamps of the messages, sorted.
    timestamps_ms: Vec<i64>,
}

impl Look {
    /// The look at messages with these timestamps, in any order.
    pub(crate) fn new(end: i64, mut timestamps_ms: Vec<i64>) -> Self {
        timestamps_ms.sort_unstable();
        Self { end, timestamps_ms }
    }

    /// Whether a message of the window is among them.
    pub(crate) fn sees(&self, window: Window) -> bool {
        let before = self
            .timestamps_ms
            .partition_point(|timestamp_ms| *timestamp_ms < window.start_ms);
        let next = self.timestamps_ms.get(before);
        next.is_some_and(|timestamp_ms| *timestamp_ms < window.end_ms)
    }

    /// Whether there are messages and all of them are at `instant_ms` or later.
    pub(crate) fn is_at_or_after(&self, instant_ms: i64) -> bool {
        let first = self.timestamps_ms.first();
        first.is_some_and(|timestamp_ms| *timestamp_ms >= instant_ms)
    }

    /// How far the messages are stamped before the bulk here, and how far after it, in ms.
    pub(super) fn spread_ms(&self) -> (i64, i64) {
        let median = self.timestamps_ms.get(self.timestamps_ms.len() / 2);
        let ends = self.timestamps_ms.first().zip(self.timestamps_ms.last());
        let Some((median, (first, last))) = median.zip(ends) else {
            return (0, 0);
        };
        (median.saturating_sub(*first), last.saturating_sub(*median))
    }

    /// Whether the bulk here is before `instant_ms`; not where there are no messages.
    pub(super) fn bulk_is_before(&self, instant_ms: i64) -> bool {
        let median = self.timestamps_ms.get(self.timestamps_ms.len() / 2);
        median.is_some_and(|median| *median < instant_ms)
    }
}
