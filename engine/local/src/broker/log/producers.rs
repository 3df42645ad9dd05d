//! Sequence numbers of idempotent producers in one topic partition. No I/O.
//!
//! The rules are those of Kafka's `ProducerAppendInfo` and `ProducerStateEntry`.

use std::collections::{HashMap, VecDeque};

use super::super::batch::BatchHeader;
use super::super::limits::{PRODUCER_BATCHES_KEPT, PRODUCERS_MAX};

/// What the sequence number of an incoming batch means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next batch of its producer, or one of a producer without sequence numbers.
    Next,
    /// Already in the log; the producer missed the answer.
    Duplicate(KnownBatch),
    /// A batch before this one is missing. The number is the last that was seen.
    OutOfOrder { last_sequence: i32 },
    /// A newer instance of the producer took over. The number is its epoch.
    OldEpoch { epoch: i16 },
}

/// One of a producer's latest batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KnownBatch {
    base_sequence: i32,
    last_sequence: i32,
    /// Offset of its first message.
    pub(super) base_offset: i64,
    /// Its largest timestamp, in ms since the epoch.
    pub(super) max_timestamp: i64,
    /// Whether the broker set that timestamp.
    pub(super) log_append_time: bool,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    /// Oldest first, never empty.
    batches: VecDeque<KnownBatch>,
}

impl Producer {
    fn last(&self) -> Option<&KnownBatch> {
        self.batches.back()
    }
}

/// The latest batches of each idempotent producer.
#[derive(Debug, Default)]
pub(super) struct Producers {
    by_id: HashMap<i64, Producer>,
}

impl Producers {
    /// Says what an incoming batch is, by its producer id, epoch and sequence numbers.
    pub(super) fn judge(&self, header: &BatchHeader) -> Verdict {
        // A producer that isn't known begins where it likes: its earlier batches may have been forgotten.
        let Some(producer) = self.by_id.get(&header.producer_id) else {
            return Verdict::Next;
        };
        let last_sequence = producer.last().map_or(-1, |batch| batch.last_sequence);
        if header.producer_epoch < producer.epoch {
            return Verdict::OldEpoch {
                epoch: producer.epoch,
            };
        }
        if header.producer_epoch > producer.epoch {
            return if header.base_sequence == 0 {
                Verdict::Next
            } else {
                Verdict::OutOfOrder { last_sequence }
            };
        }
        let same = |batch: &&KnownBatch| {
            batch.base_sequence == header.base_sequence
                && batch.last_sequence == header.last_sequence()
        };
        if let Some(known) = producer.batches.iter().find(same) {
            return Verdict::Duplicate(*known);
        }
        let next = last_sequence.checked_add(1).unwrap_or(0);
        if header.base_sequence == next {
            Verdict::Next
        } else {
            Verdict::OutOfOrder { last_sequence }
        }
    }

    /// Remembers a batch that is in the log now, with the header that it has there.
    pub(super) fn remember(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 {
            return;
        }
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains_key(&header.producer_id) {
            self.forget_longest_silent();
        }
        let producer = self.by_id.entry(header.producer_id).or_insert(Producer {
            epoch: header.producer_epoch,
            batches: VecDeque::with_capacity(PRODUCER_BATCHES_KEPT),
        });
        if producer.epoch != header.producer_epoch {
            producer.epoch = header.producer_epoch;
            producer.batches.clear();
        }
        if producer.batches.len() == PRODUCER_BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.batches.push_back(KnownBatch {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset: header.base_offset,
            max_timestamp: header.max_timestamp,
            log_append_time: header.is_log_append_time(),
        });
    }

    fn forget_longest_silent(&mut self) {
        let silent = self
            .by_id
            .iter()
            .min_by_key(|(_, producer)| producer.last().map(|batch| batch.base_offset))
            .map(|(&id, _)| id);
        if let Some(id) = silent {
            self.by_id.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::Compression;

    use super::*;
    use crate::broker::fixtures::batch_from;

    fn header(id: i64, epoch: i16, base_sequence: i32, records: usize) -> BatchHeader {
        let batch = batch_from(
            &vec![1; records],
            Compression::None,
            (id, epoch, base_sequence),
        );
        BatchHeader::read(&batch).unwrap()
    }

    #[test]
    fn a_batch_sent_again_is_known_and_a_gap_is_refused() {
        let mut producers = Producers::default();
        assert_eq!(producers.judge(&header(7, 0, 0, 10)), Verdict::Next);
        producers.remember(&header(7, 0, 0, 10));
        let mut second = header(7, 0, 10, 5);
        second.base_offset = 10;
        assert_eq!(producers.judge(&second), Verdict::Next);
        producers.remember(&second);

        assert!(matches!(
            producers.judge(&header(7, 0, 0, 10)),
            Verdict::Duplicate(KnownBatch { base_offset: 0, .. })
        ));
        assert!(matches!(
            producers.judge(&header(7, 0, 10, 5)),
            Verdict::Duplicate(KnownBatch {
                base_offset: 10,
                ..
            })
        ));
        assert_eq!(
            producers.judge(&header(7, 0, 16, 1)),
            Verdict::OutOfOrder { last_sequence: 14 }
        );
        // The same first number with another length is not the same batch.
        assert_eq!(
            producers.judge(&header(7, 0, 10, 4)),
            Verdict::OutOfOrder { last_sequence: 14 }
        );
        assert_eq!(producers.judge(&header(8, 0, 3, 1)), Verdict::Next);
    }

    #[test]
    fn epochs_only_rise_and_begin_at_sequence_zero() {
        let mut producers = Producers::default();
        producers.remember(&header(7, 3, 0, 10));
        assert_eq!(
            producers.judge(&header(7, 2, 10, 1)),
            Verdict::OldEpoch { epoch: 3 }
        );
        assert_eq!(
            producers.judge(&header(7, 4, 10, 1)),
            Verdict::OutOfOrder { last_sequence: 9 }
        );
        assert_eq!(producers.judge(&header(7, 4, 0, 1)), Verdict::Next);
        producers.remember(&header(7, 4, 0, 1));
        assert_eq!(producers.judge(&header(7, 4, 1, 1)), Verdict::Next);
    }

    #[test]
    fn sequence_numbers_go_on_at_zero_behind_the_largest() {
        let mut producers = Producers::default();
        producers.remember(&header(7, 0, i32::MAX - 1, 2));
        assert_eq!(producers.judge(&header(7, 0, 0, 3)), Verdict::Next);
    }

    #[test]
    fn only_the_latest_batches_are_kept() {
        let mut producers = Producers::default();
        for sequence in 0..6 {
            producers.remember(&header(7, 0, sequence, 1));
        }
        assert!(matches!(
            producers.judge(&header(7, 0, 1, 1)),
            Verdict::Duplicate(_)
        ));
        assert_eq!(
            producers.judge(&header(7, 0, 0, 1)),
            Verdict::OutOfOrder { last_sequence: 5 }
        );
    }
}
