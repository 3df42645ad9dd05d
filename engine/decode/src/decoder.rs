//! Messages into batches.

use std::mem;
use std::sync::Arc;

use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use engine_model::job::Validation;
use engine_model::{Message, PayloadType, TopicPartition};

use crate::column::{ColumnBuffer, null_array, repeated_array};
use crate::delimited::FieldSplitter;
use crate::index::Tokens;
use crate::locate::{Wanted, locate};
use crate::metadata::{Parts, TextScratch};
use crate::node::{value_of, value_of_text};
use crate::parser::{DEPTH_MAX, Document, Parser};
use crate::payload::{Payload, PayloadReader, PayloadText, SCRATCH_BYTES_KEPT};
use crate::projection::{Fill, PathFeed, Projection};
use crate::reject::{RejectReason, Rejection};
use crate::trie::ABSENT;
use crate::value::Value;
use crate::walker::{Walker, value_of_token};

/// Bytes of text that one column of a batch holds: Arrow counts them in 31 bits.
const COLUMN_TEXT_BYTES_MAX: usize = i32::MAX as usize;

/// Turns messages into rows, one at a time, and rows into batches.
///
/// A decoder belongs to one thread. It grows its buffers to what the messages need and then allocates only at
/// [`flush`](Self::flush), whose arrays take the buffers along.
#[derive(Debug)]
pub struct Decoder {
    projection: Arc<Projection>,
    /// Nothing where no column needs payloads.
    payloads: Option<PayloadReader>,
    fields: Fields,
    rows: usize,
    rows_max: usize,
    /// Texts from messages.
    text_bytes: usize,
    /// One per [`Projection::paths`].
    path_buffers: Vec<ColumnBuffer>,
    /// One per [`Projection::metadata`].
    metadata_buffers: Vec<ColumnBuffer>,
    scratch: TextScratch,
}

/// How the mapped fields of a payload are found.
#[derive(Debug)]
enum Fields {
    /// No field is mapped.
    None,
    Json(Box<JsonFields>),
    Delimited(Box<FieldSplitter>),
}

#[derive(Debug)]
struct JsonFields {
    road: Road,
    scratch: Scratch,
}

/// How fields are found in a JSON payload.
#[derive(Debug)]
enum Road {
    /// All of it is parsed and checked.
    Full(Parser),
    /// No more is read than the way to the fields.
    Mapped(Walker),
}

/// What is only of use within one payload; kept for its memory.
#[derive(Debug, Default)]
struct Scratch {
    /// Where each path leads to: numbers of tape nodes, or of tokens.
    found: Vec<u32>,
    wanted: Vec<Wanted>,
    /// A key or a string without its escapes.
    resolved: Vec<u8>,
}

impl Decoder {
    /// A decoder without rows.
    pub fn new(projection: Arc<Projection>) -> Self {
        let paths = projection.paths.iter().map(|feed| feed.column);
        let metadata = projection.metadata.iter().map(|feed| feed.column);
        let parses = projection.parses_payloads();
        let (needs_whole, needs_text) = projection.whole_payload();
        let fields = match &projection.format().payload {
            PayloadType::Delimited(delimiters) if parses => {
                Fields::Delimited(Box::new(FieldSplitter::new(delimiters)))
            }
            PayloadType::Json if parses => Fields::Json(Box::new(JsonFields {
                road: match projection.validation() {
                    Validation::Full => Road::Full(Parser::default()),
                    Validation::Mapped => Road::Mapped(Walker::default()),
                },
                scratch: Scratch {
                    found: vec![ABSENT; projection.trie().slots()],
                    ..Scratch::default()
                },
            })),
            _ => Fields::None,
        };
        Self {
            payloads: (parses || needs_whole)
                .then(|| PayloadReader::new(projection.format(), parses, needs_text)),
            fields,
            rows: 0,
            text_bytes: 0,
            rows_max: COLUMN_TEXT_BYTES_MAX / projection.constant_bytes_max.max(1),
            path_buffers: paths.map(|column| projection.buffer(column)).collect(),
            metadata_buffers: metadata.map(|column| projection.buffer(column)).collect(),
            scratch: TextScratch::default(),
            projection,
        }
    }

    /// Appends `message` of `topic_partition` as one row.
    ///
    /// # Errors
    ///
    /// The message can't become a row; nothing of it is appended. [`RejectReason::BatchFull`] alone is the caller's
    /// fault: flush long before [`size`](Self::size) reaches 2 GiB.
    pub fn decode(
        &mut self,
        message: &Message<'_>,
        topic_partition: &TopicPartition,
    ) -> Result<(), Rejection> {
        let appended = if self.rows < self.rows_max {
            self.append(message, topic_partition)
        } else {
            let expected = format!("at most {} rows a batch", self.rows_max);
            Err(Rejection::of_payload(
                RejectReason::BatchFull,
                &expected,
                "one more",
            ))
        };
        match appended {
            Ok(text_bytes) => {
                self.rows += 1;
                self.text_bytes += text_bytes;
                Ok(())
            }
            Err(rejection) => {
                let metadata_buffers = &mut self.metadata_buffers;
                for buffer in self.path_buffers.iter_mut().chain(metadata_buffers) {
                    buffer.truncate(self.rows);
                }
                Err(rejection)
            }
        }
    }

    /// Rows since the last flush.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the rows since the last flush, about as many as Arrow will hold. Costs nothing to ask.
    pub fn size(&self) -> usize {
        self.rows * self.projection.row_bytes + self.text_bytes
    }

    /// Takes the rows as a batch, which may be empty, and starts the next one.
    pub fn flush(&mut self) -> RecordBatch {
        let rows = mem::take(&mut self.rows);
        self.text_bytes = 0;
        let arrays = self
            .projection
            .fills()
            .map(|(fill, data_type)| match fill {
                Fill::Null => null_array(data_type, rows),
                Fill::Constant(row) => repeated_array(row, rows),
                Fill::Path(feed) => self.path_buffers[*feed].finish(),
                Fill::Metadata(feed) => self.metadata_buffers[*feed].finish(),
            })
            .collect();
        self.shrink();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.projection.schema(), arrays, &options)
            .expect("every buffer has the column's type and got one value per row")
    }

    /// Gives back memory that only unusually large messages need.
    fn shrink(&mut self) {
        match &mut self.fields {
            Fields::None => {}
            Fields::Json(fields) => match &mut fields.road {
                Road::Full(parser) => parser.shrink(),
                Road::Mapped(walker) => walker.shrink(),
            },
            Fields::Delimited(splitter) => splitter.shrink_to(SCRATCH_BYTES_KEPT),
        }
        if let Some(payloads) = &mut self.payloads {
            payloads.shrink();
        }
        self.scratch.shrink_to(SCRATCH_BYTES_KEPT);
    }

    /// Appends to every buffer, or to some of them before an error. Tells the bytes of text.
    fn append(
        &mut self,
        message: &Message<'_>,
        topic_partition: &TopicPartition,
    ) -> Result<usize, Rejection> {
        let Self {
            projection,
            payloads,
            fields,
            path_buffers,
            metadata_buffers,
            scratch,
            ..
        } = self;
        let payload = match (payloads, message.payload) {
            (Some(payloads), Some(raw)) => Some(payloads.read(raw)?),
            _ => None,
        };
        let mut text_bytes = match (&mut *fields, payload) {
            (Fields::Json(fields), Some(payload)) => {
                fields.append(projection, path_buffers, payload.text.as_bytes())?
            }
            (Fields::Delimited(splitter), Some(payload)) => {
                append_delimited(projection, path_buffers, splitter, payload)?
            }
            _ => append_nulls(projection, path_buffers)?,
        };
        let parts = Parts {
            message,
            topic_partition,
            payload,
            is_json: matches!(fields, Fields::Json(fields) if fields.checks_all()),
        };
        for (feed, buffer) in projection.metadata.iter().zip(metadata_buffers) {
            let value = feed
                .metadata
                .value(parts, scratch)
                .map_err(|rejection| projection.in_column(rejection, feed.column))?;
            text_bytes += append(projection, feed.column, buffer, &value)?;
        }
        Ok(text_bytes)
    }
}

impl JsonFields {
    /// Whether a payload whose fields were found is known to be JSON as a whole.
    fn checks_all(&self) -> bool {
        matches!(self.road, Road::Full(_))
    }

    /// Appends what each path leads to in a payload. Tells the bytes of text.
    fn append(
        &mut self,
        projection: &Projection,
        buffers: &mut [ColumnBuffer],
        payload: &[u8],
    ) -> Result<usize, Rejection> {
        let Self { road, scratch } = self;
        let read = match road {
            Road::Full(parser) => parser.read(payload, |document| {
                fields(projection, document, buffers, scratch)
            }),
            Road::Mapped(walker) => walker
                .read(payload)
                .and_then(|tokens| mapped_fields(projection, tokens, buffers, scratch)),
        };
        read.unwrap_or_else(|reason| Err(unreadable(payload, reason)))
    }
}

/// The fields of a tombstone.
fn append_nulls(projection: &Projection, buffers: &mut [ColumnBuffer]) -> Result<usize, Rejection> {
    for (feed, buffer) in projection.paths.iter().zip(buffers) {
        append(projection, feed.column, buffer, &Value::Null)?;
    }
    Ok(0)
}

/// Cuts a payload and appends the field at each position. Tells the bytes of text.
fn append_delimited(
    projection: &Projection,
    buffers: &mut [ColumnBuffer],
    splitter: &mut FieldSplitter,
    payload: Payload<'_>,
) -> Result<usize, Rejection> {
    let PayloadText::Known(text) = payload.text else {
        return Err(unreadable(payload.bytes, RejectReason::InvalidText));
    };
    let record = splitter.split(text).map_err(|error| {
        let expected = "one record of delimited text";
        Rejection::of_payload(RejectReason::InvalidRecord, expected, &error.to_string())
    })?;
    let mut text_bytes = 0;
    for (PathFeed { column, slot }, buffer) in projection.paths.iter().zip(buffers) {
        let value = record.field(*slot).map_or(Value::Null, Value::Text);
        text_bytes += append(projection, *column, buffer, &value)?;
    }
    Ok(text_bytes)
}

/// Walks a parsed payload and appends what each path leads to. Tells the bytes of text.
fn fields(
    projection: &Projection,
    document: Document<'_>,
    buffers: &mut [ColumnBuffer],
    Scratch { found, wanted, .. }: &mut Scratch,
) -> Result<usize, Rejection> {
    projection.trie().walk(document.tape, found);
    wanted.clear();
    let mut text_bytes = 0;
    let feeds = projection.paths.iter().zip(&mut *buffers).enumerate();
    for (index, (PathFeed { column, slot }, buffer)) in feeds {
        let node = found[*slot];
        match value_of(document, node, buffer) {
            Some(value) => text_bytes += append(projection, *column, buffer, &value)?,
            None => wanted.push(Wanted { node, feed: index }),
        }
    }
    if wanted.is_empty() {
        return Ok(text_bytes);
    }
    wanted.sort_unstable();
    locate(document, wanted, |Wanted { node, feed }, text| {
        let column = projection.paths[feed].column;
        let value = text.and_then(|text| value_of_text(document, node, text));
        let value = value.ok_or_else(|| lost(projection, column))?;
        text_bytes += append(projection, column, &mut buffers[feed], &value)?;
        Ok(())
    })?;
    Ok(text_bytes)
}

/// Walks the tokens of a payload and appends what each path leads to. Tells the bytes of text, or why the payload is no
/// JSON, as far as it was read.
fn mapped_fields(
    projection: &Projection,
    tokens: Tokens<'_>,
    buffers: &mut [ColumnBuffer],
    scratch: &mut Scratch,
) -> Result<Result<usize, Rejection>, RejectReason> {
    let Scratch {
        found, resolved, ..
    } = scratch;
    let trie = projection.trie();
    trie.walk_tokens(tokens, found, resolved)?;
    let mut text_bytes = 0;
    for (PathFeed { column, slot }, buffer) in projection.paths.iter().zip(buffers) {
        let token = found[*slot];
        let value = if token == ABSENT {
            Value::Null
        } else {
            value_of_token(tokens, token as usize, trie.depth(*slot), buffer, resolved)?
        };
        match append(projection, *column, buffer, &value) {
            Ok(bytes) => text_bytes += bytes,
            Err(rejection) => return Ok(Err(rejection)),
        }
    }
    Ok(Ok(text_bytes))
}

/// The rejection of a value that the tape has and the text doesn't seem to: better no row than one with a hole.
#[cold]
fn lost(projection: &Projection, column: usize) -> Rejection {
    let expected = projection.expected(column);
    let found = "a value whose text can't be found";
    let rejection = Rejection::of_payload(RejectReason::InvalidJson, &expected, found);
    projection.in_column(rejection, column)
}

/// Appends one cell.
// By reference, for a copy of the value would have to wait for the value to be written: longer than storing it takes.
fn append(
    projection: &Projection,
    column: usize,
    buffer: &mut ColumnBuffer,
    value: &Value<'_>,
) -> Result<usize, Rejection> {
    let appended = match value {
        Value::Null => buffer.append_null().map(|()| 0),
        Value::Text("") if projection.empty_as_null() => buffer.append_null().map(|()| 0),
        value => buffer.append(value),
    };
    match appended {
        Ok(text_bytes) => Ok(text_bytes),
        Err(reason) => Err(refused(projection, column, value, reason)),
    }
}

#[cold]
fn refused(
    projection: &Projection,
    column: usize,
    value: &Value<'_>,
    reason: RejectReason,
) -> Rejection {
    let rejection = value.rejection(reason, &projection.expected(column));
    projection.in_column(rejection, column)
}

/// The rejection of a whole payload.
#[cold]
fn unreadable(payload: &[u8], reason: RejectReason) -> Rejection {
    let start = payload.get(..400).unwrap_or(payload);
    let found = format!("{:?}", String::from_utf8_lossy(start));
    let expected = match reason {
        RejectReason::NestedTooDeep => {
            format!("at most {DEPTH_MAX} objects and arrays within each other")
        }
        RejectReason::InvalidText => "a JSON text in UTF-8".to_owned(),
        _ => "a JSON text".to_owned(),
    };
    Rejection::of_payload(reason, &expected, &found)
}

#[cfg(test)]
mod tests;
