use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use engine_local::broker::BrokerConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use rdkafka::{Message, Timestamp};

use super::running::Running;

const TIMEOUT: Duration = Duration::from_secs(30);

fn config(running: &Running) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", running.bootstrap());
    config
}

pub(crate) fn admin(running: &Running) -> AdminClient<DefaultClientContext> {
    config(running).create().unwrap()
}

/// Creates a topic; settings are pairs of name and value.
pub(crate) fn create_topic(
    running: &Running,
    name: &str,
    partitions: i32,
    settings: &[(&str, &str)],
) -> Result<(), RDKafkaErrorCode> {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (name, value) in settings {
        topic = topic.set(name, value);
    }
    let results = running.wait(admin(running).create_topics([&topic], &AdminOptions::new()));
    let result = results.unwrap().remove(0);
    result.map(drop).map_err(|(_, code)| code)
}

pub(crate) fn producer(running: &Running, settings: &[(&str, &str)]) -> BaseProducer {
    let mut config = config(running);
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

pub(crate) fn consumer(running: &Running, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config = config(running);
    config
        .set("group.id", "tests")
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config.create().unwrap()
}

/// Sends one message for each timestamp to partition 0; the payload is the timestamp.
pub(crate) fn send(producer: &BaseProducer, topic: &str, timestamps: &[i64]) {
    for timestamp in timestamps {
        let payload = timestamp.to_string();
        let record = BaseRecord::<(), str>::to(topic)
            .partition(0)
            .timestamp(*timestamp)
            .payload(&payload);
        producer.send(record).unwrap();
    }
    producer.flush(TIMEOUT).unwrap();
}

fn assign(consumer: &BaseConsumer, topic: &str, partition: i32, offset: Offset) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset).unwrap();
    consumer.assign(&list).unwrap();
}

/// Reads partition 0 from `offset` to its end.
pub(crate) fn read_from<T>(
    consumer: &BaseConsumer,
    topic: &str,
    offset: i64,
    read: impl Fn(&BorrowedMessage<'_>) -> T,
) -> Vec<T> {
    assign(consumer, topic, 0, Offset::Offset(offset));
    let mut found = Vec::new();
    loop {
        match consumer
            .poll(TIMEOUT)
            .expect("messages or the end come in time")
        {
            Ok(message) => found.push(read(&message)),
            Err(KafkaError::PartitionEOF(0)) => return found,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The compression codes of the batches in all logs below `folder`, by batch header.
fn stored_compressions(folder: &Path) -> Vec<u8> {
    let mut codes = Vec::new();
    for topic in fs::read_dir(folder.join("topics")).unwrap() {
        let log = fs::read(topic.unwrap().path().join("0.log")).unwrap();
        let mut rest = log.as_slice();
        while let Some(length) = rest.get(8..12) {
            let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
            codes.push(rest[22] & 7);
            rest = &rest[12 + length..];
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[derive(Debug, PartialEq)]
struct Seen {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn see(message: &BorrowedMessage<'_>) -> Seen {
    let Timestamp::CreateTime(timestamp) = message.timestamp() else {
        panic!("{:?} is no create time", message.timestamp());
    };
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Seen {
        offset: message.offset(),
        timestamp,
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect(),
    }
}

/// A message with everything: every third without key, every fifth a tombstone, headers that repeat and are empty.
fn message_at(offset: i64) -> Seen {
    Seen {
        offset,
        timestamp: 1_700_000_000_000 + (offset * 7_919) % 10_000,
        key: (offset % 3 != 0).then(|| format!("key {}", offset % 10).into_bytes()),
        payload: (offset % 5 != 0).then(|| "payload ".repeat(20).into_bytes()),
        headers: vec![
            ("trace".to_owned(), Some(offset.to_string().into_bytes())),
            ("trace".to_owned(), Some(Vec::new())),
            ("absent".to_owned(), None),
        ],
    }
}

fn send_whole(producer: &BaseProducer, topic: &str, message: &Seen) {
    let mut headers = OwnedHeaders::new();
    for (key, value) in &message.headers {
        headers = headers.insert(Header {
            key,
            value: value.as_ref(),
        });
    }
    let mut record = BaseRecord::<[u8], [u8]>::to(topic)
        .partition(0)
        .timestamp(message.timestamp)
        .headers(headers);
    if let Some(key) = &message.key {
        record = record.key(key);
    }
    if let Some(payload) = &message.payload {
        record = record.payload(payload);
    }
    producer.send(record).map_err(|(error, _)| error).unwrap();
}

#[test]
fn every_compression_brings_every_message_back_whole() {
    for (code, compression) in ["none", "gzip", "snappy", "lz4", "zstd"].iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(folder.path());
        create_topic(&running, "orders", 1, &[]).unwrap();
        let producer = producer(
            &running,
            &[
                ("compression.type", compression),
                ("batch.num.messages", "700"),
                // Full batches, however slowly this test gets to send: librdkafka stores one plain that is no
                // smaller compressed, as those of a few messages are. Well below the timeout of the flush, which
                // a broker thread that is just asleep until the linger's end doesn't hear.
                ("linger.ms", "5000"),
            ],
        );
        let sent: Vec<Seen> = (0..2_000).map(message_at).collect();
        for message in &sent {
            send_whole(&producer, "orders", message);
        }
        producer.flush(TIMEOUT).unwrap();

        let consumer = consumer(&running, &[]);
        assert_eq!(
            read_from(&consumer, "orders", 0, see),
            sent,
            "{compression}"
        );
        // In the middle of a batch, too.
        assert_eq!(read_from(&consumer, "orders", 1_234, see), sent[1_234..]);
        assert_eq!(
            stored_compressions(folder.path()),
            [u8::try_from(code).unwrap()],
            "stored as it came"
        );
        drop((producer, consumer));
        running.stop();
    }
}

#[test]
fn offsets_for_times_are_those_of_the_first_message_at_or_after() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(&running, "orders", 1, &[]).unwrap();
    let producer = producer(
        &running,
        &[("compression.type", "lz4"), ("batch.num.messages", "7")],
    );
    let base = 1_700_000_000_000;
    let timestamps: Vec<i64> = (0..300).map(|n| base + (n * 37) % 101 + n / 10).collect();
    send(&producer, "orders", &timestamps);

    let consumer = consumer(&running, &[]);
    assert_eq!(
        consumer.fetch_watermarks("orders", 0, TIMEOUT).unwrap(),
        (0, 300)
    );
    for timestamp in (base - 2)..(base + 135) {
        let mut times = TopicPartitionList::new();
        times
            .add_partition_offset("orders", 0, Offset::Offset(timestamp))
            .unwrap();
        let found = consumer.offsets_for_times(times, TIMEOUT).unwrap();
        let expected = timestamps.iter().position(|&found| found >= timestamp);
        let expected = expected.map_or(Offset::End, |offset| {
            Offset::Offset(i64::try_from(offset).unwrap())
        });
        assert_eq!(found.elements()[0].offset(), expected, "at {timestamp}");
    }
    drop((producer, consumer));
    running.stop();
}

#[test]
fn a_topic_with_log_append_time_stamps_messages_itself() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(
        &running,
        "orders",
        1,
        &[("message.timestamp.type", "LogAppendTime")],
    )
    .unwrap();
    let producer = producer(&running, &[("compression.type", "zstd")]);
    send(&producer, "orders", &[1_000, 2_000, 3_000]);
    let consumer = consumer(&running, &[]);
    let stamps = read_from(&consumer, "orders", 0, |message| message.timestamp());
    assert_eq!(stamps.len(), 3);
    for stamp in stamps {
        let Timestamp::LogAppendTime(stamp) = stamp else {
            panic!("{stamp:?} is no log append time");
        };
        assert!(stamp > 1_700_000_000_000, "{stamp}");
    }
    drop((producer, consumer));
    running.stop();
}

#[test]
fn an_idempotent_producer_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(&running, "orders", 1, &[]).unwrap();
    let producer = producer(
        &running,
        &[("enable.idempotence", "true"), ("batch.num.messages", "50")],
    );
    let timestamps: Vec<i64> = (1..=1_000).collect();
    send(&producer, "orders", &timestamps);
    let consumer = consumer(&running, &[]);
    let seen = read_from(&consumer, "orders", 0, |message| {
        (message.offset(), message.timestamp().to_millis().unwrap())
    });
    let expected: Vec<(i64, i64)> = (0..).zip(timestamps).collect();
    assert_eq!(seen, expected);
    drop((producer, consumer));
    running.stop();
}

#[test]
fn small_fetches_still_bring_large_batches() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(&running, "orders", 1, &[]).unwrap();
    let producer = producer(
        &running,
        &[("batch.num.messages", "100"), ("linger.ms", "20")],
    );
    let sent: Vec<Seen> = (0..1_000).map(message_at).collect();
    for message in &sent {
        send_whole(&producer, "orders", message);
    }
    producer.flush(TIMEOUT).unwrap();
    let consumer = consumer(
        &running,
        &[
            ("fetch.message.max.bytes", "100"),
            ("fetch.max.bytes", "1000"),
            ("message.max.bytes", "1000"),
        ],
    );
    assert_eq!(read_from(&consumer, "orders", 0, see), sent);
    drop((producer, consumer));
    running.stop();
}

#[test]
fn offsets_out_of_range_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(&running, "orders", 1, &[]).unwrap();
    let producer = producer(&running, &[]);
    send(&producer, "orders", &[1, 2, 3]);
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset("orders", 0, Offset::Offset(2))
        .unwrap();
    running
        .wait(admin(&running).delete_records(&before, &AdminOptions::new()))
        .unwrap();
    let consumer = consumer(&running, &[]);
    assert_eq!(
        consumer.fetch_watermarks("orders", 0, TIMEOUT).unwrap(),
        (2, 3)
    );
    for offset in [1, 4] {
        assign(&consumer, "orders", 0, Offset::Offset(offset));
        let error = consumer.poll(TIMEOUT).unwrap().unwrap_err();
        assert_eq!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::AutoOffsetReset),
            "{error}"
        );
    }
    assert_eq!(
        read_from(&consumer, "orders", 2, |message| message.offset()),
        [2]
    );
    drop((producer, consumer));
    running.stop();
}

#[test]
fn topics_are_created_described_grown_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let admin = admin(&running);
    let options = AdminOptions::new();
    create_topic(&running, "orders", 3, &[("retention.ms", "86400000")]).unwrap();
    assert_eq!(
        create_topic(&running, "orders", 1, &[]),
        Err(RDKafkaErrorCode::TopicAlreadyExists)
    );
    assert_eq!(
        create_topic(&running, "bad name", 1, &[]),
        Err(RDKafkaErrorCode::InvalidTopic)
    );
    assert_eq!(
        create_topic(&running, "other", 1, &[("retention.hours", "1")]),
        Err(RDKafkaErrorCode::InvalidConfig)
    );

    let described = running
        .wait(admin.describe_configs([&ResourceSpecifier::Topic("orders")], &options))
        .unwrap()
        .remove(0)
        .unwrap();
    let value = |name| described.get(name).unwrap().value.as_deref();
    assert_eq!(value("retention.ms"), Some("86400000"));
    assert_eq!(value("cleanup.policy"), Some("delete"));
    assert_eq!(value("message.timestamp.type"), Some("CreateTime"));
    assert_eq!(value("max.message.bytes"), Some("1048588"));
    assert_eq!(value("segment.bytes"), Some("1073741824"));

    running
        .wait(admin.create_partitions([&NewPartitions::new("orders", 5)], &options))
        .unwrap()
        .remove(0)
        .unwrap();
    let consumer = consumer(&running, &[]);
    let partitions = || {
        let metadata = consumer.fetch_metadata(None, TIMEOUT).unwrap();
        let topics = metadata.topics().iter();
        topics
            .map(|topic| (topic.name().to_owned(), topic.partitions().len()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(partitions(), BTreeMap::from([("orders".to_owned(), 5)]));
    running
        .wait(admin.delete_topics(&["orders"], &options))
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(partitions(), BTreeMap::new());
    let again = running
        .wait(admin.delete_topics(&["orders"], &options))
        .unwrap();
    assert_eq!(
        again,
        [Err((
            "orders".to_owned(),
            RDKafkaErrorCode::UnknownTopicOrPartition
        ))]
    );
    drop((admin, consumer));
    running.stop();
}

#[test]
fn topics_are_made_on_demand_only_where_configured() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let metadata = |running: &Running| {
        let consumer = consumer(running, &[("allow.auto.create.topics", "true")]);
        let metadata = consumer.fetch_metadata(Some("orders"), TIMEOUT).unwrap();
        let topic = &metadata.topics()[0];
        topic.error().map_or(Ok(topic.partitions().len()), |error| {
            Err(RDKafkaErrorCode::from(error))
        })
    };
    assert_eq!(
        metadata(&running),
        Err(RDKafkaErrorCode::UnknownTopicOrPartition)
    );
    running.stop();
    let mut config = BrokerConfig::new(folder.path());
    config.auto_create_partitions = Some(4);
    let running = Running::start_with(config);
    assert_eq!(metadata(&running), Ok(4));
    running.stop();
}

#[test]
fn group_offsets_are_kept_for_clients_that_assign() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(&running, "orders", 2, &[]).unwrap();
    let consumer = consumer(&running, &[]);
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset("orders", 0, Offset::Offset(42))
        .unwrap();
    consumer.commit(&offsets, CommitMode::Sync).unwrap();
    let committed = |consumer: &BaseConsumer| {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_range("orders", 0, 1);
        let found = consumer.committed_offsets(wanted, TIMEOUT).unwrap();
        let elements = found.elements();
        elements
            .iter()
            .map(TopicPartitionListElem::offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(committed(&consumer), [Offset::Offset(42), Offset::Invalid]);
    let other = self::consumer(&running, &[("group.id", "another")]);
    assert_eq!(committed(&other), [Offset::Invalid, Offset::Invalid]);
    drop((consumer, other));
    running.stop();
}
