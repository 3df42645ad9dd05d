//! Reading what loads have not read, and counting the messages of their windows in it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;

use engine_model::{MessageBlock, OffsetRange, PlannedWindow, TopicPartition, Verdict};

use super::MissedMessages;
use crate::Error;
use crate::bandwidth::{Due, ReadLimit};
use crate::cancel::Cancel;
use crate::ports::MessageSource;
use crate::progress::{Progress, count};
use crate::resolve::without_timestamp;
use crate::threads::{FirstFailure, spawn};

/// Offsets of a topic partition that one thread reads before it turns to others.
const PIECE_OFFSETS: u64 = 500_000;

/// What is to be read.
pub(super) struct Scan<'a> {
    /// In time order; no two overlap.
    pub(super) windows: &'a [PlannedWindow],
    /// By topic partition, and for each by the window's number.
    pub(super) unread: BTreeMap<TopicPartition, BTreeMap<usize, Unread>>,
}

/// What was not read of one topic partition for one window.
pub(super) struct Unread {
    /// Where messages of the window are looked for; in order, and apart from each other.
    pub(super) ranges: Vec<OffsetRange>,
    /// What its run has read; in order, and apart from each other.
    pub(super) read: Vec<OffsetRange>,
    /// What lies here or behind was written after the window's run was planned.
    pub(super) written_end: i64,
}

impl Unread {
    /// Whether the window's run has not read this offset, wherever it is met.
    fn contains(&self, offset: i64) -> bool {
        let later = self.read.partition_point(|range| range.end <= offset);
        let range = self.read.get(later);
        !range.is_some_and(|range| range.contains(offset))
    }
}

/// A part of one topic partition.
struct Piece<'a> {
    partition: &'a TopicPartition,
    unread: &'a BTreeMap<usize, Unread>,
    range: OffsetRange,
}

/// By topic partition and window.
type Found<'a> = BTreeMap<(usize, &'a TopicPartition), MissedMessages>;

impl Scan<'_> {
    /// Offsets to read.
    pub(super) fn offsets(&self) -> u64 {
        let pieces = self.pieces();
        pieces.iter().map(|piece| piece.range.len()).sum()
    }

    /// Reads on so many threads, as fast as `limit` allows, and returns the messages of each window, by the window's number.
    pub(super) fn run(
        &self,
        source: &dyn MessageSource,
        lanes: usize,
        limit: &ReadLimit<'_>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<(usize, MissedMessages)>, Error> {
        let pieces = self.pieces();
        let offsets = pieces.iter().map(|piece| piece.range.len()).sum();
        count(&progress.offsets_planned, offsets);
        let lanes = lanes.clamp(1, pieces.len().max(1));
        // Taken from the end.
        let pieces = Mutex::new(pieces.into_iter().rev().collect::<Vec<_>>());
        let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let found = Mutex::new(Found::new());
        let read_all = || -> Result<(), Error> {
            let Some(mut piece) = next() else {
                return Ok(());
            };
            let mut reader = source.reader()?;
            let mut block = MessageBlock::default();
            let mut due = Due::default();
            loop {
                reader.open(piece.partition, piece.range)?;
                let mut complete = false;
                while !complete {
                    cancel.check()?;
                    limit.wait(due)?;
                    complete = reader.read(&mut block)?;
                    due = limit.count(block.size());
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    self.note(&piece, &block, &mut found)?;
                    block.clear();
                }
                count(&progress.offsets_read, piece.range.len());
                let Some(following) = next() else {
                    return Ok(());
                };
                piece = following;
            }
        };
        let failure = FirstFailure::default();
        thread::scope(|scope| {
            let (read_all, failure) = (&read_all, &failure);
            (0..lanes).try_for_each(|number| {
                spawn(scope, format!("read-{number}"), cancel, move || {
                    failure.watch(cancel, read_all());
                })
            })
        })?;
        failure.into_result(cancel)?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let by_window = found
            .into_iter()
            .map(|((window, _), missed)| (window, missed));
        Ok(by_window.collect())
    }

    /// The offsets that are unread for some window, cut into parts.
    fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        for (partition, unread) in &self.unread {
            let ranges = unread.values().flat_map(|unread| &unread.ranges);
            for range in OffsetRange::merged(ranges.copied().collect()) {
                let parts = range.len().div_ceil(PIECE_OFFSETS);
                pieces.extend((0..parts).map(|part| Piece {
                    partition,
                    unread,
                    range: OffsetRange {
                        start: range.part(part, parts),
                        end: range.part(part + 1, parts),
                    },
                }));
            }
        }
        pieces
    }

    /// Notes the messages of a block that belong to a window for which they are unread.
    fn note<'p>(
        &self,
        piece: &Piece<'p>,
        block: &MessageBlock,
        found: &mut Found<'p>,
    ) -> Result<(), Error> {
        let Piece {
            partition, unread, ..
        } = piece;
        for message in block.iter() {
            if message.timestamp_ms < 0 {
                return Err(without_timestamp(partition, message.offset));
            }
            let later = self
                .windows
                .partition_point(|planned| planned.window.start_ms <= message.timestamp_ms);
            let Some(number) = later.checked_sub(1) else {
                continue;
            };
            let inside =
                self.windows[number].window.verdict(message.timestamp_ms) == Verdict::Inside;
            let unread = unread.get(&number).filter(|_| inside);
            let Some(unread) = unread.filter(|unread| unread.contains(message.offset)) else {
                continue;
            };
            let missed = found
                .entry((number, partition))
                .or_insert_with(|| MissedMessages {
                    topic_partition: (*partition).clone(),
                    written_since: 0,
                    not_reached: 0,
                    first_offset: message.offset,
                    last_offset: message.offset,
                });
            if message.offset >= unread.written_end {
                missed.written_since += 1;
            } else {
                missed.not_reached += 1;
            }
            missed.first_offset = missed.first_offset.min(message.offset);
            missed.last_offset = missed.last_offset.max(message.offset);
        }
        Ok(())
    }
}
