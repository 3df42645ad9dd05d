use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;
use tests::broker::KafkaBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::MessagePlan;
use tests::produce::{produce, transact, transact_around};
use tests::program;

/// A run of a few thousand messages that takes longer waits for something.
const SMALL_RUN_WITHIN: Duration = Duration::from_secs(15);

const DAY: Option<&str> = Some("ds=20261122");

fn plan(partitions: i32, messages: u64) -> MessagePlan {
    MessagePlan {
        partitions,
        malformed_per_mille: 0,
        ..MessagePlan::new(20_261_124, messages)
    }
}

/// A job that loads all that `plan` has sent to `topic`.
fn whole(broker: &KafkaBroker, topic: &str, loader: &Loader, plan: &MessagePlan) -> JobFile {
    let window = plan.start_ms..plan.start_ms + plan.span_ms;
    JobFile::new(broker.bootstrap(), topic, loader.server.endpoint(), window)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

#[test]
fn aborted_messages_are_holes_even_at_the_end_of_the_log() {
    let broker = KafkaBroker::shared();
    let topic = "aborted_messages_are_holes_even_at_the_end_of_the_log";
    broker.create_topic(topic, 2, &[]);
    let plan = plan(2, 3_000);
    let messages: Vec<_> = plan.messages().collect();
    for (index, messages) in messages.chunks(500).enumerate() {
        transact(&broker.client(), topic, messages.to_vec(), index % 2 == 0);
    }

    let loader = Loader::with_table();
    let job = whole(broker, topic, &loader, &plan);
    let started = Instant::now();
    let report = loader.run(&job).json();
    let took = started.elapsed();
    assert!(took < SMALL_RUN_WITHIN, "it took {took:?}");
    let truth = loader.topic_truth(&job, broker.bootstrap());
    assert_eq!(truth.table.rows, 1_500);
    assert_eq!(loader.table_truth(DAY), truth.table);
    let ledger = report["ledger"].as_array().unwrap();
    assert_eq!(ledger.len(), 2);
    let warnings = report["warnings"].to_string();
    for partition in 0..2 {
        let found = format!("offsets of {topic}[{partition}] have no message, at [");
        assert!(warnings.contains(&found), "{found} in {warnings}");
    }
    for entry in ledger {
        let partition = i32::try_from(entry["partition"].as_i64().unwrap()).unwrap();
        let truth = &truth.partitions[&partition];
        let (planned, rows) = (
            number(&entry["planned"]),
            number(&entry["windows"]["0"]["rows"]),
        );
        assert_eq!(
            i64::try_from(planned).unwrap(),
            truth.high - truth.low,
            "{entry}"
        );
        assert_eq!(rows, truth.rows, "{entry}");
        assert_eq!(number(&entry["holes"]), planned - rows, "{entry}");
    }
}

#[test]
fn a_broker_that_dies_and_comes_back_is_waited_for() {
    let mut broker = KafkaBroker::start();
    let topic = "a_broker_that_dies_and_comes_back_is_waited_for";
    broker.create_topic(topic, 4, &[]);
    // More than a slice, and than a reader fetches ahead: it has one topic partition at a time.
    let plan = plan(4, 100_000);
    produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let job = JobFile {
        more: "limits: { concurrency: 1 }".to_owned(),
        ..whole(&broker, topic, &loader, &plan)
    };
    let mut run = loader.start(&job);
    loader.wait_for_slices(&mut run, 1);
    let killed = Instant::now();
    broker.restart();
    let away = killed.elapsed();
    let report = program::Ended::from(run.wait_with_output().unwrap()).json();
    let took = report["seconds"].as_f64().unwrap();
    assert!(
        took > away.as_secs_f64(),
        "in {took} s it has not missed a broker that was away for {away:?}"
    );
    let truth = loader.topic_truth(&job, broker.bootstrap());
    assert_eq!(truth.table.rows, plan.messages);
    assert_eq!(loader.table_truth(DAY), truth.table);
}

#[test]
fn what_an_open_transaction_keeps_back_is_told() {
    let broker = KafkaBroker::shared();
    let topic = "what_an_open_transaction_keeps_back_is_told";
    broker.create_topic(topic, 1, &[]);
    let plan = plan(1, 1_000);
    let mut messages: Vec<_> = plan.messages().collect();
    let kept_back = messages.split_off(600);
    produce(&broker.client(), topic, messages);
    let loader = Loader::with_table();
    let job = whole(broker, topic, &loader, &plan);
    transact_around(&broker.client(), topic, kept_back, true, || {
        let report = loader.run(&job).json();
        let warnings = report["warnings"].to_string();
        let told = format!(
            "a transaction is open at offset 600 of {topic}[0]: the 400 offsets from there"
        );
        assert!(warnings.contains(&told), "{told} in {warnings}");
        assert_eq!(number(&report["windows"][0]["rows"]), 600);
    });
    let report = loader.run(&job).json();
    assert!(
        !report["warnings"]
            .to_string()
            .contains("transaction is open")
    );
    assert_eq!(number(&report["windows"][0]["rows"]), 1_000);
}

#[test]
fn rows_are_not_replaced_by_what_retention_has_left_unless_asked_for() {
    let broker = KafkaBroker::shared();
    let topic = "rows_are_not_replaced_by_what_retention_has_left";
    broker.create_topic(topic, 1, &[]);
    let plan = plan(1, 1_000);
    produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let job = whole(broker, topic, &loader, &plan);
    loader.run(&job).json();
    let before = loader.table_truth(DAY);
    assert_eq!(before.rows, 1_000);

    broker.delete_records(topic, 0, 400);
    let refused = loader.run(&job);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(
        said.contains("offset 400") && said.contains("retention"),
        "{said}"
    );
    assert_eq!(
        loader.table_truth(DAY),
        before,
        "no row of the table changed"
    );

    let warned = JobFile {
        more: "on_retention_gap: warn".to_owned(),
        ..job
    };
    let report = loader.run(&warned).json();
    let warnings = report["warnings"].as_array().unwrap();
    let tells = |warning: &Value| warning.as_str().unwrap().contains("retention");
    assert!(warnings.iter().any(tells), "{warnings:?}");
    let truth = loader.topic_truth(&warned, broker.bootstrap());
    assert_eq!(truth.table.rows, 600);
    assert_eq!(loader.table_truth(DAY), truth.table);
}

/// The group's offsets of the topic's partitions.
fn group_offsets(broker: &KafkaBroker, group: &str, topic: &str, partitions: i32) -> Vec<Offset> {
    let consumer: BaseConsumer = broker.client().set("group.id", group).create().unwrap();
    let mut asked = TopicPartitionList::new();
    asked.add_partition_range(topic, 0, partitions - 1);
    let answer = consumer
        .committed_offsets(asked, Duration::from_secs(30))
        .unwrap();
    answer
        .elements()
        .iter()
        .map(TopicPartitionListElem::offset)
        .collect()
}

#[test]
fn the_group_is_set_to_the_planned_ends_and_never_back() {
    let broker = KafkaBroker::shared();
    let topic = "the_group_is_set_to_the_planned_ends_and_never_back";
    broker.create_topic(topic, 2, &[]);
    let plan = MessagePlan {
        out_of_order_per_mille: 0,
        ..plan(2, 1_000)
    };
    let produced = produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let half = plan.start_ms + plan.span_ms / 2;
    let job = JobFile {
        kafka: format!("group: {topic}"),
        lateness: "none".to_owned(),
        window: plan.start_ms..half,
        ..whole(broker, topic, &loader, &plan)
    };
    loader.run(&job).json();
    let offsets = group_offsets(broker, topic, topic, 2);
    for (partition, offset) in (0..).zip(&offsets) {
        let end = produced.offset_for_time(partition, half).unwrap();
        assert_eq!(*offset, Offset::Offset(i64::try_from(end).unwrap()));
    }

    let older = JobFile {
        window: plan.start_ms..plan.start_ms + plan.span_ms / 4,
        partition: "{ ds: \"20261121\" }".to_owned(),
        ..job
    };
    let report = loader.run(&older).json();
    assert!(number(&report["windows"][0]["rows"]) > 0, "{report}");
    assert_eq!(group_offsets(broker, topic, topic, 2), offsets);
}
