//! Why a read failed, in words.

use std::time::Duration;

use engine_model::TopicPartition;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use super::stream::Stream;
use super::{Reader, Target};
use crate::call::{FIRST_CONTACT, HOPELESS_PATIENCE};
use crate::error::{Error, ErrorKind, Result, kind_of, passes_while_reading};

/// Longest wait for the log's ends when an error is to name them.
const ENDS_TIMEOUT: Duration = Duration::from_secs(5);

/// The error for a log that ends at `high`, within the range.
pub(super) fn truncated(high: i64, target: &Target) -> Error {
    let Target {
        topic_partition,
        range,
        ..
    } = target;
    let message = format!(
        "{topic_partition}: the log ends at offset {high}, before the end {} of the range to read; it was cut off or made \
         anew, or a transaction is still open there: plan the window again",
        range.end
    );
    Error::new(ErrorKind::Truncated, message).at(topic_partition, Some(high))
}

impl Reader {
    /// Fails when nothing has come for too long.
    pub(super) fn check_patience(&self, target: &Target) -> Result<()> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        let watch = self.consumer.context();
        let trouble = watch.trouble();
        // A first contact fails for a reason; without one a broker may just be slow to find old messages.
        let first_contact = !watch.answered() && trouble.is_some();
        let failed = first_contact && stream.waited >= FIRST_CONTACT
            || watch.is_hopeless() && stream.waited >= HOPELESS_PATIENCE;
        if !failed && stream.waited < self.settings.stall_timeout() {
            return Ok(());
        }
        let Target {
            topic_partition,
            range,
            ..
        } = target;
        let seconds = stream.waited.as_secs_f32();
        let place = format!(
            "{topic_partition}: nothing came for {seconds:.0} s at offset {}, before the range's end {}",
            stream.position(),
            range.end
        );
        let error = match trouble {
            Some(trouble) => {
                let cause = trouble.error(&self.settings.broker_list());
                Error::new(cause.kind(), format!("{place}: {cause}"))
            }
            None => Error::new(
                ErrorKind::Timeout,
                format!(
                    "{place}; check that its leader is up among kafka brokers {}",
                    self.settings.broker_list()
                ),
            ),
        };
        Err(error.at(topic_partition, Some(stream.position())))
    }

    /// Fails where the topic partition does not exist, or may not be read.
    pub(super) fn check_exists(&self, target: &Target) -> Result<()> {
        let TopicPartition { topic, partition } = &target.topic_partition;
        let Ok(metadata) = self.consumer.fetch_metadata(Some(topic), ENDS_TIMEOUT) else {
            return Ok(());
        };
        let found = metadata
            .topics()
            .iter()
            .find(|found| *found.name() == **topic);
        let code = match found.map(|found| (found, found.error())) {
            None => Code::UnknownTopic,
            Some((_, Some(error))) => Code::from(error),
            Some((found, None)) => {
                let mut partitions = found.partitions().iter();
                if partitions.any(|found| found.id() == *partition) {
                    return Ok(());
                }
                Code::UnknownPartition
            }
        };
        if passes_while_reading(code) {
            return Ok(());
        }
        Err(self.failure(code, target))
    }

    /// The error for a code that ends the read.
    pub(super) fn failure(&self, code: Code, target: &Target) -> Error {
        let Target {
            topic_partition,
            range,
            ..
        } = target;
        let position = self.stream.as_ref().map_or(range.start, Stream::position);
        let watch = self.consumer.context();
        let reason = watch.reason(code).unwrap_or_else(|| code.to_string());
        let kind = kind_of(code);
        if kind == ErrorKind::OffsetOutOfRange {
            return self.out_of_range(position, target);
        }
        let message = match kind {
            ErrorKind::Authentication => watch.trouble().map_or(reason, |trouble| {
                trouble.error(&self.settings.broker_list()).to_string()
            }),
            ErrorKind::Authorization => format!(
                "{topic_partition}: the log-in may not read the topic; ask for the permission to read it: {reason}"
            ),
            ErrorKind::UnknownTopic | ErrorKind::UnknownPartition => format!(
                "{topic_partition} does not exist, or no longer, on kafka brokers {}; check the topic and its number of \
                 partitions",
                self.settings.broker_list()
            ),
            ErrorKind::Corrupt => format!(
                "{topic_partition}: what the broker sent at offset {position} or soon after can't be read: {reason}; \
                 check the log on the broker"
            ),
            _ => format!("{topic_partition} at offset {position}: {reason}"),
        };
        Error::new(kind, message).at(topic_partition, Some(position))
    }

    fn out_of_range(&self, position: i64, target: &Target) -> Error {
        let Target {
            topic_partition,
            range,
            ..
        } = target;
        let ends = self.log_ends(target);
        let message = match ends {
            Some((low, _)) if position < low => format!(
                "{topic_partition}: the offsets from {position} to {} were to be read, and the log now starts at {low}: \
                 retention has deleted messages before they were read; see the topic's retention, and plan the window again",
                range.end
            ),
            Some((_, high)) if position > high => format!(
                "{topic_partition}: offset {position} lies beyond the log's end {high}; plan the window again"
            ),
            _ => format!(
                "{topic_partition}: offset {position} is not in the log; plan the window again"
            ),
        };
        Error::new(ErrorKind::OffsetOutOfRange, message)
            .at(topic_partition, Some(position))
            .with_log_start(ends.map(|(low, _)| low))
    }

    /// The log start offset and the high watermark, where a broker tells them soon.
    pub(super) fn log_ends(&self, target: &Target) -> Option<(i64, i64)> {
        let TopicPartition { topic, partition } = &target.topic_partition;
        self.consumer
            .fetch_watermarks(topic, *partition, ENDS_TIMEOUT)
            .ok()
    }
}
