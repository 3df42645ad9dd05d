//! From the messages of a block to record batches.

use std::collections::HashMap;
use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::{FieldNode, MessageHeader, root_as_message};

use super::super::BodyError;

/// What each message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// Reads the data of a body, message by message. Batches share its memory.
pub(crate) struct MessageReader {
    data: Buffer,
    position: usize,
    schema: SchemaRef,
}

impl MessageReader {
    pub(crate) fn new(data: Vec<u8>, schema: SchemaRef) -> Self {
        Self {
            data: Buffer::from_vec(data),
            position: 0,
            schema,
        }
    }

    fn next_batch(&mut self) -> Result<RecordBatch, String> {
        let (mark, length) = (self.word()?, u32::from_le_bytes(self.word()?));
        if mark != CONTINUATION {
            return Err("the message has no continuation mark".to_owned());
        }
        let head = self.range(i64::from(length))?;
        let data = self.data.clone();
        let message = data.get(head).ok_or_else(short).and_then(|head| {
            root_as_message(head).map_err(|error| format!("the message can't be read: {error}"))
        })?;
        let batch = message
            .header_as_record_batch()
            .filter(|_| message.header_type() == MessageHeader::RecordBatch)
            .ok_or("the message is no record batch")?;
        if batch.compression().is_some() {
            return Err("the message is compressed by itself".to_owned());
        }
        let body = self.range(message.bodyLength())?;
        let body = data.slice_with_length(body.start, body.len());
        check_layout(&batch, &self.schema, body.len())?;
        let none = HashMap::new();
        let version = message.version();
        let schema = SchemaRef::clone(&self.schema);
        RecordBatchDecoder::try_new(&body, batch, schema, &none, &version)
            .and_then(RecordBatchDecoder::read_record_batch)
            .map_err(|error| error.to_string())
    }

    fn word(&mut self) -> Result<[u8; 4], String> {
        let range = self.range(4)?;
        self.data
            .get(range)
            .and_then(|word| word.try_into().ok())
            .ok_or_else(short)
    }

    /// The next `length` bytes.
    fn range(&mut self, length: i64) -> Result<Range<usize>, String> {
        let length = usize::try_from(length).map_err(|_| "a length is negative")?;
        let end = self.position.checked_add(length).ok_or_else(short)?;
        if end > self.data.len() {
            return Err(short());
        }
        let start = std::mem::replace(&mut self.position, end);
        Ok(start..end)
    }
}

fn short() -> String {
    "the data end within the message".to_owned()
}

impl Iterator for MessageReader {
    type Item = Result<RecordBatch, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.data.len() {
            return None;
        }
        let start = self.position;
        Some(self.next_batch().map_err(|problem| {
            self.position = self.data.len();
            BodyError::new(format!("the message at {start} of the data: {problem}"))
        }))
    }
}

/// Checks that nodes and buffers are those of the schema and lie in the body: what Arrow's decoder takes for granted.
fn check_layout(
    batch: &arrow::ipc::RecordBatch<'_>,
    schema: &SchemaRef,
    body_bytes: usize,
) -> Result<(), String> {
    let mut layout = Layout {
        nodes: batch.nodes().into_iter().flatten().collect(),
        buffers: batch.buffers().into_iter().flatten().collect(),
        body_bytes: i64::try_from(body_bytes).unwrap_or(i64::MAX),
    };
    layout.nodes.reverse();
    layout.buffers.reverse();
    if !(0..=i64::from(i32::MAX)).contains(&batch.length()) {
        return Err(format!("it has {} rows", batch.length()));
    }
    for field in schema.fields() {
        layout
            .field(field, Some(batch.length()))
            .map_err(|problem| format!("column {}: {problem}", field.name()))?;
    }
    if layout.nodes.is_empty() && layout.buffers.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "it has more than the {} columns",
            schema.fields().len()
        ))
    }
}

/// What wasn't looked at yet, the next one last.
struct Layout<'a> {
    nodes: Vec<&'a FieldNode>,
    buffers: Vec<&'a arrow::ipc::Buffer>,
    body_bytes: i64,
}

impl Layout<'_> {
    fn field(&mut self, field: &Field, rows_expected: Option<i64>) -> Result<(), String> {
        let node = self.nodes.pop().ok_or("it has no node")?;
        let (rows, nulls) = (node.length(), node.null_count());
        let possible = 0..=i64::from(i32::MAX);
        if !possible.contains(&rows) || rows_expected.is_some_and(|expected| expected != rows) {
            return Err(format!("it has {rows} rows"));
        }
        if !(0..=rows).contains(&nulls) || (nulls > 0 && !field.is_nullable()) {
            return Err(format!("{nulls} of {rows} values are NULL"));
        }
        let bits = (rows + 7) / 8;
        self.buffer(if nulls > 0 { bits } else { 0 })?;
        match field.data_type() {
            DataType::Utf8 | DataType::Binary => {
                self.offsets(rows)?;
                self.buffer(0)
            }
            DataType::Boolean => self.buffer(bits),
            DataType::List(child) | DataType::Map(child, _) => {
                self.offsets(rows)?;
                self.field(child, None)
            }
            DataType::Struct(fields) => fields
                .iter()
                .try_for_each(|field| self.field(field, Some(rows))),
            other => {
                let width = other.primitive_width().unwrap_or_default();
                self.buffer(rows * i64::try_from(width).unwrap_or(i64::MAX))
            }
        }
    }

    /// One offset more than rows; none at all will do where there are no rows.
    fn offsets(&mut self, rows: i64) -> Result<(), String> {
        let odd = self
            .buffers
            .last()
            .is_some_and(|buffer| buffer.length() % 4 != 0);
        if odd {
            return Err("its offsets aren't four bytes each".to_owned());
        }
        self.buffer(if rows == 0 { 0 } else { (rows + 1) * 4 })
    }

    fn buffer(&mut self, needed: i64) -> Result<(), String> {
        let buffer = self.buffers.pop().ok_or("a buffer is missing")?;
        let (start, length) = (buffer.offset(), buffer.length());
        let inside = start >= 0
            && length >= needed
            && start
                .checked_add(length)
                .is_some_and(|end| end <= self.body_bytes);
        if inside {
            return Ok(());
        }
        Err(format!(
            "a buffer has {length} bytes at {start} of {}, and {needed} are needed",
            self.body_bytes
        ))
    }
}
