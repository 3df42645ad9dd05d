//! Slices: the unit of reading, staging, retry, resume and distribution.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Checksum, Counts, OffsetRange, TopicPartition, UnmappedFields, WindowCounts};

/// Format of [`SliceSpec`] and [`SliceReport`]; who doesn't know it refuses them. What may be missing, and may be
/// overlooked without changing what is loaded, is no change of the format.
pub const SLICE_FORMAT: u32 = 3;

/// What one slice is to read. Holds no secret, so that it can be sent and stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceSpec {
    /// [`SLICE_FORMAT`].
    pub format: u32,
    /// The slice's number in its plan, from 0.
    pub number: u32,
    /// What to read, in this order; no two ranges overlap, none is empty.
    pub ranges: Vec<SliceRange>,
    /// The id of its block in the upload session of each window: the slice's place among those of the window, from 0. Windows
    /// whose id is the slice's number are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub block_ids: BTreeMap<u32, u32>,
}

impl SliceSpec {
    /// The numbers of the windows that take messages of the slice, in order.
    pub fn windows(&self) -> Vec<u32> {
        let ranges = self.ranges.iter();
        let windows: BTreeSet<u32> = ranges.flat_map(|range| &range.windows).copied().collect();
        windows.into_iter().collect()
    }
}

impl SliceReport {
    /// The id of the block for `window`.
    pub fn block_id(&self, window: u32) -> u32 {
        let staged = self.windows.get(&window);
        staged
            .and_then(|staged| staged.block_id)
            .unwrap_or(self.number)
    }

    /// The counts of one window in all ranges.
    pub fn window(&self, number: u32) -> WindowCounts {
        let mut counts = WindowCounts::default();
        for range in &self.ranges {
            counts.add(&range.counts.window(number));
        }
        counts
    }
}

/// A part of a topic partition that a slice reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRange {
    /// The topic partition.
    #[serde(flatten)]
    pub topic_partition: TopicPartition,
    /// The offsets.
    #[serde(flatten)]
    pub range: OffsetRange,
    /// Numbers of the windows whose messages are taken from here, in order; at least one.
    pub windows: Vec<u32>,
}

/// What came of one slice that was read and staged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceReport {
    /// [`SLICE_FORMAT`].
    pub format: u32,
    /// The slice's number.
    pub number: u32,
    /// The counts, a range at a time, in the order of the spec.
    pub ranges: Vec<RangeReport>,
    /// What was staged for each window that takes messages of the slice, by its number in the plan.
    pub windows: BTreeMap<u32, SliceWindowReport>,
    /// Fields that no column takes, in a few messages that are spread over the slice.
    #[serde(default, skip_serializing_if = "UnmappedFields::is_empty")]
    pub unmapped_fields: UnmappedFields,
}

/// The counts of one range of a slice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeReport {
    /// The topic partition.
    #[serde(flatten)]
    pub topic_partition: TopicPartition,
    /// The offsets.
    #[serde(flatten)]
    pub range: OffsetRange,
    /// What became of them.
    pub counts: Counts,
    /// The first of the holes, at most [`HOLE_SPANS_MAX`](crate::limits::HOLE_SPANS_MAX).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hole_spans: Vec<OffsetRange>,
    /// The holes that retention made, as it deleted what was still to be read; in order, and apart from each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<OffsetRange>,
}

impl RangeReport {
    /// One past the last offset that was read: what a run that heard nothing any more left unread is the end of the range.
    pub fn read_end(&self) -> i64 {
        let unread = i64::try_from(self.counts.unread).unwrap_or(i64::MAX);
        self.range.end.saturating_sub(unread)
    }
}

/// What a slice staged for one window. Both files are missing where the slice has nothing for the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceWindowReport {
    /// The rows to upload as one block.
    pub rows: Option<StagedFile>,
    /// The id of this block where it isn't the slice's number, as in [`SliceSpec::block_ids`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_id: Option<u32>,
    /// The checksum of these rows; nothing where there are none, or where an older version staged them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// The messages that could not become rows.
    pub rejects: Option<StagedFile>,
    /// How many of these there are, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// The first of them in words: topic partition, offset, column and what was found.
    pub first_reject: Option<String>,
}

/// A Parquet file in the run's staging folder, complete and synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// The file's name within the run's folder.
    pub name: String,
    /// Rows in it; at least one.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
    /// CRC-32C over the whole file.
    pub crc32c: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_without_unmapped_fields_is_one_that_knows_of_none() {
        let text = r#"{"format":3,"number":3,"ranges":[],"windows":{}}"#;
        let report: SliceReport = serde_json::from_str(text).unwrap();
        assert!(report.unmapped_fields.is_empty());
        assert_eq!(serde_json::to_string(&report).unwrap(), text);
    }
}
