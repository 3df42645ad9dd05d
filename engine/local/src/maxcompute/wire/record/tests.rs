//! Against the bytes of official clients, and against bytes that none of them sends.

use std::fs;
use std::io::{self, BufReader, Cursor, ErrorKind};
use std::path::PathBuf;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampNanosecondType};
use engine_model::{Column, ColumnType};
use serde_json::{Value, json};

use super::{RecordReader, RecordWriter};
use crate::maxcompute::decimal::Decimal;
use crate::maxcompute::types::arrow_schema;
use crate::maxcompute::wire::codec::Codec;
use crate::maxcompute::wire::vectors::{array, columns, description, fixture, typed_rows};

/// Recorded bodies that are refused, and a part of what is said of them.
const REFUSED: [(&str, &str); 2] = [
    // A DECIMAL of edition 1.0 has 36 digits before the point; the server knows edition 2.0 only.
    ("rec_decimal", "no DECIMAL(38,18)"),
    // Timestamps are kept as 64-bit nanoseconds; this one is of the year 9999.
    ("java_rec_edge", "outside of 1677 to 2262"),
];

/// Recorded bodies with types that no table here can have.
const NO_SUCH_TYPE: [&str; 3] = ["java_rec_intervals", "rec_intervals", "rec_vector"];

fn decode(bytes: &[u8], codec: Codec, columns: &[Column]) -> io::Result<Vec<RecordBatch>> {
    let decoder = codec.decoder(BufReader::new(Cursor::new(bytes)))?;
    let mut reader = RecordReader::new(decoder, columns);
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}

fn plain(bytes: &[u8], columns: &[Column]) -> io::Result<Vec<RecordBatch>> {
    decode(bytes, Codec::Identity, columns)
}

/// Names of all recorded bodies in the record form.
fn recorded() -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tunnel/tests/fixtures");
    let names = fs::read_dir(folder).unwrap().filter_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".bin").map(str::to_owned)
    });
    let mut names: Vec<String> = names
        .filter(|name| description(name)["kind"] == "record")
        .collect();
    names.sort_unstable();
    names
}

/// A recorded value as the decoder gives it: decimals at the scale of their column, JSON as its text.
fn stored(value: &Value, column: &ColumnType) -> Value {
    if value.is_null() {
        return Value::Null;
    }
    match column {
        ColumnType::Decimal { precision, scale } => {
            let number = Decimal::parse(value["dec"].as_str().unwrap()).unwrap();
            json!({ "dec": number.fit(*precision, *scale).unwrap().to_string() })
        }
        ColumnType::Json => value["json"].clone(),
        ColumnType::Array(element) => {
            let elements = value.as_array().unwrap().iter();
            elements.map(|value| stored(value, element)).collect()
        }
        ColumnType::Struct(fields) => {
            let values = value["struct"].as_array().unwrap().iter().zip(fields);
            let values: Vec<Value> = values
                .map(|(value, (_, field))| stored(value, field))
                .collect();
            json!({ "struct": values })
        }
        _ => value.clone(),
    }
}

#[test]
fn records_of_official_clients_are_read() {
    let mut read = 0;
    for name in recorded() {
        if NO_SUCH_TYPE.contains(&name.as_str()) {
            continue;
        }
        let description = description(&name);
        let columns = columns(&description);
        let encoding = description["content_encoding"].as_str().unwrap_or("");
        let codec = Codec::from_name(encoding).unwrap();
        let found = decode(&fixture(&format!("{name}.bin")), codec, &columns);
        if let Some((_, text)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            let error = found.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            assert!(error.to_string().contains(text), "{name}: {error}");
            continue;
        }
        let batches = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = batches
            .iter()
            .flat_map(|batch| match typed_rows(batch, &columns) {
                Value::Array(rows) => rows,
                _ => Vec::new(),
            });
        let rows = match &description["rows"] {
            Value::String(_) => self::description("rec_kafka_like")["rows"].clone(),
            rows => rows.clone(),
        };
        let rows = rows.as_array().unwrap().iter().map(|row| {
            let cells = row.as_array().unwrap().iter().zip(&columns);
            cells
                .map(|(value, column)| stored(value, &column.column_type))
                .collect::<Value>()
        });
        assert_eq!(found.collect::<Value>(), rows.collect::<Value>(), "{name}");
        read += 1;
    }
    assert_eq!(read, 36, "bodies that were read");
}

/// The bytes with every CRC varint of ten bytes, as PyODPS's compiled writer makes them, cut to five.
fn short_crcs(bytes: &[u8]) -> Vec<u8> {
    const SIGN_EXTENSION: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x01];
    let mut short = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let tagged = rest.starts_with(&[0x80, 0xc0, 0xff, 0x7f])
            || rest.starts_with(&[0xf8, 0xff, 0xff, 0x7f]);
        if tagged && rest.get(9..14) == Some(&SIGN_EXTENSION[..]) {
            short.extend_from_slice(&rest[..8]);
            short.push(rest[8] & 0x7f | 0x80);
            // The fifth byte keeps four bits of the CRC; the rest was the sign.
            *short.last_mut().unwrap() = rest[8] & 0x0f;
            rest = &rest[14..];
        } else {
            short.push(*first);
            rest = after;
        }
    }
    short
}

#[test]
fn records_are_written_as_official_clients_write_them() {
    for name in [
        "rec_array",
        "rec_bool",
        "rec_date",
        "rec_datetime",
        "rec_floats",
        "rec_ints",
        "rec_kafka_like",
        "rec_map",
        "rec_one_row",
        "rec_strings",
        "rec_struct",
        "rec_timestamp",
        "rec_timestamp_neg_frac",
        "rec_wide_40",
        "rec_zero_rows",
    ] {
        let description = description(name);
        let columns = columns(&description);
        let rows = description["rows"].as_array().unwrap();
        let arrays = columns.iter().enumerate().map(|(position, column)| {
            let cells: Vec<Value> = rows.iter().map(|row| row[position].clone()).collect();
            array(&cells, &column.column_type)
        });
        let batch = RecordBatch::try_new(arrow_schema(&columns), arrays.collect()).unwrap();
        let types = columns
            .iter()
            .map(|column| column.column_type.clone())
            .collect();
        let mut writer = RecordWriter::new(Vec::new(), types);
        writer.write(&batch).unwrap();
        let written = writer.finish().unwrap();
        assert_eq!(
            written,
            short_crcs(&fixture(&format!("{name}.bin"))),
            "{name}"
        );
    }
}

fn columns_of(types: &[&str]) -> Vec<Column> {
    let column = |(position, text): (usize, &&str)| {
        Column::new(format!("c{}", position + 1), text.parse().unwrap())
    };
    types.iter().enumerate().map(column).collect()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

/// A stream of one record: fields as column number, wire type, bytes on the wire and bytes in the CRC.
fn stream(fields: &[(u32, u32, &[u8], &[u8])]) -> Vec<u8> {
    let (mut bytes, mut crc) = (Vec::new(), 0);
    for (number, wire_type, wire, checked) in fields {
        bytes.extend(varint(u64::from(number << 3 | wire_type)));
        bytes.extend_from_slice(wire);
        crc = crc32c::crc32c_append(crc, &number.to_le_bytes());
        crc = crc32c::crc32c_append(crc, checked);
    }
    bytes.extend([0x80, 0xc0, 0xff, 0x7f]);
    bytes.extend(varint(crc.into()));
    bytes.extend(footer(2, crc32c::crc32c(&crc.to_le_bytes())));
    bytes
}

/// A footer; `count` as on the wire, twice the number of records.
fn footer(count: u64, crc: u32) -> Vec<u8> {
    let mut bytes = vec![0xf0, 0xff, 0xff, 0x7f];
    bytes.extend(varint(count));
    bytes.extend([0xf8, 0xff, 0xff, 0x7f]);
    bytes.extend(varint(crc.into()));
    bytes
}

fn refused(types: &[&str], bytes: &[u8], text: &str) {
    let error = plain(bytes, &columns_of(types)).unwrap_err();
    assert!(error.to_string().contains(text), "{text}: {error}");
    let kind = error.kind();
    assert!(
        matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof),
        "{kind}"
    );
}

#[test]
fn every_cut_and_whatever_follows_is_noticed() {
    for name in [
        "rec_all_types",
        "rec_struct",
        "rec_map",
        "java_rec_all",
        "rec_zero_rows",
    ] {
        let (bytes, columns) = (fixture(&format!("{name}.bin")), columns(&description(name)));
        for end in 0..bytes.len() {
            assert!(
                plain(&bytes[..end], &columns).is_err(),
                "{name}: cut at {end}"
            );
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        let error = plain(&longer, &columns).unwrap_err().to_string();
        assert!(error.contains("bytes follow the footer"), "{name}: {error}");
    }
    for (name, unnoticed) in [
        ("rec_kafka_like_zlib", 0),
        ("rec_kafka_like_zstd", 0),
        ("rec_kafka_like_snappy", 0),
        // The end mark of an LZ4 frame carries no data: all rows are there without it.
        ("rec_kafka_like_lz4", 8),
    ] {
        let (bytes, description) = (fixture(&format!("{name}.bin")), description(name));
        let columns = columns(&description);
        let codec = description["content_encoding"].as_str().unwrap();
        let codec = Codec::from_name(codec).unwrap();
        let last = bytes.len() - 1 - unnoticed;
        for end in (0..last).step_by(37).chain([last]) {
            let cut = decode(&bytes[..end], codec, &columns);
            assert!(cut.is_err(), "{name}: cut at {end}");
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for name in [
        "rec_one_row",
        "rec_ints",
        "rec_strings",
        "rec_floats",
        "rec_timestamp",
    ] {
        let (bytes, columns) = (fixture(&format!("{name}.bin")), columns(&description(name)));
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut wrong = bytes.clone();
                wrong[position] ^= 1 << bit;
                let noticed = plain(&wrong, &columns).is_err();
                assert!(noticed, "{name}: bit {bit} of byte {position} flipped");
            }
        }
    }
}

#[test]
fn hostile_bytes_are_errors_not_panics() {
    for name in [
        "rec_all_types",
        "rec_array",
        "rec_struct",
        "rec_map",
        "java_rec_all",
    ] {
        let (bytes, columns) = (fixture(&format!("{name}.bin")), columns(&description(name)));
        for position in 0..bytes.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let mut wrong = bytes.clone();
                wrong[position] = value;
                // Counts and null marks are outside every CRC, so some may mean another row; none may panic.
                drop(plain(&wrong, &columns));
            }
        }
    }
}

#[test]
fn fields_come_in_any_order_and_may_be_absent() {
    let columns = columns_of(&["bigint", "string", "bigint"]);
    let one = 1_i64.to_le_bytes();
    let bytes = stream(&[(3, 0, &[2], &one), (2, 2, b"\x01x", b"x")]);
    let batch = plain(&bytes, &columns).unwrap().remove(0);
    assert!(batch.column(0).is_null(0));
    assert_eq!(batch.column(1).as_string::<i32>().value(0), "x");
    assert_eq!(batch.column(2).as_primitive::<Int64Type>().value(0), 1);
}

#[test]
fn fields_must_be_the_sessions() {
    let one = 1_i64.to_le_bytes();
    let bigint: (u32, u32, &[u8], &[u8]) = (1, 0, &[2], &one);
    refused(
        &["bigint"],
        &stream(&[(2, 0, &[2], &one)]),
        "column number 2",
    );
    refused(
        &["bigint"],
        &stream(&[(0, 0, &[2], &one)]),
        "column number 0",
    );
    refused(
        &["bigint"],
        &stream(&[(1, 2, b"\x01x", b"x")]),
        "wire type 2, expected 0",
    );
    refused(&["bigint"], &stream(&[bigint, bigint]), "is there twice");
    let wide = 300_i64.to_le_bytes();
    refused(
        &["tinyint"],
        &stream(&[(1, 0, &varint(600), &wide)]),
        "300 does not fit",
    );
    refused(
        &["boolean"],
        &stream(&[(1, 0, &[2], &[1])]),
        "2 is no BOOLEAN",
    );
    refused(
        &["string"],
        &stream(&[(1, 2, b"\x01\xff", b"\xff")]),
        "utf-8",
    );
    refused(
        &["decimal(5,2)"],
        &stream(&[(1, 2, b"\x041E+3", b"1E+3")]),
        "no DECIMAL(5,2)",
    );
    refused(
        &["decimal(5,2)"],
        &stream(&[(1, 2, b"\x03NaN", b"NaN")]),
        "no DECIMAL(5,2)",
    );
    refused(
        &["map<string,int>"],
        &stream(&[(1, 2, &[1, 1, 0], b"")]),
        "key of a map is null",
    );
    refused(
        &["map<string,int>"],
        &stream(&[(1, 2, &[0, 1], b"")]),
        "0 keys and 1 values",
    );
    refused(
        &["array<int>"],
        &stream(&[(1, 2, &[1, 2], b"")]),
        "2 is no null mark",
    );
    let mut columns = columns_of(&["bigint", "string"]);
    columns[1].nullable = false;
    let error = plain(&stream(&[bigint]), &columns).unwrap_err().to_string();
    assert_eq!(
        error,
        "record 1: column \"c2\" is NOT NULL and has no value"
    );
}

#[test]
fn counts_and_crcs_must_be_right() {
    let one = 1_i64.to_le_bytes();
    let good = stream(&[(1, 0, &[2], &one)]);
    assert_eq!(
        plain(&good, &columns_of(&["bigint"])).unwrap()[0].num_rows(),
        1
    );
    refused(&["bigint"], &stream(&[(1, 0, &[4], &one)]), "the CRC says");
    refused(&["bigint"], &footer(2, 0), "counts 1 records, 0 came");
    refused(
        &["bigint"],
        &footer(0, 1),
        "the CRC says 00000001, the values give 00000000",
    );
    refused(&["bigint"], &footer(0, 0)[..5], "end before their footer");
    refused(
        &["bigint"],
        &[&[0xf0, 0xff, 0xff, 0x7f, 0], &good[..]].concat(),
        "no CRC behind",
    );
    refused(
        &["bigint"],
        &[&[0x08, 0x02], &footer(0, 0)[..]].concat(),
        "column number 33554430",
    );
    refused(
        &["bigint"],
        &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2],
        "64 bits",
    );
    refused(
        &["bigint"],
        &[&[0x80, 0xc0, 0xff, 0x7f], &varint(1 << 33)[..]].concat(),
        "32 bits",
    );
}

#[test]
fn lengths_are_bounded_before_bytes_are_kept() {
    refused(
        &["string"],
        &[&[0x0a], &varint(8 << 20 | 1)[..]].concat(),
        "at most 8388608",
    );
    refused(
        &["string"],
        &[&[0x0a], &varint(u64::MAX)[..]].concat(),
        "at most 8388608",
    );
    refused(
        &["array<string>"],
        &[&[0x0a], &varint(1 << 60)[..]].concat(),
        "before their footer",
    );
}

#[test]
fn decimals_and_instants_of_all_writers_are_read() {
    let columns = columns_of(&["decimal(10,2)", "timestamp"]);
    // Half a second before 1970, rounded toward zero as PyODPS without its compiled modules does.
    let mut checked = (-1_i64).to_le_bytes().to_vec();
    checked.extend((-500_000_000_i32).to_le_bytes());
    let wire = [varint(1), varint(999_999_999)].concat();
    let bytes = stream(&[
        (1, 2, b"\x0812.345e1", b"12.345e1"),
        (2, 2, &wire, &checked),
    ]);
    let batch = plain(&bytes, &columns).unwrap().remove(0);
    let decimals = batch.column(0).as_primitive::<Decimal128Type>();
    assert_eq!(decimals.value_as_string(0), "123.45");
    let instants = batch.column(1).as_primitive::<TimestampNanosecondType>();
    assert_eq!(instants.value(0), -1_500_000_000);
}

#[test]
fn batches_are_bounded() {
    let columns = columns_of(&["string"]);
    let row: Vec<Value> = vec!["x".repeat(3 << 20).into()];
    let big = array(&row, &columns[0].column_type);
    let big = RecordBatch::try_new(arrow_schema(&columns), vec![big]).unwrap();
    let small = array(&vec![Value::Null; 20_000], &columns[0].column_type);
    let small = RecordBatch::try_new(arrow_schema(&columns), vec![small]).unwrap();
    let mut writer = RecordWriter::new(Vec::new(), vec![columns[0].column_type.clone()]);
    for _ in 0..5 {
        writer.write(&big).unwrap();
    }
    writer.write(&small).unwrap();
    let batches = plain(&writer.finish().unwrap(), &columns).unwrap();
    let rows: Vec<usize> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(rows, [3, 8_192, 8_192, 3_618]);
}
