//! Reading offset ranges, one lane at a time.

mod failure;
mod headers;
mod stream;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use engine_model::{MessageBlock, OffsetRange, TopicPartition, limits};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::client::{check_topic, partition_list};
use crate::clock;
use crate::error::{Error, ErrorKind, Result, passes_while_reading};
use crate::settings::Settings;
use crate::watch::Watch;
use failure::truncated;
use stream::Stream;

/// Reads offset ranges of topic partitions, one after the other. Belongs to one thread; making one and the first
/// message cost some milliseconds, so keep it between ranges.
///
/// Only the topic partition of the open range is assigned. What librdkafka fetched beyond a range's end is kept for a
/// range that goes on from there.
pub struct Reader {
    consumer: BaseConsumer<Watch>,
    settings: Settings,
    /// The open range; nothing is assigned for an empty one.
    open: Option<(TopicPartition, OffsetRange)>,
    /// What librdkafka is reading; nothing after an error.
    stream: Option<Stream>,
    /// At most one message that was delivered and did not fit.
    held: MessageBlock,
}

/// How far a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadProgress {
    /// Every offset of the range below this one has been dealt with: its message is in a block, or it has none. Equal
    /// to the range's end when `done`.
    pub position: i64,
    /// Whether the range is complete: a message or the end of the log was seen at its end or beyond.
    pub done: bool,
}

impl Reader {
    /// Makes a reader that fetches about `budget` bytes ahead, 1 MiB at least. It connects when the first range is
    /// opened.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] where options do not go together or a file that they name can't be read.
    pub fn new(settings: &Settings, budget: usize) -> Result<Self> {
        let consumer = settings
            .for_reader(budget)
            .create_with_context(Watch::new(settings))
            .map_err(|error| settings.refused(&error))?;
        Ok(Self {
            consumer,
            settings: settings.clone(),
            open: None,
            stream: None,
            held: MessageBlock::default(),
        })
    }

    /// Opens `range` of `topic_partition`, in place of the range that was open before.
    ///
    /// Where no message lies between what was read last and `range.start`, as in neighbouring slices, reading goes on
    /// and nothing is fetched twice; otherwise librdkafka is sent to `range.start`. The range's end must not lie beyond
    /// the high watermark (the last stable offset under read committed) that the brokers reported before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownTopic`] for what can't be a topic's name. That the topic, the topic partition or the offset
    /// does not exist is found by [`Reader::read`].
    pub fn open(&mut self, topic_partition: &TopicPartition, range: OffsetRange) -> Result<()> {
        check_topic(&topic_partition.topic)?;
        self.open = None;
        let goes_on = self.stream.as_ref().is_some_and(|stream| {
            stream.topic_partition == *topic_partition && stream.goes_on(range, &self.held)
        });
        if !goes_on && !range.is_empty() {
            self.stream = None;
            self.held.clear();
            self.assign(topic_partition, range.start)?;
            self.stream = Some(Stream::new(topic_partition.clone(), range.start));
        }
        self.open = Some((topic_partition.clone(), range));
        Ok(())
    }

    /// Appends messages of the open range to `block` until it holds `rows_max` messages or `bytes_max` bytes, the range
    /// is complete, or `timeout` is over. Offsets in the block rise strictly and lie in the range.
    ///
    /// A message that would make the block longer than `bytes_max` is kept for the next call, unless it is the first of
    /// the block.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::OffsetOutOfRange`]: the offset is no longer kept; plan again.
    /// - [`ErrorKind::Truncated`]: the log ends before the range; plan again.
    /// - [`ErrorKind::Corrupt`]: a batch is damaged; messages would be missing.
    /// - [`ErrorKind::Connect`], [`ErrorKind::Timeout`]: nothing came for the settings' stall time-out, or the brokers
    ///   never answered any client of the settings. What librdkafka can mend by itself is not an error before.
    /// - [`ErrorKind::Authentication`], [`ErrorKind::Authorization`], [`ErrorKind::UnknownTopic`],
    ///   [`ErrorKind::UnknownPartition`].
    ///
    /// After an error the range must be opened again, and the block may lack messages that were delivered.
    pub fn read(
        &mut self,
        block: &mut MessageBlock,
        rows_max: usize,
        bytes_max: usize,
        timeout: Duration,
    ) -> Result<ReadProgress> {
        let Some((topic_partition, range)) = self.open.clone() else {
            return Err(Error::new(
                ErrorKind::Other,
                "no offset range is open; open one before reading",
            ));
        };
        let result = if range.is_empty() {
            Ok(ReadProgress {
                position: range.end,
                done: true,
            })
        } else {
            let target = Target {
                topic_partition,
                range,
                rows_max,
                bytes_max,
            };
            self.fill(block, &target, timeout)
        };
        if result.is_err() {
            self.open = None;
            self.stream = None;
            self.held.clear();
        }
        result
    }

    /// Whether a message was delivered that no block has taken yet.
    pub(crate) fn holds_back(&self) -> bool {
        !self.held.is_empty()
    }

    fn assign(&self, topic_partition: &TopicPartition, offset: i64) -> Result<()> {
        let list = partition_list([(topic_partition, Offset::Offset(offset))])?;
        self.consumer.assign(&list).map_err(|error| {
            let message =
                format!("{topic_partition}: cannot be assigned at offset {offset}: {error}");
            Error::new(ErrorKind::Other, message).at(topic_partition, Some(offset))
        })
    }

    fn fill(
        &mut self,
        block: &mut MessageBlock,
        target: &Target,
        timeout: Duration,
    ) -> Result<ReadProgress> {
        let mut deadline = None;
        loop {
            let Some(stream) = &mut self.stream else {
                return Err(Error::new(ErrorKind::Other, "no offset range is open"));
            };
            if let Some(progress) = stream.settle(block, &mut self.held, target) {
                return Ok(progress);
            }
            // The queue is mostly full: look without a clock first.
            let mut event = self.consumer.poll(Duration::ZERO);
            if event.is_none() {
                let deadline = *deadline.get_or_insert_with(|| clock::now() + timeout);
                let started = clock::now();
                let wait = deadline.saturating_duration_since(started);
                if wait.is_zero() {
                    return Ok(stream.progress(&self.held, target));
                }
                let wait = wait.min(stream.patience(self.settings.stall_timeout()));
                event = self.consumer.poll(wait);
                stream.waited += started.elapsed();
            }
            match event {
                Some(Ok(message)) => {
                    let had_waited = !stream.waited.is_zero();
                    let headers = self.settings.headers();
                    stream.take(&message, block, &mut self.held, target, headers)?;
                    if had_waited && stream.waited.is_zero() {
                        self.consumer.context().note_answer();
                    }
                }
                Some(Err(error)) => self.heed(&error, target)?,
                None => self.check_patience(target)?,
            }
        }
    }

    /// Deals with an event that is no message.
    fn heed(&mut self, error: &KafkaError, target: &Target) -> Result<()> {
        if let KafkaError::PartitionEOF(partition) = error {
            if *partition == target.topic_partition.partition {
                return self.reach_end_of_log(target);
            }
            return Ok(());
        }
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        if passes_while_reading(code) && !fatal {
            return self.check_patience(target);
        }
        Err(self.failure(code, target))
    }

    /// Notes the position of an end-of-partition event. Below the range's end it is an error when the log really ends
    /// there, and nothing when a follower is behind its leader.
    fn reach_end_of_log(&mut self, target: &Target) -> Result<()> {
        let watch = self.consumer.context();
        let (Some(position), Some(stream)) = (watch.take_end_of_partition(), &mut self.stream)
        else {
            let message = format!(
                "{}: librdkafka reported the end of the log without its offset",
                target.topic_partition
            );
            return Err(Error::new(ErrorKind::Other, message).at(&target.topic_partition, None));
        };
        watch.note_answer();
        stream.end_at(position);
        if position >= target.range.end {
            // Nothing is left to fetch ahead: spare the broker the asking.
            return self.consumer.unassign().map_err(|error| {
                let message = format!("{}: can't be let go: {error}", target.topic_partition);
                Error::new(ErrorKind::Other, message).at(&target.topic_partition, None)
            });
        }
        match self.log_ends(target) {
            Some((_, high)) if high < target.range.end => Err(truncated(high, target)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("settings", &self.settings)
            .field("open", &self.open)
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

/// What one call is to read, at most.
struct Target {
    topic_partition: TopicPartition,
    range: OffsetRange,
    rows_max: usize,
    bytes_max: usize,
}

impl Target {
    /// Whether a message of `size` bytes would make the block too long.
    fn overflows(&self, block: &MessageBlock, size: usize) -> bool {
        !block.is_empty() && block.size() + size > self.bytes_max
    }

    fn is_full(&self, block: &MessageBlock) -> bool {
        block.len() >= self.rows_max || block.size() >= self.bytes_max
    }
}

/// Memory that the side block for one message keeps, at most.
const HELD_BYTES_MAX: usize = limits::BLOCK_BYTES_TARGET;
