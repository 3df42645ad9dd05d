use std::fs;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tests::broker::{BrokerOptions, KafkaBroker, Listener};
use tests::messages::{GeneratedMessage, MessagePlan};
use tests::orders;
use tests::produce::{Produced, produce};
use tests::truth::{PartitionTruth, TopicRequest, TopicTruth, topic_truth};

const TIMEOUT: Duration = Duration::from_secs(30);

fn consumer(broker: &KafkaBroker) -> BaseConsumer {
    let mut config = broker.client();
    config
        .set("group.id", "reader")
        .set("enable.auto.commit", "false");
    config.create().unwrap()
}

/// Reads a topic partition from its first offset, and compares each message with what was sent.
fn assert_read_back(broker: &KafkaBroker, topic: &str, sent: &[GeneratedMessage], number: i32) {
    let consumer = consumer(broker);
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, number, Offset::Beginning)
        .unwrap();
    consumer.assign(&assignment).unwrap();
    let sent = sent.iter().filter(|message| message.partition == number);
    for (offset, expected) in sent.enumerate() {
        let message = consumer.poll(TIMEOUT).expect("a message in time").unwrap();
        assert_eq!(message.offset(), i64::try_from(offset).unwrap());
        assert_eq!(message.timestamp().to_millis(), Some(expected.timestamp_ms));
        assert_eq!(message.key(), expected.key.as_deref());
        assert_eq!(message.payload(), expected.payload.as_deref());
    }
}

#[test]
fn broker_keeps_messages_and_timestamps_exactly() {
    let broker = KafkaBroker::shared();
    let topic = "broker_keeps_messages_and_timestamps_exactly";
    broker.create_topic(topic, 3, &[]);
    let plan = MessagePlan::new(20_261_123, 10_000);
    let sent: Vec<_> = plan.messages().collect();
    let produced = produce(&broker.client(), topic, plan.messages());
    for number in 0..plan.partitions {
        assert_read_back(broker, topic, &sent, number);
    }

    let consumer = consumer(broker);
    for timestamp_ms in [
        0,
        plan.start_ms + plan.span_ms / 3,
        plan.start_ms + plan.span_ms,
    ] {
        let mut asked = TopicPartitionList::new();
        for number in 0..plan.partitions {
            let at = Offset::Offset(timestamp_ms);
            asked.add_partition_offset(topic, number, at).unwrap();
        }
        for answer in consumer
            .offsets_for_times(asked, TIMEOUT)
            .unwrap()
            .elements()
        {
            let expected = produced
                .offset_for_time(answer.partition(), timestamp_ms)
                .map_or(Offset::End, |offset| {
                    Offset::Offset(i64::try_from(offset).unwrap())
                });
            assert_eq!(answer.offset(), expected, "{answer:?} at {timestamp_ms}");
        }
    }
}

fn truth(broker: &KafkaBroker, topic: &str, window: &Range<i64>, tombstones: bool) -> TopicTruth {
    topic_truth(&TopicRequest {
        bootstrap: broker.bootstrap(),
        topic,
        mapping: &orders::mapping(),
        window: window.clone(),
        zone: "Asia/Shanghai",
        keep_tombstones: tombstones,
    })
}

/// What the judge must find, by what the generator knows.
fn assert_truth(found: &TopicTruth, produced: &Produced, window: &Range<i64>, tombstones: bool) {
    let counts = produced.counts(window);
    assert_eq!(
        found.partitions.keys().collect::<Vec<_>>(),
        counts.keys().collect::<Vec<_>>()
    );
    let mut rows = 0;
    let mut malformed = 0;
    for (number, counts) in counts {
        let expected = PartitionTruth {
            messages: counts.messages,
            in_window: counts.in_window,
            rows: counts.in_window
                - counts.malformed
                - if tombstones { 0 } else { counts.tombstones },
            tombstones: counts.tombstones,
            rejected: counts.malformed,
            without_timestamp: 0,
            low: 0,
            high: i64::try_from(counts.messages).unwrap(),
        };
        assert!(counts.in_window < counts.messages && counts.malformed > 0);
        assert_eq!(
            found.partitions[&number], expected,
            "topic partition {number}"
        );
        rows += expected.rows;
        malformed += counts.malformed;
    }
    assert_eq!(found.table.rows, rows);
    assert_eq!(
        found.rejects.iter().collect::<Vec<_>>(),
        [(&"malformed".to_owned(), &malformed)]
    );
}

#[test]
fn judge_counts_what_was_generated() {
    let broker = KafkaBroker::shared();
    let topic = "judge_counts_what_was_generated";
    broker.create_topic(topic, 3, &[]);
    let plan = MessagePlan {
        malformed_per_mille: 20,
        tombstones_per_mille: 20,
        ..MessagePlan::new(42, 20_000)
    };
    let produced = produce(&broker.client(), topic, plan.messages());
    let window = plan.start_ms + plan.span_ms / 4..plan.start_ms + plan.span_ms / 2;
    let kept = truth(broker, topic, &window, true);
    assert_truth(&kept, &produced, &window, true);
    let skipped = truth(broker, topic, &window, false);
    assert_truth(&skipped, &produced, &window, false);
    // A tombstone has nothing but its key and what Kafka knows of it.
    let nulls = |found: &TopicTruth, column: &str| found.table.columns[column].nulls;
    assert_eq!(
        nulls(&kept, "order_id"),
        kept.table.rows - skipped.table.rows
    );
    assert_eq!(nulls(&skipped, "order_id"), 0);
    assert!(nulls(&skipped, "kafka_key") > 0 && nulls(&skipped, "longitude") > 0);
    assert_ne!(kept.table.row_checksum, skipped.table.row_checksum);
}

/// Sends `count` messages stamped `timestamp_ms` in one transaction, and commits or aborts it.
fn transact(broker: &KafkaBroker, topic: &str, count: usize, timestamp_ms: i64, commit: bool) {
    let message = GeneratedMessage::row(0, timestamp_ms, b"{}");
    let messages = std::iter::repeat_n(message, count);
    tests::produce::transact(&broker.client(), topic, messages, commit);
}

#[test]
fn judge_ends_behind_transaction_markers_and_aborted_messages() {
    let broker = KafkaBroker::shared();
    let topic = "judge_ends_behind_transaction_markers_and_aborted_messages";
    broker.create_topic(topic, 1, &[]);
    transact(broker, topic, 10, 5, true);
    transact(broker, topic, 20, 5, false);
    transact(broker, topic, 3, 6, true);
    transact(broker, topic, 4, 5, false);
    let found = truth(broker, topic, &(5..6), true);
    let partition = &found.partitions[&0];
    // Each transaction ends with a marker that has an offset of its own.
    assert_eq!((partition.low, partition.high), (0, 10 + 20 + 3 + 4 + 4));
    assert_eq!(
        (partition.messages, partition.in_window, partition.rows),
        (13, 10, 10)
    );
    assert_eq!(found.table.rows, 10);
}

#[test]
#[ignore = "takes minutes and a gigabyte of disk"]
fn judge_keeps_up_with_a_large_topic() {
    let broker = KafkaBroker::start();
    let topic = "judge_keeps_up_with_a_large_topic";
    // One topic partition: the judge has to cut it to use both of its processes.
    broker.create_topic(topic, 1, &[]);
    let plan = MessagePlan {
        partitions: 1,
        ..MessagePlan::new(1, 1_500_000)
    };
    let produced = produce(&broker.client(), topic, plan.messages());
    let window = plan.start_ms + 1000..plan.start_ms + plan.span_ms - 1000;
    let found = truth(&broker, topic, &window, true);
    assert_truth(&found, &produced, &window, true);
}

fn answers_password(broker: &KafkaBroker, password: &str) -> bool {
    let mut config = broker.client();
    config
        .set("bootstrap.servers", broker.address("CLIENT"))
        .set("security.protocol", "SASL_PLAINTEXT")
        .set("sasl.mechanism", "PLAIN")
        .set("sasl.username", "tester")
        .set("sasl.password", password);
    let consumer: BaseConsumer = config.create().unwrap();
    consumer
        .fetch_metadata(None, Duration::from_secs(3))
        .is_ok()
}

#[test]
fn broker_takes_options_and_ends_with_its_handle_even_when_a_test_panics() {
    let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let users = format!("{module} required user_tester=\"right\";");
    let broker = KafkaBroker::start_with(&BrokerOptions {
        listeners: vec![Listener::new("CLIENT", "SASL_PLAINTEXT")],
        properties: vec![
            ("sasl.enabled.mechanisms".to_owned(), "PLAIN".to_owned()),
            (
                "listener.name.client.plain.sasl.jaas.config".to_owned(),
                users,
            ),
        ],
        ..BrokerOptions::default()
    });
    assert!(answers_password(&broker, "right"));
    assert!(!answers_password(&broker, "wrong"));

    let log = broker.log();
    let process = format!("/proc/{}", broker.process_id());
    assert!(
        fs::read_to_string(&log)
            .unwrap()
            .contains("Kafka Server started")
    );
    assert!(fs::exists(&process).unwrap());
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _broker = broker;
        panic!("as a failing test does");
    }));
    assert!(result.is_err());
    assert!(!fs::exists(&process).unwrap(), "{process} is still there");
    assert!(
        !fs::exists(log.parent().unwrap()).unwrap(),
        "{} is still there",
        log.display()
    );
}
