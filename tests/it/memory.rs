//! The least memory and the longest messages.

use std::ops::Range;

use tests::broker::KafkaBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::GeneratedMessage;
use tests::produce::produce;

const START_MS: i64 = 1_795_276_800_000;
const PARTITIONS: i32 = 50;
/// Messages as long as cells may be, nearly, are among so many short ones.
const LONG_BYTES: usize = 7 << 20;
const SHORT: usize = 20_000;

/// The least memory takes the longest messages from many topic partitions.
#[test]
fn the_least_memory_is_enough_for_the_longest_messages() {
    let partition = |number: usize| i32::try_from(number).unwrap() % PARTITIONS;
    // The long messages alone have 168 MiB.
    let peak = load_with_the_least_memory("least_memory", PARTITIONS, 0..24, partition);
    assert!(peak < 300 << 20, "{peak}");
}

/// And one behind the other, after so many short ones that the mean is short.
#[test]
fn the_least_memory_is_enough_for_the_longest_messages_in_a_row() {
    let long = SHORT / 2..SHORT / 2 + 48;
    let peak = load_with_the_least_memory("least_memory_in_a_row", 1, long, |_| 0);
    // The long messages alone have 336 MiB, and what holds all of them holds them more than once.
    assert!(peak < 500 << 20, "{peak}");
}

/// Loads a topic whose messages of the numbers in `long` are as long, and tells the most memory that this took.
fn load_with_the_least_memory(
    topic: &str,
    partitions: i32,
    long: Range<usize>,
    partition: impl Fn(usize) -> i32,
) -> u64 {
    let broker = KafkaBroker::shared();
    let longest = [("max.message.bytes", "10000000")];
    broker.create_topic(topic, partitions, &longest);
    let mut client = broker.client();
    client.set("message.max.bytes", "10000000");
    let city = "x".repeat(LONG_BYTES);
    let messages = (0..long.len() + SHORT).map(|number| {
        let city = if long.contains(&number) { &city } else { "Ulm" };
        let payload = format!("{{\"id\": {number}, \"city\": \"{city}\"}}");
        GeneratedMessage::row(partition(number), START_MS, payload)
    });
    produce(&client, topic, messages);

    let loader = Loader::with_table();
    loader
        .server
        .sql("CREATE TABLE least (id BIGINT, city STRING);");
    let job = JobFile {
        table: "least".to_owned(),
        partition: String::new(),
        columns: vec!["id: id".to_owned(), "city: city".to_owned()],
        more: "limits: { memory: 32MiB, concurrency: 2 }".to_owned(),
        ..JobFile::new(
            broker.bootstrap(),
            topic,
            loader.server.endpoint(),
            START_MS..START_MS + 1,
        )
    };
    let report = loader.run(&job).json();
    assert_eq!(report["windows"][0]["rows"], long.len() + SHORT);
    let lengths = format!("WHERE LENGTH(city) = {LONG_BYTES}");
    assert_eq!(
        loader.server.count("least", &lengths),
        u64::try_from(long.len()).unwrap()
    );
    report["memory_bytes_peak"].as_u64().unwrap()
}
