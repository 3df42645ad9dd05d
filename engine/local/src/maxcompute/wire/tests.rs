//! Against the bytes of official clients.

use std::fs;
use std::io::{self, Cursor, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::{Column, ColumnType};
use serde_json::{Value, json};

use super::codec::Codec;
use super::frame::{FrameReader, FrameWriter};
use super::message::{BatchReader, BatchWriter};
use super::record::RecordWriter;
use crate::maxcompute::types::{arrow_schema, arrow_type};

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tunnel/tests/fixtures");
    fs::read(folder.join(name)).unwrap()
}

fn description(name: &str) -> Value {
    serde_json::from_slice(&fixture(&format!("{name}.json"))).unwrap()
}

fn columns(description: &Value) -> Vec<Column> {
    let column = |column: &Value| {
        let column_type = column["type"].as_str().unwrap().parse().unwrap();
        Column::new(column["name"].as_str().unwrap(), column_type)
    };
    description["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(column)
        .collect()
}

fn decode(bytes: &[u8], codec: Codec, columns: &[Column]) -> io::Result<Vec<RecordBatch>> {
    let decoder = codec.decoder(io::BufReader::new(Cursor::new(bytes)))?;
    let mut reader = BatchReader::new(FrameReader::new(decoder), arrow_schema(columns));
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        batches.push(batch);
    }
    Ok(batches)
}

fn encode(batches: &[RecordBatch], codec: Codec) -> Vec<u8> {
    let mut frame = FrameWriter::new(codec.encoder(Vec::new()).unwrap());
    let mut writer = BatchWriter::new();
    for batch in batches {
        writer.write(batch, &mut frame).unwrap();
    }
    frame.finish().unwrap().finish().unwrap()
}

/// A value in the fixtures' typed JSON.
fn typed(array: &dyn Array, row: usize, column: &ColumnType) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let elements = |array: ArrayRef, element: &ColumnType| -> Vec<Value> {
        (0..array.len())
            .map(|row| typed(array.as_ref(), row, element))
            .collect()
    };
    match column {
        ColumnType::TinyInt => json!(array.as_primitive::<Int8Type>().value(row)),
        ColumnType::SmallInt => json!(array.as_primitive::<Int16Type>().value(row)),
        ColumnType::Int => json!(array.as_primitive::<Int32Type>().value(row)),
        ColumnType::BigInt => json!(array.as_primitive::<Int64Type>().value(row)),
        ColumnType::Boolean => json!(array.as_boolean().value(row)),
        ColumnType::Float => {
            let bits = array.as_primitive::<Float32Type>().value(row).to_bits();
            json!({ "f32_bits": format!("{bits:08x}") })
        }
        ColumnType::Double => {
            let bits = array.as_primitive::<Float64Type>().value(row).to_bits();
            json!({ "f64_bits": format!("{bits:016x}") })
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            json!(array.as_string::<i32>().value(row))
        }
        ColumnType::Binary => {
            let bytes = array.as_binary::<i32>().value(row);
            json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat() })
        }
        ColumnType::Decimal { .. } => {
            json!({ "dec": array.as_primitive::<arrow::datatypes::Decimal128Type>().value_as_string(row) })
        }
        ColumnType::Date => json!({ "days": array.as_primitive::<Date32Type>().value(row) }),
        ColumnType::DateTime => {
            json!({ "ms": array.as_primitive::<TimestampMillisecondType>().value(row) })
        }
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            let (sec, nanos) = (
                nanos.div_euclid(1_000_000_000),
                nanos.rem_euclid(1_000_000_000),
            );
            json!({ "sec": sec, "nanos": nanos })
        }
        ColumnType::Array(element) => json!(elements(array.as_list::<i32>().value(row), element)),
        ColumnType::Map(key, value) => {
            let entries = array.as_map().value(row);
            let keys = elements(Arc::clone(entries.column(0)), key);
            let values = elements(Arc::clone(entries.column(1)), value);
            json!({ "map": keys.into_iter().zip(values).map(|(k, v)| json!([k, v])).collect::<Vec<_>>() })
        }
        ColumnType::Struct(fields) => {
            let children = array.as_struct().columns().iter().zip(fields);
            let values: Vec<Value> = children
                .map(|(child, (_, field))| typed(child.as_ref(), row, field))
                .collect();
            json!({ "struct": values })
        }
    }
}

fn typed_rows(batch: &RecordBatch, columns: &[Column]) -> Value {
    let row = |row: usize| {
        let cells = batch.columns().iter().zip(columns);
        cells
            .map(|(array, column)| typed(array.as_ref(), row, &column.column_type))
            .collect()
    };
    Value::Array((0..batch.num_rows()).map(row).collect())
}

/// The fixtures' typed JSON as an array.
#[expect(clippy::too_many_lines, reason = "one arm a type")]
fn array(values: &[Value], column: &ColumnType) -> ArrayRef {
    let nulls = || {
        Some(
            values
                .iter()
                .map(|value| !value.is_null())
                .collect::<NullBuffer>(),
        )
    };
    let lengths = |list: fn(&Value) -> usize| OffsetBuffer::from_lengths(values.iter().map(list));
    let field = |index: usize| -> Vec<Value> {
        values
            .iter()
            .map(|value| value["struct"].get(index).cloned().unwrap_or_default())
            .collect()
    };
    match column {
        ColumnType::TinyInt => numbers::<Int8Type>(values, |v| v.as_i64()?.try_into().ok()),
        ColumnType::SmallInt => numbers::<Int16Type>(values, |v| v.as_i64()?.try_into().ok()),
        ColumnType::Int => numbers::<Int32Type>(values, |v| v.as_i64()?.try_into().ok()),
        ColumnType::BigInt => numbers::<Int64Type>(values, Value::as_i64),
        ColumnType::Date => numbers::<Date32Type>(values, |v| v["days"].as_i64()?.try_into().ok()),
        ColumnType::DateTime => numbers::<TimestampMillisecondType>(values, |v| v["ms"].as_i64()),
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            numbers::<TimestampNanosecondType>(values, |v| {
                Some(v["sec"].as_i64()? * 1_000_000_000 + v["nanos"].as_i64()?)
            })
        }
        ColumnType::Float => numbers::<Float32Type>(values, |v| {
            u32::from_str_radix(v["f32_bits"].as_str()?, 16)
                .ok()
                .map(f32::from_bits)
        }),
        ColumnType::Double => numbers::<Float64Type>(values, |v| {
            u64::from_str_radix(v["f64_bits"].as_str()?, 16)
                .ok()
                .map(f64::from_bits)
        }),
        ColumnType::Boolean => {
            Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>())
        }
        ColumnType::Decimal { precision, scale } => {
            let unscaled = values
                .iter()
                .map(|v| Some(v["dec"].as_str()?.replace('.', "").parse().unwrap()));
            let array = unscaled.collect::<Decimal128Array>();
            Arc::new(
                array
                    .with_precision_and_scale(*precision, i8::try_from(*scale).unwrap())
                    .unwrap(),
            )
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            Arc::new(values.iter().map(Value::as_str).collect::<StringArray>())
        }
        ColumnType::Binary => {
            let bytes = |v: &Value| -> Option<Vec<u8>> {
                let hex = v["hex"].as_str()?.as_bytes();
                let byte = |pair: &[u8]| {
                    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
                };
                Some(hex.chunks(2).map(byte).collect())
            };
            Arc::new(values.iter().map(bytes).collect::<BinaryArray>())
        }
        ColumnType::Array(element) => {
            let flat: Vec<Value> = values
                .iter()
                .filter_map(Value::as_array)
                .flatten()
                .cloned()
                .collect();
            let DataType::List(item) = arrow_type(column) else {
                panic!("no list")
            };
            let offsets = lengths(|value| value.as_array().map_or(0, Vec::len));
            Arc::new(ListArray::new(
                item,
                offsets,
                array(&flat, element),
                nulls(),
            ))
        }
        ColumnType::Map(key, value) => {
            let pairs: Vec<&Value> = values
                .iter()
                .filter_map(|v| v["map"].as_array())
                .flatten()
                .collect();
            let side = |index: usize| {
                pairs
                    .iter()
                    .map(|pair| pair[index].clone())
                    .collect::<Vec<_>>()
            };
            let DataType::Map(entries, _) = arrow_type(column) else {
                panic!("no map")
            };
            let DataType::Struct(fields) = entries.data_type() else {
                panic!("no struct")
            };
            let children = vec![array(&side(0), key), array(&side(1), value)];
            let offsets = lengths(|value| value["map"].as_array().map_or(0, Vec::len));
            let structs = StructArray::new(fields.clone(), children, None);
            Arc::new(MapArray::new(entries, offsets, structs, nulls(), false))
        }
        ColumnType::Struct(members) => {
            let DataType::Struct(fields) = arrow_type(column) else {
                panic!("no struct")
            };
            let children = members
                .iter()
                .enumerate()
                .map(|(index, (_, member))| array(&field(index), member));
            Arc::new(StructArray::new(fields, children.collect(), nulls()))
        }
    }
}

fn numbers<T: ArrowPrimitiveType>(
    values: &[Value],
    read: impl Fn(&Value) -> Option<T::Native>,
) -> ArrayRef {
    Arc::new(values.iter().map(read).collect::<PrimitiveArray<T>>())
}

const ARROW: [&str; 16] = [
    "arrow_all_types",
    "arrow_exact_chunk_multiple",
    "arrow_kafka_like",
    "arrow_kafka_like_lz4",
    "arrow_kafka_like_snappy",
    "arrow_kafka_like_zlib",
    "arrow_kafka_like_zstd",
    "arrow_multi_batch",
    "arrow_multi_chunk_512",
    "arrow_one_row",
    "arrow_sliced_validity",
    "arrow_zero_rows",
    "java_arrow_all",
    "java_arrow_lz4",
    "java_arrow_snappy",
    "java_arrow_zlib",
];

/// Name, codec, columns and rows of a recorded Arrow body.
fn arrow_case(name: &str) -> (Vec<u8>, Codec, Vec<Column>, Value) {
    let description = description(name);
    let codec = Codec::from_name(description["content_encoding"].as_str().unwrap_or("")).unwrap();
    let rows = if description["rows"].is_string() {
        self::description("arrow_kafka_like")["rows"].clone()
    } else {
        description["rows"].clone()
    };
    (
        fixture(&format!("{name}.bin")),
        codec,
        columns(&description),
        rows,
    )
}

#[test]
fn arrow_bodies_of_official_clients_are_read() {
    for name in ARROW {
        let (bytes, codec, columns, rows) = arrow_case(name);
        let batches =
            decode(&bytes, codec, &columns).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found: Vec<Value> = batches
            .iter()
            .map(|batch| typed_rows(batch, &columns))
            .collect();
        assert_eq!(Value::Array(found), rows, "{name}");
    }
}

#[test]
fn bodies_without_data_have_no_rows() {
    let columns = [Column::new("a", ColumnType::BigInt)];
    assert_eq!(fixture("arrow_zero_batches.bin"), [0; 4]);
    assert_eq!(fixture("java_arrow_zero.bin"), [0; 0]);
    for body in [&[0; 4][..], &[]] {
        assert!(decode(body, Codec::Identity, &columns).unwrap().is_empty());
    }
    // A compressor that was opened has written something.
    assert!(decode(&[], Codec::Zstd, &columns).is_err());
    assert!(decode(&[1, 0, 0, 0], Codec::Identity, &columns).is_err());
}

#[test]
fn what_is_written_is_read_back_in_every_codec() {
    let (bytes, codec, columns, _) = arrow_case("arrow_kafka_like");
    let batches = decode(&bytes, codec, &columns).unwrap();
    for codec in [
        Codec::Identity,
        Codec::Deflate,
        Codec::Zstd,
        Codec::Snappy,
        Codec::Lz4,
        Codec::ArrowLz4,
    ] {
        let encoded = encode(&batches, codec);
        assert_eq!(
            decode(&encoded, codec, &columns).unwrap(),
            batches,
            "{codec:?}"
        );
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    for name in [
        "arrow_one_row",
        "arrow_multi_chunk_512",
        "arrow_exact_chunk_multiple",
    ] {
        let (bytes, codec, columns, _) = arrow_case(name);
        let step = (bytes.len() / 400).max(1);
        for position in (0..bytes.len()).step_by(step) {
            let mut wrong = bytes.clone();
            wrong[position] ^= 0x10;
            // Another chunk size may mean the same where the body is shorter than both.
            if position >= 4 {
                assert!(
                    decode(&wrong, codec, &columns).is_err(),
                    "{name}: byte {position} flipped"
                );
            }
            // A body cut to nothing is an empty one, by the protocol.
            if position > 0 {
                let cut = &bytes[..position];
                assert!(
                    decode(cut, codec, &columns).is_err(),
                    "{name}: cut at {position}"
                );
            }
        }
    }
}

#[test]
fn chunk_borders_carry_no_meaning() {
    let data: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    for chunk in [1_u32, 7, 250, 999, 1_000, 1_001, 1 << 31] {
        let mut framed = chunk.to_be_bytes().to_vec();
        let size = usize::try_from(chunk).unwrap();
        for part in data.chunks(size) {
            framed.extend_from_slice(part);
            if part.len() == size {
                framed.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
            }
        }
        framed.extend_from_slice(&crc32c::crc32c(&data).to_be_bytes());
        let mut read = Vec::new();
        FrameReader::new(framed.as_slice())
            .read_to_end(&mut read)
            .unwrap();
        assert_eq!(read, data, "chunks of {chunk}");
    }
    assert!(
        FrameReader::new(&[0, 0, 0, 0, 0][..])
            .read_to_end(&mut Vec::new())
            .is_err()
    );
}

#[test]
fn a_chunk_that_is_full_ends_with_its_own_crc_and_the_body_with_another() {
    let mut writer = FrameWriter::new(Vec::new());
    writer.write_all(&vec![7; 2 * 65_536]).unwrap();
    let framed = writer.finish().unwrap();
    assert_eq!(framed.len(), 4 + 2 * (65_536 + 4) + 4);
    assert_eq!(
        FrameWriter::new(Vec::new()).finish().unwrap(),
        [0, 1, 0, 0, 0, 0, 0, 0]
    );
}

#[test]
fn batches_of_other_columns_are_refused() {
    let (bytes, codec, columns, _) = arrow_case("arrow_multi_batch");
    let others: [&[ColumnType]; 5] = [
        &[ColumnType::BigInt],
        &[ColumnType::BigInt, ColumnType::BigInt],
        &[ColumnType::BigInt, ColumnType::String, ColumnType::String],
        &[ColumnType::String, ColumnType::BigInt],
        &[
            ColumnType::Struct(vec![("a".into(), ColumnType::BigInt)]),
            ColumnType::String,
        ],
    ];
    for types in others {
        let wrong: Vec<Column> = types
            .iter()
            .map(|column| Column::new("c", column.clone()))
            .collect();
        let error = decode(&bytes, codec, &wrong).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::InvalidData,
            "{types:?}: {error}"
        );
    }
    let mut strict = columns;
    strict[1].nullable = false;
    let error = decode(&bytes, codec, &strict).unwrap_err();
    assert!(error.to_string().contains("NOT NULL"), "{error}");
}

#[test]
fn hostile_lengths_are_errors_not_panics() {
    // Bit by bit through the metadata of a message, framed anew so that only the message is wrong.
    let (bytes, codec, columns, _) = arrow_case("arrow_all_types");
    let mut data = Vec::new();
    FrameReader::new(bytes.as_slice())
        .read_to_end(&mut data)
        .unwrap();
    for position in 0..1_400 {
        for flip in [0x01, 0x80, 0xff] {
            let mut wrong = data.clone();
            wrong[position] ^= flip;
            let mut frame = FrameWriter::new(Vec::new());
            frame.write_all(&wrong).unwrap();
            // Some bits have no meaning; the others must be refused in peace.
            drop(decode(&frame.finish().unwrap(), codec, &columns));
        }
    }
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

#[test]
fn codecs_are_negotiated_and_never_imposed() {
    assert_eq!(Codec::accepted(""), Codec::Identity);
    assert_eq!(Codec::accepted("identity"), Codec::Identity);
    assert_eq!(
        Codec::accepted("br, x-odps-lz4-frame;q=1, deflate"),
        Codec::ArrowLz4
    );
    assert_eq!(Codec::accepted("gzip"), Codec::Identity);
    assert_eq!(Codec::from_name("gzip"), None);
}
