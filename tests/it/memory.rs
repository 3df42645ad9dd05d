//! The least memory and the longest messages.

use std::ops::Range;

use tests::broker::KafkaBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::GeneratedMessage;
use tests::produce::produce;

const START_MS: i64 = 1_795_276_800_000;
const PARTITIONS: i32 = 50;
/// Messages as long as cells may be, nearly, among short ones.
const LONG: usize = 24;
const LONG_BYTES: usize = 7 << 20;
const SHORT: usize = 20_000;

/// The least memory takes the longest messages from many topic partitions.
#[test]
fn the_least_memory_is_enough_for_the_longest_messages() {
    let broker = KafkaBroker::shared();
    let topic = "least_memory";
    let longest = [("max.message.bytes", "10000000")];
    broker.create_topic(topic, PARTITIONS, &longest);
    let mut client = broker.client();
    client.set("message.max.bytes", "10000000");
    let city = "x".repeat(LONG_BYTES);
    let message = |number: usize, city: &str| {
        let payload = format!("{{\"id\": {number}, \"city\": \"{city}\"}}");
        let partition = i32::try_from(number).unwrap() % PARTITIONS;
        GeneratedMessage::row(partition, START_MS, payload)
    };
    let long: Range<usize> = 0..LONG;
    let long = long.map(|number| message(number, &city));
    let short = (LONG..LONG + SHORT).map(|number| message(number, "Ulm"));
    produce(&client, topic, long.chain(short));

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
    assert_eq!(report["windows"][0]["rows"], LONG + SHORT);
    let lengths = format!("WHERE LENGTH(city) = {LONG_BYTES}");
    assert_eq!(
        loader.server.count("least", &lengths),
        u64::try_from(LONG).unwrap()
    );
    // The long messages alone have 168 MiB.
    let peak = report["memory_bytes_peak"].as_u64().unwrap();
    assert!(peak < 300 << 20, "{peak}");
}
