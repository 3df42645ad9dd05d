//! The messages of one topic partition as librdkafka delivers them, in order, without gaps that nobody noticed.

use std::iter;
use std::time::Duration;

use engine_model::{MessageBlock, OffsetRange, TopicPartition};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;

use super::headers::HeaderFields;
use super::{HELD_BYTES_MAX, ReadProgress, Target};
use crate::error::{Error, ErrorKind, Result};

/// Where librdkafka's reading of one topic partition stands.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) topic_partition: TopicPartition,
    /// Time spent waiting since the last sign of life.
    pub(super) waited: Duration,
    /// One past the last message that went into a block.
    handed_on: i64,
    /// The next offset that may be delivered. From `handed_on` up to it there is no message but the held one.
    position: i64,
    /// Whether the log ended at `position`. librdkafka says so only once.
    ended: bool,
}

impl Stream {
    pub(super) fn new(topic_partition: TopicPartition, start: i64) -> Self {
        Self {
            topic_partition,
            waited: Duration::ZERO,
            handed_on: start,
            position: start,
            ended: false,
        }
    }

    /// Whether `range` is read whole, and nothing twice, when reading just goes on.
    pub(super) fn goes_on(&self, range: OffsetRange, held: &MessageBlock) -> bool {
        let follows = (self.handed_on..=self.next_known(held)).contains(&range.start);
        follows && (range.end <= self.position || !self.ended)
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Longest wait in one go.
    pub(super) fn patience(&self, stall_timeout: Duration) -> Duration {
        // The checks of patience happen between waits.
        const WAIT_MAX: Duration = Duration::from_secs(1);
        stall_timeout.saturating_sub(self.waited).min(WAIT_MAX)
    }

    /// Notes that the log was seen to end at `position`, without a further message before it.
    pub(super) fn end_at(&mut self, position: i64) {
        if position >= self.position {
            self.position = position;
            self.ended = true;
            self.waited = Duration::ZERO;
        }
    }

    /// Hands on the held message if it can be, and says whether the call is over.
    pub(super) fn settle(
        &mut self,
        block: &mut MessageBlock,
        held: &mut MessageBlock,
        target: &Target,
    ) -> Option<ReadProgress> {
        if let Some(message) = held.get(0)
            && message.offset < target.range.end
            && !target.is_full(block)
            && !target.overflows(block, message.size())
        {
            let headers = message.headers.iter();
            block.push(
                message.offset,
                message.timestamp_ms,
                message.key,
                message.payload,
                headers,
            );
            self.handed_on = message.offset + 1;
            held.clear();
            held.shrink_to(HELD_BYTES_MAX);
        }
        let progress = self.progress(held, target);
        (progress.done || !held.is_empty() || target.is_full(block)).then_some(progress)
    }

    pub(super) fn progress(&self, held: &MessageBlock, target: &Target) -> ReadProgress {
        let end = target.range.end;
        let known = self.next_known(held);
        ReadProgress {
            position: known.clamp(target.range.start, end),
            done: known >= end,
        }
    }

    /// Takes a delivered message into the block, or holds it where it does not belong there yet.
    pub(super) fn take(
        &mut self,
        message: &BorrowedMessage<'_>,
        block: &mut MessageBlock,
        held: &mut MessageBlock,
        target: &Target,
        headers: bool,
    ) -> Result<()> {
        let topic_partition = &self.topic_partition;
        if message.partition() != topic_partition.partition
            || message.topic() != &*topic_partition.topic
        {
            // Of a topic partition that was assigned before.
            return Ok(());
        }
        let offset = message.offset();
        if offset < self.position {
            let message = format!(
                "{topic_partition}: offset {offset} was delivered where {} or a later one was due; read the range again",
                self.position
            );
            return Err(Error::new(ErrorKind::Corrupt, message).at(topic_partition, Some(offset)));
        }
        let size = message.key().map_or(0, <[u8]>::len) + message.payload().map_or(0, <[u8]>::len);
        if offset >= target.range.end || target.overflows(block, size) {
            append(message, held, headers);
        } else {
            append(message, block, headers);
            self.handed_on = offset + 1;
        }
        self.position = offset + 1;
        self.ended = false;
        self.waited = Duration::ZERO;
        Ok(())
    }

    /// The first offset that may hold a message that was not handed on.
    fn next_known(&self, held: &MessageBlock) -> i64 {
        held.get(0).map_or(self.position, |message| message.offset)
    }
}

fn append(message: &BorrowedMessage<'_>, block: &mut MessageBlock, headers: bool) {
    let offset = message.offset();
    let timestamp_ms = message.timestamp().to_millis().unwrap_or(-1);
    let (key, payload) = (message.key(), message.payload());
    match headers.then(|| HeaderFields::of(message)).flatten() {
        Some(fields) => block.push(offset, timestamp_ms, key, payload, fields),
        None => block.push(offset, timestamp_ms, key, payload, iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{partition, range};

    #[test]
    fn reading_goes_on_where_no_message_is_missed_or_repeated() {
        let none = MessageBlock::default();
        let mut stream = Stream::new(partition(0), 10);
        assert!(stream.goes_on(range(10, 20), &none));
        assert!(!stream.goes_on(range(9, 20), &none) && !stream.goes_on(range(11, 20), &none));

        // Offsets 10 to 14 are handed on, 15 to 17 have no message, 18 is held.
        stream.handed_on = 15;
        stream.position = 19;
        let mut held = MessageBlock::default();
        held.push(18, 0, None, None, iter::empty());
        for (start, goes_on) in [(14, false), (15, true), (18, true), (19, false)] {
            assert_eq!(stream.goes_on(range(start, 30), &held), goes_on, "{start}");
        }
    }

    #[test]
    fn beyond_an_end_that_was_told_reading_starts_anew() {
        let none = MessageBlock::default();
        let mut stream = Stream::new(partition(0), 10);
        stream.end_at(20);
        assert_eq!(stream.position(), 20);
        assert!(stream.goes_on(range(10, 15), &none) && stream.goes_on(range(15, 20), &none));
        assert!(!stream.goes_on(range(15, 21), &none));
        // An event of before changes nothing.
        stream.end_at(5);
        assert_eq!(stream.position(), 20);
    }
}
