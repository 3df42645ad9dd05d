//! Planning: from the ranges to read to the slices of a run.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use engine_model::job::OffsetBounds;
use engine_model::limits::{
    RUN_SLICES_MAX, SLICE_BYTES_MAX, SLICE_BYTES_MIN, SLICE_BYTES_TARGET, SLICES_PER_LANE,
    WINDOW_SLICES_MAX,
};
use engine_model::{
    LoadPlan, OffsetRange, PlannedPartition, PlannedWindow, SLICE_FORMAT, SliceRange, SliceSpec,
};

use crate::{Error, ErrorKind};

/// Mean message size assumed where no message could be sampled, in bytes.
const MESSAGE_BYTES_ASSUMED: u64 = 1_024;

/// Which of several windows are to be complete first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WindowOrder {
    /// The first in time.
    #[default]
    OldestFirst,
    /// The last in time.
    NewestFirst,
}

impl WindowOrder {
    /// The order that a plan was made for.
    pub(crate) fn of(plan: &LoadPlan) -> Self {
        if plan.newest_first {
            Self::NewestFirst
        } else {
            Self::OldestFirst
        }
    }

    /// When the messages of these windows, which are in time order, are due: a lower number is earlier.
    fn turn(self, windows: &[u32]) -> i64 {
        match self {
            Self::OldestFirst => windows.first().map_or(0, |first| i64::from(*first)),
            Self::NewestFirst => windows.last().map_or(0, |last| -i64::from(*last)),
        }
    }

    fn turn_of_slice(self, slice: &SliceSpec) -> i64 {
        let turns = slice.ranges.iter().map(|range| self.turn(&range.windows));
        turns.min().unwrap_or(0)
    }
}

/// Cuts the planned ranges into numbered slices that keep `lanes` lanes busy.
///
/// A long range makes several slices, short ones share a slice, until each is about one upload block, and small enough that
/// `disk_bytes` hold two for each lane, one that is staged and one that is uploaded. The slices tile the ranges.
///
/// # Errors
///
/// [`ErrorKind::Job`] where even slices of the largest size are more than a window or a run may have.
pub fn plan_slices(
    windows: Vec<PlannedWindow>,
    partitions: Vec<PlannedPartition>,
    planned_at_ms: i64,
    message_bytes_mean: Option<u64>,
    (lanes, disk_bytes): (usize, Option<u64>),
    order: WindowOrder,
) -> Result<LoadPlan, Error> {
    let message_bytes = message_bytes_mean.unwrap_or(MESSAGE_BYTES_ASSUMED).max(1);
    let offsets: u64 = partitions.iter().map(PlannedPartition::offsets).sum();
    let bytes = offsets.saturating_mul(message_bytes);
    let lanes = (lanes as u64).max(1);
    let disk_share = disk_bytes.unwrap_or(u64::MAX) / (2 * lanes);
    let share = disk_share.min(bytes / (SLICES_PER_LANE * lanes));
    let mut slice_bytes = share.clamp(SLICE_BYTES_MIN, SLICE_BYTES_TARGET);
    let slices = loop {
        let offsets_per_slice = (slice_bytes / message_bytes).max(1);
        let too_many = match cut_within_limits(&partitions, offsets_per_slice, order) {
            Ok(slices) => break slices,
            Err(too_many) => too_many,
        };
        if slice_bytes >= SLICE_BYTES_MAX {
            return Err(too_many.into_error(message_bytes));
        }
        slice_bytes = (slice_bytes * 2).min(SLICE_BYTES_MAX);
    };
    Ok(LoadPlan {
        windows,
        bounds: OffsetBounds::default(),
        newest_first: order == WindowOrder::NewestFirst,
        partitions,
        slices,
        planned_at_ms,
        message_bytes_mean: message_bytes_mean.unwrap_or(0),
    })
}

/// What has more slices than it may have, with its offsets.
#[derive(Clone, Copy)]
enum TooMany {
    /// One window.
    Window(u64),
    /// All windows together.
    Run(u64),
}

impl TooMany {
    fn into_error(self, message_bytes: u64) -> Error {
        let (Self::Window(offsets) | Self::Run(offsets)) = self;
        let bytes = offsets.saturating_mul(message_bytes);
        let message = match self {
            Self::Window(_) => format!(
                "the window holds about {bytes} bytes in {offsets} offsets, more than {WINDOW_SLICES_MAX} slices of \
                 {SLICE_BYTES_MAX} bytes; load it in several shorter windows"
            ),
            Self::Run(_) => format!(
                "the windows take more than {RUN_SLICES_MAX} slices for about {bytes} bytes in {offsets} offsets; load them \
                 in several runs, one after another"
            ),
        };
        Error::new(ErrorKind::Job, message)
    }
}

/// Slices of about so many offsets, unless they would be too many.
fn cut_within_limits(
    partitions: &[PlannedPartition],
    offsets_per_slice: u64,
    order: WindowOrder,
) -> Result<Vec<SliceSpec>, TooMany> {
    // Only worth cutting where the slices can be few enough at all.
    let is_over =
        |offsets: u64, slices_max: u32| offsets / offsets_per_slice > u64::from(slices_max);
    let of_windows = offsets_of_windows(partitions);
    let largest = of_windows.iter().max().copied().unwrap_or(0);
    let offsets = partitions.iter().map(PlannedPartition::offsets).sum();
    if is_over(largest, WINDOW_SLICES_MAX) {
        return Err(TooMany::Window(largest));
    }
    if is_over(offsets, RUN_SLICES_MAX) {
        return Err(TooMany::Run(offsets));
    }
    let mut slices = cut(partitions, offsets_per_slice, order);
    let of_window = number_blocks(&mut slices);
    if let Some((window, _)) = of_window
        .iter()
        .find(|(_, slices)| **slices > WINDOW_SLICES_MAX)
    {
        return Err(TooMany::Window(
            of_windows.get(*window as usize).copied().unwrap_or(offsets),
        ));
    }
    if slices.len() > RUN_SLICES_MAX as usize {
        return Err(TooMany::Run(offsets));
    }
    Ok(slices)
}

/// The offsets that are read for each window; those that several share count for each.
fn offsets_of_windows(partitions: &[PlannedPartition]) -> Vec<u64> {
    let windows = partitions.iter().map(|partition| partition.reaches.len());
    let mut offsets = vec![0_u64; windows.max().unwrap_or(0)];
    for partition in partitions {
        for (number, offsets) in offsets.iter_mut().enumerate() {
            let ranges = partition.ranges_of_window(number);
            *offsets += ranges.into_iter().map(OffsetRange::len).sum::<u64>();
        }
    }
    offsets
}

/// Gives each slice its block ids: those of a window are counted from 0, so that a run may have more slices than a session has
/// ids. Returns how many slices each window has.
fn number_blocks(slices: &mut [SliceSpec]) -> BTreeMap<u32, u32> {
    let mut of_window: BTreeMap<u32, u32> = BTreeMap::new();
    for slice in slices {
        for window in slice.windows() {
            let next = of_window.entry(window).or_default();
            if *next != slice.number {
                slice.block_ids.insert(window, *next);
            }
            *next += 1;
        }
    }
    of_window
}

/// Slices of about so many offsets, in the order in which windows are to be complete.
fn cut(
    partitions: &[PlannedPartition],
    offsets_per_slice: u64,
    order: WindowOrder,
) -> Vec<SliceSpec> {
    let mut pieces: Vec<SliceRange> = partitions.iter().flat_map(pieces).collect();
    // Stable: topic partitions and offsets stay in order within a window.
    let turn = |piece: &SliceRange| order.turn(&piece.windows);
    pieces.sort_by_key(turn);
    let mut slices: Vec<Vec<SliceRange>> = Vec::new();
    for of_window in pieces.chunk_by(|one, next| turn(one) == turn(next)) {
        let mut shared: Vec<SliceRange> = Vec::new();
        let mut shared_offsets = 0;
        for piece in of_window {
            let length = piece.range.len();
            if length < offsets_per_slice {
                if shared_offsets + length > offsets_per_slice {
                    slices.push(std::mem::take(&mut shared));
                    shared_offsets = 0;
                }
                shared.push(piece.clone());
                shared_offsets += length;
                continue;
            }
            let parts = length.div_ceil(offsets_per_slice);
            slices.extend((0..parts).map(|part| {
                let range = OffsetRange {
                    start: piece.range.part(part, parts),
                    end: piece.range.part(part + 1, parts),
                };
                vec![SliceRange {
                    range,
                    ..piece.clone()
                }]
            }));
        }
        if !shared.is_empty() {
            slices.push(shared);
        }
    }
    (0..)
        .zip(slices)
        .map(|(number, ranges)| SliceSpec {
            format: SLICE_FORMAT,
            number,
            ranges,
            block_ids: BTreeMap::new(),
        })
        .collect()
}

/// The ranges of a topic partition, cut where a window begins or ends to reach and where the look-up of its end lies, each
/// with the windows that its messages may go to.
fn pieces(partition: &PlannedPartition) -> Vec<SliceRange> {
    // At each border the windows that begin to reach there, and those that reach to it.
    let mut borders: BTreeMap<i64, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
    for (number, reach) in (0..).zip(&partition.reaches) {
        borders.entry(reach.look_up_end()).or_default();
        for range in reach.ranges() {
            borders.entry(range.start).or_default().0.push(number);
            borders.entry(range.end).or_default().1.push(number);
        }
    }
    for range in &partition.ranges {
        borders.entry(range.start).or_default();
        borders.entry(range.end).or_default();
    }
    let mut pieces = Vec::new();
    let mut reaching: BTreeSet<u32> = BTreeSet::new();
    let mut ranges = partition.ranges.iter().peekable();
    let mut start = i64::MIN;
    for (end, (begin, over)) in borders {
        while ranges.next_if(|range| range.end <= start).is_some() {}
        if ranges.peek().is_some_and(|range| range.start <= start) {
            pieces.push(SliceRange {
                topic_partition: partition.topic_partition.clone(),
                range: OffsetRange { start, end },
                windows: reaching.iter().copied().collect(),
            });
        }
        for number in over {
            reaching.remove(&number);
        }
        reaching.extend(begin);
        start = end;
    }
    pieces
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
    /// Queues `slices`, in order of number, for `lanes` lanes. Those whose windows are to be complete first come first.
    pub(crate) fn new(
        slices: impl IntoIterator<Item = SliceSpec>,
        lanes: usize,
        order: WindowOrder,
    ) -> Self {
        let mut rows: Vec<VecDeque<SliceSpec>> = Vec::new();
        for slice in slices {
            match rows.last_mut() {
                Some(row) if row.back().is_some_and(|last| follows(last, &slice, order)) => {
                    row.push_back(slice);
                }
                _ => rows.push(VecDeque::from([slice])),
            }
        }
        // Taken from the end.
        rows.sort_by_key(|row| {
            let turn = row.front().map(|slice| order.turn_of_slice(slice));
            (Reverse(turn), row.len())
        });
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

/// Whether `next` begins where `last` ends, and its windows have the same turn.
fn follows(last: &SliceSpec, next: &SliceSpec, order: WindowOrder) -> bool {
    match (last.ranges.last(), next.ranges.first()) {
        (Some(last_range), Some(next_range)) => {
            last_range.topic_partition == next_range.topic_partition
                && last_range.range.end == next_range.range.start
                && order.turn_of_slice(last) == order.turn_of_slice(next)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
