use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use tests::broker::{KafkaBroker, KafkaRelease};
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::GeneratedMessage;
use tests::produce::produce;
use tests::program;
use tests::server::ACCESS_SECRET;

/// How long a poll of a consumer that is on its way into a group waits.
const POLL: Duration = Duration::from_millis(100);
/// Longest way into a group.
const JOINED_WITHIN: Duration = Duration::from_mins(1);

/// The status of what `check` says about `subject`, and what it found.
fn checked(loader: &Loader, job: &JobFile, subject: &str) -> (String, String) {
    checked_file(&job.write(loader.folder.path()), subject)
}

fn checked_file(path: &Path, subject: &str) -> (String, String) {
    let ended = program::run(&["check", path.to_str().unwrap(), "--json"], ACCESS_SECRET);
    let document = ended.json();
    let mut checks = document["checks"].as_array().unwrap().iter();
    let check = checks.find(|check| check["subject"] == subject);
    let check = check.unwrap_or_else(|| panic!("{subject} is missing in {document}"));
    let text = |key: &str| check[key].as_str().map(str::to_owned);
    (text("status").unwrap(), text("found").unwrap())
}

/// A consumer that is in the group by the time that this returns.
fn member(broker: &KafkaBroker, group: &str, topic: &str) -> BaseConsumer {
    let mut config = broker.client();
    config.set("group.id", group).set("client.id", "billing");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let deadline = Instant::now() + JOINED_WITHIN;
    while consumer.assignment().unwrap().count() == 0 {
        assert!(Instant::now() < deadline, "it does not get into {group}");
        if let Some(Err(error)) = consumer.poll(POLL) {
            panic!("{group}: {error}");
        }
    }
    consumer
}

#[test]
fn who_is_in_the_group_is_named_by_each_release() {
    let topic = "who_is_in_the_group_is_named";
    for release in KafkaRelease::ALL {
        let broker = KafkaBroker::shared_release(release);
        broker.create_topic(topic, 1, &[]);
        let loader = Loader::with_table();
        let endpoint = loader.server.endpoint();
        let job = JobFile {
            kafka: format!("group: {topic}"),
            ..JobFile::new(broker.bootstrap(), topic, endpoint, 0..1_000)
        };
        let free = || {
            let (status, found) = checked(&loader, &job, "group");
            assert_eq!(status, "ok", "{release:?}: {found}");
            assert!(found.starts_with("nobody is seen in group"), "{found}");
        };
        free();
        let member = member(broker, topic, topic);
        let (status, found) = checked(&loader, &job, "group");
        assert_eq!(status, "warning", "{release:?}: {found}");
        assert!(found.contains("\"billing\" at 127.0.0.1"), "{found}");
        assert!(!found.contains("bounded by a position"), "{found}");
        // It leaves.
        drop(member);
        free();
    }
}

#[test]
fn who_else_moves_the_group_is_told() {
    let broker = KafkaBroker::shared();
    let topic = "who_else_moves_the_group";
    broker.create_topic(topic, 2, &[]);
    let messages = [0, 1].map(|partition| GeneratedMessage::row(partition, 500, b"{}"));
    produce(&broker.client(), topic, messages);
    let loader = Loader::with_table();
    let endpoint = loader.server.endpoint();
    let job = JobFile {
        kafka: format!("group: {topic}"),
        ..JobFile::new(broker.bootstrap(), topic, endpoint, 0..1_000)
    };
    loader.run(&job).json();
    let (status, found) = checked(&loader, &job, "group");
    assert_eq!(status, "ok", "its own position: {found}");

    let path = job.write(loader.folder.path());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("job: orders_test", "job: other")).unwrap();
    let (status, found) = checked_file(&path, "group");
    assert_eq!(status, "warning", "{found}");
    assert!(found.contains("was set by \"orders_test\": "), "{found}");

    // A consumer that is gone.
    let mut config = broker.client();
    let consumer: BaseConsumer = config.set("group.id", topic).create().unwrap();
    let mut positions = TopicPartitionList::new();
    for partition in [0, 1] {
        positions
            .add_partition_offset(topic, partition, Offset::Offset(1))
            .unwrap();
    }
    consumer.commit(&positions, CommitMode::Sync).unwrap();
    let (status, found) = checked(&loader, &job, "group");
    assert_eq!(status, "note", "{found}");
    assert!(found.contains("other programs have done so"), "{found}");
}

#[test]
fn a_disk_limit_that_no_slice_fits_into_is_an_error() {
    let broker = KafkaBroker::shared();
    let topic = "a_disk_limit_that_no_slice_fits_into";
    broker.create_topic(topic, 1, &[]);
    let message = GeneratedMessage::row(0, 500, "{}");
    produce(&broker.client(), topic, vec![message; 1_000]);
    let loader = Loader::with_table();
    let job = JobFile {
        more: "limits: { disk: 100 }".to_owned(),
        ..JobFile::new(
            broker.bootstrap(),
            topic,
            loader.server.endpoint(),
            0..1_000,
        )
    };
    let path = job.write(loader.folder.path());
    let ended = program::run(&["check", path.to_str().unwrap()], ACCESS_SECRET);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(
        ended
            .stdout
            .contains("`limits.disk` is 100 bytes, and one slice takes"),
        "{ended:#?}"
    );
    let job = JobFile {
        more: "limits: { disk: 1MiB }".to_owned(),
        ..job
    };
    assert_eq!(loader.run(&job).json()["windows"][0]["rows"], 1_000);
}

#[test]
fn what_an_exit_by_silence_needs_is_told() {
    let broker = KafkaBroker::shared();
    let loader = Loader::with_table();
    let send = |topic: &str, timestamp_ms: i64| {
        let message = GeneratedMessage::row(0, timestamp_ms, b"{}");
        produce(&broker.client(), topic, [message]);
    };
    let now_ms = || Timestamp::now().as_millisecond();
    let job = |topic: &str, end_ms: i64, lateness: &str| JobFile {
        lateness: lateness.to_owned(),
        ..JobFile::new(
            broker.bootstrap(),
            topic,
            loader.server.endpoint(),
            1_600_000_000_000..end_ms,
        )
    };
    let idle = "auto\n  exit: idle 60s";

    let topic = "silence_after_create_times";
    broker.create_topic(topic, 1, &[]);
    send(topic, now_ms() - 60_000);
    let open = format!("nothing was seen yet behind the window's end in {topic}[0]");
    let (status, found) = checked(&loader, &job(topic, now_ms() + 3_600_000, idle), "exit");
    assert_eq!(status, "warning", "{found}");
    for says in [
        "when nothing comes for 60 s",
        "are create times",
        "the window is not over",
        &open,
    ] {
        assert!(found.contains(says), "{says}: {found}");
    }
    for (lateness, status) in [("auto", "note"), ("none", "warning")] {
        let (found, text) = checked(&loader, &job(topic, now_ms(), lateness), "timestamps");
        assert_eq!(found, status, "{lateness}: {text}");
    }

    let topic = "silence_after_log_append_times";
    let by_broker = [("message.timestamp.type", "LogAppendTime")];
    broker.create_topic(topic, 1, &by_broker);
    send(topic, 0);
    // It has the time of its arrival by now.
    let end_ms = now_ms() + 1;
    let (status, found) = checked(&loader, &job(topic, end_ms, idle), "exit");
    assert_eq!(status, "warning", "{found}");
    let open = format!("nothing was seen yet behind the window's end in {topic}[0]");
    assert!(
        found.contains(&open) && !found.contains("are create"),
        "{found}"
    );
    send(topic, 0);
    let (status, found) = checked(&loader, &job(topic, end_ms, idle), "exit");
    assert_eq!(status, "note", "{found}");
    assert!(found.contains("all of that holds"), "{found}");
    let (status, found) = checked(&loader, &job(topic, end_ms, "auto"), "timestamps");
    assert_eq!(status, "ok", "{found}");
}
