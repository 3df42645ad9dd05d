//! Where logs begin and end, and where a message timestamp lies in them.

use engine_model::TopicPartition;
use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::client::{Client, partition_list};
use crate::error::{Error, ErrorKind, Result, kind_of};

/// Where the log of a topic partition begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The log start offset: the first that is kept.
    pub log_start: i64,
    /// One past the last readable message: the last stable offset under read committed, the high watermark otherwise.
    /// Equal to `log_start` for an empty log.
    pub high_watermark: i64,
}

impl Client {
    /// Asks where the logs begin and end, in the order of `topic_partitions`, in two requests to each leader.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownPartition`], naming it, besides those of every call.
    pub fn log_ends(&self, topic_partitions: &[TopicPartition]) -> Result<Vec<LogEnds>> {
        let what = "asking where the logs begin and end";
        let starts = self.look_up(topic_partitions, Offset::Beginning, what)?;
        let ends = self.look_up(topic_partitions, Offset::End, what)?;
        let pairs = topic_partitions.iter().zip(starts.into_iter().zip(ends));
        pairs
            .map(|(topic_partition, ends)| match ends {
                (Some(log_start), Some(high_watermark)) => Ok(LogEnds {
                    log_start,
                    // Retention may have moved the start between the two answers.
                    high_watermark: high_watermark.max(log_start),
                }),
                _ => Err(Error::new(
                    ErrorKind::Other,
                    format!(
                        "{topic_partition}: the broker gave no offset for the log's ends; try again"
                    ),
                )
                .at(topic_partition, None)),
            })
            .collect()
    }

    /// Asks for the offset of the first message whose timestamp is `timestamp_ms` or later, in the order of
    /// `topic_partitions`, in one request to each leader. `None` where there is no such message.
    ///
    /// Under read committed only messages before the last stable offset count. Timestamps before the epoch are taken
    /// for 0.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoTimestamps`] besides those of every call.
    pub fn offsets_at(
        &self,
        topic_partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<Vec<Option<i64>>> {
        // librdkafka looks up a timestamp where others of its functions have an offset, and negative numbers have a
        // meaning of their own there.
        let timestamp = Offset::Offset(timestamp_ms.max(0));
        self.look_up(topic_partitions, timestamp, "looking up a timestamp")
    }

    fn look_up(
        &self,
        topic_partitions: &[TopicPartition],
        wanted: Offset,
        what: &str,
    ) -> Result<Vec<Option<i64>>> {
        if topic_partitions.is_empty() {
            return Ok(Vec::new());
        }
        let list = partition_list(topic_partitions.iter().map(|one| (one, wanted)))?;
        let found = self
            .call(what, |wait| {
                self.consumer.offsets_for_times(list.clone(), wait)
            })
            .map_err(|error| about(error, topic_partitions))?;
        topic_partitions
            .iter()
            .map(|topic_partition| {
                let (topic, partition) = (&*topic_partition.topic, topic_partition.partition);
                let element = found.find_partition(topic, partition);
                let Some(element) = element else {
                    return Err(unanswered(topic_partition, Code::UnknownPartition));
                };
                if let Err(error) = element.error() {
                    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                    return Err(unanswered(topic_partition, code));
                }
                Ok(match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                })
            })
            .collect()
    }
}

/// A look-up of one topic partition fails as a whole and names none.
fn about(error: Error, topic_partitions: &[TopicPartition]) -> Error {
    // The format is a setting of the topic, the same for all of its partitions.
    let error = match topic_partitions {
        [first, ..] if error.kind() == ErrorKind::NoTimestamps => no_timestamps(first),
        _ => error,
    };
    match topic_partitions {
        [only] => error.at(only, None),
        _ => error,
    }
}

fn no_timestamps(topic_partition: &TopicPartition) -> Error {
    let TopicPartition { topic, .. } = topic_partition;
    let message = format!(
        "the messages of topic {topic:?} have no timestamps, for its message format is of before Kafka 0.10, so no window \
         can be told for those of {topic_partition}; set the topic's `message.format.version` to 0.10.0 or newer: \
         messages that come after that can be loaded"
    );
    Error::new(ErrorKind::NoTimestamps, message)
}

fn unanswered(topic_partition: &TopicPartition, code: Code) -> Error {
    let message = match kind_of(code) {
        ErrorKind::UnknownPartition | ErrorKind::UnknownTopic => {
            format!(
                "{topic_partition} does not exist; check the topic and its number of partitions"
            )
        }
        _ => format!("{topic_partition}: {code}"),
    };
    let kind = match kind_of(code) {
        ErrorKind::UnknownTopic => ErrorKind::UnknownPartition,
        kind => kind,
    };
    Error::new(kind, message).at(topic_partition, None)
}
