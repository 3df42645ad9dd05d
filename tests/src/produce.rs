//! Sends generated messages to a broker, and keeps what is then true of the topic.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use crate::messages::{GeneratedMessage, MessageKind};

/// What was sent, per topic partition and in offset order: for a topic that was empty before, the index is the offset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Produced {
    /// Message timestamp, in ms since the epoch, and kind of each message.
    pub partitions: BTreeMap<i32, Vec<(i64, MessageKind)>>,
}

/// What one topic partition holds of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PartitionCounts {
    /// All messages, in the window or not.
    pub messages: u64,
    /// Messages of any kind whose timestamp is in the window.
    pub in_window: u64,
    /// Tombstones in the window.
    pub tombstones: u64,
    /// Messages in the window whose payload is not JSON.
    pub malformed: u64,
}

impl Produced {
    /// Notes one message.
    pub fn note(&mut self, message: &GeneratedMessage) {
        let partition = self.partitions.entry(message.partition).or_default();
        partition.push((message.timestamp_ms, message.kind));
    }

    /// Counts per topic partition for the window `[start, end)`, in ms since the epoch.
    pub fn counts(&self, window: &Range<i64>) -> BTreeMap<i32, PartitionCounts> {
        let count = |messages: &Vec<(i64, MessageKind)>| {
            let mut counts = PartitionCounts {
                messages: messages.len() as u64,
                ..Default::default()
            };
            for (_, kind) in messages.iter().filter(|(stamp, _)| window.contains(stamp)) {
                counts.in_window += 1;
                counts.tombstones += u64::from(*kind == MessageKind::Tombstone);
                counts.malformed += u64::from(*kind == MessageKind::Malformed);
            }
            counts
        };
        self.partitions
            .iter()
            .map(|(number, messages)| (*number, count(messages)))
            .collect()
    }

    /// The offset that a broker answers for a timestamp: the first whose message is stamped at or after it.
    pub fn offset_for_time(&self, partition: i32, timestamp_ms: i64) -> Option<usize> {
        self.partitions
            .get(&partition)?
            .iter()
            .position(|(stamp, _)| *stamp >= timestamp_ms)
    }
}

/// Counts the broker's acknowledgements and keeps the first refusal.
#[derive(Debug, Default, Clone)]
struct Deliveries {
    acknowledged: Arc<AtomicU64>,
    refusal: Arc<std::sync::OnceLock<KafkaError>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.refusal.get_or_init(|| error.clone());
            }
        }
    }
}

/// Sends all messages, each to the topic partition and with the timestamp that it names, and waits until the broker has
/// acknowledged them all. Idempotent, so that offsets follow the order of the messages, and in batches of LZ4, unless
/// `client` says otherwise.
///
/// # Panics
///
/// When the broker refuses a message or doesn't acknowledge all within five minutes.
pub fn produce(
    client: &ClientConfig,
    topic: &str,
    messages: impl IntoIterator<Item = GeneratedMessage>,
) -> Produced {
    let deliveries = Deliveries::default();
    let mut config = client.clone();
    for (name, value) in [("enable.idempotence", "true"), ("compression.type", "lz4")] {
        if config.get(name).is_none() {
            config.set(name, value);
        }
    }
    let producer: BaseProducer<Deliveries> = config
        .set("linger.ms", "20")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.messages", "200000")
        .create_with_context(deliveries.clone())
        .expect("a producer");
    let mut sent = Produced::default();
    let mut count = 0_u64;
    for message in messages {
        send(&producer, topic, &message);
        sent.note(&message);
        count += 1;
        if count.is_multiple_of(1000) {
            producer.poll(Duration::ZERO);
        }
    }
    producer
        .flush(Duration::from_mins(5))
        .unwrap_or_else(|error| panic!("topic {topic:?}: messages stay unacknowledged: {error}"));
    if let Some(error) = deliveries.refusal.get() {
        panic!("topic {topic:?}: the broker refused a message: {error}");
    }
    assert_eq!(
        deliveries.acknowledged.load(Ordering::Relaxed),
        count,
        "acknowledged messages"
    );
    sent
}

/// Sends messages in one transaction, and commits or aborts it.
///
/// # Panics
///
/// When the broker refuses anything or doesn't answer within half a minute.
pub fn transact(
    client: &ClientConfig,
    topic: &str,
    messages: impl IntoIterator<Item = GeneratedMessage>,
    commit: bool,
) {
    transact_around(client, topic, messages, commit, || ());
}

/// The same, and calls `meanwhile` while the messages are all in the log and the transaction is open, which it is for a minute
/// at most.
///
/// # Panics
///
/// As [`transact`].
pub fn transact_around(
    client: &ClientConfig,
    topic: &str,
    messages: impl IntoIterator<Item = GeneratedMessage>,
    commit: bool,
    meanwhile: impl FnOnce(),
) {
    let timeout = Duration::from_secs(30);
    let mut config = client.clone();
    config.set("transactional.id", topic);
    let producer: BaseProducer<Deliveries> = config
        .create_with_context(Deliveries::default())
        .expect("a producer");
    let done = |what: &str, result: Result<(), KafkaError>| {
        result.unwrap_or_else(|error| panic!("topic {topic:?}: can't {what}: {error}"));
    };
    done(
        "prepare for transactions",
        producer.init_transactions(timeout),
    );
    done("begin a transaction", producer.begin_transaction());
    for message in messages {
        send(&producer, topic, &message);
    }
    // An abort drops what is still queued: all of it has to be in the log.
    done("send all messages", producer.flush(timeout));
    meanwhile();
    if commit {
        done("commit", producer.commit_transaction(timeout));
    } else {
        done("abort", producer.abort_transaction(timeout));
    }
}

fn send(producer: &BaseProducer<Deliveries>, topic: &str, message: &GeneratedMessage) {
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic)
        .partition(message.partition)
        .timestamp(message.timestamp_ms);
    if let Some(key) = &message.key {
        record = record.key(key);
    }
    if let Some(payload) = &message.payload {
        record = record.payload(payload);
    }
    if !message.headers.is_empty() {
        let empty = OwnedHeaders::new_with_capacity(message.headers.len());
        record = record.headers(message.headers.iter().fold(empty, |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: value.as_deref(),
            })
        }));
    }
    loop {
        record = match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                producer.poll(Duration::from_millis(100));
                back
            }
            Err((error, _)) => panic!("topic {topic:?}: can't send a message: {error}"),
        };
    }
}
