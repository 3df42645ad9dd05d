use arrow::array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use proptest::prelude::*;

use super::*;
use crate::wire::BodyError;

fn encode(batches: &[RecordBatch]) -> Vec<u8> {
    let mut encoder = BatchEncoder::default();
    let messages = batches
        .iter()
        .flat_map(|batch| encoder.encode(batch).unwrap());
    messages.flat_map(|buffer| buffer.to_vec()).collect()
}

fn read(data: Vec<u8>, schema: Arc<Schema>) -> Result<Vec<RecordBatch>, BodyError> {
    MessageReader::new(data, schema).collect()
}

#[test]
fn messages_of_other_columns_are_refused() {
    let columns = |types: &[&str]| {
        let column = |text: &&str| Column::new(*text, text.parse().unwrap());
        arrow_schema(&types.iter().map(column).collect::<Vec<_>>())
    };
    let batch = RecordBatch::new_empty(columns(&["bigint", "string"]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let batches = [
        batch.clone(),
        RecordBatch::try_new(batch.schema(), vec![ids, texts]).unwrap(),
    ];
    let data = encode(&batches);
    assert_eq!(read(data.clone(), batch.schema()).unwrap(), batches);
    for (types, problem) in [
        (&["bigint"][..], "it has more than the 1 columns"),
        (&["bigint", "string", "date"], "column date: it has no node"),
        (&["string", "bigint"], "column bigint: a buffer has 2 bytes"),
        (
            &["bigint", "array<string>"],
            "column array<string>: it has no node",
        ),
    ] {
        let error = read(data.clone(), columns(types)).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    for length in 1..data.len() {
        let cut = read(data[..length].to_vec(), batch.schema());
        let whole = encode(&batches[..1]).len();
        assert_eq!(cut.is_err(), length != whole, "{length}");
    }
}

proptest! {
    #[test]
    fn no_message_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("v", texts, true)]).unwrap();
        let mut data = encode(std::slice::from_ref(&batch));
        for (at, byte) in flips {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let _mostly_refused = read(data, batch.schema());
    }
}

#[test]
fn slices_send_their_own_rows_only() {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let v: ArrayRef = Arc::new(StringArray::from_iter_values(
        (0..1000).map(|n| n.to_string()),
    ));
    let batch = RecordBatch::try_from_iter([("id", id), ("v", v)]).unwrap();
    let slices = [batch.slice(500, 3), batch.slice(999, 1)];
    let data = encode(&slices);
    assert!(data.len() < 1000, "{}", data.len());
    assert_eq!(read(data, batch.schema()).unwrap(), slices);
}

#[test]
fn rows_that_do_not_fit_the_columns_are_refused() {
    let columns = [
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
}

#[test]
fn batches_of_one_block_may_differ_in_what_is_not_on_the_wire() {
    let plain: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![1, 2]));
    let zoned: ArrayRef =
        Arc::new(TimestampMillisecondArray::from(vec![1, 2]).with_timezone("+08:00"));
    let batch = |array| RecordBatch::try_from_iter([("at", array)]).unwrap();
    let mut encoder = BatchEncoder::default();
    let bytes = |buffers: Vec<Buffer>| buffers.iter().flat_map(|b| b.to_vec()).collect::<Vec<_>>();
    let first = bytes(encoder.encode(&batch(plain)).unwrap());
    assert_eq!(bytes(encoder.encode(&batch(zoned)).unwrap()), first);
}
