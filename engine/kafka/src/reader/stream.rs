//! What has been read of one topic partition, in order, without gaps that nobody noticed.

use std::iter;
use std::time::Duration;

use engine_model::{MessageBlock, OffsetRange, TopicPartition};

use super::queue::Fetched;
use super::{ReadProgress, Target};
use crate::error::{Error, ErrorKind, Result};

/// Where librdkafka's reading of one topic partition stands.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) topic_partition: TopicPartition,
    /// Time spent waiting since the last sign of life.
    pub(super) waited: Duration,
    /// One past the last message that went into a block.
    handed_on: i64,
    /// The next offset that may hold a message. From `handed_on` up to it there is none.
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
    pub(super) fn goes_on(&self, range: OffsetRange) -> bool {
        let follows = (self.handed_on..=self.position).contains(&range.start);
        follows && (range.end <= self.position || !self.ended)
    }

    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// Longest wait in one go.
    pub(super) fn patience(&self, stall_timeout: Duration) -> Duration {
        // The checks of patience happen between waits, and what librdkafka says of the brokers is heard.
        const WAIT_MAX: Duration = Duration::from_millis(100);
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

    pub(super) fn progress(&self, target: &Target) -> ReadProgress {
        let OffsetRange { start, end } = target.range;
        ReadProgress {
            position: self.position.clamp(start, end),
            done: self.position >= end,
        }
    }

    /// Appends a message to the block, or leaves it where it is beyond the range or the block is full; says whether it was
    /// appended.
    pub(super) fn append(
        &mut self,
        message: Fetched<'_>,
        block: &mut MessageBlock,
        target: &Target,
        headers: bool,
    ) -> Result<bool> {
        let topic_partition = &self.topic_partition;
        let offset = message.offset();
        if offset < self.position {
            let message = format!(
                "{topic_partition}: offset {offset} was delivered where {} or a later one was due; read the range again",
                self.position
            );
            return Err(Error::new(ErrorKind::Corrupt, message).at(topic_partition, Some(offset)));
        }
        self.position = offset;
        self.ended = false;
        self.waited = Duration::ZERO;
        if offset >= target.range.end
            || target.is_full(block)
            || target.overflows(block, message.size())
        {
            return Ok(false);
        }
        let (timestamp_ms, key, payload) =
            (message.timestamp_ms(), message.key(), message.payload());
        match headers.then(|| message.headers()).flatten() {
            Some(fields) => block.push(offset, timestamp_ms, key, payload, fields),
            None => block.push(offset, timestamp_ms, key, payload, iter::empty()),
        }
        self.position = offset + 1;
        self.handed_on = self.position;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{partition, range};

    #[test]
    fn reading_goes_on_where_no_message_is_missed_or_repeated() {
        let mut stream = Stream::new(partition(0), 10);
        assert!(stream.goes_on(range(10, 20)));
        assert!(!stream.goes_on(range(9, 20)) && !stream.goes_on(range(11, 20)));

        // Offsets 10 to 14 are handed on, 15 to 17 have no message, 18 was looked at.
        stream.handed_on = 15;
        stream.position = 18;
        for (start, goes_on) in [(14, false), (15, true), (18, true), (19, false)] {
            assert_eq!(stream.goes_on(range(start, 30)), goes_on, "{start}");
        }
    }

    #[test]
    fn beyond_an_end_that_was_told_reading_starts_anew() {
        let mut stream = Stream::new(partition(0), 10);
        stream.end_at(20);
        assert_eq!(stream.position(), 20);
        assert!(stream.goes_on(range(10, 15)) && stream.goes_on(range(15, 20)));
        assert!(!stream.goes_on(range(15, 21)));
        // An event of before changes nothing.
        stream.end_at(5);
        assert_eq!(stream.position(), 20);
    }
}
