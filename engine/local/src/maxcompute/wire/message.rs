//! The Arrow form's data: encapsulated record batch messages, without a schema message, dictionaries or an end mark.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::RecordBatchDecoder;
use arrow::ipc::writer::{
    DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message,
};
use arrow::ipc::{FieldNode, MessageHeader, root_as_message};

/// What every encapsulated message begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// Metadata of one message; 1,200 columns of nested types stay far below.
const METADATA_BYTES_MAX: u64 = 16 << 20;
/// Body of one message. A batch is decoded as a whole, so this bounds the memory of one upload.
const BATCH_BYTES_MAX: u64 = 512 << 20;
/// Rows of one message: Arrow's own 32-bit offsets allow no more text.
const BATCH_ROWS_MAX: i64 = 1 << 31;

/// Decodes messages one by one against the columns of the upload session.
#[derive(Debug)]
pub(crate) struct BatchReader<R> {
    inner: R,
    schema: SchemaRef,
}

impl<R: Read> BatchReader<R> {
    pub(crate) fn new(inner: R, schema: SchemaRef) -> Self {
        Self { inner, schema }
    }

    /// The next batch, or `None` after the last.
    ///
    /// # Errors
    /// `InvalidData` or `UnexpectedEof` for bytes that are no record batch of this schema.
    pub(crate) fn next_batch(&mut self) -> io::Result<Option<RecordBatch>> {
        let Some(length) = self.prefix()? else {
            return Ok(None);
        };
        let metadata = self.exactly(length, METADATA_BYTES_MAX, "message metadata")?;
        let message = root_as_message(&metadata)
            .map_err(|error| malformed(&format!("no Arrow message: {error}")))?;
        if message.header_type() != MessageHeader::RecordBatch {
            let found = message.header_type().variant_name().unwrap_or("unknown");
            return Err(malformed(&format!(
                "found a {found} message, expected a RecordBatch"
            )));
        }
        let batch = message
            .header_as_record_batch()
            .ok_or_else(|| malformed("a RecordBatch message without a header"))?;
        let length = u64::try_from(message.bodyLength())
            .map_err(|_| malformed("a message body of negative length"))?;
        let body = Buffer::from_vec(self.exactly(length, BATCH_BYTES_MAX, "message body")?);
        if batch.compression().is_some() {
            return Err(malformed(
                "the batch is compressed inside the message; compress the body",
            ));
        }
        Layout::check(&batch, &self.schema, body.len())?;
        let none = HashMap::new();
        let version = message.version();
        let decoder = RecordBatchDecoder::try_new(
            &body,
            batch,
            SchemaRef::clone(&self.schema),
            &none,
            &version,
        );
        decoder
            .and_then(RecordBatchDecoder::read_record_batch)
            .map(Some)
            .map_err(|error| {
                malformed(&format!(
                    "the batch does not fit the columns of the session: {error}"
                ))
            })
    }

    /// Reads the continuation mark and the metadata length. `None` at the end of the data.
    fn prefix(&mut self) -> io::Result<Option<u64>> {
        let mut prefix = Vec::with_capacity(8);
        self.inner.by_ref().take(8).read_to_end(&mut prefix)?;
        if prefix.is_empty() {
            return Ok(None);
        }
        let (mark, length) = prefix.split_at(prefix.len().min(4));
        if mark != CONTINUATION {
            return Err(malformed(
                "a message does not begin with the continuation mark",
            ));
        }
        let length = length.try_into().map(i32::from_le_bytes);
        match length.map(u64::try_from) {
            Ok(Ok(0)) => Err(malformed(
                "found an end-of-stream mark, which tunnel data have not",
            )),
            Ok(Ok(length)) => Ok(Some(length)),
            _ => Err(malformed("the data end inside the head of a message")),
        }
    }

    /// Reads `length` bytes. Memory grows with what arrives, not with what was announced.
    fn exactly(&mut self, length: u64, max: u64, what: &str) -> io::Result<Vec<u8>> {
        if length > max {
            return Err(malformed(&format!(
                "{what} of {length} bytes; at most {max} are accepted"
            )));
        }
        let mut bytes = Vec::new();
        let read = self.inner.by_ref().take(length).read_to_end(&mut bytes)?;
        if u64::try_from(read).ok() == Some(length) {
            Ok(bytes)
        } else {
            Err(malformed(&format!("{what} has {read} bytes of {length}")))
        }
    }
}

/// Writes batches as messages.
pub(crate) struct BatchWriter {
    generator: IpcDataGenerator,
    tracker: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl BatchWriter {
    pub(crate) fn new() -> Self {
        Self {
            generator: IpcDataGenerator::default(),
            tracker: DictionaryTracker::new(true),
            options: IpcWriteOptions::default(),
            context: IpcWriteContext::default(),
        }
    }

    /// Writes one batch to `sink`.
    pub(crate) fn write(
        &mut self,
        batch: &RecordBatch,
        sink: &mut impl Write,
    ) -> Result<(), ArrowError> {
        let (_no_dictionaries, message) =
            self.generator
                .encode(batch, &mut self.tracker, &self.options, &mut self.context)?;
        write_message(sink, message, &self.options)?;
        Ok(())
    }
}

/// Walks nodes and buffers of a message beside the schema and checks every length.
///
/// The decoder trusts offsets and validity lengths enough to panic on wrong ones; after this walk it can't.
struct Layout<'a> {
    nodes: Box<dyn Iterator<Item = &'a FieldNode> + 'a>,
    buffers: Box<dyn Iterator<Item = &'a arrow::ipc::Buffer> + 'a>,
    body_bytes: i64,
}

impl<'a> Layout<'a> {
    fn check(
        batch: &arrow::ipc::RecordBatch<'a>,
        schema: &SchemaRef,
        body_bytes: usize,
    ) -> io::Result<()> {
        let nodes = batch
            .nodes()
            .ok_or_else(|| malformed("a batch without nodes"))?;
        let buffers = batch
            .buffers()
            .ok_or_else(|| malformed("a batch without buffers"))?;
        let body_bytes = i64::try_from(body_bytes).unwrap_or(i64::MAX);
        let mut layout = Layout {
            nodes: Box::new(nodes.iter()),
            buffers: Box::new(buffers.iter()),
            body_bytes,
        };
        for field in schema.fields() {
            let rows = layout.field(field)?;
            if rows != batch.length() {
                let (name, length) = (field.name(), batch.length());
                return Err(malformed(&format!(
                    "column {name:?} has {rows} rows, the batch says {length}"
                )));
            }
        }
        if layout.nodes.next().is_some() || layout.buffers.next().is_some() {
            let columns = schema.fields().len();
            return Err(malformed(&format!(
                "the batch holds more than the {columns} columns of the session"
            )));
        }
        Ok(())
    }

    /// Checks one field with its children and returns its rows.
    fn field(&mut self, field: &Field) -> io::Result<i64> {
        let node = self.nodes.next().ok_or_else(|| short(field))?;
        let (rows, nulls) = (node.length(), node.null_count());
        if !(0..=BATCH_ROWS_MAX).contains(&rows) || !(0..=rows).contains(&nulls) {
            return Err(malformed(&format!(
                "column {:?} has {rows} rows and {nulls} nulls",
                field.name()
            )));
        }
        if nulls > 0 && !field.is_nullable() {
            return Err(malformed(&format!(
                "column {:?} is NOT NULL and has nulls",
                field.name()
            )));
        }
        let validity_bytes = if nulls > 0 { bits(rows) } else { 0 };
        self.buffer(field, validity_bytes)?;
        match field.data_type() {
            DataType::Utf8 | DataType::Binary => {
                self.offsets(field, rows)?;
                self.buffer(field, 0)?;
            }
            DataType::Boolean => {
                self.buffer(field, bits(rows))?;
            }
            DataType::List(child) | DataType::Map(child, _) => {
                self.offsets(field, rows)?;
                self.field(child)?;
            }
            DataType::Struct(children) => {
                for child in children {
                    let child_rows = self.field(child)?;
                    if child_rows != rows {
                        return Err(malformed(&format!(
                            "field {:?} has {child_rows} rows, its struct {rows}",
                            child.name()
                        )));
                    }
                }
            }
            other => {
                let width = other.primitive_width().unwrap_or_default();
                let width = i64::try_from(width).unwrap_or_default();
                self.buffer(field, rows * width)?;
            }
        }
        Ok(rows)
    }

    /// Takes the buffer of a column's 32-bit offsets: one more than rows, or none for no rows.
    fn offsets(&mut self, field: &Field, rows: i64) -> io::Result<()> {
        let bytes = self.buffer(field, if rows == 0 { 0 } else { (rows + 1) * 4 })?;
        if bytes % 4 == 0 {
            return Ok(());
        }
        let name = field.name();
        Err(malformed(&format!(
            "the offsets of column {name:?} have {bytes} bytes, no multiple of 4"
        )))
    }

    /// Takes the next buffer, which must lie in the body and hold at least `needed` bytes, and returns its length.
    fn buffer(&mut self, field: &Field, needed: i64) -> io::Result<i64> {
        let buffer = self.buffers.next().ok_or_else(|| short(field))?;
        let (offset, length) = (buffer.offset(), buffer.length());
        let end = offset.checked_add(length);
        let inside = offset >= 0 && length >= 0 && end.is_some_and(|end| end <= self.body_bytes);
        if !inside || length < needed {
            return Err(malformed(&format!(
                "a buffer of column {:?} has {length} bytes at {offset}, needs {needed} within {}",
                field.name(),
                self.body_bytes
            )));
        }
        Ok(length)
    }
}

fn bits(rows: i64) -> i64 {
    rows.div_euclid(8) + i64::from(rows.rem_euclid(8) > 0)
}

fn short(field: &Field) -> io::Error {
    malformed(&format!(
        "the batch ends before column {:?} of the session",
        field.name()
    ))
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
