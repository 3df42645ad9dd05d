//! Which messages a load took, and which it read: what later loads of the same target, and audits, are compared with.

use std::collections::BTreeMap;
use std::fmt;

use engine_model::{
    DeletedOffsets, LoadPlan, OffsetRange, PlannedPartition, SliceReport, TopicPartition, Window,
};
use serde::{Deserialize, Serialize};

/// Topic partitions that are told of an extent.
const EXTENTS_TOLD_MAX: usize = 3;

/// The messages of a window: those of its timestamps, within the offsets that bound it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) window: Window,
    /// Where a bound is an offset: the offsets of each topic partition. Nothing for all offsets of all of them.
    pub(crate) offsets: Option<Vec<OffsetExtent>>,
}

/// The offsets of one topic partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OffsetExtent {
    #[serde(flatten)]
    topic_partition: TopicPartition,
    /// From 0 or up to the largest offset on a side that is bounded by time.
    #[serde(flatten)]
    range: OffsetRange,
}

/// What was read of one topic partition for a window, so that an audit knows what was not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PartitionRead {
    #[serde(flatten)]
    pub(crate) topic_partition: TopicPartition,
    /// One past the last message that was written when the run was planned, also of a transaction that was open then: what was
    /// written later lies behind it.
    pub(crate) written_end: i64,
    /// The offsets whose messages were compared with the window; in order, apart from each other, none empty.
    pub(crate) ranges: Vec<OffsetRange>,
    /// Where messages of the window may have been that retention deleted before they were read: of what was planned, what was gone
    /// when it was to be read; and all from 0 on where the log no longer reached back to the window when that was planned. In
    /// order, apart from each other, none empty.
    pub(crate) deleted: Vec<OffsetRange>,
}

impl PartitionRead {
    /// What was read for window `number` of a plan by slices with these reports.
    pub(crate) fn of<'a>(
        plan: &LoadPlan,
        number: usize,
        reports: impl IntoIterator<Item = &'a SliceReport>,
    ) -> Vec<Self> {
        let mut read: BTreeMap<&TopicPartition, (Vec<_>, Vec<_>)> = BTreeMap::new();
        for report in reports.into_iter().flat_map(|report| &report.ranges) {
            let (ranges, deleted) = read.entry(&report.topic_partition).or_default();
            let done = OffsetRange::new(report.range.start, report.read_end());
            ranges.extend(done.iter().flat_map(|done| done.without(&report.deleted)));
            deleted.extend(&report.deleted);
        }
        let of_partition = |partition: &PlannedPartition| {
            let reach = partition.reaches.get(number)?;
            let (ranges, deleted) = read.remove(&partition.topic_partition).unwrap_or_default();
            let reached = reach.ranges();
            let in_reach = |ranges| OffsetRange::common(&OffsetRange::merged(ranges), &reached);
            let before_plan = OffsetRange {
                start: 0,
                end: partition.log_start,
            };
            let deleted = in_reach(deleted).into_iter();
            // Of a topic partition that is empty nobody can say what was there, and idle ones are that every day.
            let is_cut = reach.retention_gap && partition.log_start < partition.high_watermark;
            let deleted = deleted.chain(is_cut.then_some(before_plan));
            Some(Self {
                topic_partition: partition.topic_partition.clone(),
                written_end: partition.written_end,
                ranges: in_reach(ranges),
                deleted: OffsetRange::merged(deleted.collect()),
            })
        };
        plan.partitions.iter().filter_map(of_partition).collect()
    }

    /// Where retention was faster than what was read for a window.
    pub(crate) fn all_deleted(reads: &[Self]) -> Vec<DeletedOffsets> {
        let cut = reads.iter().filter(|read| !read.deleted.is_empty());
        let deleted = cut.map(|read| DeletedOffsets {
            topic_partition: read.topic_partition.clone(),
            ranges: read.deleted.clone(),
        });
        deleted.collect()
    }
}

impl Extent {
    /// The extent of window `number` of a plan.
    pub(crate) fn of(plan: &LoadPlan, number: usize) -> Option<Self> {
        let window = plan.windows.get(number)?.window;
        let bounds = &plan.bounds;
        let by_offset = bounds.start.is_some() || bounds.end.is_some();
        let offsets = plan.partitions.iter().filter_map(|partition| {
            let reach = partition.reaches.get(number)?.range;
            let start = if bounds.start.is_some() {
                reach.start
            } else {
                0
            };
            // What comes late is of the window that starts at the group's next position.
            let end = if bounds.end.is_some() || bounds.starts_at_group() {
                reach.end
            } else {
                i64::MAX
            };
            Some(OffsetExtent {
                topic_partition: partition.topic_partition.clone(),
                range: OffsetRange { start, end },
            })
        });
        Some(Self {
            window,
            offsets: by_offset.then(|| offsets.collect()),
        })
    }

    /// Whether some message may be of both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let offsets = match (&self.offsets, &other.offsets) {
            (Some(mine), Some(theirs)) => mine.iter().any(|mine| {
                let same = theirs
                    .iter()
                    .filter(|theirs| theirs.topic_partition == mine.topic_partition);
                same.into_iter()
                    .any(|theirs| mine.range.intersection(theirs.range).is_some())
            }),
            _ => true,
        };
        offsets && self.window.overlaps(other.window)
    }

    /// Whether every message of `other` is surely of this one too.
    pub(crate) fn contains(&self, other: &Self) -> bool {
        let offsets = match (&self.offsets, &other.offsets) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs.iter().all(|theirs| {
                let has = |mine: &OffsetExtent| {
                    mine.topic_partition == theirs.topic_partition
                        && mine.range.start <= theirs.range.start
                        && theirs.range.end <= mine.range.end
                };
                theirs.range.is_empty() || mine.iter().any(has)
            }),
        };
        offsets && self.window.contains(other.window)
    }
}

/// The window, and that offsets bound it where they do.
impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(offsets) = &self.offsets else {
            return write!(f, "{}", self.window);
        };
        if self.window.is_by_time() {
            write!(f, "{} within ", self.window)?;
        }
        let told = offsets.iter().take(EXTENTS_TOLD_MAX);
        let told: Vec<_> = told
            .map(|of| format!("{} of {}", of.range, of.topic_partition))
            .collect();
        write!(f, "offsets {}", told.join(", "))?;
        match offsets.len() - told.len() {
            0 => Ok(()),
            more => write!(f, " and those of {more} more topic partitions"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(window: Window, offsets: &[(i32, i64, i64)]) -> Extent {
        let of = |(number, start, end): &(i32, i64, i64)| OffsetExtent {
            topic_partition: TopicPartition::new("orders", *number),
            range: OffsetRange {
                start: *start,
                end: *end,
            },
        };
        Extent {
            window,
            offsets: Some(offsets.iter().map(of).collect()),
        }
    }

    #[test]
    fn offsets_are_compared_by_topic_partition() {
        let one = extent(Window::ALL, &[(0, 0, 100), (1, 50, 60)]);
        assert!(one.contains(&extent(Window::ALL, &[(0, 10, 20), (1, 50, 60)])));
        assert!(
            one.contains(&extent(Window::ALL, &[(0, 10, 20), (2, 5, 5)])),
            "nothing is read of [2]"
        );
        assert!(!one.contains(&extent(Window::ALL, &[(0, 10, 101)])));
        assert!(!one.contains(&extent(Window::ALL, &[(2, 10, 20)])));
        assert!(one.overlaps(&extent(Window::ALL, &[(1, 59, 70)])));
        assert!(!one.overlaps(&extent(Window::ALL, &[(1, 60, 70), (0, 100, 200)])));
    }

    #[test]
    fn without_offsets_all_of_them_are_meant() {
        let window = Window::new(0, 10).unwrap();
        let all = Extent {
            window,
            offsets: None,
        };
        let some = extent(window, &[(0, 0, 5)]);
        assert!(all.contains(&some) && !some.contains(&all));
        assert!(all.overlaps(&some) && some.overlaps(&all));
        let later = extent(Window::new(10, 20).unwrap(), &[(0, 0, 5)]);
        assert!(!all.overlaps(&later) && !later.overlaps(&some));
        assert_eq!(
            some.to_string(),
            "[1970-01-01T00:00:00Z, 1970-01-01T00:00:00.01Z) within offsets [0, 5) of orders[0]"
        );
        let many = extent(Window::ALL, &[(0, 0, 5), (1, 2, 3), (2, 0, 1), (3, 0, 1)]);
        assert_eq!(
            many.to_string(),
            "offsets [0, 5) of orders[0], [2, 3) of orders[1], [0, 1) of orders[2] and those of 1 more topic partitions"
        );
    }
}
