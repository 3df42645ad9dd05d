//! The decode step: a lane's worker turns the messages of a slice into staged rows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine_decode::{Decoder, Projection, RejectReason, Rejection};
use engine_model::job::{RejectLimit, Tombstones};
use engine_model::{
    Counts, Message, MessageBlock, OffsetRange, RangeReport, SLICE_FORMAT, SliceRange, SliceReport,
    SliceSpec, SliceWindowReport, TopicPartition, Verdict, Window,
};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};

use crate::ports::{Clock, Staging};
use crate::progress::{Progress, count};
use crate::read::{ReadEvent, ReadHandle};
use crate::stage::{RejectWriter, RejectedMessage, RowWriter};
use crate::{Error, ErrorKind};

/// What holds for every slice of a run.
pub(crate) struct SliceRules<'a> {
    pub(crate) run: i64,
    /// In time order, not overlapping.
    pub(crate) windows: Vec<Window>,
    pub(crate) tombstones: Tombstones,
    pub(crate) projection: Arc<Projection>,
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) rejects: RejectGuard,
    /// Bytes of decoded rows that become one record batch.
    pub(crate) batch_bytes: usize,
    /// Bytes that the open row groups of one lane may hold.
    pub(crate) row_group_bytes: usize,
    /// Threads that share the decoding of one block, where cores outnumber lanes.
    pub(crate) threads_per_block: usize,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) progress: &'a Progress,
}

/// Counts the rejected messages of all lanes and stops the run at the first one above a fixed limit.
#[derive(Debug)]
pub(crate) struct RejectGuard {
    limit: RejectLimit,
    seen: Vec<AtomicU64>,
}

impl RejectGuard {
    /// A guard that has already seen so many in each window, from slices of an earlier attempt.
    pub(crate) fn new(limit: RejectLimit, seen: impl IntoIterator<Item = u64>) -> Self {
        Self {
            limit,
            seen: seen.into_iter().map(AtomicU64::new).collect(),
        }
    }

    fn record(&self, window: usize, rejected: &str) -> Result<(), Error> {
        let seen = self.seen[window].fetch_add(1, Ordering::Relaxed) + 1;
        match self.limit {
            RejectLimit::Count(max) if seen > max => Err(Error::new(
                ErrorKind::Rejects,
                format!(
                    "{rejected}; that makes {seen} rejected {}, and the job allows {max}: correct the mapping or raise \
                     `rejects`",
                    if seen == 1 { "message" } else { "messages" },
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// A worker thread's side of a lane.
pub(crate) struct Lane<'a> {
    rules: &'a SliceRules<'a>,
    read: ReadHandle<'a>,
    /// For each thread that shares a block, a decoder for each window.
    decoders: Vec<Vec<Decoder>>,
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
        }
    }

    /// Reads, decodes and stages one slice. This is the only road from a topic partition to a staged file.
    pub(crate) fn execute_slice(&mut self, spec: &SliceSpec) -> Result<SliceReport, Error> {
        self.read.begin(spec)?;
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
            ranges.push(tally.finish(self.rules.progress));
        }
        self.flush(&mut files, 0)?;
        let windows = files.finish()?;
        Ok(SliceReport {
            format: SLICE_FORMAT,
            number: spec.number,
            ranges,
            windows,
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
        let parts = self.decode_parts(block, tally.topic_partition);
        let busy = self.rules.clock.elapsed().saturating_sub(started);
        self.rules
            .progress
            .decode
            .add(busy, block.len() as u64, block.size() as u64);
        for part in parts {
            let part = part?;
            tally.counts.add(&part.counts);
            for (index, window, rejection) in part.rejected {
                if let Some(message) = block.get(index) {
                    files.reject(tally.topic_partition, message, window, &rejection)?;
                }
            }
        }
        // Parts of one block are kept in order by ending their batches with the block.
        let hold = if self.decoders.len() > 1 {
            0
        } else {
            self.rules.batch_bytes
        };
        self.flush(files, hold)
    }

    fn decode_parts(
        &mut self,
        block: &MessageBlock,
        topic_partition: &TopicPartition,
    ) -> Vec<Result<PartResult, Error>> {
        let rules = self.rules;
        let parts = self.decoders.len();
        let decode = |part: usize, decoders: &mut Vec<Decoder>| {
            let at = |part: usize| block.len() * part / parts;
            decode_part(
                rules,
                decoders,
                block,
                at(part)..at(part + 1),
                topic_partition,
            )
        };
        if let [decoders] = &mut self.decoders[..] {
            return vec![decode(0, decoders)];
        }
        self.decoders
            .par_iter_mut()
            .enumerate()
            .map(|(part, decoders)| decode(part, decoders))
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
    part: Range<usize>,
    topic_partition: &TopicPartition,
) -> Result<PartResult, Error> {
    let mut counts = Counts::new(0, rules.windows.len());
    let mut rejected = Vec::new();
    for index in part {
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
        match decoders[window].decode(&message, topic_partition.partition) {
            Ok(()) => {
                tally.rows += 1;
                tally.tombstones_kept += u64::from(tombstone);
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

/// The open files of one slice, a pair for each window.
struct SliceFiles<'a> {
    rules: &'a SliceRules<'a>,
    slice: u32,
    rows: Vec<Option<RowWriter>>,
    rejects: Vec<Option<RejectWriter>>,
    rejected: Vec<BTreeMap<String, u64>>,
    first_reject: Vec<Option<String>>,
}

impl<'a> SliceFiles<'a> {
    fn new(rules: &'a SliceRules<'a>, slice: u32) -> Self {
        let windows = rules.windows.len();
        Self {
            rules,
            slice,
            rows: (0..windows).map(|_| None).collect(),
            rejects: (0..windows).map(|_| None).collect(),
            rejected: vec![BTreeMap::new(); windows],
            first_reject: vec![None; windows],
        }
    }

    fn write(&mut self, window: usize, decoder: &mut Decoder) -> Result<(), Error> {
        let started = self.rules.clock.elapsed();
        let batch = decoder.flush();
        let writer = match &mut self.rows[window] {
            Some(writer) => writer,
            empty => {
                let name = staged_name(self.rules.run, self.slice, window, "rows");
                let staging = Arc::clone(&self.rules.staging);
                empty.insert(RowWriter::create(staging, name, batch.schema())?)
            }
        };
        writer.write(&batch)?;
        self.bound_row_groups()?;
        let busy = self.rules.clock.elapsed().saturating_sub(started);
        self.rules
            .progress
            .stage
            .add(busy, batch.num_rows() as u64, 0);
        Ok(())
    }

    /// Ends the largest row groups in progress until the rest fits into the lane's share.
    fn bound_row_groups(&mut self) -> Result<(), Error> {
        loop {
            let open = self.rows.iter_mut().flatten();
            let held: usize = open.map(|writer| writer.in_progress_bytes()).sum();
            if held <= self.rules.row_group_bytes {
                return Ok(());
            }
            let open = self.rows.iter_mut().flatten();
            if let Some(largest) = open.max_by_key(|writer| writer.in_progress_bytes()) {
                largest.flush()?;
                if largest.in_progress_bytes() >= held {
                    return Ok(());
                }
            }
        }
    }

    fn reject(
        &mut self,
        topic_partition: &TopicPartition,
        message: Message<'_>,
        window: usize,
        rejection: &Rejection,
    ) -> Result<(), Error> {
        let detail = rejection.to_string();
        let described = format!("offset {} of {topic_partition}: {detail}", message.offset);
        let reason = rejection.reason().name();
        self.rules.rejects.record(window, &described)?;
        *self.rejected[window].entry(reason.to_owned()).or_default() += 1;
        self.first_reject[window].get_or_insert(described);
        let name = || staged_name(self.rules.run, self.slice, window, "rejects");
        let writer = self.rejects[window]
            .get_or_insert_with(|| RejectWriter::new(Arc::clone(&self.rules.staging), name()));
        writer.write(&RejectedMessage {
            topic_partition,
            message,
            reason,
            detail: &detail,
        })
    }

    fn finish(self) -> Result<Vec<SliceWindowReport>, Error> {
        let started = self.rules.clock.elapsed();
        let mut reports = Vec::with_capacity(self.rows.len());
        let files = self.rows.into_iter().zip(self.rejects);
        let told = self.rejected.into_iter().zip(self.first_reject);
        let mut bytes = 0;
        for ((rows, rejects), (rejected, first_reject)) in files.zip(told) {
            let rows = rows.map(RowWriter::finish).transpose()?;
            let rejects = rejects.map(RejectWriter::finish).transpose()?.flatten();
            bytes += rows.as_ref().map_or(0, |file| file.bytes);
            reports.push(SliceWindowReport {
                rows,
                rejects,
                rejected,
                first_reject,
            });
        }
        let busy: Duration = self.rules.clock.elapsed().saturating_sub(started);
        self.rules.progress.stage.add(busy, 0, bytes);
        Ok(reports)
    }
}

/// The name of a staged file: its run, slice and window, and what it holds.
pub(crate) fn staged_name(run: i64, slice: u32, window: usize, content: &str) -> String {
    format!(
        "{}slice-{slice:05}-window-{window}-{content}.parquet",
        run_prefix(run)
    )
}

/// The run that a staged file belongs to; nothing for a name that is not ours.
pub(crate) fn run_of_staged_file(name: &str) -> Option<i64> {
    let (run, rest) = name.strip_prefix("run-")?.split_once('-')?;
    if rest.starts_with("slice-") {
        run.parse().ok()
    } else {
        None
    }
}

/// What the names of all staged files of a run begin with.
pub(crate) fn run_prefix(run: i64) -> String {
    format!("run-{run}-")
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_first_message_above_the_limit_stops_the_run_and_is_named() {
        let guard = RejectGuard::new(RejectLimit::Count(2), [1]);
        guard.record(0, "offset 5 of orders[0]: not JSON").unwrap();
        let error = guard
            .record(0, "offset 9 of orders[0]: not JSON")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejects);
        assert!(
            error
                .to_string()
                .starts_with("offset 9 of orders[0]: not JSON; that makes 3"),
            "{error}"
        );
    }
}
