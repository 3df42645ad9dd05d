//! Bodies in Arrow form.

use std::collections::BTreeSet;

use arrow::ipc::{MessageHeader, root_as_message};
use engine_model::{Column, ColumnType};
use engine_tunnel::wire::frame::{self, CHUNK_BYTES, Framer};
use serde_json::{Value, json};

use crate::Quirk;
use crate::cells::rows;
use crate::vector::{Vector, decode};

pub(crate) fn compare(vector: &Vector) -> BTreeSet<Quirk> {
    let name = &vector.name;
    let mut quirks = BTreeSet::new();
    let theirs = vector.plain();
    let Some(columns) = vector.columns() else {
        read_intervals(vector);
        return [Quirk::ReadOnly].into();
    };
    let batches = decode(vector.form(), &columns, vector.body()).unwrap();
    let read: Value = batches.iter().map(|batch| rows(&columns, batch)).collect();
    assert_eq!(read, vector.rows(), "{name}");

    let ours = match vector.encode(&columns, &batches) {
        Ok(ours) => ours,
        Err(error) => {
            let error = error.to_string();
            let number = "found -9223372036854775808, which BIGINT keeps for itself";
            let text = "found 5 characters, too many for CHAR(4)";
            assert!(error.ends_with(number) || error.ends_with(text), "{error}");
            quirks.insert(Quirk::OverLimit);
            let columns: Vec<_> = columns.into_iter().map(without_limit).collect();
            let batches = decode(vector.form(), &columns, vector.body()).unwrap();
            vector.encode(&columns, &batches).unwrap()
        }
    };
    if ours == theirs {
        return quirks;
    }
    if theirs.is_empty() {
        assert_eq!(ours[..], [0; 4], "{name}");
        return [Quirk::NoBytes].into();
    }
    let chunk = vector.head("chunk_size").as_u64().unwrap();
    let chunk = usize::try_from(chunk).unwrap();
    if chunk != CHUNK_BYTES {
        quirks.insert(Quirk::ChunkSize);
    }
    let their_data = frame::decode(&theirs).unwrap();
    let our_data = frame::decode(&ours).unwrap();
    assert_eq!(framed(&their_data, chunk), theirs, "{name}");
    assert_eq!(framed(&our_data, CHUNK_BYTES), ours, "{name}");
    let (their_messages, our_messages) = (messages(&their_data), messages(&our_data));
    assert_eq!(their_messages.len(), our_messages.len(), "{name}");
    for (theirs, ours) in their_messages.iter().zip(&our_messages) {
        assert_eq!(fields(theirs.head), fields(ours.head), "{name}");
        if theirs.head != ours.head {
            quirks.insert(Quirk::MessageLayout);
        }
        let (theirs, ours) = (buffers(theirs), buffers(ours));
        if theirs != ours {
            // What is behind our end of a buffer belongs to rows that aren't in the slice.
            let begins = |(theirs, ours): (&&[u8], &&[u8])| theirs.starts_with(ours);
            assert!(theirs.iter().zip(&ours).all(begins), "{name}");
            quirks.insert(Quirk::SliceEnd);
        }
    }
    quirks
}

/// A type with the same bytes, and without a limit.
fn without_limit(mut column: Column) -> Column {
    column.column_type = match column.column_type {
        ColumnType::BigInt => ColumnType::Timestamp,
        ColumnType::Char(_) => ColumnType::String,
        other => other,
    };
    column
}

/// PyODPS sends the seconds and the nanoseconds of an interval as a struct.
fn read_intervals(vector: &Vector) {
    let fields = vec![
        ("sec".to_owned(), ColumnType::BigInt),
        ("nanos".to_owned(), ColumnType::Int),
    ];
    let columns = [Column::new("i", ColumnType::Struct(fields))];
    let batches = decode(vector.form(), &columns, vector.body()).unwrap();
    let read: Value = batches.iter().map(|batch| rows(&columns, batch)).collect();
    let interval = |row: &Value| match &row[0] {
        Value::Null => json!([null]),
        value => json!([{ "struct": [value["sec"], value["nanos"]] }]),
    };
    let batch_rows = |batch: &Value| {
        batch
            .as_array()
            .unwrap()
            .iter()
            .map(interval)
            .collect::<Value>()
    };
    let listed: Value = vector
        .rows()
        .as_array()
        .unwrap()
        .iter()
        .map(batch_rows)
        .collect();
    assert_eq!(read, listed);
}

fn framed(data: &[u8], chunk: usize) -> Vec<u8> {
    let mut framer = Framer::new(chunk, 1);
    let (mut body, mut rest) = (Vec::new(), data);
    while let Some(piece) = framer.push(&mut rest) {
        body.extend_from_slice(&piece);
    }
    body.extend_from_slice(&framer.finish());
    body
}

struct Message<'a> {
    head: &'a [u8],
    body: &'a [u8],
}

fn messages(data: &[u8]) -> Vec<Message<'_>> {
    let mut rest = data;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        assert_eq!(rest[..4], [0xff; 4], "a message begins with its mark");
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap());
        let length = usize::try_from(length).unwrap();
        assert_eq!((8 + length) % 8, 0, "bodies are aligned");
        let (head, behind) = rest[8..].split_at(length);
        let body_bytes = root_as_message(head).unwrap().bodyLength();
        let (body, behind) = behind.split_at(usize::try_from(body_bytes).unwrap());
        messages.push(Message { head, body });
        rest = behind;
    }
    messages
}

/// What the flatbuffers in front of a message say, but for the buffers' lengths, which [`buffers`] compares.
fn fields(head: &[u8]) -> Value {
    let message = root_as_message(head).unwrap();
    assert_eq!(message.header_type(), MessageHeader::RecordBatch);
    let batch = message.header_as_record_batch().unwrap();
    assert!(batch.compression().is_none());
    let nodes = batch.nodes().unwrap().iter();
    let buffers = batch.buffers().unwrap().iter();
    json!({
        "version": message.version().0,
        "body": message.bodyLength(),
        "rows": batch.length(),
        "nodes": nodes.map(|node| json!([node.length(), node.null_count()])).collect::<Value>(),
        "buffers": buffers.map(arrow::ipc::Buffer::offset).collect::<Value>(),
    })
}

/// The buffers of a message, without the padding between them.
fn buffers<'a>(message: &Message<'a>) -> Vec<&'a [u8]> {
    let head = root_as_message(message.head).unwrap();
    let batch = head.header_as_record_batch().unwrap();
    let body = message.body;
    let place = |value: i64| usize::try_from(value).unwrap();
    batch
        .buffers()
        .unwrap()
        .iter()
        .map(|buffer| &body[place(buffer.offset())..][..place(buffer.length())])
        .collect()
}
