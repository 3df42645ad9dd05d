//! Where each batch of a log lies, by offset, position and timestamp. No I/O.

use super::super::batch::BatchHeader;

/// One batch of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// First offset of the batch.
    pub(super) base_offset: i64,
    /// Last offset of the batch.
    pub(super) last_offset: i64,
    /// Where the batch begins in the file, in bytes.
    pub(super) position: u64,
    /// Length of the whole batch.
    pub(super) batch_bytes: usize,
    /// Largest message timestamp of the batch, in ms since the epoch.
    max_timestamp: i64,
    /// The same over this batch and all before it: sorted, so a timestamp is found by halving.
    max_timestamp_so_far: i64,
}

/// Whole batches that lie next to each other in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Where the first batch begins in the file.
    pub(super) position: u64,
    /// Length of all batches, never 0.
    pub(super) bytes: usize,
}

/// All batches from the log start offset on: 48 bytes of memory each.
#[derive(Debug, Default)]
pub(super) struct LogIndex {
    entries: Vec<Entry>,
    log_start_offset: i64,
    high_watermark: i64,
    end_position: u64,
}

impl LogIndex {
    /// First offset that is still kept.
    pub(super) fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    /// Offset that the next message gets: with one replica, nothing else holds the high watermark back.
    pub(super) fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Where the next batch goes in the file.
    pub(super) fn end_position(&self) -> u64 {
        self.end_position
    }

    /// Adds the batch that was written at [`end_position`](Self::end_position).
    pub(super) fn push(&mut self, header: &BatchHeader) {
        let before = self
            .entries
            .last()
            .map_or(i64::MIN, |entry| entry.max_timestamp_so_far);
        self.entries.push(Entry {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            position: self.end_position,
            batch_bytes: header.batch_bytes,
            max_timestamp: header.max_timestamp,
            max_timestamp_so_far: before.max(header.max_timestamp),
        });
        self.end_position += header.batch_bytes as u64;
        self.high_watermark = header.last_offset() + 1;
    }

    /// The whole batches from that which holds `offset` on, in at most `bytes_max` bytes, or one batch of any size if
    /// `at_least_one`. `None` when there is none: at the high watermark, or where the first is too large.
    pub(super) fn span(&self, offset: i64, bytes_max: usize, at_least_one: bool) -> Option<Span> {
        let first = self
            .entries
            .partition_point(|entry| entry.last_offset < offset);
        let rest = self.entries.get(first..)?;
        let position = rest.first()?.position;
        let end_max = position.saturating_add(bytes_max as u64);
        let fitting =
            rest.partition_point(|entry| entry.position + entry.batch_bytes as u64 <= end_max);
        let taken = if at_least_one {
            fitting.max(1)
        } else {
            fitting
        };
        let last = rest.get(taken.checked_sub(1)?)?;
        let bytes = last.position + last.batch_bytes as u64 - position;
        Some(Span {
            position,
            bytes: usize::try_from(bytes).ok()?,
        })
    }

    /// The first batch with a message whose timestamp is at or after `timestamp`.
    pub(super) fn first_reaching(&self, timestamp: i64) -> Option<Entry> {
        let at = self
            .entries
            .partition_point(|entry| entry.max_timestamp_so_far < timestamp);
        self.entries.get(at).copied()
    }

    /// Largest message timestamp of all, in ms since the epoch.
    pub(super) fn max_timestamp(&self) -> Option<i64> {
        self.entries.last().map(|entry| entry.max_timestamp_so_far)
    }

    /// The batch that holds messages on both sides of `offset`, if any.
    pub(super) fn straddling(&self, offset: i64) -> Option<Entry> {
        let at = self
            .entries
            .partition_point(|entry| entry.last_offset < offset);
        self.entries
            .get(at)
            .filter(|entry| entry.base_offset < offset)
            .copied()
    }

    /// Forgets the messages before `offset`, which lies between log start offset and high watermark. `max_timestamp` is
    /// that of the messages which the [straddling](Self::straddling) batch keeps.
    pub(super) fn cut_before(&mut self, offset: i64, max_timestamp: Option<i64>) {
        let gone = self
            .entries
            .partition_point(|entry| entry.last_offset < offset);
        self.entries.drain(..gone);
        if let (Some(first), Some(max_timestamp)) = (self.entries.first_mut(), max_timestamp) {
            first.max_timestamp = max_timestamp;
        }
        let mut so_far = i64::MIN;
        for entry in &mut self.entries {
            so_far = so_far.max(entry.max_timestamp);
            entry.max_timestamp_so_far = so_far;
        }
        self.log_start_offset = offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of batches given as (messages, bytes, largest timestamp).
    fn index(batches: &[(i32, usize, i64)]) -> LogIndex {
        let mut index = LogIndex::default();
        for &(record_count, batch_bytes, max_timestamp) in batches {
            let header = BatchHeader {
                base_offset: index.high_watermark(),
                batch_bytes,
                checksum: 0,
                attributes: 0,
                last_offset_delta: record_count - 1,
                base_timestamp: 0,
                max_timestamp,
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
                record_count,
            };
            index.push(&header);
        }
        index
    }

    #[test]
    fn an_empty_log_has_nothing() {
        let index = LogIndex::default();
        assert_eq!((index.log_start_offset(), index.high_watermark()), (0, 0));
        assert_eq!(index.span(0, 1 << 20, true), None);
        assert_eq!(index.first_reaching(i64::MIN), None);
        assert_eq!(index.max_timestamp(), None);
    }

    #[test]
    fn spans_hold_whole_batches() {
        let index = index(&[(10, 100, 1), (1, 50, 1), (5, 200, 1)]);
        let span = |offset, bytes_max, at_least_one| {
            index
                .span(offset, bytes_max, at_least_one)
                .map(|span| (span.position, span.bytes))
        };
        assert_eq!(span(0, 1000, false), Some((0, 350)));
        assert_eq!(span(9, 349, false), Some((0, 150)));
        assert_eq!(span(10, 150, false), Some((100, 50)));
        assert_eq!(span(15, 200, false), Some((150, 200)));
        assert_eq!(span(15, 199, false), None);
        assert_eq!(span(15, 0, true), Some((150, 200)));
        assert_eq!(span(16, 1000, true), None);
    }

    #[test]
    fn the_first_batch_that_reaches_a_timestamp_is_found_out_of_order_too() {
        let index = index(&[
            (1, 10, 100),
            (1, 10, 300),
            (1, 10, 200),
            (1, 10, 300),
            (1, 10, 400),
        ]);
        let first = |timestamp| {
            index
                .first_reaching(timestamp)
                .map(|entry| entry.base_offset)
        };
        assert_eq!(first(i64::MIN), Some(0));
        assert_eq!(first(100), Some(0));
        assert_eq!(first(101), Some(1));
        assert_eq!(first(200), Some(1));
        assert_eq!(first(300), Some(1));
        assert_eq!(first(301), Some(4));
        assert_eq!(first(401), None);
        assert_eq!(index.max_timestamp(), Some(400));
    }

    #[test]
    fn messages_before_the_log_start_no_longer_count() {
        let mut index = index(&[(10, 10, 900), (10, 10, 500), (10, 10, 600)]);
        assert_eq!(index.straddling(10), None);
        assert_eq!(
            index.straddling(15).map(|entry| entry.base_offset),
            Some(10)
        );
        index.cut_before(15, Some(450));
        assert_eq!(index.log_start_offset(), 15);
        assert_eq!(index.max_timestamp(), Some(600));
        assert_eq!(
            index.first_reaching(460).map(|entry| entry.base_offset),
            Some(20)
        );
        assert_eq!(
            index.first_reaching(450).map(|entry| entry.base_offset),
            Some(10)
        );
        index.cut_before(30, None);
        assert_eq!((index.log_start_offset(), index.high_watermark()), (30, 30));
        assert_eq!(index.first_reaching(0), None);
        assert_eq!(index.end_position(), 30, "the file keeps what it has");
    }
}
