//! `docs/types.md` says what each column type makes of each kind of value. Its tables are written by this test, from what the
//! decoder really does; `UPDATE_DOCS=1 cargo test --release -p engine-decode --test types_page` writes them anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is how a test fails"
)]

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use engine_decode::{Decoder, Projection, ProjectionSpec};
use engine_model::{
    Column, ColumnMapping, ColumnSource, MessageBlock, MessageFormat, MetadataField, PayloadType,
    PrimitiveType, Rounding, TableColumns, TimeUnit, TopicPartition, ValueFormat,
};
use jiff::tz::TimeZone;

/// One of each type.
const TYPES: [&str; 20] = [
    "STRING",
    "VARCHAR(5)",
    "CHAR(5)",
    "JSON",
    "BINARY",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(6,2)",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "TIMESTAMP",
    "TIMESTAMP_NTZ",
    "ARRAY<BIGINT>",
    "MAP<STRING,BIGINT>",
    "STRUCT<a:BIGINT,b:STRING>",
];

/// Of each kind of JSON value those that some type tells apart.
const VALUES: [&str; 24] = [
    r#""上海""#,
    r#""""#,
    r#""12""#,
    r#""1.5""#,
    r#""1e2""#,
    r#""300""#,
    r#""NaN""#,
    r#""TRUE""#,
    r#""2026-11-22""#,
    r#""2026-11-22 10:00:00.123""#,
    r#""2026-11-22T10:00:00.123456789+08:00""#,
    r#""{\"a\": 1}""#,
    r#""[1, 2]""#,
    "12",
    "-0",
    "1.50",
    "1.234",
    "12345678901234567890",
    "1e400",
    "true",
    "null",
    r#"{"a": 1, "b": null}"#,
    r#"{ "A": "1" }"#,
    "[1, null]",
];

/// 2026-11-22T00:00:00+08:00.
const TIMESTAMP_MS: i64 = 1_795_276_800_000;

const PRIMITIVES: [(PrimitiveType, &[u8], &str); 9] = [
    (PrimitiveType::String, b"12", "`12`"),
    (PrimitiveType::String, b"\xff", "the byte ff"),
    (PrimitiveType::Bytes, b"12", "the bytes 31 32"),
    (PrimitiveType::Long, &12_i64.to_be_bytes(), "12"),
    (PrimitiveType::Integer, &12_i32.to_be_bytes(), "12"),
    (PrimitiveType::Short, &12_i16.to_be_bytes(), "12"),
    (PrimitiveType::Double, &1.5_f64.to_be_bytes(), "1.5"),
    (PrimitiveType::Float, &0.1_f32.to_be_bytes(), "0.1"),
    (PrimitiveType::Long, b"12", "2 bytes"),
];

/// Parts of a message that are neither key nor payload.
const METADATA: [MetadataField; 5] = [
    MetadataField::Topic,
    MetadataField::Partition,
    MetadataField::Offset,
    MetadataField::Timestamp,
    MetadataField::Headers,
];

/// Settings of a column and what they make of values.
const SETTINGS: [(&str, &str, &[&str]); 14] = [
    (
        "DATETIME",
        "format: epoch_s",
        &[
            "1795341600",
            "1795341600.5",
            r#""1795341600""#,
            r#""2026-11-22 10:00:00""#,
        ],
    ),
    (
        "DATETIME",
        "format: epoch_ms",
        &["1795341600123", "-1", "1795341600123.5"],
    ),
    (
        "DATETIME",
        "format: epoch_ms, round: down",
        &["1795341600123.5"],
    ),
    ("TIMESTAMP", "format: epoch_us", &["1795341600123456"]),
    ("TIMESTAMP", "format: epoch_ns", &["1795341600123456789"]),
    ("TIMESTAMP_NTZ", "format: epoch_s", &["1795341600"]),
    ("DATE", "format: epoch_s", &["1795276800", "1795341600"]),
    ("DATE", "format: epoch_s, round: down", &["1795341600"]),
    (
        "DATE",
        "format: \"%Y%m%d\"",
        &["20261122", r#""20261122""#, r#""2026-11-22""#],
    ),
    (
        "DATETIME",
        "format: \"%d/%m/%Y %H:%M:%S\"",
        &[r#""22/11/2026 10:00:00""#],
    ),
    (
        "DATETIME",
        "round: half_up",
        &[r#""2026-11-22 10:00:00.1235""#],
    ),
    (
        "BINARY",
        "format: base64",
        &[r#""/wA=""#, r#""/wA""#, r#""上""#],
    ),
    (
        "DECIMAL(6,2)",
        "round: half_up",
        &["1.235", "-1.235", "9999.995"],
    ),
    ("BIGINT", "round: down", &["1.9", "-1.9"]),
];

#[test]
fn the_page_says_what_the_decoder_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/types.md");
    let page = std::fs::read_to_string(&path).expect("docs/types.md can be read");
    let (head, _) = page
        .split_once(MARK)
        .expect("docs/types.md has the line behind which its tables are written");
    let expected = format!("{head}{MARK}{}", tables());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("docs/types.md can be written");
        return;
    }
    assert!(
        page == expected,
        "docs/types.md is not what the decoder does; UPDATE_DOCS=1 writes it anew:\n{}",
        first_difference(&page, &expected)
    );
}

const MARK: &str = "<!-- What follows is written by a test. -->\n";

fn first_difference(page: &str, expected: &str) -> String {
    let mut lines = page.lines().zip(expected.lines());
    let differs = lines.find(|(page, expected)| page != expected);
    differs.map_or_else(String::new, |(page, expected)| {
        format!("page:    {page}\ndecoder: {expected}")
    })
}

fn tables() -> String {
    let mut text = String::from("\n## JSON values\n");
    for column_type in TYPES {
        write!(
            text,
            "\n### {column_type}\n\n| JSON | becomes |\n|---|---|\n"
        )
        .unwrap();
        for value in VALUES {
            let cell = json(column_type, None, None, value);
            writeln!(text, "| `{value}` | {cell} |").unwrap();
        }
    }
    text.push_str(
        "\n## Formats and rounding\n\n| column | settings | JSON | becomes |\n|---|---|---|---|\n",
    );
    for (column_type, settings, values) in SETTINGS {
        let (format, rounding) = parsed(settings);
        for value in values {
            let cell = json(column_type, format.clone(), rounding, value);
            writeln!(
                text,
                "| {column_type} | `{settings}` | `{value}` | {cell} |"
            )
            .unwrap();
        }
    }
    text.push_str("\n## Keys and payloads that are one value\n\n");
    let heads = PRIMITIVES.map(|(primitive, _, shown)| format!("{primitive}: {shown}"));
    add_matrix(&mut text, &heads, |column_type, number| {
        let (primitive, bytes, _) = PRIMITIVES[number];
        key(column_type, primitive, bytes)
    });
    text.push_str("\n## Other parts of a message\n\n");
    let heads = METADATA.map(|field| format!("`{field}`"));
    add_matrix(&mut text, &heads, |column_type, number| {
        let mapping = ColumnMapping::new("c", ColumnSource::Metadata(METADATA[number]));
        cell(column_type, mapping, &MessageFormat::default(), b"")
    });
    text
}

/// Adds a table with a row for each type, and under each head what `cell` makes of the type and the head's number.
fn add_matrix(text: &mut String, heads: &[String], cell: impl Fn(&str, usize) -> String) {
    writeln!(text, "| | {} |", heads.join(" | ")).unwrap();
    writeln!(text, "|---{} |", "|---".repeat(heads.len())).unwrap();
    for column_type in TYPES {
        let cells: Vec<String> = (0..heads.len())
            .map(|number| cell(column_type, number))
            .collect();
        writeln!(text, "| {column_type} | {} |", cells.join(" | ")).unwrap();
    }
}

/// Settings as a job file spells them.
fn parsed(settings: &str) -> (Option<ValueFormat>, Option<Rounding>) {
    let (mut format, mut rounding) = (None, None);
    for setting in settings.split(", ") {
        match setting.split_once(": ").unwrap() {
            ("format", "epoch_s") => format = Some(ValueFormat::Epoch(TimeUnit::S)),
            ("format", "epoch_ms") => format = Some(ValueFormat::Epoch(TimeUnit::Ms)),
            ("format", "epoch_us") => format = Some(ValueFormat::Epoch(TimeUnit::Us)),
            ("format", "epoch_ns") => format = Some(ValueFormat::Epoch(TimeUnit::Ns)),
            ("format", "base64") => format = Some(ValueFormat::Base64),
            ("format", pattern) => {
                format = Some(ValueFormat::Pattern(pattern.trim_matches('"').to_owned()));
            }
            ("round", "down") => rounding = Some(Rounding::Down),
            ("round", "half_up") => rounding = Some(Rounding::HalfUp),
            other => panic!("{other:?} is no setting of a column"),
        }
    }
    (format, rounding)
}

/// What a column makes of the field `v` of a payload.
fn json(
    column_type: &str,
    format: Option<ValueFormat>,
    rounding: Option<Rounding>,
    value: &str,
) -> String {
    let mapping = ColumnMapping {
        format,
        rounding,
        ..ColumnMapping::new("c", ColumnSource::Path("v".parse().unwrap()))
    };
    let payload = format!("{{\"v\":{value}}}");
    cell(
        column_type,
        mapping,
        &MessageFormat::default(),
        payload.as_bytes(),
    )
}

/// What a column makes of a key, or of a payload that is one value.
fn key(column_type: &str, primitive: PrimitiveType, bytes: &[u8]) -> String {
    let format = MessageFormat {
        key: primitive,
        payload: PayloadType::Primitive(primitive),
        ..MessageFormat::default()
    };
    let of = |field| {
        let mapping = ColumnMapping::new("c", ColumnSource::Metadata(field));
        cell(column_type, mapping, &format, bytes)
    };
    let (key, payload) = (of(MetadataField::Key), of(MetadataField::Value));
    assert_eq!(key, payload, "{column_type} {primitive}");
    key
}

/// What a column makes of a message, in words.
fn cell(column_type: &str, mapping: ColumnMapping, format: &MessageFormat, bytes: &[u8]) -> String {
    let table = TableColumns {
        columns: vec![Column::new("c", column_type.parse().unwrap())],
        partition_keys: Vec::new(),
    };
    let (mappings, zone) = ([mapping], TimeZone::fixed(jiff::tz::offset(8)));
    let spec = ProjectionSpec::new(&mappings, &table, format, &zone);
    let compiled = Projection::compile(&spec);
    let Ok(projection) = compiled else {
        return "refused".to_owned();
    };
    let mut decoder = Decoder::new(Arc::new(projection));
    let mut block = MessageBlock::default();
    let headers = [(&b"h"[..], Some(&b"x"[..]))];
    block.push(
        7,
        TIMESTAMP_MS,
        Some(bytes),
        Some(bytes),
        headers.into_iter(),
    );
    let message = block.get(0).unwrap();
    if let Err(rejection) = decoder.decode(&message, &TopicPartition::new("orders", 3)) {
        return format!("rejected: {}", rejection.reason());
    }
    let batch = decoder.flush();
    let column = batch.column(0);
    if column.is_null(0) {
        return "NULL".to_owned();
    }
    let options = FormatOptions::default().with_null("NULL");
    let shown = ArrayFormatter::try_new(column, &options)
        .unwrap()
        .value(0)
        .to_string();
    if shown.is_empty() {
        return "an empty string".to_owned();
    }
    format!("`{shown}`")
}
