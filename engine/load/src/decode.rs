//! The decode step: a lane's worker turns the messages of a slice into staged rows.

use std::ops::Range;
use std::sync::Arc;

use engine_decode::{Decoder, RejectReason, Rejection};
use engine_model::job::Tombstones;
use engine_model::{
    Counts, MessageBlock, OffsetRange, RangeReport, SLICE_FORMAT, SliceRange, SliceReport,
    SliceSpec, TopicPartition, Verdict, Window,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use crate::progress::{Progress, count};
use crate::read::{ReadEvent, ReadHandle};
use crate::rules::SliceRules;
use crate::sample::FieldSampler;
use crate::stage::SliceFiles;
use crate::{Error, ErrorKind};

/// A block is decoded in one go up to rows of so many batches; few need more than one or two.
const BATCHES_PER_BLOCK: usize = 8;

/// A worker thread's side of a lane.
pub(crate) struct Lane<'a> {
    rules: &'a SliceRules<'a>,
    read: ReadHandle<'a>,
    /// For each thread that shares a block, a decoder for each window.
    decoders: Vec<Vec<Decoder>>,
    sampler: FieldSampler,
}

impl<'a> Lane<'a> {
    pub(crate) fn new(rules: &'a SliceRules<'a>, read: ReadHandle<'a>) -> Self {
        let decoders = (0..rules.threads_per_block.max(1))
            .map(|_| {
                rules
                    .windows
                    .iter()
                    .map(|_| Decoder::new(Arc::clone(&rules.projection)))
                    .collect()
            })
            .collect();
        Self {
            rules,
            read,
            decoders,
            sampler: FieldSampler::new(rules.mapped_fields.clone(), rules.projection.format()),
        }
    }

    /// Reads, decodes and stages one slice. This is the only road from a topic partition to a staged file.
    pub(crate) fn execute_slice(&mut self, spec: &SliceSpec) -> Result<SliceReport, Error> {
        self.read.begin(spec)?;
        self.sampler.begin(spec);
        let mut files = SliceFiles::new(self.rules, spec.number);
        let mut ranges = Vec::with_capacity(spec.ranges.len());
        for SliceRange {
            topic_partition,
            range,
        } in &spec.ranges
        {
            let mut tally = RangeTally::new(topic_partition, *range, self.rules.windows.len());
            loop {
                match self.read.next()? {
                    ReadEvent::Block(block) => {
                        let done = self.decode_block(&block, &mut tally, &mut files);
                        self.read.recycle(block);
                        done?;
                    }
                    ReadEvent::RangeDone => break,
                    ReadEvent::Failed(error) => return Err(error),
                }
            }
            self.sampler.end_range(range.len());
            ranges.push(tally.finish(self.rules.progress));
        }
        self.flush(&mut files, 0)?;
        let windows = files.finish()?;
        Ok(SliceReport {
            format: SLICE_FORMAT,
            number: spec.number,
            ranges,
            windows,
            unmapped_fields: self.sampler.take(),
        })
    }

    fn decode_block(
        &mut self,
        block: &MessageBlock,
        tally: &mut RangeTally<'_>,
        files: &mut SliceFiles<'_>,
    ) -> Result<(), Error> {
        let started = self.rules.clock.elapsed();
        tally.count_holes(block, self.rules.progress)?;
        let windows = &self.rules.windows;
        self.sampler.look(block, tally.range.start, |message| {
            matches!(place(windows, message.timestamp_ms), Place::Window(_))
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
            let decoded = self.decode_parts(block, &mut parts, tally.topic_partition);
            let busy = self.rules.clock.elapsed().saturating_sub(started);
            self.rules.progress.decode.add(busy, 0, 0);
            for part in decoded {
                let part = part?;
                tally.counts.add(&part.counts);
                for (index, window, rejection) in part.rejected {
                    if let Some(message) = block.get(index) {
                        files.reject(tally.topic_partition, message, window, &rejection)?;
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
        topic_partition: &TopicPartition,
    ) -> Vec<Result<PartResult, Error>> {
        let rules = self.rules;
        let decode = |decoders: &mut Vec<Decoder>, part: &mut Range<usize>| {
            decode_part(rules, decoders, block, part, topic_partition)
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

    /// Stages the rows of every decoder that holds more than `hold` bytes.
    fn flush(&mut self, files: &mut SliceFiles<'_>, hold: usize) -> Result<(), Error> {
        for decoders in &mut self.decoders {
            for (window, decoder) in decoders.iter_mut().enumerate() {
                if decoder.rows() > 0 && decoder.size() >= hold {
                    files.write(window, decoder)?;
                }
            }
        }
        Ok(())
    }
}

/// What came of a part of a block.
struct PartResult {
    counts: Counts,
    /// Position in the block, window and reason of each message that could not become a row.
    rejected: Vec<(usize, usize, Rejection)>,
}

fn decode_part(
    rules: &SliceRules<'_>,
    decoders: &mut [Decoder],
    block: &MessageBlock,
    part: &mut Range<usize>,
    topic_partition: &TopicPartition,
) -> Result<PartResult, Error> {
    let mut counts = Counts::new(0, rules.windows.len());
    let mut rejected = Vec::new();
    let size_max = rules.batch_bytes.saturating_mul(BATCHES_PER_BLOCK);
    for index in part.by_ref() {
        let Some(message) = block.get(index) else {
            break;
        };
        if message.timestamp_ms < 0 {
            let message = format!(
                "the message at offset {} of {topic_partition} has no timestamp, so no window can be told for it; a \
                 topic that is loaded by time needs timestamps",
                message.offset,
            );
            return Err(Error::new(ErrorKind::Source, message));
        }
        let window = match place(&rules.windows, message.timestamp_ms) {
            Place::Before => {
                counts.outside_before += 1;
                continue;
            }
            Place::After => {
                counts.outside_after += 1;
                continue;
            }
            Place::Window(window) => window,
        };
        let tombstone = message.payload.is_none();
        let tally = &mut counts.windows[window];
        if tombstone && rules.tombstones == Tombstones::Skip {
            tally.tombstones_skipped += 1;
            continue;
        }
        match decoders[window].decode(&message, topic_partition) {
            Ok(()) => {
                tally.rows += 1;
                tally.tombstones_kept += u64::from(tombstone);
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
                tally.rejected += 1;
                rejected.push((index, window, rejection));
            }
        }
    }
    Ok(PartResult { counts, rejected })
}

/// Where a timestamp lies among the windows of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Before,
    Window(usize),
    After,
}

fn place(windows: &[Window], timestamp_ms: i64) -> Place {
    let later = windows.partition_point(|window| window.start_ms <= timestamp_ms);
    let Some(candidate) = later.checked_sub(1) else {
        return Place::Before;
    };
    match windows[candidate].verdict(timestamp_ms) {
        Verdict::Inside => Place::Window(candidate),
        Verdict::Before | Verdict::After => Place::After,
    }
}

/// The counts of one range while it is read.
struct RangeTally<'a> {
    topic_partition: &'a TopicPartition,
    range: OffsetRange,
    /// The offset that comes next where there are no holes.
    position: i64,
    counts: Counts,
}

impl<'a> RangeTally<'a> {
    fn new(topic_partition: &'a TopicPartition, range: OffsetRange, windows: usize) -> Self {
        let counts = Counts::new(range.len(), windows);
        Self {
            topic_partition,
            range,
            position: range.start,
            counts,
        }
    }

    fn count_holes(&mut self, block: &MessageBlock, progress: &Progress) -> Result<(), Error> {
        let before = self.position;
        for message in block.iter() {
            if message.offset < self.position || message.offset >= self.range.end {
                let message = format!(
                    "{} delivered offset {} where {} or later, below {}, was due; nothing was committed",
                    self.topic_partition, message.offset, self.position, self.range.end,
                );
                return Err(Error::new(ErrorKind::Source, message));
            }
            self.counts.holes += message.offset.abs_diff(self.position);
            self.position = message.offset + 1;
        }
        count(&progress.offsets_read, self.position.abs_diff(before));
        Ok(())
    }

    fn finish(mut self, progress: &Progress) -> RangeReport {
        let tail = self.range.end.abs_diff(self.position);
        self.counts.holes += tail;
        count(&progress.offsets_read, tail);
        RangeReport {
            topic_partition: self.topic_partition.clone(),
            counts: self.counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_timestamp_belongs_to_one_window_or_to_none() {
        let windows = [
            Window::new(10, 20).unwrap(),
            Window::new(20, 30).unwrap(),
            Window::new(50, 60).unwrap(),
        ];
        let expected = [
            (9, Place::Before),
            (10, Place::Window(0)),
            (19, Place::Window(0)),
            (20, Place::Window(1)),
            (30, Place::After),
            (50, Place::Window(2)),
            (60, Place::After),
        ];
        for (timestamp_ms, place_expected) in expected {
            assert_eq!(
                place(&windows, timestamp_ms),
                place_expected,
                "{timestamp_ms}"
            );
        }
    }

    #[test]
    fn holes_are_the_offsets_that_nobody_delivered() {
        let topic_partition = TopicPartition::new("orders", 0);
        let progress = Progress::default();
        let mut tally = RangeTally::new(&topic_partition, OffsetRange { start: 5, end: 20 }, 1);
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
        assert_eq!(tally.finish(&progress).counts.holes, 12);
        assert_eq!(progress.offsets_read.load(Ordering::Relaxed), 15);
    }
}
