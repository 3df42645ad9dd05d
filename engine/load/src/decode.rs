//! The decode step: a lane's worker turns the messages of a slice into staged rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use engine_decode::{Decoder, RejectReason, Rejection};
use engine_model::job::Tombstones;
use engine_model::limits::HOLE_SPANS_MAX;
use engine_model::{
    Counts, MessageBlock, OffsetRange, RangeReport, SLICE_FORMAT, SliceRange, SliceReport,
    SliceSpec, Verdict, Window, WindowCounts,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use crate::progress::{Progress, count};
use crate::read::{RangeEnd, ReadEvent, ReadHandle};
use crate::resolve::without_timestamp;
use crate::rules::SliceRules;
use crate::sample::FieldSampler;
use crate::stage::SliceFiles;
use crate::step::LoadStep;
use crate::{Error, ErrorKind};

/// A block is decoded in one go up to rows of so many batches; few need more than one or two.
const BATCHES_PER_BLOCK: usize = 8;

/// A worker thread's side of a lane.
pub(crate) struct Lane<'a> {
    rules: &'a SliceRules<'a>,
    read: ReadHandle<'a>,
    /// The windows that take messages of the slice under way, in order; places in this list stand for them.
    windows: Vec<u32>,
    /// For each thread that shares a block, a decoder for each of these windows.
    decoders: Vec<Vec<Decoder>>,
    sampler: FieldSampler,
}

impl<'a> Lane<'a> {
    pub(crate) fn new(rules: &'a SliceRules<'a>, read: ReadHandle<'a>) -> Self {
        Self {
            rules,
            read,
            windows: Vec::new(),
            decoders: (0..rules.threads_per_block.max(1))
                .map(|_| Vec::new())
                .collect(),
            sampler: FieldSampler::new(rules.mapped_fields.clone(), rules.format()),
        }
    }

    /// Reads, decodes and stages one slice, unless the rules end earlier. This is the only road from a topic partition to a staged file.
    pub(crate) fn execute_slice(&mut self, spec: &SliceSpec) -> Result<SliceReport, Error> {
        self.read.begin(spec)?;
        self.sampler.begin(spec);
        self.decode_for(spec.windows());
        let mut files = SliceFiles::new(self.rules, spec.number, &self.windows);
        let mut ranges = Vec::with_capacity(spec.ranges.len());
        for range in &spec.ranges {
            let mut tally = RangeTally::new(range, &self.windows);
            let (how, deleted) = loop {
                match self.read.next()? {
                    ReadEvent::Block(block) => {
                        let done = self.decode_block(&block, &mut tally, &mut files);
                        self.read.recycle(block);
                        done?;
                    }
                    ReadEvent::RangeEnd { how, deleted } => break (how, deleted),
                    ReadEvent::Failed(error) => return Err(error),
                }
            };
            self.sampler.end_range(range.range.len());
            tally.deleted = OffsetRange::merged(deleted);
            ranges.push(tally.finish(how, &self.windows, self.rules.progress));
        }
        self.flush(&mut files, 0)?;
        let mut windows = files.finish()?;
        for (window, staged) in &mut windows {
            staged.block_id = spec.block_ids.get(window).copied();
        }
        Ok(SliceReport {
            format: SLICE_FORMAT,
            number: spec.number,
            ranges,
            windows,
            unmapped_fields: self.sampler.take(),
        })
    }

    /// Makes decoders for these windows, unless they are there.
    fn decode_for(&mut self, windows: Vec<u32>) {
        if self.windows == windows {
            return;
        }
        self.windows = windows;
        for decoders in &mut self.decoders {
            let windows = self.windows.iter();
            let decoder = |window: &u32| Decoder::new(Arc::clone(self.rules.projection(*window)));
            *decoders = windows.map(decoder).collect();
        }
    }

    fn decode_block(
        &mut self,
        block: &MessageBlock,
        tally: &mut RangeTally<'_>,
        files: &mut SliceFiles<'_>,
    ) -> Result<(), Error> {
        let started = self.rules.clock.elapsed();
        tally.count_holes(block, self.rules.progress)?;
        if self.rules.last_step < LoadStep::Decode {
            return Ok(());
        }
        let windows = &self.rules.windows;
        let start = tally.slice_range.range.start;
        self.sampler.look(block, start, |message| {
            matches!(tally.place(windows, message.timestamp_ms), Place::Window(_))
        });
        let counted = self.rules.clock.elapsed().saturating_sub(started);
        self.rules
            .progress
            .decode
            .add(counted, block.len() as u64, block.size() as u64);
        let threads = self.decoders.len();
        let at = |thread: usize| block.len() * thread / threads;
        let mut parts: Vec<_> = (0..threads)
            .map(|thread| at(thread)..at(thread + 1))
            .collect();
        loop {
            let started = self.rules.clock.elapsed();
            let decoded = self.decode_parts(block, &mut parts, tally);
            let busy = self.rules.clock.elapsed().saturating_sub(started);
            self.rules.progress.decode.add(busy, 0, 0);
            for part in decoded {
                let part = part?;
                tally.add(&part);
                if self.rules.last_step < LoadStep::Stage {
                    continue;
                }
                for (index, window, rejection) in part.rejected {
                    if let Some(message) = block.get(index) {
                        let topic_partition = &tally.slice_range.topic_partition;
                        files.reject(topic_partition, message, window, &rejection)?;
                    }
                }
            }
            if parts.iter().all(Range::is_empty) {
                break;
            }
            self.flush(files, 0)?;
        }
        // Parts of one block are kept in order by ending their batches with the block.
        let hold = if threads > 1 {
            0
        } else {
            self.rules.batch_bytes
        };
        self.flush(files, hold)
    }

    /// Decodes the messages of `parts`, one part on each thread, and takes those away that are done. What is left are
    /// messages of a block whose rows need much more room than it does, once there is enough for a batch.
    fn decode_parts(
        &mut self,
        block: &MessageBlock,
        parts: &mut [Range<usize>],
        tally: &RangeTally<'_>,
    ) -> Vec<Result<PartResult, Error>> {
        let rules = self.rules;
        let decode = |decoders: &mut Vec<Decoder>, part: &mut Range<usize>| {
            decode_part(rules, decoders, block, part, tally)
        };
        if let ([decoders], [part]) = (&mut self.decoders[..], &mut parts[..]) {
            return vec![decode(decoders, part)];
        }
        self.decoders
            .par_iter_mut()
            .zip(parts)
            .map(|(decoders, part)| decode(decoders, part))
            .collect()
    }

    /// Stages, or drops, the rows of every decoder that holds more than `hold` bytes, and all of them where together they hold twice as
    /// much.
    fn flush(&mut self, files: &mut SliceFiles<'_>, hold: usize) -> Result<(), Error> {
        for decoders in &mut self.decoders {
            let all: usize = decoders.iter().map(Decoder::size).sum();
            let hold = if all >= 2 * hold { 0 } else { hold };
            for (window, decoder) in decoders.iter_mut().enumerate() {
                if decoder.rows() == 0 || decoder.size() < hold {
                    continue;
                }
                if self.rules.last_step < LoadStep::Stage {
                    drop(decoder.flush());
                } else {
                    files.write(window, decoder)?;
                }
            }
        }
        Ok(())
    }
}

/// What came of a part of a block.
struct PartResult {
    outside_before: u64,
    outside_after: u64,
    /// By the window's number.
    outside_reach: BTreeMap<u32, u64>,
    /// By the window's place in the slice.
    windows: Vec<WindowCounts>,
    /// Position in the block, window's place and reason of each message that could not become a row.
    rejected: Vec<(usize, usize, Rejection)>,
}

fn decode_part(
    rules: &SliceRules<'_>,
    decoders: &mut [Decoder],
    block: &MessageBlock,
    part: &mut Range<usize>,
    tally: &RangeTally<'_>,
) -> Result<PartResult, Error> {
    let topic_partition = &tally.slice_range.topic_partition;
    let mut result = PartResult {
        outside_before: 0,
        outside_after: 0,
        outside_reach: BTreeMap::new(),
        windows: vec![WindowCounts::default(); decoders.len()],
        rejected: Vec::new(),
    };
    let size_max = rules.batch_bytes.saturating_mul(BATCHES_PER_BLOCK);
    for index in part.by_ref() {
        let Some(message) = block.get(index) else {
            break;
        };
        if message.timestamp_ms < 0 && rules.windows.iter().any(|window| window.is_by_time()) {
            return Err(without_timestamp(topic_partition, message.offset));
        }
        let window = match tally.place(&rules.windows, message.timestamp_ms) {
            Place::Before => {
                result.outside_before += 1;
                continue;
            }
            Place::After => {
                result.outside_after += 1;
                continue;
            }
            Place::BeyondReach(number) => {
                *result.outside_reach.entry(number).or_default() += 1;
                continue;
            }
            Place::Window(window) => window,
        };
        let tombstone = message.payload.is_none();
        let counts = &mut result.windows[window];
        if tombstone && rules.tombstones == Tombstones::Skip {
            counts.tombstones_skipped += 1;
            continue;
        }
        match decoders[window].decode(&message, topic_partition) {
            Ok(()) => {
                counts.rows += 1;
                counts.tombstones_kept += u64::from(tombstone);
                if decoders[window].size() >= size_max {
                    break;
                }
            }
            Err(rejection) if rejection.reason() == RejectReason::BatchFull => {
                let message = format!(
                    "the message at offset {} of {topic_partition} does not fit into a batch: {rejection}",
                    message.offset,
                );
                return Err(Error::new(ErrorKind::Internal, message));
            }
            Err(rejection) => {
                counts.rejected += 1;
                result.rejected.push((index, window, rejection));
            }
        }
    }
    Ok(result)
}

/// Where a timestamp lies among the windows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    /// In the window at this place of those that take messages of the slice.
    Window(usize),
    /// In the window of this number, which takes no messages of this range.
    BeyondReach(u32),
    After,
}

/// The counts of one range while it is read.
struct RangeTally<'a> {
    slice_range: &'a SliceRange,
    /// The places in the slice of the windows that take messages of the range, by their numbers from the first of them on.
    places: Vec<Option<usize>>,
    first_window: u32,
    /// The offset that comes next where there are no holes.
    position: i64,
    counts: Counts,
    /// By the window's place in the slice.
    windows: Vec<WindowCounts>,
    hole_spans: Vec<OffsetRange>,
    /// Those of the holes that retention made.
    deleted: Vec<OffsetRange>,
}

impl<'a> RangeTally<'a> {
    /// A tally of a range of a slice of which `windows` take messages.
    fn new(slice_range: &'a SliceRange, windows: &[u32]) -> Self {
        let numbers = &slice_range.windows;
        let first_window = numbers.first().copied().unwrap_or_default();
        let last_window = numbers.last().copied().unwrap_or_default();
        let place = |number: u32| {
            let taken = numbers.binary_search(&number).is_ok();
            windows.binary_search(&number).ok().filter(|_| taken)
        };
        Self {
            slice_range,
            places: (first_window..=last_window).map(place).collect(),
            first_window,
            position: slice_range.range.start,
            counts: Counts::new(slice_range.range.len()),
            windows: vec![WindowCounts::default(); windows.len()],
            hole_spans: Vec::new(),
            deleted: Vec::new(),
        }
    }

    /// The place of a timestamp among all `windows` of the run.
    fn place(&self, windows: &[Window], timestamp_ms: i64) -> Place {
        let later = windows.partition_point(|window| window.start_ms <= timestamp_ms);
        let Some(number) = later.checked_sub(1) else {
            return Place::Before;
        };
        if windows[number].verdict(timestamp_ms) != Verdict::Inside {
            return Place::After;
        }
        let known = number.checked_sub(self.first_window as usize);
        let place = known.and_then(|index| self.places.get(index).copied().flatten());
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        place.map_or(Place::BeyondReach(number), Place::Window)
    }

    fn add(&mut self, part: &PartResult) {
        self.counts.outside_before += part.outside_before;
        self.counts.outside_after += part.outside_after;
        for (number, messages) in &part.outside_reach {
            self.counts.outside_reach += messages;
            *self.counts.outside_reach_of.entry(*number).or_default() += messages;
        }
        for (mine, theirs) in self.windows.iter_mut().zip(&part.windows) {
            mine.add(theirs);
        }
    }

    fn count_holes(&mut self, block: &MessageBlock, progress: &Progress) -> Result<(), Error> {
        let before = self.position;
        let end = self.slice_range.range.end;
        for message in block.iter() {
            if message.offset < self.position || message.offset >= end {
                let message = format!(
                    "{} delivered offset {} where {} or later, below {end}, was due; nothing was committed",
                    self.slice_range.topic_partition, message.offset, self.position,
                );
                return Err(Error::new(ErrorKind::Source, message));
            }
            self.skip_to(message.offset);
            self.position = message.offset + 1;
        }
        count(&progress.offsets_read, self.position.abs_diff(before));
        Ok(())
    }

    /// Counts the offsets before `offset` that were not delivered.
    fn skip_to(&mut self, offset: i64) {
        if offset == self.position {
            return;
        }
        self.counts.holes += offset.abs_diff(self.position);
        if self.hole_spans.len() < HOLE_SPANS_MAX {
            self.hole_spans.push(OffsetRange {
                start: self.position,
                end: offset,
            });
        }
    }

    fn finish(mut self, how: RangeEnd, windows: &[u32], progress: &Progress) -> RangeReport {
        let end = self.slice_range.range.end;
        let tail = end.abs_diff(self.position);
        count(&progress.offsets_read, tail);
        match how {
            RangeEnd::Complete => self.skip_to(end),
            RangeEnd::Idle => self.counts.unread += tail,
        }
        let numbered = windows.iter().copied().zip(self.windows);
        let taken = numbered.filter(|(number, _)| self.slice_range.windows.contains(number));
        self.counts.windows = taken.collect();
        RangeReport {
            topic_partition: self.slice_range.topic_partition.clone(),
            range: self.slice_range.range,
            counts: self.counts,
            hole_spans: self.hole_spans,
            deleted: self.deleted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use engine_model::TopicPartition;

    use super::*;

    fn slice_range(windows: &[u32]) -> SliceRange {
        SliceRange {
            topic_partition: TopicPartition::new("orders", 0),
            range: OffsetRange { start: 5, end: 20 },
            windows: windows.to_vec(),
        }
    }

    #[test]
    fn a_timestamp_belongs_to_one_window_or_to_none() {
        let windows = [
            Window::new(10, 20).unwrap(),
            Window::new(20, 30).unwrap(),
            Window::new(50, 60).unwrap(),
            Window::new(60, 70).unwrap(),
        ];
        // Of the slice's windows 1, 2 and 3, the range has messages for 1 and 3.
        let slice_range = slice_range(&[1, 3]);
        let tally = RangeTally::new(&slice_range, &[1, 2, 3]);
        let expected = [
            (9, Place::Before),
            (10, Place::BeyondReach(0)),
            (19, Place::BeyondReach(0)),
            (20, Place::Window(0)),
            (30, Place::After),
            (50, Place::BeyondReach(2)),
            (60, Place::Window(2)),
            (70, Place::After),
        ];
        for (timestamp_ms, place) in expected {
            assert_eq!(tally.place(&windows, timestamp_ms), place, "{timestamp_ms}");
        }
    }

    #[test]
    fn holes_are_the_offsets_that_nobody_delivered() {
        let slice_range = slice_range(&[0]);
        let progress = Progress::default();
        let mut tally = RangeTally::new(&slice_range, &[0]);
        let mut block = MessageBlock::default();
        for offset in [7, 8, 12] {
            block.push(offset, 0, None, None, std::iter::empty());
        }
        tally.count_holes(&block, &progress).unwrap();
        assert_eq!((tally.counts.holes, tally.position), (5, 13));
        assert!(
            tally.count_holes(&block, &progress).is_err(),
            "offsets that go back are refused"
        );
        tally.deleted = vec![OffsetRange { start: 5, end: 7 }];
        let report = tally.finish(RangeEnd::Complete, &[0], &progress);
        assert_eq!(report.deleted, [OffsetRange { start: 5, end: 7 }]);
        assert_eq!(report.counts.holes, 12);
        let spans = report.hole_spans.iter().map(ToString::to_string);
        assert_eq!(spans.collect::<Vec<_>>(), ["[5, 7)", "[9, 12)", "[13, 20)"]);
        assert_eq!(progress.offsets_read.load(Ordering::Relaxed), 15);
    }
}
