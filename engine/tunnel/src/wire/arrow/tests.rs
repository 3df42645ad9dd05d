use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use serde_json::{Value, json};

use super::*;
use crate::wire::frame;

struct Vector {
    head: Value,
    columns: Arc<[Column]>,
    data: Vec<u8>,
}

impl Vector {
    fn read(name: &str) -> Self {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        let head = std::fs::read_to_string(format!("{path}.json")).unwrap();
        let head: Value = serde_json::from_str(&head).unwrap();
        let columns = head["columns"].as_array().unwrap().iter();
        let columns = columns.map(|column| {
            let column_type = column["type"].as_str().unwrap().parse().unwrap();
            Column::new(column["name"].as_str().unwrap(), column_type)
        });
        let data = frame::decode(&std::fs::read(format!("{path}.bin")).unwrap()).unwrap();
        Self {
            columns: columns.collect(),
            head,
            data,
        }
    }

    fn schema(&self) -> Schema {
        let field =
            |column: &Column| Field::new(&column.name, arrow_type(&column.column_type), true);
        Schema::new(self.columns.iter().map(field).collect::<Vec<_>>())
    }

    /// Reads messages without a schema, as the server does: with the schema that the columns say.
    fn decode(&self, data: &[u8]) -> Vec<RecordBatch> {
        let mut stream = Vec::new();
        let mut writer = StreamWriter::try_new(&mut stream, &self.schema()).unwrap();
        writer.flush().unwrap();
        drop(writer);
        stream.extend_from_slice(data);
        let mut decoder = StreamDecoder::new();
        let mut buffer = Buffer::from(stream);
        let mut batches = Vec::new();
        loop {
            let batch = decoder.decode(&mut buffer).unwrap();
            match batch {
                Some(batch) => batches.push(batch),
                // A message without a body is complete only when the decoder is asked once more.
                None if buffer.is_empty() => break,
                None => {}
            }
        }
        batches
    }

    fn encode(&self, batches: &[RecordBatch]) -> Vec<u8> {
        let mut encoder = BatchEncoder::new(Arc::clone(&self.columns));
        let messages = batches
            .iter()
            .flat_map(|batch| encoder.encode(batch).unwrap());
        messages.flat_map(|buffer| buffer.to_vec()).collect()
    }
}

/// A cell in the notation of the fixtures.
fn cell(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let rows = |array: &ArrayRef| {
        (0..array.len())
            .map(|row| cell(array, row))
            .collect::<Value>()
    };
    match array.data_type() {
        DataType::Int8 => json!(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => json!(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => json!(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => {
            let bits = array.as_primitive::<Float32Type>().value(row).to_bits();
            json!({ "f32_bits": format!("{bits:08x}") })
        }
        DataType::Float64 => {
            let bits = array.as_primitive::<Float64Type>().value(row).to_bits();
            json!({ "f64_bits": format!("{bits:016x}") })
        }
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Binary => {
            let bytes = array.as_binary::<i32>().value(row);
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex.concat() })
        }
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Decimal128(..) => {
            json!({ "dec": array.as_primitive::<Decimal128Type>().value_as_string(row) })
        }
        DataType::Date32 => json!({ "days": array.as_primitive::<Date32Type>().value(row) }),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            json!({ "ms": array.as_primitive::<TimestampMillisecondType>().value(row) })
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            let ns = array.as_primitive::<TimestampNanosecondType>().value(row);
            let (sec, nanos) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
            json!({ "sec": sec, "nanos": nanos })
        }
        DataType::List(_) => rows(&array.as_list::<i32>().value(row)),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let pairs = (0..entries.len())
                .map(|at| json!([cell(entries.column(0), at), cell(entries.column(1), at)]));
            json!({ "map": pairs.collect::<Value>() })
        }
        DataType::Struct(_) => {
            let fields = array
                .as_struct()
                .columns()
                .iter()
                .map(|field| cell(field, row));
            json!({ "struct": fields.collect::<Value>() })
        }
        other => panic!("{other}"),
    }
}

fn rows(batches: &[RecordBatch]) -> Value {
    let batch_rows = |batch: &RecordBatch| {
        let row = |row| {
            batch
                .columns()
                .iter()
                .map(|array| cell(array, row))
                .collect::<Value>()
        };
        (0..batch.num_rows()).map(row).collect::<Value>()
    };
    batches.iter().map(batch_rows).collect()
}

const VECTORS: [&str; 11] = [
    "arrow_all_types",
    "arrow_exact_chunk_multiple",
    "arrow_kafka_like",
    "arrow_multi_batch",
    "arrow_multi_chunk_512",
    "arrow_one_row",
    "arrow_partitioned",
    "arrow_sliced_validity",
    "arrow_zero_batches",
    "java_arrow_all",
    "java_arrow_zero",
];

#[test]
fn recorded_rows_of_both_official_clients_survive_our_encoder() {
    for name in VECTORS {
        let vector = Vector::read(name);
        let recorded = vector.decode(&vector.data);
        assert_eq!(rows(&recorded), vector.head["rows"], "{name}");
        let ours = vector.encode(&recorded);
        assert_eq!(vector.decode(&ours), recorded, "{name}");
        assert_eq!(rows(&vector.decode(&ours)), vector.head["rows"], "{name}");
    }
}

/// The body of each message, which must be what the tunnel takes.
fn bodies(data: &[u8]) -> Vec<&[u8]> {
    let mut rest = data;
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        assert_eq!(
            rest[..4],
            [0xff; 4],
            "every message begins with the continuation marker"
        );
        let length = i32::from_le_bytes(rest[4..8].try_into().unwrap());
        let length = usize::try_from(length).unwrap();
        assert_eq!((8 + length) % 8, 0, "bodies are aligned");
        let (head, behind) = rest[8..].split_at(length);
        let message = arrow::ipc::root_as_message(head).unwrap();
        assert_eq!(message.version(), MetadataVersion::V5);
        let batch = message
            .header_as_record_batch()
            .expect("only record batches travel");
        assert!(batch.compression().is_none());
        let (body, behind) = behind.split_at(usize::try_from(message.bodyLength()).unwrap());
        bodies.push(body);
        rest = behind;
    }
    bodies
}

#[test]
fn bodies_are_byte_for_byte_those_of_the_official_clients() {
    // The flatbuffers before the bodies say the same, but lay out their tables in another order.
    for name in VECTORS {
        let vector = Vector::read(name);
        let ours = vector.encode(&vector.decode(&vector.data));
        let mut theirs: Vec<_> = bodies(&vector.data)
            .into_iter()
            .map(<[u8]>::to_vec)
            .collect();
        if name == "arrow_sliced_validity" {
            // PyODPS pads the text of the slice with what stands behind it in the whole array.
            let padding = theirs[0].split_off(77);
            assert_eq!(padding, *b"ij\0");
            theirs[0].extend([0; 3]);
        }
        assert_eq!(bodies(&ours), theirs, "{name}");
    }
}

#[test]
fn slices_send_their_own_rows_only() {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let v: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..1000).map(|n| n.to_string()),
    ));
    let batch = RecordBatch::try_from_iter([("id", id), ("v", v)]).unwrap();
    let vector = Vector::read("arrow_multi_batch");
    let data = vector.encode(&[batch.slice(500, 3), batch.slice(999, 1)]);
    assert!(data.len() < 1000, "{}", data.len());
    assert_eq!(
        rows(&vector.decode(&data)),
        json!([[[500, "500"], [501, "501"], [502, "502"]], [[999, "999"]]])
    );
}

#[test]
fn rows_that_do_not_fit_the_columns_are_refused() {
    let mut columns = vec![
        Column::new("Id", ColumnType::BigInt),
        Column::new("at", ColumnType::DateTime),
        Column::new("wall", ColumnType::TimestampNtz),
    ];
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let schema = |fields: [Field; 3]| Schema::new(fields.to_vec());
    let zone = || Some(Arc::from("UTC"));
    let id = || field("id", DataType::Int64);
    let at = || field("at", DataType::Timestamp(TimeUnit::Millisecond, zone()));
    let wall = |zone| field("wall", DataType::Timestamp(TimeUnit::Nanosecond, zone));
    assert_eq!(
        check_batch_schema(&schema([id(), at(), wall(None)]), &columns),
        Ok(())
    );

    let error = |schema: &Schema| {
        check_batch_schema(schema, &columns)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error(&Schema::new(vec![id()])),
        "the rows have 1 columns, the table has 3"
    );
    assert_eq!(
        error(&schema([at(), id(), wall(None)])),
        "column 0 of the rows is at, of the table Id"
    );
    assert_eq!(
        error(&schema([field("id", DataType::Utf8), at(), wall(None)])),
        "column Id is BIGINT and travels as Arrow's Int64; the rows have Utf8"
    );
    assert!(error(&schema([id(), at(), wall(zone())])).starts_with("column wall is TIMESTAMP_NTZ"));

    columns[0].nullable = false;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
    let mut encoder = BatchEncoder::new(columns[..1].into());
    assert_eq!(
        encoder.encode(&batch).unwrap_err().to_string(),
        "column Id is NOT NULL; 1 rows have NULL"
    );
}

#[test]
fn batches_of_one_block_may_differ_in_what_is_not_on_the_wire() {
    let columns: Arc<[Column]> = [Column::new("at", ColumnType::DateTime)].into();
    let plain: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2]));
    let zoned: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![1, 2]).with_timezone("+08:00"));
    let other: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0]));
    let batch = |array| RecordBatch::try_from_iter([("at", array)]).unwrap();
    let mut encoder = BatchEncoder::new(columns);
    let bytes = |buffers: Vec<Buffer>| buffers.iter().flat_map(|b| b.to_vec()).collect::<Vec<_>>();
    let first = bytes(encoder.encode(&batch(plain)).unwrap());
    assert_eq!(bytes(encoder.encode(&batch(zoned)).unwrap()), first);
    assert!(encoder.encode(&batch(other)).is_err());
}
