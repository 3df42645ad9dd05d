//! Planning: from the offsets of the window's bounds to the slices of a run.

use std::collections::VecDeque;

use engine_model::limits::{
    SLICE_BYTES_MAX, SLICE_BYTES_MIN, SLICE_BYTES_TARGET, SLICES_MAX, SLICES_PER_LANE,
};
use engine_model::{
    LoadPlan, OffsetRange, PlannedPartition, PlannedWindow, SLICE_FORMAT, SliceRange, SliceSpec,
    TopicPartition,
};

use crate::ports::PartitionOffsets;
use crate::{Error, ErrorKind};

/// Mean message size assumed where no message could be sampled, in bytes.
const MESSAGE_BYTES_ASSUMED: u64 = 1_024;

/// How far behind the look-up of the window's end messages of the window are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the high watermark: no message of the window that the log holds is missed.
    Exact,
    /// Only to the first message at or after the window's end, as the service does it.
    LookUp,
}

/// The range of one topic partition and what is worth saying about it.
///
/// The lower bound is exact even where timestamps are out of order: no message at or after the window's start lies
/// before the first of them.
pub fn plan_partition(
    topic_partition: TopicPartition,
    offsets: PartitionOffsets,
    reach: Reach,
) -> PlannedPartition {
    let high_watermark = offsets.high_watermark.max(offsets.log_start);
    let start = offsets
        .start
        .unwrap_or(high_watermark)
        .clamp(offsets.log_start, high_watermark);
    let end = match reach {
        Reach::Exact => high_watermark,
        Reach::LookUp => offsets
            .end
            .unwrap_or(high_watermark)
            .clamp(start, high_watermark),
    };
    PlannedPartition {
        topic_partition,
        log_start: offsets.log_start,
        high_watermark,
        start_offset: offsets.start,
        end_offset: offsets.end,
        range: OffsetRange { start, end },
        closed: offsets.end.is_some(),
        retention_gap: offsets.log_start > 0 && offsets.first == offsets.start,
    }
}

/// Cuts the planned ranges into numbered slices that keep `lanes` lanes busy.
///
/// A long range makes several slices, short ones share a slice, until each is about one upload block. The slices tile
/// the ranges.
///
/// # Errors
///
/// [`ErrorKind::Job`] where even slices of the largest size don't fit into the block ids of a session.
pub fn plan_slices(
    windows: Vec<PlannedWindow>,
    partitions: Vec<PlannedPartition>,
    planned_at_ms: i64,
    message_bytes_mean: Option<u64>,
    lanes: usize,
) -> Result<LoadPlan, Error> {
    let message_bytes = message_bytes_mean.unwrap_or(MESSAGE_BYTES_ASSUMED).max(1);
    let offsets: u64 = partitions
        .iter()
        .map(|partition| partition.range.len())
        .sum();
    let bytes = offsets.saturating_mul(message_bytes);
    let share = bytes / (SLICES_PER_LANE * (lanes as u64).max(1));
    let mut slice_bytes = share.clamp(SLICE_BYTES_MIN, SLICE_BYTES_TARGET);
    let slices = loop {
        let offsets_per_slice = (slice_bytes / message_bytes).max(1);
        // Only worth cutting where the slices can be few enough at all.
        if offsets / offsets_per_slice <= u64::from(SLICES_MAX) {
            let slices = cut(&partitions, offsets_per_slice);
            if slices.len() <= SLICES_MAX as usize {
                break slices;
            }
        }
        if slice_bytes >= SLICE_BYTES_MAX {
            let message = format!(
                "the window holds about {bytes} bytes in {offsets} offsets, more than {SLICES_MAX} slices of \
                 {SLICE_BYTES_MAX} bytes; load it in several shorter windows"
            );
            return Err(Error::new(ErrorKind::Job, message));
        }
        slice_bytes = (slice_bytes * 2).min(SLICE_BYTES_MAX);
    };
    Ok(LoadPlan {
        windows,
        partitions,
        slices,
        planned_at_ms,
        message_bytes_mean: message_bytes_mean.unwrap_or(0),
    })
}

fn cut(partitions: &[PlannedPartition], offsets_per_slice: u64) -> Vec<SliceSpec> {
    let mut slices: Vec<Vec<SliceRange>> = Vec::new();
    let mut shared: Vec<SliceRange> = Vec::new();
    let mut shared_offsets = 0;
    for partition in partitions
        .iter()
        .filter(|partition| !partition.range.is_empty())
    {
        let topic_partition = partition.topic_partition.clone();
        let length = partition.range.len();
        if length < offsets_per_slice {
            if shared_offsets + length > offsets_per_slice {
                slices.push(std::mem::take(&mut shared));
                shared_offsets = 0;
            }
            shared.push(SliceRange {
                topic_partition,
                range: partition.range,
            });
            shared_offsets += length;
            continue;
        }
        for range in split(partition.range, length.div_ceil(offsets_per_slice)) {
            slices.push(vec![SliceRange {
                topic_partition: topic_partition.clone(),
                range,
            }]);
        }
    }
    if !shared.is_empty() {
        slices.push(shared);
    }
    (0..)
        .zip(slices)
        .map(|(number, ranges)| SliceSpec {
            format: SLICE_FORMAT,
            number,
            ranges,
        })
        .collect()
}

/// Splits `range` into `pieces` ranges of equal length, give or take one offset.
fn split(range: OffsetRange, pieces: u64) -> impl Iterator<Item = OffsetRange> {
    let at = move |piece: u64| {
        let share = u128::from(range.len()) * u128::from(piece) / u128::from(pieces);
        range
            .start
            .saturating_add(i64::try_from(share).unwrap_or(i64::MAX))
    };
    (0..pieces).map(move |piece| OffsetRange {
        start: at(piece),
        end: at(piece + 1),
    })
}

/// Hands slices to lanes so that each reads neighbours in a row and none waits while another has work left.
#[derive(Debug)]
pub(crate) struct SliceQueue {
    /// Slices in a row that no lane has begun.
    rows: Vec<VecDeque<SliceSpec>>,
    /// What each lane has before it.
    lanes: Vec<VecDeque<SliceSpec>>,
}

impl SliceQueue {
    /// Queues `slices`, in order of number, for `lanes` lanes.
    pub(crate) fn new(slices: impl IntoIterator<Item = SliceSpec>, lanes: usize) -> Self {
        let mut rows: Vec<VecDeque<SliceSpec>> = Vec::new();
        for slice in slices {
            match rows.last_mut() {
                Some(row) if row.back().is_some_and(|last| follows(last, &slice)) => {
                    row.push_back(slice);
                }
                _ => rows.push(VecDeque::from([slice])),
            }
        }
        rows.sort_by_key(VecDeque::len);
        Self {
            rows,
            lanes: vec![VecDeque::new(); lanes],
        }
    }

    /// The next slice for `lane`: its neighbour where there is one, else the longest row that nobody began, else the
    /// second half of what the busiest lane has left.
    pub(crate) fn take(&mut self, lane: usize) -> Option<SliceSpec> {
        if self.lanes[lane].is_empty() {
            self.lanes[lane] = self.rows.pop().or_else(|| self.steal())?;
        }
        self.lanes[lane].pop_front()
    }

    fn steal(&mut self) -> Option<VecDeque<SliceSpec>> {
        let busiest = self.lanes.iter_mut().max_by_key(|row| row.len())?;
        let kept = busiest.len() / 2;
        let stolen = busiest.split_off(kept);
        (!stolen.is_empty()).then_some(stolen)
    }
}

/// Whether `next` begins where `last` ends.
fn follows(last: &SliceSpec, next: &SliceSpec) -> bool {
    match (last.ranges.last(), next.ranges.first()) {
        (Some(last), Some(next)) => {
            last.topic_partition == next.topic_partition && last.range.end == next.range.start
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
