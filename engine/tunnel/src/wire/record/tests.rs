use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use bytes::Bytes;
use crc32c::crc32c;
use engine_model::Column;
use proptest::prelude::*;

use super::*;

/// Encodes a batch and returns the pieces.
fn pieces(columns: &[Column], batch: &RecordBatch) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut writer = RecordWriter::new();
    let mut take = |piece| {
        pieces.push(piece);
        Ok(())
    };
    writer.write(columns, batch, &mut take).unwrap();
    pieces.push(writer.finish());
    pieces
}

fn read(columns: &[Column], body: Bytes) -> Result<Vec<RecordBatch>, String> {
    RecordBatchReader::new(body, columns.into())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())
}

fn rows(ids: Vec<Option<i64>>, texts: Vec<Option<String>>) -> (Vec<Column>, RecordBatch) {
    let columns = vec![
        Column::new("id", ColumnType::BigInt),
        Column::new("v", ColumnType::String),
    ];
    let ids: ArrayRef = Arc::new(Int64Array::from(ids));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    let schema = super::super::arrow_schema(&columns);
    let batch = RecordBatch::try_new(schema, vec![ids, texts]).unwrap();
    (columns, batch)
}

#[test]
fn a_row_of_one_number_is_as_the_protocol_says() {
    let columns = [Column::new("id", ColumnType::BigInt)];
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![42]));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let body = pieces(&columns, &batch).concat();
    let expected = [
        0x08, 0x54, 0x80, 0xc0, 0xff, 0x7f, 0xe0, 0xf4, 0xcb, 0xba, 0x0c, 0xf0, 0xff, 0xff, 0x7f,
        0x02, 0xf8, 0xff, 0xff, 0x7f, 0xa3, 0xb0, 0xb9, 0xf5, 0x06,
    ];
    assert_eq!(body, expected);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let texts = [Some("a"), None, Some("")].map(|text| text.map(str::to_owned));
    let (columns, batch) = rows(vec![Some(1), Some(-1), None], texts.to_vec());
    let body = pieces(&columns, &batch).concat();
    assert_eq!(read(&columns, body.clone().into()).unwrap(), [batch]);
    for at in 0..body.len() * 8 {
        let mut damaged = body.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        assert!(read(&columns, damaged.into()).is_err(), "bit {at}");
    }
    for length in 0..body.len() {
        let error = read(&columns, body[..length].to_vec().into()).unwrap_err();
        assert!(error.contains("ends within a record"), "{length}: {error}");
    }
    let longer = [&body[..], &[0]].concat();
    assert!(
        read(&columns, longer.into())
            .unwrap_err()
            .ends_with("1 bytes follow the end")
    );
}

#[test]
fn counts_and_null_marks_that_lie_are_found() {
    let shapes = [Shape::List(Box::new(Shape::Boolean))];
    let error = |body: &[u8]| {
        let mut reader = RecordReader::new(body, &shapes);
        let error = reader.next_record().unwrap_err().to_string();
        assert_eq!(reader.next_record(), Ok(None), "nothing is read after that");
        error
    };
    assert_eq!(
        error(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]),
        "record 0, position 6 of the body: a list of 4294967295 elements has 1 bytes left"
    );
    assert!(error(&[0x0a, 1, 2, 0]).ends_with("2 is no NULL mark"));
    assert!(error(&[0x0a, 1, 0, 2]).ends_with("2 is neither true nor false"));
    assert!(error(&[0x08, 1]).ends_with("column 1 is tagged with wire type 0, its values have 2"));
    assert!(error(&[0x12, 1]).ends_with("there is no column 2 of 1"));
    assert!(error(&[0x0a, 0, 0x0a, 0]).ends_with("column 1 is there twice"));
    assert!(error(&[0xff; 11]).ends_with("a number has more than 64 bits"));
}

#[test]
fn metrics_of_the_server_are_passed_over() {
    let text = b"{}";
    let crc = crc32c(&[&1_u32.to_le_bytes()[..], text].concat());
    let varint = |mut value: u64| {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    let end = |crc: u32| {
        let parts: [&[u8]; 6] = [
            &[0xf0, 0xff, 0xff, 0x7f, 0],
            &[0x0a, 2],
            text,
            &[0x80, 0xf0, 0xff, 0x7f],
            &varint(crc.into()),
            &[0xf8, 0xff, 0xff, 0x7f, 0],
        ];
        parts.concat()
    };
    assert_eq!(RecordReader::new(&end(crc), &[]).next_record(), Ok(None));
    let wrong = end(crc ^ 1);
    let error = RecordReader::new(&wrong, &[]).next_record();
    assert!(error.unwrap_err().to_string().contains("of the metrics"));
}

#[test]
fn values_that_their_type_cannot_hold_are_named_with_their_row() {
    let (columns, batch) = rows(vec![Some(1), Some(300)], vec![None, None]);
    let body = Bytes::from(pieces(&columns, &batch).concat());
    let mut narrow = columns;
    narrow[0].column_type = ColumnType::TinyInt;
    assert_eq!(
        read(&narrow, body).unwrap_err(),
        "column id, record 1: 300 doesn't fit TINYINT"
    );
    let (columns, batch) = rows(vec![None], vec![Some("1.234".to_owned())]);
    let body = Bytes::from(pieces(&columns, &batch).concat());
    let mut decimal = columns;
    decimal[1].column_type = "decimal(5,2)".parse().unwrap();
    assert_eq!(
        read(&decimal, body).unwrap_err(),
        "column v, record 0: \"1.234\" doesn't fit DECIMAL(5,2)"
    );
}

#[test]
fn pieces_stay_small_whatever_a_cell_holds() {
    let long = "x".repeat(3 << 20);
    let (columns, batch) = rows(vec![None; 2], vec![Some(long); 2]);
    let pieces = pieces(&columns, &batch);
    let longest = pieces.iter().map(Bytes::len).max().unwrap();
    assert!(longest < 2 * writer::PIECE_BYTES, "{longest}");
    assert_eq!(read(&columns, pieces.concat().into()).unwrap(), [batch]);
}

#[test]
fn columns_behind_the_fifteenth_have_longer_tags() {
    let columns: Vec<_> = (0..40)
        .map(|n| Column::new(format!("c{n}"), ColumnType::Boolean))
        .collect();
    let array: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let schema = super::super::arrow_schema(&columns);
    let batch = RecordBatch::try_new(schema, vec![array; 40]).unwrap();
    let body = pieces(&columns, &batch).concat();
    assert_eq!(read(&columns, body.into()).unwrap(), [batch]);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        cells in prop::collection::vec((any::<Option<i64>>(), any::<Option<String>>()), 1..20),
    ) {
        let (ids, texts) = cells.into_iter().unzip();
        let (columns, batch) = rows(ids, texts);
        let body = pieces(&columns, &batch).concat();
        prop_assert_eq!(read(&columns, body.into()).unwrap(), [batch]);
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let columns = [
            "bigint", "string", "array<map<string,double>>", "struct<a:timestamp,b:float>", "decimal(38,18)",
        ];
        let columns = columns.map(|text| Column::new("c", text.parse().unwrap()));
        let _mostly_refused = read(&columns, body.into());
    }
}
