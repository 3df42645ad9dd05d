use std::collections::BTreeSet;
use std::fs;

use rdkafka::ClientConfig;
use serde_json::json;
use tests::broker::{KafkaBroker, KafkaRelease};
use tests::job::{JobFile, wider_table_ddl};
use tests::loader::Loader;
use tests::messages::{GeneratedMessage, MessagePlan};
use tests::produce::produce;
use tests::program;
use tests::server::ACCESS_SECRET;

use super::load::assert_ledger;

const DAY: Option<&str> = Some("ds=20261122");

/// Years ago, and with all that a producer does wrong.
fn plan(messages: u64) -> MessagePlan {
    MessagePlan {
        start_ms: 1_500_000_000_000,
        tombstones_per_mille: 10,
        malformed_per_mille: 5,
        ..MessagePlan::new(20_261_127, messages)
    }
}

/// Releases before 0.11 have no place for headers.
fn without_headers(message: GeneratedMessage) -> GeneratedMessage {
    GeneratedMessage {
        headers: Vec::new(),
        ..message
    }
}

/// A job for the middle half of what `plan` has sent to `topic`.
fn middle(broker: &KafkaBroker, topic: &str, loader: &Loader, plan: &MessagePlan) -> JobFile {
    let quarter = plan.span_ms / 4;
    let window = plan.start_ms + quarter..plan.start_ms + 3 * quarter;
    JobFile {
        more: "rejects: 5%".to_owned(),
        ..JobFile::new(broker.bootstrap(), topic, loader.server.endpoint(), window)
    }
}

#[test]
fn every_release_gives_the_same_rows() {
    let topic = "every_release_gives_the_same_rows";
    let plan = plan(20_000);
    let mut tables = Vec::new();
    for release in KafkaRelease::ALL {
        let broker = KafkaBroker::shared_release(release);
        broker.create_topic(topic, plan.partitions, &[]);
        let messages = plan.messages().map(without_headers);
        produce(&broker.client(), topic, messages);
        let loader = Loader::with_table();
        let job = JobFile {
            kafka: "group: lag_of_orders".to_owned(),
            ..middle(broker, topic, &loader, &plan)
        };
        let report = loader.run(&job).json();
        let truth = loader.topic_truth(&job, broker.bootstrap());
        assert!(truth.rejects["malformed"] > 0, "{truth:#?}");
        assert_ledger(&report, &truth);
        // The group's offsets were set too, or it would say so.
        assert_eq!(report["warnings"], json!([]), "{release:?}");
        let table = loader.table_truth(DAY);
        assert_eq!(table, truth.table, "{release:?}");
        tables.push(table);
    }
    assert!(
        tables.iter().all(|table| *table == tables[0]),
        "{tables:#?}"
    );
}

#[test]
fn check_tells_each_release() {
    let topic = "check_tells_each_release";
    for release in KafkaRelease::ALL {
        let broker = KafkaBroker::shared_release(release);
        broker.create_topic(topic, 1, &[]);
        let loader = Loader::with_table();
        let job = middle(broker, topic, &loader, &plan(0)).write(loader.folder.path());
        let checked =
            program::run(&["check", job.to_str().unwrap(), "--json"], ACCESS_SECRET).json();
        let checks = checked["checks"].as_array().unwrap();
        let brokers = checks.iter().find(|check| check["subject"] == "brokers");
        let (bootstrap, told) = (broker.bootstrap(), release.told());
        assert_eq!(
            brokers.unwrap()["found"],
            format!("{bootstrap} answers, by its protocol {told}")
        );
        let timestamps = checks.iter().find(|check| check["subject"] == "timestamps");
        let known = if release == KafkaRelease::V0_10_2 {
            "brokers before Kafka 0.11 don't tell them"
        } else {
            "are create times"
        };
        let found = timestamps.unwrap()["found"].as_str().unwrap();
        assert!(found.contains(known), "{found}");
    }
}

#[test]
fn headers_are_none_where_messages_can_have_none() {
    let topic = "headers_are_none_where_messages_can_have_none";
    let broker = KafkaBroker::shared_release(KafkaRelease::V0_10_2);
    broker.create_topic(topic, 1, &[]);
    let plan = MessagePlan {
        partitions: 1,
        ..plan(1_000)
    };
    let messages = plan.messages().map(without_headers);
    produce(&broker.client(), topic, messages);
    let loader = Loader::with_table();
    loader.server.sql("DROP TABLE orders");
    let ddl = wider_table_ddl("orders", &["ds"], &["STRING"]);
    loader.server.sql(&ddl);
    let mut job = middle(broker, topic, &loader, &plan);
    job.columns.push("unmapped_0: __headers__".to_owned());
    let report = loader.run(&job).json();
    let rows = report["windows"][0]["rows"].as_u64().unwrap();
    assert!(rows > 400, "{report}");
    // As of any message that has no headers.
    let empty = loader.server.count("orders", "WHERE unmapped_0 = '[]'");
    assert_eq!(empty, rows);
}

/// A producer that old message formats can take.
fn plain_producer(broker: &KafkaBroker) -> ClientConfig {
    let mut client = broker.client();
    client
        .set("enable.idempotence", "false")
        .set("max.in.flight.requests.per.connection", "1");
    client
}

/// Runs the job, which must fail with an error that says all of `says`, before the table has a table partition.
#[track_caller]
fn assert_refused(loader: &Loader, job: &JobFile, says: &[&str]) {
    let refused = loader.run(job);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for part in says {
        assert!(refused.stdout.contains(part), "{part}: {refused:#?}");
    }
    let partitions = loader.server.sql("SHOW PARTITIONS orders");
    assert_eq!(partitions, Vec::<Vec<_>>::new());
}

#[test]
fn a_topic_whose_format_has_no_timestamps_is_refused() {
    let topic = "a_topic_whose_format_has_no_timestamps_is_refused";
    for release in [KafkaRelease::V0_10_2, KafkaRelease::V2_2] {
        let broker = KafkaBroker::shared_release(release);
        broker.create_topic(topic, 2, &[("message.format.version", "0.9.0")]);
        let plan = MessagePlan {
            partitions: 2,
            ..plan(1_000)
        };
        let messages = plan.messages().map(without_headers);
        produce(&plain_producer(broker), topic, messages);
        let loader = Loader::with_table();
        let job = middle(broker, topic, &loader, &plan);
        let advice = "`message.format.version` to 0.10.0 or newer";
        assert_refused(&loader, &job, &[topic, "no timestamps", advice]);
    }
}

#[test]
fn messages_of_before_timestamps_are_not_passed_over() {
    let topic = "messages_of_before_timestamps_are_not_passed_over";
    let broker = KafkaBroker::shared_release(KafkaRelease::V2_2);
    broker.create_topic(topic, 1, &[("message.format.version", "0.9.0")]);
    let plan = MessagePlan {
        partitions: 1,
        malformed_per_mille: 0,
        ..plan(1_000)
    };
    let send = || {
        let messages = plan.messages().map(without_headers);
        produce(&plain_producer(broker), topic, messages);
    };
    send();
    let loader = Loader::with_table();
    let job = middle(broker, topic, &loader, &plan);
    // Nothing has a timestamp, though new messages would get one.
    broker.set_topic(topic, &[("message.format.version", "2.2")]);
    let place = format!("{topic}[0] from offset 0 on have no timestamps");
    assert_refused(&loader, &job, &[&place]);

    // The window begins at the first message with a timestamp, and those before it may belong to it.
    send();
    let all = JobFile {
        window: plan.start_ms..job.window.end,
        ..job.clone()
    };
    let place = format!("{topic}[0] from offset 0 to 999 have no timestamps");
    assert_refused(&loader, &all, &[&place]);

    // With a message before the window that has one, those without are older than it.
    let later = Loader::with_table();
    let endpoint = later.server.endpoint().to_owned();
    let job_of_later = JobFile {
        endpoint,
        ..job.clone()
    };
    later.run(&job_of_later).json();
    let truth = later.topic_truth(&job_of_later, broker.bootstrap());
    assert_eq!(truth.partitions[&0].without_timestamp, 1_000);
    assert_eq!(later.table_truth(DAY), truth.table);

    // Within what is read they are found too.
    broker.set_topic(topic, &[("message.format.version", "0.9.0")]);
    send();
    broker.set_topic(topic, &[("message.format.version", "2.2")]);
    // Which of them is met first is a matter of where the log is looked at.
    let place = format!("of {topic}[0] has no timestamp");
    assert_refused(&loader, &job, &[&place]);
}

/// The codecs that batches of topic partition 0 are stored with, by their numbers in Kafka's protocol.
fn codecs(broker: &KafkaBroker, topic: &str) -> BTreeSet<u8> {
    let folder = broker.log().parent().unwrap().join("logs");
    let segment = folder.join(format!("{topic}-0/00000000000000000000.log"));
    let log = fs::read(segment).unwrap();
    let mut codecs = BTreeSet::new();
    let mut rest = log.as_slice();
    // Offset and length, then what the length counts: the format's version is its fifth byte.
    while let Some((head, tail)) = rest.split_at_checked(12) {
        let length = u32::from_be_bytes(head[8..].try_into().unwrap());
        let (batch, tail) = tail.split_at(usize::try_from(length).unwrap());
        let attributes = if batch[4] < 2 { batch[5] } else { batch[10] };
        codecs.insert(attributes & 7);
        rest = tail;
    }
    codecs
}

/// Each codec by librdkafka, and where the broker is new enough by Kafka's own code, all in one topic.
#[test]
fn every_compression_is_read() {
    let topic = "every_compression_is_read";
    let all = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (release, names) in [
        (KafkaRelease::V0_10_2, &all[..4]),
        (KafkaRelease::V4_1, &all),
    ] {
        let broker = KafkaBroker::shared_release(release);
        broker.create_topic(topic, 1, &[]);
        let plan = MessagePlan {
            partitions: 1,
            ..plan(5_000)
        };
        let messages: Vec<_> = plan.messages().map(without_headers).collect();
        let mut parts = messages.chunks(500);
        for name in names {
            let mut client = broker.client();
            client.set("compression.type", *name);
            produce(&client, topic, parts.next().unwrap().to_vec());
        }
        for (part, name) in parts.zip(all.map(|name| name.replace("none", "uncompressed"))) {
            if release == KafkaRelease::V4_1 {
                // The broker packs them itself.
                broker.set_topic(topic, &[("compression.type", &name)]);
            }
            produce(&broker.client(), topic, part.to_vec());
        }
        let stored: Vec<_> = codecs(broker, topic).into_iter().collect();
        let expected: Vec<_> = (0..).take(names.len()).collect();
        assert_eq!(stored, expected, "{release:?}");
        let loader = Loader::with_table();
        let job = middle(broker, topic, &loader, &plan);
        let job = JobFile {
            window: plan.start_ms..plan.start_ms + plan.span_ms,
            ..job
        };
        loader.run(&job).json();
        let truth = loader.topic_truth(&job, broker.bootstrap());
        assert_eq!(loader.table_truth(DAY), truth.table, "{release:?}");
    }
}
