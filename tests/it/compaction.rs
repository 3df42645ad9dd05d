//! Compacted topics.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use serde_json::Value;
use tests::broker::KafkaBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::{GeneratedMessage, MessageKind};
use tests::produce::produce;
use tests::program::Ended;

/// The longest wait for the broker to compact a small log.
const COMPACTED_WITHIN: Duration = Duration::from_mins(1);

/// 2022-10-01 in Shanghai.
const START_MS: i64 = 1_664_553_600_000;
const COUNT: i64 = 4_000;
/// Segments of a minute of message time, for the last one is never compacted.
const SEGMENTS: (&str, &str) = ("segment.ms", "60000");

/// A message for each second of an hour and more. Every tenth has a key of its own, the others have a few between them, so that
/// much is compacted away, and not in one piece. Every seventh is a tombstone.
fn keyed_messages() -> impl Iterator<Item = GeneratedMessage> {
    // Planning looks at the first of them, and makes slices of a few hundred.
    let filler = |number: i64| "x".repeat(if number < 60 { 64 << 10 } else { 8 });
    let key = |number: i64| match number % 10 {
        0 => format!("only {number}"),
        _ => format!("shared {}", number % 300),
    };
    (0..COUNT).map(move |number| {
        let is_tombstone = number % 7 == 3;
        let payload = format!("{{\"id\":{number},\"filler\":\"{}\"}}", filler(number));
        GeneratedMessage {
            partition: 0,
            timestamp_ms: START_MS + number * 1_000,
            key: Some(key(number).into_bytes()),
            payload: (!is_tombstone).then(|| payload.into_bytes()),
            headers: Vec::new(),
            kind: if is_tombstone {
                MessageKind::Tombstone
            } else {
                MessageKind::Order
            },
        }
    })
}

/// Whether the message at each offset is a tombstone.
type Places = BTreeMap<i64, bool>;

/// What a consumer finds.
fn left(topic: &str) -> Places {
    let mut config = KafkaBroker::shared().client();
    config
        .set("group.id", "left")
        .set("enable.partition.eof", "true");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, 0, Offset::Beginning)
        .unwrap();
    consumer.assign(&assignment).unwrap();
    let mut left = BTreeMap::new();
    loop {
        match consumer.poll(COMPACTED_WITHIN).expect("an answer in time") {
            Ok(message) => left.insert(message.offset(), message.payload().is_none()),
            Err(KafkaError::PartitionEOF(_)) => return left,
            Err(error) => panic!("{topic}: {error}"),
        };
    }
}

/// A topic that is not compacted yet, and a table for it.
struct Scene {
    topic: &'static str,
    loader: Loader,
}

impl Scene {
    fn new(topic: &'static str) -> Self {
        let broker = KafkaBroker::shared();
        broker.create_topic(topic, 1, &[SEGMENTS]);
        for part in keyed_messages().collect::<Vec<_>>().chunks(100) {
            produce(&broker.client(), topic, part.to_vec());
        }
        let loader = Loader::with_table();
        loader
            .server
            .sql("CREATE TABLE events (id BIGINT, place BIGINT) PARTITIONED BY (ds STRING);");
        Self { topic, loader }
    }

    fn job(&self, partition: &str, more: &str) -> JobFile {
        let (bootstrap, endpoint) = (
            KafkaBroker::shared().bootstrap(),
            self.loader.server.endpoint(),
        );
        JobFile {
            table: "events".to_owned(),
            partition: format!("{{ ds: {partition} }}"),
            columns: vec!["id: id".to_owned(), "place: __offset__".to_owned()],
            window: START_MS..START_MS + COUNT * 1_000,
            more: format!("limits: {{ concurrency: 1 }}\n{more}"),
            ..JobFile::new(bootstrap, self.topic, endpoint, 0..1)
        }
    }

    /// Lets the broker compact it, and returns what is left.
    fn compact(&self) -> Places {
        let compact = [
            ("cleanup.policy", "compact"),
            ("min.cleanable.dirty.ratio", "0.01"),
            SEGMENTS,
        ];
        KafkaBroker::shared().set_topic(self.topic, &compact);
        let deadline = Instant::now() + COMPACTED_WITHIN;
        loop {
            let left = left(self.topic);
            // The cleaner is done when what is before the last segments has each key once at most.
            if left.len() < 900 {
                return left;
            }
            let now = Instant::now();
            assert!(now < deadline, "{} messages are left", left.len());
        }
    }

    fn loaded(&self, partition: &str) -> Places {
        let query = format!("SELECT place, id FROM events WHERE ds = '{partition}'");
        let rows = self.loader.server.sql(&query);
        let places = rows.iter().map(|row| {
            let place = row[0].as_ref().unwrap().parse().unwrap();
            (place, row[1].is_none())
        });
        let found: Places = places.collect();
        assert_eq!(found.len(), rows.len(), "no message is there twice");
        found
    }
}

/// Planned offsets, holes and skipped tombstones.
fn ledger(report: &Value) -> [usize; 3] {
    let entry = &report["ledger"][0];
    let tombstones = &entry["windows"]["0"]["tombstones_skipped"];
    let numbers = [&entry["planned"], &entry["holes"], tombstones];
    numbers.map(|number| usize::try_from(number.as_u64().unwrap_or(0)).unwrap())
}

#[test]
fn a_topic_that_is_compacted_between_two_attempts_is_loaded_as_each_found_it() {
    let scene = Scene::new("a_topic_that_is_compacted_between_two_attempts");
    let job = scene.job("resumed", "");
    let mut crashing = scene.loader.command(&job);
    crashing.env("TIDEGATE_CRASH_AT", "slice_journalled:2");
    assert_eq!(Ended::from(crashing.output().unwrap()).code, None);
    let before = left(scene.topic);
    assert_eq!(before.len(), usize::try_from(COUNT).unwrap());
    let after = scene.compact();
    let report = scene.loader.run(&job).json();
    assert_eq!(
        (&report["resumed"], &report["slices"]["kept"]),
        (&Value::Bool(true), &Value::from(2))
    );
    let resumed = scene.loaded("resumed");
    // What was staged before, and from there on what is left.
    let gone: BTreeSet<_> = before
        .keys()
        .filter(|place| !after.contains_key(place))
        .collect();
    let first = gone.iter().find(|place| !resumed.contains_key(place));
    let staged = **first.expect("something was read after it was compacted");
    assert!(staged > 200, "{staged}");
    let expected: BTreeMap<_, _> = before
        .range(..staged)
        .chain(after.range(staged..))
        .collect();
    assert_eq!(resumed.iter().collect::<BTreeMap<_, _>>(), expected);
    let holes = before.len() - expected.len();
    assert_eq!(ledger(&report), [before.len(), holes, 0], "{report}");
}

#[test]
fn holes_and_tombstones_of_a_compacted_topic_are_counted_and_no_finding() {
    let scene = Scene::new("holes_and_tombstones_of_a_compacted_topic");
    let after = scene.compact();
    for (partition, more, keeps) in [("kept", "", true), ("skipped", "tombstones: skip", false)] {
        let report = scene.loader.run(&scene.job(partition, more)).json();
        let mut expected = after.clone();
        expected.retain(|_, is_tombstone| keeps || !*is_tombstone);
        assert_eq!(scene.loaded(partition), expected, "{partition}");
        // The window is looked up, so that the plan begins where the first message is left.
        let first = *after.keys().next().unwrap();
        let planned = usize::try_from(COUNT - first).unwrap();
        let skipped = after.len() - expected.len();
        let holes = planned - after.len();
        assert_eq!(ledger(&report), [planned, holes, skipped], "{report}");
        let spans = report["ledger"][0]["hole_spans"].as_array().unwrap();
        assert!(!spans.is_empty(), "{report}");
        let warnings = report["warnings"].to_string();
        assert!(!warnings.contains("have no message"), "{warnings}");
    }
}
