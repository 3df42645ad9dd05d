//! The report of a run, for people and machines.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::job::OffsetBounds;
use crate::{Checksum, Counts, OffsetRange, PartitionSpec, TopicPartition, UnmappedFields, Window};

/// What a run did. The ledger in it balances, or the run would not have been committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// The run's number in the journal.
    pub run: i64,
    /// The job's name.
    pub job: String,
    /// When the run was due, with the job's time zone: `2026-11-23T00:15:00+08:00[Asia/Shanghai]`.
    #[serde(default)]
    pub scheduled_time: String,
    /// The topic.
    pub topic: String,
    /// The table, as `project.table` or `project.schema.table`.
    pub table: String,
    /// Whether a window was not over when the run was planned, so that messages of it may be missing.
    pub open: bool,
    /// Whether the run went on from where an earlier attempt stopped.
    pub resumed: bool,
    /// The slices and where they came from.
    pub slices: SliceCounts,
    /// The counts of each topic partition; the numbers in its `windows` are places in [`RunReport::windows`], from 0.
    pub ledger: Vec<LedgerEntry>,
    /// The bounds of the windows that are no timestamps, as the job has them.
    #[serde(default)]
    pub bounds: OffsetBounds,
    /// What became of each window.
    pub windows: Vec<WindowReport>,
    /// What the steps did in this attempt.
    pub steps: Steps,
    /// Wall time of this attempt, in seconds.
    pub seconds: f64,
    /// Most memory that the process held at once, where the system says it.
    pub memory_bytes_peak: Option<u64>,
    /// Fields that no column takes, in a few messages of each slice.
    #[serde(default)]
    pub unmapped_fields: UnmappedFields,
    /// What a person should look at, in whole sentences.
    pub warnings: Vec<String>,
}

/// The slices of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceCounts {
    /// Slices of the plan.
    pub planned: u64,
    /// Slices that this attempt read and staged.
    pub read: u64,
    /// Slices that an earlier attempt staged and that were not read again.
    pub kept: u64,
    /// Blocks that this attempt uploaded.
    pub uploaded: u64,
    /// Blocks that the upload session had from an earlier attempt.
    pub uploaded_before: u64,
}

/// One topic partition's line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// The topic partition.
    #[serde(flatten)]
    pub topic_partition: TopicPartition,
    /// Its counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Where the first of its holes are that retention has not made, at most
    /// [`HOLE_SPANS_MAX`](crate::limits::HOLE_SPANS_MAX) spans.
    #[serde(default)]
    pub hole_spans: Vec<OffsetRange>,
    /// The holes that retention made, as it deleted what was still to be read; in order, and apart from each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<OffsetRange>,
}

/// Offsets of one topic partition that retention deleted before they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedOffsets {
    /// The topic partition.
    #[serde(flatten)]
    pub topic_partition: TopicPartition,
    /// The offsets: in order, apart from each other, none empty.
    pub ranges: Vec<OffsetRange>,
}

/// The offsets and the topic partition: `[0, 5) and [7, 9) of orders[0]`.
impl fmt::Display for DeletedOffsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges: Vec<_> = self.ranges.iter().map(ToString::to_string).collect();
        write!(f, "{} of {}", ranges.join(" and "), self.topic_partition)
    }
}

/// What became of one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowReport {
    /// The message timestamps.
    pub window: Window,
    /// The table partition; empty for a table without partition keys.
    pub partition: PartitionSpec,
    /// How it ended.
    pub outcome: WindowOutcome,
    /// The upload session that was committed; nothing where nothing was uploaded.
    pub session: Option<String>,
    /// Rows that the table partition got.
    pub rows: u64,
    /// Those of them that lie behind the look-up of the window's end, which a loader that trusts it would have missed.
    #[serde(default)]
    pub rows_past_look_up: u64,
    /// Rows that a query found in the table partition after the commit; nothing where none was asked for.
    #[serde(default)]
    pub counted: Option<u64>,
    /// The checksum of these rows, whatever their order; nothing where an older version staged some of them.
    #[serde(default)]
    pub checksum: Option<Checksum>,
    /// What was last loaded into the table partition for the very same window, where that was replaced; nothing where there
    /// was no such load, or its checksum or ours isn't known.
    #[serde(default)]
    pub last_load: Option<LastLoad>,
    /// Where messages of the window may have been that the rows lack, for retention deleted them before they were read: from 0
    /// on where the log no longer reached back to the window when the run was planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<DeletedOffsets>,
    /// Messages that could not become rows, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The Parquet files that keep the rejected messages.
    pub reject_files: Vec<String>,
}

/// An earlier load of the same window into the same table partition, beside this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastLoad {
    /// The run that loaded it.
    pub run: i64,
    /// The rows that it loaded.
    pub rows: u64,
    /// Whether these were the same rows, in whatever order.
    pub content: Content,
}

/// What became of the content of a table partition that was loaded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The same rows.
    Same,
    /// Other rows, more or fewer.
    Changed,
}

/// How a window ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowOutcome {
    /// Its rows were committed.
    Committed,
    /// It had no rows; nothing was committed, for its target had none either, or its rows are added to what is there.
    Empty,
    /// It had no rows; its target had some and was emptied, as the job says.
    Emptied,
    /// It had no rows; its target had some and kept them, as the job says.
    Kept,
    /// Another run loads into its target since, and it was left out.
    Superseded,
}

impl WindowOutcome {
    /// Whether the target holds what the run loaded, in place of or beside what it held before.
    pub fn changed_target(self) -> bool {
        matches!(self, Self::Committed | Self::Emptied)
    }
}

/// The steps of a run, with what each did in this attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// Planning.
    pub plan: StepFigures,
    /// Reading from Kafka: messages, and bytes of keys, payloads and headers.
    pub read: StepFigures,
    /// Decoding: messages in, and their bytes.
    pub decode: StepFigures,
    /// Staging: rows, and bytes of Parquet.
    pub stage: StepFigures,
    /// Uploading: rows, and bytes sent.
    pub upload: StepFigures,
    /// The commits, with the checks before and after them.
    pub commit: StepFigures,
}

/// What one step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepFigures {
    /// Seconds that its threads were busy with it, added up; waiting for another step is not counted.
    pub seconds: f64,
    /// Messages or rows.
    pub items: u64,
    /// Bytes.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WindowCounts;

    #[test]
    fn deleted_offsets_are_told_with_their_topic_partition() {
        let range = |start, end| OffsetRange { start, end };
        let deleted = DeletedOffsets {
            topic_partition: TopicPartition::new("orders", 3),
            ranges: vec![range(0, 5), range(7, 9)],
        };
        assert_eq!(deleted.to_string(), "[0, 5) and [7, 9) of orders[3]");
    }

    #[test]
    fn a_ledgers_line_reads_back() {
        let entry = LedgerEntry {
            topic_partition: TopicPartition::new("orders", 3),
            counts: Counts {
                windows: [(7, WindowCounts::default())].into(),
                outside_reach_of: [(8, 2)].into(),
                ..Counts::new(5)
            },
            hole_spans: vec![OffsetRange { start: 1, end: 2 }],
            deleted: vec![OffsetRange { start: 0, end: 1 }],
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<LedgerEntry>(&text).unwrap(), entry);
    }
}
