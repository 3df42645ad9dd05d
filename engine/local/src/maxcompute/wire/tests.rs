//! The Arrow form and the codecs, against the bytes of official clients.

use std::io::{self, Cursor, Read as _, Write as _};

use arrow::array::RecordBatch;
use engine_model::{Column, ColumnType};
use serde_json::Value;

use super::codec::Codec;
use super::frame::{FrameReader, FrameWriter};
use super::message::{BatchReader, BatchWriter};
use super::vectors::{columns, description, fixture, typed_rows};
use crate::maxcompute::types::arrow_schema;

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
