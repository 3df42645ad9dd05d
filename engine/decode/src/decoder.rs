//! Messages into batches.

use std::mem;
use std::sync::Arc;

use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use engine_model::Message;

use crate::column::{ColumnBuffer, null_array, repeated_array};
use crate::locate::{Wanted, locate};
use crate::node::{value_of, value_of_text};
use crate::parser::{DEPTH_MAX, Document, Parser};
use crate::projection::{Fill, PathFeed, Projection};
use crate::reject::{RejectReason, Rejection};
use crate::trie::ABSENT;
use crate::value::Value;

/// Bytes of text that one column of a batch holds: Arrow counts them in 31 bits.
const COLUMN_TEXT_BYTES_MAX: usize = i32::MAX as usize;

/// Turns messages into rows, one at a time, and rows into batches.
///
/// A decoder belongs to one thread. It grows its buffers to what the messages need and then allocates only at
/// [`flush`](Self::flush), whose arrays take the buffers along.
#[derive(Debug)]
pub struct Decoder {
    projection: Arc<Projection>,
    parser: Parser,
    rows: usize,
    rows_max: usize,
    /// Texts from messages.
    text_bytes: usize,
    /// One per [`Projection::paths`].
    path_buffers: Vec<ColumnBuffer>,
    /// One per [`Projection::metadata`].
    metadata_buffers: Vec<ColumnBuffer>,
    scratch: Scratch,
}

/// What is only of use within one message; kept for its memory.
#[derive(Debug, Default)]
struct Scratch {
    /// Where each path leads to: numbers of tape nodes.
    found: Vec<u32>,
    wanted: Vec<Wanted>,
    text: String,
}

impl Decoder {
    /// A decoder without rows.
    pub fn new(projection: Arc<Projection>) -> Self {
        let paths = projection.paths.iter().map(|feed| feed.column);
        let metadata = projection.metadata.iter().map(|feed| feed.column);
        Self {
            parser: Parser::default(),
            rows: 0,
            text_bytes: 0,
            rows_max: COLUMN_TEXT_BYTES_MAX / projection.constant_bytes_max.max(1),
            path_buffers: paths.map(|column| projection.buffer(column)).collect(),
            metadata_buffers: metadata.map(|column| projection.buffer(column)).collect(),
            scratch: Scratch {
                found: vec![ABSENT; projection.trie().slots()],
                ..Scratch::default()
            },
            projection,
        }
    }

    /// Appends `message` of the topic partition with number `partition` as one row.
    ///
    /// # Errors
    ///
    /// The message can't become a row; nothing of it is appended. [`RejectReason::BatchFull`] alone is the caller's
    /// fault: flush long before [`size`](Self::size) reaches 2 GiB.
    pub fn decode(&mut self, message: &Message<'_>, partition: i32) -> Result<(), Rejection> {
        let appended = if self.rows < self.rows_max {
            self.append(message, partition)
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
        self.parser.shrink();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.projection.schema(), arrays, &options)
            .expect("every buffer has the column's type and got one value per row")
    }

    /// Appends to every buffer, or to some of them before an error. Tells the bytes of text.
    fn append(&mut self, message: &Message<'_>, partition: i32) -> Result<usize, Rejection> {
        let payload = message
            .payload
            .filter(|_| self.projection.parses_payloads());
        let mut text_bytes = 0;
        if let Some(payload) = payload {
            text_bytes += self.append_fields(payload)?;
        } else {
            for (feed, buffer) in self.projection.paths.iter().zip(&mut self.path_buffers) {
                text_bytes += append(&self.projection, feed.column, buffer, &Value::Null)?;
            }
        }
        text_bytes += self.append_metadata(message, partition, payload.is_some())?;
        Ok(text_bytes)
    }

    fn append_fields(&mut self, payload: &[u8]) -> Result<usize, Rejection> {
        let Self {
            projection,
            parser,
            path_buffers,
            scratch,
            ..
        } = self;
        let read = parser.read(payload, |document| {
            fields(projection, document, path_buffers, scratch)
        });
        read.unwrap_or_else(|reason| Err(unreadable(payload, reason)))
    }

    fn append_metadata(
        &mut self,
        message: &Message<'_>,
        partition: i32,
        payload_is_utf8: bool,
    ) -> Result<usize, Rejection> {
        let Self {
            projection,
            metadata_buffers,
            scratch,
            ..
        } = self;
        let mut text_bytes = 0;
        for (feed, buffer) in projection.metadata.iter().zip(metadata_buffers) {
            let value = feed
                .metadata
                .value(message, partition, payload_is_utf8, &mut scratch.text)
                .map_err(|rejection| projection.in_column(rejection, feed.column))?;
            text_bytes += append(projection, feed.column, buffer, &value)?;
        }
        Ok(text_bytes)
    }
}

/// Walks a parsed payload and appends what each path leads to. Tells the bytes of text.
fn fields(
    projection: &Projection,
    document: Document<'_>,
    buffers: &mut [ColumnBuffer],
    scratch: &mut Scratch,
) -> Result<usize, Rejection> {
    projection.trie().walk(document.tape, &mut scratch.found);
    scratch.wanted.clear();
    let mut text_bytes = 0;
    let feeds = projection.paths.iter().zip(&mut *buffers).enumerate();
    for (index, (PathFeed { column, slot }, buffer)) in feeds {
        let node = scratch.found[*slot];
        match value_of(document, node, buffer) {
            Some(value) => text_bytes += append(projection, *column, buffer, &value)?,
            None => scratch.wanted.push(Wanted { node, feed: index }),
        }
    }
    if scratch.wanted.is_empty() {
        return Ok(text_bytes);
    }
    scratch.wanted.sort_unstable();
    locate(document, &scratch.wanted, |Wanted { node, feed }, text| {
        let column = projection.paths[feed].column;
        let value = text.and_then(|text| value_of_text(document, node, text));
        let value = value.ok_or_else(|| lost(projection, column))?;
        text_bytes += append(projection, column, &mut buffers[feed], &value)?;
        Ok(())
    })?;
    Ok(text_bytes)
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
        RejectReason::InvalidUtf8 => "a JSON text in UTF-8".to_owned(),
        _ => "a JSON text".to_owned(),
    };
    Rejection::of_payload(reason, &expected, &found)
}

#[cfg(test)]
mod tests;
