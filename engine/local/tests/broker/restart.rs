use std::fs;

use engine_local::broker::{Broker, BrokerConfig, ErrorKind};
use rdkafka::Message;
use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::librdkafka::{consumer, create_topic, producer, read_from, send};
use super::running::Running;

#[test]
fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let timestamps: Vec<i64> = (0..500).map(|n| 1_000 + (n * 13) % 97).collect();
    let cluster_id = {
        let running = Running::start(folder.path());
        create_topic(&running, "orders", 1, &[("cleanup.policy", "compact")]).unwrap();
        let producer = producer(
            &running,
            &[("compression.type", "snappy"), ("batch.num.messages", "60")],
        );
        send(&producer, "orders", &timestamps);
        let consumer = consumer(&running, &[]);
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset("orders", 0, Offset::Offset(77))
            .unwrap();
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
        let cluster_id = running.broker().cluster_id().to_owned();
        drop((producer, consumer));
        running.stop();
        cluster_id
    };

    let running = Running::start(folder.path());
    assert_eq!(running.broker().cluster_id(), cluster_id);
    assert_eq!(cluster_id.len(), 22);
    let consumer = consumer(&running, &[]);
    let timeout = std::time::Duration::from_secs(30);
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition("orders", 0);
    let committed = consumer.committed_offsets(wanted, timeout).unwrap();
    assert_eq!(committed.elements()[0].offset(), Offset::Offset(77));
    let seen = read_from(&consumer, "orders", 0, |message| {
        message.timestamp().to_millis().unwrap()
    });
    assert_eq!(seen, timestamps);
    let producer = producer(&running, &[]);
    send(&producer, "orders", &[5]);
    assert_eq!(
        read_from(&consumer, "orders", 500, |message| message.offset()),
        [500]
    );
    drop((producer, consumer));
    running.stop();
}

#[test]
fn a_log_torn_by_a_crash_is_served_up_to_the_last_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    create_topic(&running, "orders", 1, &[]).unwrap();
    let first = producer(&running, &[]);
    send(&first, "orders", &[1, 2]);
    send(&first, "orders", &[3]);
    drop(first);
    running.stop();

    let topic = fs::read_dir(folder.path().join("topics")).unwrap().next();
    let log = topic.unwrap().unwrap().path().join("0.log");
    let bytes = fs::metadata(&log).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(bytes - 1)
        .unwrap();

    let running = Running::start(folder.path());
    let consumer = consumer(&running, &[]);
    let read = |message: &rdkafka::message::BorrowedMessage<'_>| {
        (message.offset(), message.timestamp().to_millis().unwrap())
    };
    assert_eq!(read_from(&consumer, "orders", 0, read), [(0, 1), (1, 2)]);
    let second = producer(&running, &[]);
    send(&second, "orders", &[4]);
    assert_eq!(
        read_from(&consumer, "orders", 0, read),
        [(0, 1), (1, 2), (2, 4)]
    );
    drop((second, consumer));
    running.stop();
}

#[test]
fn a_data_folder_has_one_broker() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let second = running.wait(Broker::start(BrokerConfig::new(folder.path())));
    let error = second.map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(error.to_string().contains("another broker uses"), "{error}");
    running.stop();
    Running::start(folder.path()).stop();
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let kind = |config| {
        let started = runtime.block_on(Broker::start(config));
        started.map(|_| ()).unwrap_err().kind()
    };
    let mut open = BrokerConfig::new(folder.path());
    open.listen = "0.0.0.0:0".parse().unwrap();
    assert_eq!(kind(open), ErrorKind::Config);
    let mut none = BrokerConfig::new(folder.path());
    none.auto_create_partitions = Some(0);
    assert_eq!(kind(none), ErrorKind::Config);
    fs::write(folder.path().join("cluster.json"), b"{").unwrap();
    assert_eq!(kind(BrokerConfig::new(folder.path())), ErrorKind::Stored);
}
