//! Messages into batches.

mod fields;
mod json;

use std::mem;
use std::sync::Arc;

use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use engine_model::{Message, TopicPartition};

use crate::column::{ColumnBuffer, null_array, repeated_array};
use crate::metadata::{Parts, TextScratch};
use crate::payload::{PayloadReader, SCRATCH_BYTES_KEPT};
use crate::projection::{Fill, Projection};
use crate::reject::{RejectReason, Rejection};
use crate::value::Value;
use fields::Fields;

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

impl Decoder {
    /// A decoder without rows.
    pub fn new(projection: Arc<Projection>) -> Self {
        let paths = projection.paths.iter().map(|feed| feed.column);
        let metadata = projection.metadata.iter().map(|feed| feed.column);
        let parses = projection.parses_payloads();
        let needs_payloads = parses || projection.whole_payload().next().is_some();
        Self {
            payloads: needs_payloads.then(|| {
                PayloadReader::new(projection.format(), parses, projection.whole_payload())
            }),
            fields: Fields::new(&projection),
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
        self.fields.shrink();
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
        let mut text_bytes = fields.append(projection, path_buffers, payload)?;
        let parts = Parts {
            message,
            topic_partition,
            payload,
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
        Value::Text("") | Value::Json("\"\"") | Value::Bytes([]) if projection.empty_as_null() => {
            buffer.append_null().map(|()| 0)
        }
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

#[cfg(test)]
mod tests;
