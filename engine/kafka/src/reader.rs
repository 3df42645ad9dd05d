//! Reading offset ranges, one lane at a time.

mod failure;
mod headers;
mod queue;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use engine_model::{MessageBlock, OffsetRange, TopicPartition};
use rdkafka::ClientContext as _;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::client::{check_topic, partition_list};
use crate::clock;
use crate::error::{Error, ErrorKind, Result, passes_while_reading};
use crate::settings::Settings;
use crate::watch::Watch;
use failure::truncated;
use queue::PartitionQueue;
use stream::Stream;

/// Reads offset ranges of topic partitions, one after the other. Belongs to one thread; making one and the first
/// message cost some milliseconds, so keep it between ranges.
///
/// Only the topic partition of the open range is assigned. What librdkafka fetched beyond a range's end is kept for a
/// range that goes on from there.
pub struct Reader {
    consumer: Arc<BaseConsumer<Watch>>,
    settings: Settings,
    /// The open range; nothing is assigned for an empty one.
    open: Option<(TopicPartition, OffsetRange)>,
    /// What librdkafka is reading; nothing after an error.
    stream: Option<Stream>,
    /// What came of the topic partition that was assigned last.
    queue: Option<PartitionQueue>,
    /// Those before it. librdkafka goes on for a moment with what it is told to leave, and keeps what comes
    /// then until somebody takes it.
    left: VecDeque<PartitionQueue>,
}

/// Queues of topic partitions that were left and are still emptied, at most: by the time of so many others librdkafka has
/// stopped.
const LEFT_MAX: usize = 16;

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
            consumer: Arc::new(consumer),
            settings: settings.clone(),
            open: None,
            stream: None,
            queue: None,
            left: VecDeque::with_capacity(LEFT_MAX),
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
            stream.topic_partition == *topic_partition && stream.goes_on(range)
        });
        if !goes_on && !range.is_empty() {
            self.stream = None;
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
        }
        result
    }

    /// Whether a message was delivered that no block has taken yet.
    pub(crate) fn holds_back(&self) -> bool {
        self.queue
            .as_ref()
            .is_some_and(|queue| queue.first().is_some())
    }

    fn assign(&mut self, topic_partition: &TopicPartition, offset: i64) -> Result<()> {
        let failed = |cause: &str| {
            let message =
                format!("{topic_partition}: cannot be assigned at offset {offset}: {cause}");
            Error::new(ErrorKind::Other, message).at(topic_partition, Some(offset))
        };
        let list = partition_list([(topic_partition, Offset::Offset(offset))])?;
        // Its messages are wanted again.
        self.left
            .retain(|left| left.topic_partition != *topic_partition);
        let same = self.queue.as_mut();
        let same = same.filter(|queue| queue.topic_partition == *topic_partition);
        let before = if let Some(queue) = same {
            queue.clear();
            None
        } else {
            let queue = PartitionQueue::new(&self.consumer, topic_partition);
            let queue = queue.ok_or_else(|| failed("librdkafka has no queue for it"))?;
            self.queue.replace(queue)
        };
        let assigned = self.consumer.assign(&list);
        if let Some(before) = before {
            if self.left.len() == LEFT_MAX {
                self.left.pop_front();
            }
            self.left.push_back(before);
        }
        assigned.map_err(|error| failed(&error.to_string()))
    }

    fn fill(
        &mut self,
        block: &mut MessageBlock,
        target: &Target,
        timeout: Duration,
    ) -> Result<ReadProgress> {
        let stall_timeout = self.settings.stall_timeout();
        let mut deadline = None;
        self.hear(target)?;
        loop {
            if let Some(progress) = self.append_fetched(block, target)? {
                return Ok(progress);
            }
            let (stream, queue) = self.opened()?;
            // Mostly something has come: look without a clock first.
            if queue.take(Duration::ZERO, target.bytes_max) {
                continue;
            }
            let deadline = *deadline.get_or_insert_with(|| clock::now() + timeout);
            let started = clock::now();
            let wait = deadline.saturating_duration_since(started);
            if wait.is_zero() {
                return Ok(stream.progress(target));
            }
            let wait = wait.min(stream.patience(stall_timeout));
            if !queue.take(wait, target.bytes_max) {
                stream.waited += started.elapsed();
                self.hear(target)?;
                self.check_patience(target)?;
            }
        }
    }

    /// Appends the messages that were taken from the queue, and says how far that is where the call is over.
    fn append_fetched(
        &mut self,
        block: &mut MessageBlock,
        target: &Target,
    ) -> Result<Option<ReadProgress>> {
        let headers = self.settings.headers();
        loop {
            let (stream, queue) = self.opened()?;
            let progress = stream.progress(target);
            if progress.done || target.is_full(block) {
                return Ok(Some(progress));
            }
            let Some(message) = queue.first() else {
                return Ok(None);
            };
            if let Some((code, reason)) = message.error() {
                let offset = message.offset();
                queue.release();
                self.heed(code, &reason, offset, target)?;
                continue;
            }
            let had_waited = !stream.waited.is_zero();
            if !stream.append(message, block, target, headers)? {
                return Ok(Some(stream.progress(target)));
            }
            queue.release();
            if had_waited {
                self.consumer.context().note_answer();
            }
        }
    }

    fn opened(&mut self) -> Result<(&mut Stream, &mut PartitionQueue)> {
        let opened = self.stream.as_mut().zip(self.queue.as_mut());
        opened.ok_or_else(|| Error::new(ErrorKind::Other, "no offset range is open"))
    }

    /// Lets librdkafka say what is not about the topic partition alone.
    fn hear(&mut self, target: &Target) -> Result<()> {
        for left in &mut self.left {
            left.drain();
        }
        while let Some(event) = self.consumer.poll(Duration::ZERO) {
            match event {
                Ok(_) => {
                    let message = format!(
                        "{}: librdkafka delivered a message beside its queue; read the range again",
                        target.topic_partition
                    );
                    return Err(
                        Error::new(ErrorKind::Corrupt, message).at(&target.topic_partition, None)
                    );
                }
                Err(error) => {
                    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                    let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
                    if fatal || !passes_while_reading(code) {
                        return Err(self.failure(code, target));
                    }
                }
            }
        }
        if self.consumer.context().take_logged_error() {
            self.check_exists(target)?;
        }
        Ok(())
    }

    /// Deals with an error of the topic partition, or the end of it.
    fn heed(&mut self, code: Code, reason: &str, offset: i64, target: &Target) -> Result<()> {
        if code == Code::PartitionEOF {
            return self.reach_end_of_log(offset, target);
        }
        let watch = self.consumer.context();
        watch.error(KafkaError::MessageConsumption(code), reason);
        if passes_while_reading(code) {
            return self.check_patience(target);
        }
        Err(self.failure(code, target))
    }

    /// Notes that the log was seen to end at `position`. Below the range's end it is an error when the log really ends
    /// there, and nothing when a follower is behind its leader.
    fn reach_end_of_log(&mut self, position: i64, target: &Target) -> Result<()> {
        self.consumer.context().note_answer();
        self.opened()?.0.end_at(position);
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
