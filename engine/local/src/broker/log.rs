//! The log of one topic partition: an append-only file of record batches and an index of it in memory.
//!
//! Batches are stored as they came, but for their offset, their leader epoch and, where the topic asks for log append
//! time, their timestamp. The index is built from the file at the start; what a crash left half-written at its end is cut off.
//!
//! The file is opened for each operation: a broker has more topic partitions than a process has file descriptors.

mod index;
mod producers;
mod scan;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::records::TimestampType;

use self::index::{Entry, LogIndex};
use self::producers::{Producers, Verdict};
use super::LEADER_EPOCH;
use super::batch::{self, BatchHeader};
use super::incoming::IncomingBatch;
use super::records;
use super::refusal::Refusal;
use super::store;

/// One topic partition's messages. All methods may be called from many threads.
#[derive(Debug)]
pub(super) struct PartitionLog {
    path: PathBuf,
    start_path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    index: LogIndex,
    producers: Producers,
}

/// The offsets between which messages can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// First offset that is still kept.
    pub(super) log_start_offset: i64,
    /// One past the last offset.
    pub(super) high_watermark: i64,
}

/// Where an appended batch lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Appended {
    /// Offset of its first message.
    pub(super) base_offset: i64,
    /// The timestamp that the broker gave it, in ms since the epoch; `None` where the topic keeps create times.
    pub(super) log_append_time: Option<i64>,
    /// First offset of the log.
    pub(super) log_start_offset: i64,
}

/// A message found by its timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// The message's offset.
    pub(super) offset: i64,
    /// The message's timestamp in ms since the epoch.
    pub(super) timestamp: i64,
}

impl PartitionLog {
    /// Opens the log at `path`, or begins it. `path` with the extension `start` keeps the log start offset.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let start_path = path.with_extension("start");
        let (index, producers) = scan::recover(&path)?;
        let log = Self {
            path,
            start_path,
            state: Mutex::new(State { index, producers }),
        };
        let log_start_offset: i64 = store::read_json(&log.start_path)?.unwrap_or(0);
        let mut state = log.state();
        if log_start_offset > 0 {
            let within = log_start_offset.min(state.index.high_watermark());
            log.forget_before(&mut state, within)?;
        }
        drop(state);
        Ok(log)
    }

    /// The offsets between which messages can be read now.
    pub(super) fn bounds(&self) -> Bounds {
        bounds(&self.state().index)
    }

    /// Appends a batch. Where the topic asks for log append time, all its messages get the time that `now_ms` tells.
    pub(super) fn append(
        &self,
        incoming: &IncomingBatch,
        timestamps: TimestampType,
        now_ms: impl FnOnce() -> i64,
    ) -> Result<Appended, Refusal> {
        let mut state = self.state();
        let log_start_offset = state.index.log_start_offset();
        match state.producers.judge(incoming.header()) {
            Verdict::Next => {}
            Verdict::Duplicate(known) => {
                return Ok(Appended {
                    base_offset: known.base_offset,
                    log_append_time: known.log_append_time.then_some(known.max_timestamp),
                    log_start_offset,
                });
            }
            verdict => return Err(sequence_refusal(incoming.header(), verdict)),
        }

        let (mut header, records) = incoming.parts();
        let base_offset = state.index.high_watermark();
        batch::set_position(&mut header, base_offset, LEADER_EPOCH);
        let log_append_time = (timestamps == TimestampType::LogAppend).then(now_ms);
        let max_timestamp = log_append_time.unwrap_or(incoming.max_timestamp());
        if log_append_time.is_some() || max_timestamp != incoming.header().max_timestamp {
            batch::set_timestamp(
                &mut header,
                records,
                max_timestamp,
                log_append_time.is_some(),
            );
        }
        let written = BatchHeader::read(&header).map_err(|fault| Refusal::storage(&fault))?;
        self.write(state.index.end_position(), &header, records)
            .map_err(|error| Refusal::storage(&error))?;
        state.index.push(&written);
        state.producers.remember(&written);
        Ok(Appended {
            base_offset,
            log_append_time,
            log_start_offset,
        })
    }

    /// How many bytes a read at `offset` would give, at most `bytes_max` unless one batch alone is larger. `None` when
    /// the offset is out of range.
    pub(super) fn available(&self, offset: i64, bytes_max: usize) -> Option<usize> {
        let state = self.state();
        in_range(&state.index, offset).then(|| {
            state
                .index
                .span(offset, bytes_max, true)
                .map_or(0, |span| span.bytes)
        })
    }

    /// Reads whole batches from that which holds `offset` on: at most `bytes_max` bytes, but one batch of any size if
    /// `at_least_one`. Empty at the high watermark.
    pub(super) fn read(
        &self,
        offset: i64,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<Bytes, Refusal> {
        let span = {
            let state = self.state();
            if !in_range(&state.index, offset) {
                let bounds = bounds(&state.index);
                return Err(Refusal::new(
                    ResponseError::OffsetOutOfRange,
                    format!(
                        "offset {offset} is not between {} and {}",
                        bounds.log_start_offset, bounds.high_watermark
                    ),
                ));
            }
            state.index.span(offset, bytes_max, at_least_one)
        };
        // The lock isn't needed for what lies below the end that the index knows: it never changes.
        match span {
            Some(span) => self
                .read_at(span.position, span.bytes)
                .map(Bytes::from)
                .map_err(|error| Refusal::storage(&error)),
            None => Ok(Bytes::new()),
        }
    }

    /// The first message in offset order whose timestamp is at or after `timestamp`.
    pub(super) fn first_reaching(&self, timestamp: i64) -> io::Result<Option<Found>> {
        let (entry, log_start_offset) = {
            let state = self.state();
            match state.index.first_reaching(timestamp) {
                Some(entry) => (entry, state.index.log_start_offset()),
                None => return Ok(None),
            }
        };
        let mut found = None;
        self.visit(&entry, |message| {
            let reached = message.timestamp >= timestamp && message.offset >= log_start_offset;
            if reached {
                found = Some(message);
            }
            reached
        })?;
        Ok(found)
    }

    /// The first message in offset order that has the largest timestamp of all.
    pub(super) fn latest(&self) -> io::Result<Option<Found>> {
        let max_timestamp = self.state().index.max_timestamp();
        max_timestamp.map_or(Ok(None), |timestamp| self.first_reaching(timestamp))
    }

    /// Moves the log start offset up to `offset`, or to the high watermark for -1. Returns the log start offset then. The
    /// file keeps its bytes.
    pub(super) fn delete_before(&self, offset: i64) -> Result<i64, Refusal> {
        let mut state = self.state();
        let Bounds {
            log_start_offset,
            high_watermark,
        } = bounds(&state.index);
        let target = if offset == -1 { high_watermark } else { offset };
        if !(0..=high_watermark).contains(&target) {
            return Err(Refusal::new(
                ResponseError::OffsetOutOfRange,
                format!("offset {target} is not between 0 and {high_watermark}"),
            ));
        }
        if target <= log_start_offset {
            return Ok(log_start_offset);
        }
        store::write_json(&self.start_path, &target).map_err(|error| Refusal::storage(&error))?;
        self.forget_before(&mut state, target)
            .map_err(|error| Refusal::storage(&error))?;
        Ok(target)
    }

    fn forget_before(&self, state: &mut State, offset: i64) -> io::Result<()> {
        let mut kept_max = None;
        if let Some(entry) = state.index.straddling(offset) {
            self.visit(&entry, |message| {
                if message.offset >= offset {
                    kept_max = kept_max.max(Some(message.timestamp));
                }
                false
            })?;
        }
        state.index.cut_before(offset, kept_max);
        Ok(())
    }

    /// Reads the messages of one batch in order until `stop` returns true.
    fn visit(&self, entry: &Entry, mut stop: impl FnMut(Found) -> bool) -> io::Result<()> {
        let batch = self.read_at(entry.position, entry.batch_bytes)?;
        let header = BatchHeader::read(&batch).map_err(|fault| damaged(&self.path, &fault))?;
        records::visit(&batch, &header, |message| {
            stop(Found {
                offset: header.base_offset + i64::from(message.offset_delta),
                timestamp: message.timestamp,
            })
        })?;
        Ok(())
    }

    fn read_at(&self, position: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut read = vec![0; bytes];
        File::open(&self.path)?.read_exact_at(&mut read, position)?;
        Ok(read)
    }

    /// Writes a batch behind the last. What a failed write leaves is cut off, or overwritten by the next one.
    fn write(&self, position: u64, header: &[u8], records: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let records_position = position + header.len() as u64;
        file.write_all_at(header, position)
            .and_then(|()| file.write_all_at(records, records_position))
            .inspect_err(|_| drop(file.set_len(position)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounds(index: &LogIndex) -> Bounds {
    Bounds {
        log_start_offset: index.log_start_offset(),
        high_watermark: index.high_watermark(),
    }
}

fn in_range(index: &LogIndex, offset: i64) -> bool {
    (index.log_start_offset()..=index.high_watermark()).contains(&offset)
}

fn sequence_refusal(header: &BatchHeader, verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::OldEpoch { epoch } => Refusal::new(
            ResponseError::InvalidProducerEpoch,
            format!(
                "producer {} is at epoch {epoch}, the record batch has {}",
                header.producer_id, header.producer_epoch
            ),
        ),
        Verdict::OutOfOrder { last_sequence } => Refusal::new(
            ResponseError::OutOfOrderSequenceNumber,
            format!(
                "producer {} was at sequence number {last_sequence}, the record batch begins at {}",
                header.producer_id, header.base_sequence
            ),
        ),
        Verdict::Next | Verdict::Duplicate(_) => Refusal::new(
            ResponseError::DuplicateSequenceNumber,
            "the record batch is already in the log",
        ),
    }
}

fn damaged(path: &Path, fault: &impl std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{}: {fault}", path.display()),
    )
}
