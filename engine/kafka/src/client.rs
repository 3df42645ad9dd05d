//! Questions about a topic.

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use engine_model::TopicPartition;
use rdkafka::ClientConfig;
use rdkafka::Offset;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::metadata::{Metadata, MetadataTopic};

use crate::call::call;
use crate::error::{Error, ErrorKind, Result, kind_of, passes};
use crate::settings::Settings;
use crate::watch::Watch;

/// Longest name of a topic, in bytes; the broker refuses longer ones.
const TOPIC_BYTES_MAX: usize = 249;

/// A connection to the brokers for metadata and offsets. It can be shared between threads; it does not read messages.
///
/// Each call waits at most [`FIRST_CONTACT_S_MAX`](engine_model::limits::FIRST_CONTACT_S_MAX) seconds for its answer
/// and says the cause when there is none.
pub struct Client {
    pub(crate) consumer: BaseConsumer<Watch>,
    pub(crate) settings: Settings,
}

/// What the brokers say about a topic and themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// The topic's name.
    pub topic: String,
    /// The cluster's id; brokers before 0.10.1 have none.
    pub cluster_id: Option<String>,
    /// The brokers that the cluster names, by id: the addresses that readers connect to, whatever the job names.
    pub brokers: Vec<Broker>,
    /// The topic partitions, by number.
    pub partitions: Vec<PartitionMetadata>,
}

/// One broker as the cluster names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// The broker's number.
    pub id: i32,
    /// `host:port`.
    pub address: String,
}

/// What the brokers say about one topic partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The number within the topic, from 0.
    pub partition: i32,
    /// The broker that serves it; nothing while there is none, and then it can't be read.
    pub leader: Option<i32>,
    /// Brokers that hold a copy.
    pub replicas: Vec<i32>,
    /// Those of them that are up to date.
    pub in_sync: Vec<i32>,
}

impl Client {
    /// Makes the client. It connects with the first call.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`] where options do not go together or a file that they name can't be read.
    pub fn new(settings: &Settings) -> Result<Self> {
        Self::with(settings, &settings.for_calls())
    }

    /// As [`Client::new`], and its watch hears which versions of requests brokers take.
    pub(crate) fn for_check(settings: &Settings) -> Result<Self> {
        Self::with(settings, &settings.for_check())
    }

    /// As [`Client::new`], and it sees messages whose transactions are still open, whatever the options say.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub fn read_uncommitted(settings: &Settings) -> Result<Self> {
        Self::with(settings, &settings.for_uncommitted())
    }

    fn with(settings: &Settings, config: &ClientConfig) -> Result<Self> {
        let consumer = config
            .create_with_context(Watch::new(settings))
            .map_err(|error| settings.refused(&error))?;
        Ok(Self {
            consumer,
            settings: settings.clone(),
        })
    }

    /// Asks for the topic partitions of `topic`, their leaders, and the brokers of the cluster.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownTopic`] and [`ErrorKind::Authorization`] besides those of every call:
    /// [`ErrorKind::Connect`], [`ErrorKind::Timeout`], [`ErrorKind::Authentication`].
    pub fn topic(&self, topic: &str) -> Result<TopicMetadata> {
        check_topic(topic)?;
        let what = format!("asking for topic {topic:?}");
        let metadata = self.call(&what, |wait| {
            let metadata = self.consumer.fetch_metadata(Some(topic), wait)?;
            match topic_error(&metadata, topic).filter(|code| passes(*code)) {
                Some(code) => Err(KafkaError::MetadataFetch(code)),
                None => Ok(metadata),
            }
        })?;
        if let Some(code) = topic_error(&metadata, topic) {
            return Err(self.topic_refused(topic, code));
        }
        let cluster_id = self.consumer.client().fetch_cluster_id(Duration::ZERO);
        Ok(topic_metadata(topic, cluster_id, &metadata))
    }

    pub(crate) fn call<T>(
        &self,
        what: &str,
        attempt: impl FnMut(Duration) -> KafkaResult<T>,
    ) -> Result<T> {
        call(&self.consumer, &self.settings, what, attempt)
    }

    fn topic_refused(&self, topic: &str, code: Code) -> Error {
        let brokers = self.settings.broker_list();
        let kind = kind_of(code);
        let message = match kind {
            ErrorKind::UnknownTopic => format!(
                "topic {topic:?} does not exist on kafka brokers {brokers}; check its name and the brokers' addresses"
            ),
            ErrorKind::Authorization => format!(
                "the log-in may not read topic {topic:?} on kafka brokers {brokers}; ask for the permission to describe \
                 and read it"
            ),
            _ => format!("topic {topic:?} on kafka brokers {brokers}: {code}"),
        };
        Error::new(kind, message)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Refuses names that no broker accepts, some of which the C library can't take.
pub(crate) fn check_topic(topic: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && topic.chars().all(good) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UnknownTopic,
        format!(
            "{topic:?} can't be a topic's name: it has 1 to {TOPIC_BYTES_MAX} characters out of letters, digits, `.`, \
             `_` and `-`"
        ),
    ))
}

/// The list that librdkafka takes, with one value for each topic partition.
pub(crate) fn partition_list<'a>(
    entries: impl IntoIterator<Item = (&'a TopicPartition, Offset)>,
) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic_partition, offset) in entries {
        check_topic(&topic_partition.topic)?;
        list.add_partition_offset(&topic_partition.topic, topic_partition.partition, offset)
            .map_err(|error| {
                Error::new(ErrorKind::Other, format!("{topic_partition}: {error}"))
                    .at(topic_partition, None)
            })?;
    }
    Ok(list)
}

fn topic_error(metadata: &Metadata, topic: &str) -> Option<Code> {
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    match found {
        Some(found) => found.error().map(Code::from),
        None => Some(Code::UnknownTopicOrPartition),
    }
}

fn topic_metadata(topic: &str, cluster_id: Option<String>, metadata: &Metadata) -> TopicMetadata {
    let mut brokers: Vec<Broker> = metadata
        .brokers()
        .iter()
        .map(|broker| Broker {
            id: broker.id(),
            address: format!("{}:{}", broker.host(), broker.port()),
        })
        .collect();
    brokers.sort_by_key(|broker| broker.id);
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let mut partitions: Vec<PartitionMetadata> = found
        .map(MetadataTopic::partitions)
        .unwrap_or_default()
        .iter()
        .map(|partition| PartitionMetadata {
            partition: partition.id(),
            leader: Some(partition.leader()).filter(|leader| *leader >= 0),
            replicas: partition.replicas().to_vec(),
            in_sync: partition.isr().to_vec(),
        })
        .collect();
    partitions.sort_by_key(|partition| partition.partition);
    TopicMetadata {
        topic: topic.to_owned(),
        cluster_id,
        brokers,
        partitions,
    }
}
