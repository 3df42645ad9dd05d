//! Filling a topic, for demonstrations.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine_model::TopicPartition;
use engine_model::limits::FIRST_CONTACT_S_MAX;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use rdkafka::util::Timeout;
use rdkafka::{ClientConfig, ClientContext};

use crate::error::{Error, ErrorKind, Result};

/// How long [`Producer::finish`] waits for the last acknowledgement.
const FLUSH_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a full queue is waited for before the next try.
const QUEUE_WAIT: Duration = Duration::from_millis(20);

/// Creates `topic` with `partitions` topic partitions, one replica each.
///
/// # Errors
///
/// Those of the broker: the topic exists, or nobody answers within 10 s.
pub fn create_topic(brokers: &str, topic: &str, partitions: i32) -> Result<()> {
    let failed = |cause: String| {
        Error::new(
            ErrorKind::Other,
            format!("topic {topic:?} can't be created at {brokers}: {cause}"),
        )
    };
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .create()
        .map_err(|error| failed(error.to_string()))?;
    let timeout = Some(Timeout::After(Duration::from_secs(FIRST_CONTACT_S_MAX)));
    let options = AdminOptions::new()
        .request_timeout(timeout)
        .operation_timeout(timeout);
    let new = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
    let created = futures_executor::block_on(admin.create_topics(&new, &options));
    match created.map(|mut answers| answers.pop()) {
        Ok(Some(Ok(_))) => Ok(()),
        Ok(Some(Err((_, code)))) => Err(failed(code.to_string())),
        Ok(None) => Err(failed("an empty answer".to_owned())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Sends messages in large compressed batches, each acknowledged.
pub struct Producer {
    producer: BaseProducer<Deliveries>,
}

/// Keeps the first message that was not acknowledged.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert_with(|| error.clone());
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

impl Producer {
    /// Sets a producer up; it connects with the first message.
    pub fn new(brokers: &str) -> Result<Self> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("compression.type", "lz4")
            .set("linger.ms", "50")
            .set("batch.size", "1000000")
            .set("message.timeout.ms", "30000")
            .create_with_context(Deliveries::default())
            .map_err(|error| not_sent(&error))?;
        Ok(Self { producer })
    }

    /// Queues one message; waits while the queue is full.
    pub fn send(
        &self,
        to: &TopicPartition,
        timestamp_ms: i64,
        key: &str,
        payload: Option<&[u8]>,
    ) -> Result<()> {
        let mut record = BaseRecord::to(&to.topic)
            .partition(to.partition)
            .timestamp(timestamp_ms)
            .key(key);
        if let Some(payload) = payload {
            record = record.payload(payload);
        }
        loop {
            match self.producer.send(record) {
                Ok(()) => {
                    self.producer.poll(Duration::ZERO);
                    return Ok(());
                }
                Err((KafkaError::MessageProduction(Code::QueueFull), unsent)) => {
                    record = unsent;
                    self.producer.poll(QUEUE_WAIT);
                }
                Err((error, _)) => return Err(not_sent(&error)),
            }
        }
    }

    /// Waits until every message is acknowledged.
    ///
    /// # Errors
    ///
    /// The first message that was not.
    pub fn finish(self) -> Result<()> {
        self.producer
            .flush(FLUSH_TIMEOUT)
            .map_err(|error| not_sent(&error))?;
        let deliveries = self.producer.context();
        let failed = deliveries
            .failed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        failed.map_or(Ok(()), |error| Err(not_sent(&error)))
    }
}

fn not_sent(error: &KafkaError) -> Error {
    Error::new(ErrorKind::Other, format!("messages can't be sent: {error}"))
}
