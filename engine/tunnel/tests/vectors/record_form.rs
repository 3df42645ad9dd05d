//! Bodies in record form.

use std::collections::BTreeSet;

use bytes::Bytes;
use crc32c::crc32c_append;
use engine_model::job::{BlockFormat, Compression};
use engine_model::{Column, ColumnType};
use engine_tunnel::wire::BodyForm;
use engine_tunnel::wire::record::{RecordReader, Shape, Value as Cell};
use serde_json::{Value, json};

use crate::Quirk;
use crate::cells::{hex, plain_decimal, rows};
use crate::vector::{Vector, decode};

const PLAIN: BodyForm = BodyForm {
    format: BlockFormat::Record,
    compression: Compression::None,
};

pub(crate) fn compare(vector: &Vector) -> BTreeSet<Quirk> {
    let name = &vector.name;
    let mut quirks = BTreeSet::new();
    let theirs = vector.plain();
    let records = read(vector, &theirs);
    if normalised(&records) != theirs {
        quirks.insert(Quirk::LongChecksums);
    }
    let Some(columns) = vector.columns() else {
        quirks.insert(Quirk::ReadOnly);
        return quirks;
    };
    let listed = vector.rows();
    match decode(PLAIN, &columns, theirs.clone()) {
        Ok(batches) => {
            let read: Vec<Value> = batches
                .iter()
                .flat_map(|batch| rows(&columns, batch).as_array().unwrap().clone())
                .collect();
            assert_eq!(plain(read.into()), plain(listed.clone()), "{name}");
        }
        Err(error) => {
            assert!(error.to_string().starts_with("column "), "{error}");
            quirks.insert(Quirk::BeyondArrow);
        }
    }
    let columns = if decimals_as_written(&listed) {
        columns
    } else {
        quirks.insert(Quirk::DecimalText);
        columns.into_iter().map(as_text).collect()
    };
    if let Ok(batches) = decode(PLAIN, &columns, theirs) {
        match vector.encode(&columns, &batches) {
            Ok(ours) => assert_eq!(ours, normalised(&records), "{name}"),
            Err(error) => {
                assert!(
                    error.to_string().ends_with(
                        "row 0 of the block, counted from 0: found -9223372036854775808, which BIGINT keeps for itself"
                    ),
                    "{error}"
                );
                quirks.insert(Quirk::OverLimit);
            }
        }
        return quirks;
    }
    let mut compared = 0;
    for record in &records {
        let alone = normalised(std::slice::from_ref(record));
        if let Ok(batches) = decode(PLAIN, &columns, alone.clone()) {
            assert_eq!(vector.encode(&columns, &batches).unwrap(), alone, "{name}");
            compared += 1;
        }
    }
    assert_eq!(compared, records.len() - 1, "{name}: one has such a value");
    quirks
}

/// A record's fields as they stand on the wire, and its checksum.
struct Record {
    fields: Vec<u8>,
    crc: u32,
}

/// Reads all records and compares them with the rows and the checksums that are listed.
fn read(vector: &Vector, body: &Bytes) -> Vec<Record> {
    let name = &vector.name;
    let types = vector.types();
    let shapes: Vec<_> = types.iter().map(|(_, text)| shape(text)).collect();
    let mut reader = RecordReader::new(body, &shapes);
    let mut records = Vec::new();
    let mut read = Vec::new();
    let mut start = 0;
    while let Some(cells) = reader.next_record().unwrap() {
        let cells = types.iter().zip(&cells);
        read.push(cells.map(|((_, text), cell)| listed(text, cell)).collect());
        let crc = vector.head("record_crc32c")[records.len()]
            .as_str()
            .unwrap();
        let crc = u32::from_str_radix(crc, 16).unwrap();
        let record = &body[start..reader.position()];
        let ends = [ending(crc.into()), ending(sign_extended(crc))];
        let fields = ends.iter().find_map(|end| record.strip_suffix(&end[..]));
        records.push(Record {
            fields: fields.unwrap().to_vec(),
            crc,
        });
        start = reader.position();
    }
    assert_eq!(Value::Array(read), vector.rows(), "{name}");
    records
}

/// The same records with checksums of five bytes at most.
fn normalised(records: &[Record]) -> Bytes {
    let mut body = Vec::new();
    let mut crc_of_crcs = 0;
    for Record { fields, crc } in records {
        body.extend_from_slice(fields);
        body.extend_from_slice(&ending((*crc).into()));
        crc_of_crcs = crc32c_append(crc_of_crcs, &crc.to_le_bytes());
    }
    body.extend_from_slice(&[0xf0, 0xff, 0xff, 0x7f]);
    varint(&mut body, records.len() as u64 * 2);
    body.extend_from_slice(&[0xf8, 0xff, 0xff, 0x7f]);
    varint(&mut body, crc_of_crcs.into());
    body.into()
}

fn sign_extended(crc: u32) -> u64 {
    i64::from(crc.cast_signed()).cast_unsigned()
}

/// The tag at a record's end, and the checksum.
fn ending(crc: u64) -> Vec<u8> {
    let mut bytes = vec![0x80, 0xc0, 0xff, 0x7f];
    varint(&mut bytes, crc);
    bytes
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
}

/// Types that no column of ours has, besides those that one has.
fn shape(text: &str) -> Shape {
    match text {
        "interval_day_time" => Shape::Instant,
        "interval_year_month" => Shape::Integer,
        "vector(float,3)" => Shape::Vector(Box::new(Shape::Float)),
        text => Shape::of(&text.parse().unwrap()),
    }
}

/// A cell in the notation of the recorded rows.
fn listed(text: &str, cell: &Cell<'_>) -> Value {
    match (text, cell) {
        (_, Cell::Null) => Value::Null,
        ("interval_day_time", cell) => typed(&ColumnType::Timestamp, cell),
        ("interval_year_month", Cell::Integer(months)) => json!({ "months": months }),
        ("vector(float,3)", Cell::List(elements)) => {
            let elements = elements.iter();
            elements
                .map(|cell| typed(&ColumnType::Float, cell))
                .collect()
        }
        (text, cell) => typed(&text.parse().unwrap(), cell),
    }
}

fn typed(column_type: &ColumnType, cell: &Cell<'_>) -> Value {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match (column_type, cell) {
        (_, Cell::Null) => Value::Null,
        (ColumnType::Date, Cell::Integer(days)) => json!({ "days": days }),
        (ColumnType::DateTime, Cell::Integer(ms)) => json!({ "ms": ms }),
        (_, Cell::Integer(value)) => json!(value),
        (_, Cell::Boolean(value)) => json!(value),
        (_, Cell::Float(value)) => json!({ "f32_bits": format!("{:08x}", value.to_bits()) }),
        (_, Cell::Double(value)) => json!({ "f64_bits": format!("{:016x}", value.to_bits()) }),
        (ColumnType::Binary, Cell::Text(bytes)) => hex(bytes),
        (ColumnType::Decimal { .. }, Cell::Text(bytes)) => json!({ "dec": text(bytes) }),
        (ColumnType::Json, Cell::Text(bytes)) => json!({ "json": text(bytes) }),
        (_, Cell::Text(bytes)) => json!(text(bytes)),
        (
            _,
            Cell::Instant {
                seconds,
                nanoseconds,
            },
        ) => {
            json!({ "sec": seconds, "nanos": nanoseconds })
        }
        (ColumnType::Array(element), Cell::List(cells)) => {
            cells.iter().map(|cell| typed(element, cell)).collect()
        }
        (ColumnType::Map(key, value), Cell::Map(keys, values)) => {
            let pairs = keys.iter().zip(values);
            let pairs = pairs.map(|(k, v)| json!([typed(key, k), typed(value, v)]));
            json!({ "map": pairs.collect::<Value>() })
        }
        (ColumnType::Struct(fields), Cell::Struct(cells)) => {
            let cells = fields.iter().zip(cells);
            let cells = cells.map(|((_, field), cell)| typed(field, cell));
            json!({ "struct": cells.collect::<Value>() })
        }
        other => panic!("{other:?}"),
    }
}

/// Rows with all decimals in the notation that ours writes.
fn plain(rows: Value) -> Value {
    match rows {
        Value::Array(values) => values.into_iter().map(plain).collect(),
        Value::Object(object) => match object.get("dec") {
            Some(text) => json!({ "dec": plain_decimal(text.as_str().unwrap()) }),
            None => object
                .into_iter()
                .map(|(key, value)| (key, plain(value)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        },
        other => other,
    }
}

fn decimals_as_written(rows: &Value) -> bool {
    plain(rows.clone()) == *rows
}

fn as_text(mut column: Column) -> Column {
    column.column_type = text_type(column.column_type);
    column
}

/// The same type with STRING in the place of each DECIMAL.
fn text_type(column_type: ColumnType) -> ColumnType {
    let boxed = |column_type: Box<ColumnType>| Box::new(text_type(*column_type));
    match column_type {
        ColumnType::Decimal { .. } => ColumnType::String,
        ColumnType::Array(element) => ColumnType::Array(boxed(element)),
        ColumnType::Map(key, value) => ColumnType::Map(boxed(key), boxed(value)),
        ColumnType::Struct(fields) => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, field)| (name, text_type(field)));
            ColumnType::Struct(fields.collect())
        }
        other => other,
    }
}
