//! librdkafka's own mock cluster, filled for a test.

use std::time::Duration;

use engine_model::{OffsetRange, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};

use crate::Settings;

pub(crate) const TOPIC: &str = "orders";
/// Timestamp of the message at offset 0; each later one is a millisecond younger.
pub(crate) const FIRST_MS: i64 = 1_700_000_000_000;

pub(crate) struct Cluster {
    pub(crate) mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Cluster {
    /// One broker with [`TOPIC`] of two topic partitions, both empty. Batches are small, so that ranges begin within
    /// them and between them.
    pub(crate) fn new() -> Self {
        Self::with_batches_of("7")
    }

    fn with_batches_of(count: &str) -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, 2, 1).unwrap();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .set("batch.num.messages", count)
            .set("linger.ms", "1000")
            .create()
            .unwrap();
        Self { mock, producer }
    }

    /// One broker with `count` messages `k0`/`payload 0`, `k1`/`payload 1` … in topic partition 0.
    pub(crate) fn with_messages(count: usize) -> Self {
        let cluster = Self::new();
        cluster.produce(0, 0..count);
        cluster
    }

    /// The same messages in a single batch, which one request fetches whole.
    pub(crate) fn with_one_batch(count: usize) -> Self {
        let cluster = Self::with_batches_of("1000000");
        cluster.produce(0, 0..count);
        cluster
    }

    pub(crate) fn produce(&self, partition: i32, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let (key, payload) = (format!("k{number}"), format!("payload {number}"));
            let timestamp = FIRST_MS + i64::try_from(number).unwrap();
            let record = BaseRecord::to(TOPIC)
                .partition(partition)
                .key(&key)
                .payload(&payload)
                .timestamp(timestamp);
            self.producer
                .send(record)
                .map_err(|(error, _)| error)
                .unwrap();
        }
        self.producer.flush(Duration::from_secs(10)).unwrap();
    }

    pub(crate) fn produce_one(
        &self,
        partition: i32,
        key: Option<&str>,
        payload: Option<&[u8]>,
        headers: &[(&str, Option<&str>)],
    ) {
        let mut record = BaseRecord::<str, [u8]>::to(TOPIC).partition(partition);
        record.key = key;
        record.payload = payload;
        if !headers.is_empty() {
            let mut owned = OwnedHeaders::new();
            for (key, value) in headers {
                owned = owned.insert(Header { key, value: *value });
            }
            record = record.headers(owned);
        }
        self.producer
            .send(record)
            .map_err(|(error, _)| error)
            .unwrap();
        self.producer.flush(Duration::from_secs(10)).unwrap();
    }

    pub(crate) fn settings(&self) -> Settings {
        settings_for(&self.mock.bootstrap_servers())
    }
}

pub(crate) fn settings_for(address: &str) -> Settings {
    Settings::new([address], [] as [(&str, &str); 0]).unwrap()
}

pub(crate) fn partition(number: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, number)
}

pub(crate) fn range(start: i64, end: i64) -> OffsetRange {
    OffsetRange::new(start, end).unwrap()
}

/// An address on which nothing listens.
pub(crate) const CLOSED: &str = "127.0.0.1:1";
