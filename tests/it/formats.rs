//! The same rows, however their messages are spelled.

use std::io::Write;

use encoding_rs::{GB18030, SHIFT_JIS};
use flate2::Compression;
use flate2::write::GzEncoder;
use tests::embedded::EmbeddedBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::{GeneratedMessage, MessageKind};
use tests::produce::produce;

const START_MS: i64 = 1_795_276_800_000;

/// Id, city, amount and day of each row.
const ROWS: [(&str, &str, &str, &str); 3] = [
    ("1", "上海", "12.50", "2026-11-22"),
    ("2", "a, \"b\"", "-0.07", "2024-02-29"),
    ("3", "", "9999.99", "1969-12-31"),
];

fn json(row: usize) -> String {
    let (id, city, amount, day) = ROWS[row];
    let city = serde_json::to_string(city).unwrap();
    format!("{{\"id\": {id}, \"city\": {city}, \"amount\": {amount}, \"day\": \"{day}\"}}")
}

fn delimited(row: usize, separator: &str) -> String {
    let (id, city, amount, day) = ROWS[row];
    let city = format!("\"{}\"", city.replace('"', "\"\""));
    [id, &city, amount, day].join(separator)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16_with_mark(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_be_bytes).collect()
}

/// How messages are spelled: the keys of the job's Kafka source, the payload of each row, and whether fields have positions.
type Spelling = (&'static str, fn(usize) -> Vec<u8>, bool);

const SPELLINGS: [Spelling; 9] = [
    ("", |row| json(row).into_bytes(), false),
    (
        "value: json",
        |row| format!("\u{feff}{}", json(row)).into_bytes(),
        false,
    ),
    (
        "encoding: GB18030",
        |row| GB18030.encode(&json(row)).0.into_owned(),
        false,
    ),
    (
        "encoding: { value: Shift_JIS }",
        |row| SHIFT_JIS.encode(&json(row)).0.into_owned(),
        false,
    ),
    ("encoding: UTF-16", |row| utf16_with_mark(&json(row)), false),
    (
        "value_compression: gzip",
        |row| gzip(json(row).as_bytes()),
        false,
    ),
    (
        "value_compression: zstd",
        |row| zstd::encode_all(json(row).as_bytes(), 1).unwrap(),
        false,
    ),
    (
        "value: delimited",
        |row| delimited(row, ",").into_bytes(),
        true,
    ),
    (
        "value: { delimited: \"\\t\" }, encoding: GBK, value_compression: gzip",
        |row| gzip(&GB18030.encode(&delimited(row, "\t")).0),
        true,
    ),
];

#[test]
fn rows_are_the_same_however_messages_are_spelled() {
    let broker = EmbeddedBroker::start(1);
    let loader = Loader::with_table();
    let columns = "id BIGINT, city STRING, amount DECIMAL(6,2), day DATE, topic STRING, key STRING";
    for (number, (kafka, payload, by_position)) in SPELLINGS.into_iter().enumerate() {
        let topic = format!("spelling_{number}");
        let messages = (0..ROWS.len()).map(|row| GeneratedMessage {
            partition: 0,
            timestamp_ms: START_MS,
            key: Some(b"k".to_vec()),
            payload: Some(payload(row)),
            headers: Vec::new(),
            kind: MessageKind::Order,
        });
        produce(&broker.client(), &topic, messages);
        loader
            .server
            .sql(&format!("CREATE TABLE {topic} ({columns});"));
        let sources = if by_position {
            ["\"[0]\"", "\"[1]\"", "\"[2]\"", "\"[3]\""]
        } else {
            ["id", "city", "amount", "day"]
        };
        let mapped = ["id", "city", "amount", "day"].into_iter().zip(sources);
        let mapped = mapped.map(|(column, source)| format!("{column}: {source}"));
        // UTF-16 spells the key in two bytes a letter, which these are not.
        let key = if kafka.contains("UTF-16") {
            "__topic__"
        } else {
            "__key__"
        };
        let job = JobFile {
            kafka: kafka.to_owned(),
            table: topic.clone(),
            partition: String::new(),
            columns: mapped.chain([format!("key: {key}")]).collect(),
            more: "empty_as_null: true".to_owned(),
            ..JobFile::new(
                broker.bootstrap(),
                &topic,
                loader.server.endpoint(),
                START_MS..START_MS + 1,
            )
        };
        loader.run(&job).json();
        let query = format!("SELECT id, city, amount, day FROM {topic} ORDER BY id");
        let expected: Vec<Vec<Option<String>>> = ROWS
            .iter()
            .map(|(id, city, amount, day)| {
                let cells = [*id, city, amount, day].into_iter();
                cells
                    .map(|cell| Some(cell.to_owned()).filter(|cell| !cell.is_empty()))
                    .collect()
            })
            .collect();
        assert_eq!(loader.server.sql(&query), expected, "{kafka}");
        let keyed = format!(
            "WHERE key = '{}'",
            if key == "__key__" { "k" } else { &topic }
        );
        assert_eq!(loader.server.count(&topic, &keyed), 3, "{kafka}");
    }
}

/// A few bytes that hold many: rows come in batches that fit, and what no cell could hold is rejected.
#[test]
fn payloads_that_hold_far_more_than_their_bytes_stay_within_memory() {
    let broker = EmbeddedBroker::start(1);
    let loader = Loader::with_table();
    let wide = format!("{{\"id\": 1, \"city\": \"{}\"}}", "x".repeat(4 << 20));
    let bomb = format!("{{\"id\": 2, \"city\": \"{}\"}}", "x".repeat(17 << 20));
    let (wide, bomb) = (gzip(wide.as_bytes()), gzip(bomb.as_bytes()));
    assert!(wide.len() < 10_000 && bomb.len() < 100_000);
    let messages = (0..101).map(|number| {
        let payload = if number == 50 { &bomb } else { &wide };
        GeneratedMessage::row(0, START_MS, payload.clone())
    });
    produce(&broker.client(), "wide", messages);
    loader
        .server
        .sql("CREATE TABLE wide (id BIGINT, city STRING);");
    let job = JobFile {
        kafka: "value_compression: gzip".to_owned(),
        table: "wide".to_owned(),
        partition: String::new(),
        columns: vec!["id: id".to_owned(), "city: city".to_owned()],
        more: "rejects: 1\nlimits: { concurrency: 1 }".to_owned(),
        ..JobFile::new(
            broker.bootstrap(),
            "wide",
            loader.server.endpoint(),
            START_MS..START_MS + 1,
        )
    };
    let report = loader.run(&job).json();
    let window = &report["windows"][0];
    assert_eq!(window["rows"], 100);
    assert_eq!(window["rejected"]["unpacked_too_long"], 1);
    let lengths = "WHERE LENGTH(city) = 4194304";
    assert_eq!(loader.server.count("wide", lengths), 100);
    // All rows at once would be 400 MiB more.
    let peak = report["memory_bytes_peak"].as_u64().unwrap();
    assert!(peak < 400 << 20, "{peak}");
}
