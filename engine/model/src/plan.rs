//! The load plan: frozen before the first message is read.

use serde::{Deserialize, Serialize};

use crate::{OffsetRange, PartitionSpec, SliceSpec, TopicPartition, Window};

/// Which offsets a run reads, in which slices, for which windows. Once made it does not change: a run that crashed
/// goes on with the plan that the journal kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// The windows, in time order; no two overlap.
    pub windows: Vec<PlannedWindow>,
    /// Every topic partition of the topic, also those with nothing to read.
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
    /// Offset of the first message with a timestamp at or after the window's start; nothing where there is none.
    pub start_offset: Option<i64>,
    /// Offset of the first message with a timestamp at or after the window's end; nothing where there is none.
    pub end_offset: Option<i64>,
    /// What is read. Empty where the topic partition has nothing for the windows.
    pub range: OffsetRange,
    /// Whether a message at or after the window's end was seen, so that the window is over here as far as the log can
    /// tell.
    pub closed: bool,
    /// Whether messages of the window may have been deleted by retention: the log no longer begins at 0 and its first
    /// kept message is not older than the window's start.
    pub retention_gap: bool,
}

impl LoadPlan {
    /// Offsets to read.
    pub fn offsets(&self) -> u64 {
        self.partitions
            .iter()
            .map(|partition| partition.range.len())
            .sum()
    }

    /// Whether some window was not over when the plan was made, so that messages of it may be missing.
    pub fn is_open(&self) -> bool {
        self.windows
            .iter()
            .any(|planned| planned.window.end_ms > self.planned_at_ms)
    }

    /// Bytes to read, estimated from the sampled messages.
    pub fn bytes_estimate(&self) -> u64 {
        self.offsets().saturating_mul(self.message_bytes_mean)
    }
}
