//! Bodies of blocks, up and down, in both forms and all compressions.

use std::fmt;
use std::io;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use bytes::Bytes;
use engine_model::Column;
use engine_model::job::{BlockFormat, Compression};

use super::arrow::{BatchEncoder, MessageReader};
use super::cells::check_cells;
use super::compression::{Compressor, decompress};
use super::frame::{self, CHUNK_BYTES, Framer};
use super::record::{RecordBatchReader, RecordWriter};
use super::{BatchError, arrow_schema, check_batch_schema};

/// Chunks that are handed on together: fewer, larger writes.
pub(crate) const CHUNKS_PER_PIECE: usize = 4;

/// Bytes of a body that is read, at most, compressed and not. A body is held as a whole while it is read.
pub const BODY_BYTES_MAX: usize = 1 << 30;

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyForm {
    /// The form of the rows.
    pub format: BlockFormat,
    /// The compression around it.
    pub compression: Compression,
}

/// A body that can't be read: what is wrong with it, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyError(String);

impl BodyError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BodyError {}

/// Why rows didn't go into a body.
#[derive(Debug)]
pub enum EncodeError {
    /// The rows don't fit the columns or the limits of the service. Nothing of their batch was written.
    Rows(BatchError),
    /// What takes the pieces failed.
    Io(io::Error),
}

impl From<io::Error> for EncodeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Rows(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

/// Writes the body of a block from record batches, in pieces of some hundred KiB.
///
/// ```
/// use std::sync::Arc;
///
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use engine_model::{Column, ColumnType};
/// use engine_model::job::{BlockFormat, Compression};
/// use engine_tunnel::wire::{BodyEncoder, BodyForm};
///
/// let ids: ArrayRef = Arc::new(Int64Array::from(vec![42]));
/// let batch = RecordBatch::try_from_iter([("id", ids)])?;
/// let form = BodyForm { format: BlockFormat::Record, compression: Compression::None };
/// let mut body = Vec::new();
/// let mut encoder = BodyEncoder::new(form, [Column::new("id", ColumnType::BigInt)].into(), 8 << 20, |piece| {
///     body.extend_from_slice(&piece);
///     Ok(())
/// })?;
/// encoder.write(&batch)?;
/// encoder.finish()?;
/// assert_eq!(body[..2], [0x08, 84], "column 1, and 42 with its sign last");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct BodyEncoder<'t> {
    columns: Arc<[Column]>,
    cell_bytes_max: usize,
    /// The schema that was checked last, which all batches of a block usually share.
    checked: Option<Arc<Schema>>,
    rows: Rows,
    body: Compressor<'t>,
    rows_written: u64,
}

enum Rows {
    Arrow(Box<BatchEncoder>, Framer),
    Record(RecordWriter),
}

impl<'t> BodyEncoder<'t> {
    /// A body with rows of `columns`, in the order of the upload session, whose texts have `cell_bytes_max` bytes at most.
    /// Its pieces go to `take`.
    ///
    /// # Errors
    /// The compressor can't be set up.
    pub fn new(
        form: BodyForm,
        columns: Arc<[Column]>,
        cell_bytes_max: usize,
        take: impl FnMut(Bytes) -> io::Result<()> + Send + 't,
    ) -> io::Result<Self> {
        let rows = match form.format {
            BlockFormat::Arrow => {
                Rows::Arrow(Box::default(), Framer::new(CHUNK_BYTES, CHUNKS_PER_PIECE))
            }
            BlockFormat::Record => Rows::Record(RecordWriter::new()),
        };
        Ok(Self {
            columns,
            cell_bytes_max,
            checked: None,
            rows,
            body: Compressor::new(form.compression, Box::new(take))?,
            rows_written: 0,
        })
    }

    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows_written
    }

    /// Writes the rows of a batch.
    ///
    /// # Errors
    /// The rows don't fit, which is found before any of them is written; or `take` failed.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        self.check(batch).map_err(EncodeError::Rows)?;
        let body = &mut self.body;
        match &mut self.rows {
            Rows::Arrow(encoder, framer) => {
                let message = encoder.encode(batch).map_err(EncodeError::Rows)?;
                for buffer in message {
                    let mut rest = buffer.as_slice();
                    while let Some(piece) = framer.push(&mut rest) {
                        body.piece(piece)?;
                    }
                }
            }
            Rows::Record(writer) => {
                writer.write(&self.columns, batch, &mut |piece| body.piece(piece))?;
            }
        }
        self.rows_written += batch.num_rows() as u64;
        Ok(())
    }

    /// Writes the end, without which a body counts as cut.
    ///
    /// # Errors
    /// `take` failed.
    pub fn finish(self) -> io::Result<()> {
        let mut body = self.body;
        body.piece(match self.rows {
            Rows::Arrow(_, framer) => framer.finish(),
            Rows::Record(writer) => writer.finish(),
        })?;
        body.finish()
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<(), BatchError> {
        let schema = batch.schema_ref();
        let known = self.checked.as_ref();
        if known.is_none_or(|known| !Arc::ptr_eq(known, schema)) {
            check_batch_schema(schema, &self.columns)?;
            self.checked = Some(Arc::clone(schema));
        }
        check_cells(&self.columns, batch, self.cell_bytes_max, self.rows_written)
    }
}

impl fmt::Debug for BodyEncoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyEncoder")
            .field("rows_written", &self.rows_written)
            .finish_non_exhaustive()
    }
}

/// Reads a body, of a block or of an answer to a download, into record batches of `columns`. Compression and framing are
/// checked at once, rows as they are taken. Memory: the body, what it decompresses to, and the batches taken.
///
/// # Errors
/// A checksum is wrong, or the body is cut, or it isn't of these columns; the same goes for each batch.
pub fn read_body(
    form: BodyForm,
    columns: Arc<[Column]>,
    body: Bytes,
) -> Result<impl Iterator<Item = Result<RecordBatch, BodyError>> + Send + 'static, BodyError> {
    let plain = decompress(form.compression, body, BODY_BYTES_MAX)?;
    Ok(match form.format {
        BlockFormat::Arrow => {
            let data = frame::decode(&plain).map_err(|error| BodyError::new(error.to_string()))?;
            Batches::Arrow(MessageReader::new(data, arrow_schema(&columns)))
        }
        BlockFormat::Record => Batches::Record(Box::new(RecordBatchReader::new(plain, columns))),
    })
}

enum Batches {
    Arrow(MessageReader),
    Record(Box<RecordBatchReader>),
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Arrow(messages) => messages.next(),
            Self::Record(records) => records.next(),
        }
    }
}
