//! The load plan: frozen before the first message is read.

use serde::{Deserialize, Serialize};

use crate::job::OffsetBounds;
use crate::{OffsetRange, PartitionSpec, SliceSpec, TopicPartition, Window};

/// Which offsets a run reads, in which slices, for which windows. Once made it does not change: a run that crashed
/// goes on with the plan that the journal kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The windows, in time order; no two overlap.
    pub windows: Vec<PlannedWindow>,
    /// The bounds of the windows that are no timestamps, as the job has them.
    #[serde(default)]
    pub bounds: OffsetBounds,
    /// Whether the last of several windows is to be complete first.
    #[serde(default)]
    pub newest_first: bool,
    /// Every topic partition that is read, also those with nothing to read.
    pub partitions: Vec<PlannedPartition>,
    /// The slices, by number. They tile the ranges of `partitions`.
    pub slices: Vec<SliceSpec>,
    /// When the plan was made, in ms since the epoch: what was written later is not in it.
    pub planned_at_ms: i64,
    /// Mean bytes of key, payload and headers in the messages that planning sampled; 0 where there were none.
    pub message_bytes_mean: u64,
}

/// A window and where its rows go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedWindow {
    /// The message timestamps.
    pub window: Window,
    /// The table partition; empty for a table without partition keys.
    pub partition: PartitionSpec,
}

/// What planning found about one topic partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPartition {
    /// The topic partition.
    #[serde(flatten)]
    pub topic_partition: TopicPartition,
    /// First offset still kept.
    pub log_start: i64,
    /// One past the last readable message: the last stable offset under read committed.
    pub high_watermark: i64,
    /// One past the last message that was written: behind `high_watermark` where a transaction is open, for what was written from
    /// there on can't be read before it ends.
    pub written_end: i64,
    /// What is read: in order, apart from each other, none empty. No range where there is nothing for the windows.
    pub ranges: Vec<OffsetRange>,
    /// How far each window of the plan reaches, in the plan's order.
    pub reaches: Vec<Reach>,
}

/// Where one window lies in one topic partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Offset of the first message with a timestamp at or after the window's start; nothing where there is none.
    pub start_offset: Option<i64>,
    /// Offset of the first message with a timestamp at or after the window's end; nothing where there is none.
    pub end_offset: Option<i64>,
    /// The window's messages are taken from what is read of these offsets, and from no others.
    pub range: OffsetRange,
    /// Parts of the range from which they are not taken, though they may be read for other windows; in order, apart from each
    /// other, none empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<OffsetRange>,
    /// Whether the messages that were seen at the range's end all lie at or after the window's end, so that the window is
    /// over here as far as the log can tell.
    pub closed: bool,
    /// Whether messages of the window may have been deleted by retention: the log no longer begins at 0 and its first
    /// kept message is not older than the window's start, or the window is to begin at an offset that is no longer kept.
    pub retention_gap: bool,
}

impl Reach {
    /// The parts of the range that are not left out, in order.
    pub fn ranges(&self) -> Vec<OffsetRange> {
        self.range.without(&self.left_out)
    }

    /// Where the plain look-up of the window's end would have stopped.
    pub fn look_up_end(&self) -> i64 {
        let OffsetRange { start, end } = self.range;
        self.end_offset.unwrap_or(end).clamp(start, end)
    }
}

impl PlannedPartition {
    /// The offsets from which the messages of window `number` are taken, in order.
    pub fn ranges_of_window(&self, number: usize) -> Vec<OffsetRange> {
        let reach = self.reaches.get(number);
        reach.map_or_else(Vec::new, |reach| {
            OffsetRange::common(&self.ranges, &reach.ranges())
        })
    }

    /// What can't be read yet, for a transaction is open; nothing where none is.
    pub fn kept_back(&self) -> Option<OffsetRange> {
        let range = OffsetRange::new(self.high_watermark, self.written_end)?;
        (!range.is_empty()).then_some(range)
    }

    /// Offsets to read.
    pub fn offsets(&self) -> u64 {
        self.ranges.iter().map(|range| range.len()).sum()
    }

    /// Offsets to read that no plain look-up of a window's end would have read.
    pub fn offsets_past_look_up(&self) -> u64 {
        let end = self.reaches.iter().map(Reach::look_up_end).max();
        let past = |range: &OffsetRange| {
            let start = end.unwrap_or(range.start).max(range.start);
            OffsetRange::new(start, range.end).map_or(0, OffsetRange::len)
        };
        self.ranges.iter().map(past).sum()
    }
}

impl LoadPlan {
    /// Offsets to read.
    pub fn offsets(&self) -> u64 {
        self.partitions.iter().map(PlannedPartition::offsets).sum()
    }

    /// Whether some window was not over when the plan was made, so that messages of it may be missing.
    pub fn is_open(&self) -> bool {
        let open = |planned: &PlannedWindow| planned.window.ends_after(self.planned_at_ms);
        self.windows.iter().any(open)
    }

    /// Bytes to read, estimated from the sampled messages.
    pub fn bytes_estimate(&self) -> u64 {
        self.offsets().saturating_mul(self.message_bytes_mean)
    }
}
