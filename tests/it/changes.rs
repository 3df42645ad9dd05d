//! Topics that change while they are read: retention, new topic partitions, a topic made anew.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::broker::KafkaBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::{GeneratedMessage, MessagePlan};
use tests::produce::produce;
use tests::program::Ended;
use tests::stopped::StoppedRun;

/// The longest wait for an error about a topic that has changed.
const TOLD_WITHIN: Duration = Duration::from_secs(40);

const DAY: Option<&str> = Some("ds=20261122");
const PARTITIONS: i32 = 4;
/// More than a slice in each topic partition, and than a reader fetches ahead: it has one topic partition at a time.
const MESSAGES: u64 = 100_000;

fn plan(seed: u64, messages: u64) -> MessagePlan {
    MessagePlan {
        partitions: PARTITIONS,
        malformed_per_mille: 0,
        ..MessagePlan::new(seed, messages)
    }
}

/// A job that loads all that `plan` has sent to `topic`, one topic partition after the other.
fn whole(topic: &str, loader: &Loader, plan: &MessagePlan, more: &str) -> JobFile {
    let window = plan.start_ms..plan.start_ms + plan.span_ms;
    let bootstrap = KafkaBroker::shared().bootstrap();
    JobFile {
        // Otherwise a topic that is gone is waited for longer.
        kafka: "options: { topic.metadata.propagation.max.ms: \"3000\" }".to_owned(),
        more: format!("limits: {{ concurrency: 1 }}\n{more}"),
        ..JobFile::new(bootstrap, topic, loader.server.endpoint(), window)
    }
}

/// Starts the job, and lets `change` happen while it holds still with its first slice staged.
fn run_through(loader: &Loader, job: &JobFile, change: impl FnOnce()) -> Ended {
    let run = StoppedRun::start(loader.command(job), "slice_journalled:1");
    assert_eq!(loader.staged_slices(), 1);
    change();
    let run = run.go_on();
    let went_on = Instant::now();
    let ended = Ended::from(run.wait_with_output().unwrap());
    let took = went_on.elapsed();
    assert!(took < TOLD_WITHIN, "it took {took:?}: {ended:#?}");
    ended
}

#[track_caller]
fn assert_refused(loader: &Loader, ended: &Ended, says: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for text in says {
        assert!(ended.stdout.contains(text), "{text:?} in {ended:#?}");
    }
    assert_eq!(loader.server.count("orders", ""), 0, "nothing is committed");
}

#[track_caller]
fn assert_warned(report: &Value, says: &[&str]) {
    let warnings = report["warnings"].as_array().unwrap();
    for text in says {
        let mut warnings = warnings.iter().map(|warning| warning.as_str().unwrap());
        assert!(
            warnings.any(|warning| warning.contains(text)),
            "{text:?} in {report}"
        );
    }
}

fn holes(report: &Value, partition: i32) -> u64 {
    let mut ledger = report["ledger"].as_array().unwrap().iter();
    let entry = ledger.find(|entry| entry["partition"] == partition);
    entry.unwrap()["holes"].as_u64().unwrap()
}

#[test]
fn what_retention_deletes_while_a_run_reads_is_never_passed_over() {
    let broker = KafkaBroker::shared();
    let topic = "what_retention_deletes_while_a_run_reads";
    broker.create_topic(topic, PARTITIONS, &[]);
    let plan = plan(20_261_128, MESSAGES);
    produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let job = whole(topic, &loader, &plan, "");
    let last = PARTITIONS - 1;
    let ended = run_through(&loader, &job, || broker.delete_records(topic, last, 4_000));
    let place = format!("{topic}[{last}]");
    let deleted = format!("{place}: the offsets from 0 to ");
    let advice = ["--replan", "on_retention_gap: warn"];
    let says = [&deleted, "the log now starts at 4000", advice[0], advice[1]];
    assert_refused(&loader, &ended, &says);

    // The same command finds it out before it reads.
    let again = loader.run(&job);
    let kept =
        format!("{place} is still to be read from offset 0 on, and its log now starts at 4000");
    assert_refused(&loader, &again, &[&kept, advice[0], advice[1]]);

    let warned = whole(topic, &loader, &plan, "on_retention_gap: warn");
    let report = loader.run(&warned).json();
    assert_eq!(report["resumed"], true);
    assert_eq!((holes(&report, 0), holes(&report, last)), (0, 4_000));
    let gone = format!("retention deleted offsets [0, 4000) of {place} before they were read");
    assert_warned(&report, &[&gone]);
    let truth = loader.topic_truth(&warned, broker.bootstrap());
    assert_eq!(truth.table.rows, MESSAGES - 4_000);
    assert_eq!(loader.table_truth(DAY), truth.table);

    // With that setting it costs no attempt in the first place.
    let other = Loader::with_table();
    let warned = whole(topic, &other, &plan, "on_retention_gap: warn");
    let ended = run_through(&other, &warned, || {
        broker.delete_records(topic, last, 9_000);
    });
    let report = ended.json();
    assert_eq!((holes(&report, 0), holes(&report, last)), (0, 5_000));
    let truth = other.topic_truth(&warned, broker.bootstrap());
    assert_eq!(truth.table.rows, MESSAGES - 9_000);
    assert_eq!(other.table_truth(DAY), truth.table);
}

#[test]
fn a_topic_that_is_deleted_while_a_run_reads_is_not_committed() {
    let broker = KafkaBroker::shared();
    let topic = "a_topic_that_is_deleted_while_a_run_reads";
    let plan = plan(1, MESSAGES);
    broker.create_topic(topic, PARTITIONS, &[]);
    produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let job = whole(topic, &loader, &plan, "");
    let ended = run_through(&loader, &job, || broker.delete_topic(topic));
    assert_refused(&loader, &ended, &[topic, "does not exist, or no longer"]);
    assert_refused(&loader, &loader.run(&job), &[topic, "does not exist"]);
}

#[test]
fn a_topic_that_is_made_anew_while_a_run_reads_is_not_committed() {
    let broker = KafkaBroker::shared();
    let topic = "a_topic_that_is_made_anew_while_a_run_reads";
    let make = |plan: &MessagePlan| {
        broker.create_topic(topic, PARTITIONS, &[]);
        produce(&broker.client(), topic, plan.messages());
    };
    // All offsets of the first one are there in the second: librdkafka reads on.
    let (first, second) = (plan(1, MESSAGES), plan(2, MESSAGES + 5_000));
    make(&first);
    let loader = Loader::with_table();
    let job = whole(topic, &loader, &first, "");
    let ended = run_through(&loader, &job, || {
        broker.delete_topic(topic);
        make(&second);
    });
    assert_refused(
        &loader,
        &ended,
        &["made anew while it was read", "the same command"],
    );
    let report = loader.run(&job).json();
    assert_eq!(report["resumed"], false);
    let truth = loader.topic_truth(&job, broker.bootstrap());
    assert_eq!(truth.table.rows, second.messages);
    assert_eq!(loader.table_truth(DAY), truth.table);
}

#[test]
fn topic_partitions_that_are_added_after_the_plan_are_named() {
    let broker = KafkaBroker::shared();
    let topic = "topic_partitions_that_are_added";
    broker.create_topic(topic, PARTITIONS, &[]);
    let plan = plan(3, 2_000);
    produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let job = whole(topic, &loader, &plan, "");
    let mut crashing = loader.command(&job);
    crashing.env("TIDEGATE_CRASH_AT", "run_begun:1");
    assert_eq!(Ended::from(crashing.output().unwrap()).code, None);

    broker.grow_topic(topic, 6);
    let late = plan.messages().take(10).map(|message| GeneratedMessage {
        partition: 5,
        ..message
    });
    produce(&broker.client(), topic, late.collect::<Vec<_>>());
    let report = loader.run(&job).json();
    assert_eq!(report["resumed"], true);
    let filled = format!("{topic}[5] came to the topic after this was planned, and hold messages");
    let empty = format!("{topic}[4] came to the topic after this was planned, and hold nothing");
    assert_warned(&report, &[&filled, &empty]);
    assert_eq!(loader.server.count("orders", ""), 2_000);
    // As it advises.
    loader.run(&job).json();
    assert_eq!(loader.server.count("orders", ""), 2_010);
}
