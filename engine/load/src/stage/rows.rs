//! The rows of one slice for one window: written once, read once per upload try.

use std::sync::Arc;

use arrow::array::RecordBatch;
use engine_model::{Checksum, StagedFile};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::KeyValue;

use super::encoding::writer_properties;
use super::{ChecksummedFile, WriteFailure, parquet_error};
use crate::checksum::RowChecksum;
use crate::ports::{BlockSource, RowBatches, Staging};
use crate::{Error, ErrorKind};

/// Decoded bytes that reading back aims at per record batch, at least: such a batch is still in the cache when it is encoded for the
/// tunnel, and its memory is soon used again.
const READ_BATCH_BYTES_MIN: u64 = 256 << 10;
/// The same at most.
const READ_BATCH_BYTES_MAX: u64 = 1 << 20;
/// The same for each column: in the tunnel's form every batch has some 100 bytes for a column, beside its values.
const READ_BATCH_BYTES_PER_COLUMN: u64 = 8 << 10;
/// Rows of such a batch, at most.
const READ_BATCH_ROWS_MAX: u64 = 16_384;
/// Where a staged file says how many bytes its rows have as record batches. Encoded they may have far fewer: a long text that comes
/// again and again is there once.
const DECODED_BYTES: &str = "tidegate.decoded_bytes";

/// Writes the rows of one slice for one window.
pub(crate) struct RowWriter {
    staging: Arc<dyn Staging>,
    name: String,
    writer: ArrowWriter<ChecksummedFile>,
    failure: WriteFailure,
    rows: u64,
    /// Bytes of these as record batches.
    decoded_bytes: u64,
    checksum: RowChecksum,
}

impl RowWriter {
    /// Creates the file for rows of which `first` are the first; they are not written yet.
    pub(crate) fn create(
        staging: Arc<dyn Staging>,
        name: String,
        first: &RecordBatch,
    ) -> Result<Self, Error> {
        let file = ChecksummedFile::create(&*staging, &name).map_err(|error| {
            Error::staging(&format!("creating {name}"), &staging.location(), error)
        })?;
        let failure = Arc::clone(&file.failure);
        let properties = writer_properties(first);
        let writer =
            ArrowWriter::try_new(file, first.schema(), Some(properties)).map_err(|error| {
                parquet_error("beginning a staged file", &*staging, &failure, error)
            })?;
        Ok(Self {
            staging,
            name,
            writer,
            failure,
            rows: 0,
            decoded_bytes: 0,
            checksum: RowChecksum::default(),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        self.decoded_bytes += batch.get_array_memory_size() as u64;
        self.checksum.add(batch)?;
        self.writer.write(batch).map_err(|error| self.error(error))
    }

    /// Encoded and buffered bytes of the row group in progress.
    pub(crate) fn in_progress_bytes(&self) -> usize {
        self.writer.memory_size()
    }

    /// Ends the row group in progress, which gives its memory back.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        self.writer.flush().map_err(|error| self.error(error))
    }

    /// Makes the file durable. Returns it with the checksum of its rows.
    pub(crate) fn finish(self) -> Result<(StagedFile, Checksum), Error> {
        let Self {
            staging,
            name,
            mut writer,
            failure,
            rows,
            decoded_bytes,
            checksum,
        } = self;
        let decoded_bytes = KeyValue::new(DECODED_BYTES.to_owned(), decoded_bytes.to_string());
        writer.append_key_value_metadata(decoded_bytes);
        let doing = format!("writing {name}");
        let file = writer
            .into_inner()
            .map_err(|error| parquet_error(&doing, &*staging, &failure, error))?;
        let file = file
            .publish(&name, rows)
            .map_err(|error| Error::staging(&doing, &staging.location(), error))?;
        Ok((file, checksum.sum()))
    }

    fn error(&self, error: parquet::errors::ParquetError) -> Error {
        parquet_error(
            &format!("writing {}", self.name),
            &*self.staging,
            &self.failure,
            error,
        )
    }
}

/// The rows of a staged file, as the source of an upload.
pub(crate) struct StagedRows {
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) file: StagedFile,
}

impl BlockSource for StagedRows {
    fn rows(&self) -> u64 {
        self.file.rows
    }

    fn open(&self) -> Result<RowBatches, Error> {
        let doing = format!("reading {}", self.file.name);
        let file = self
            .staging
            .open(&self.file.name)
            .map_err(|error| Error::staging(&doing, &self.staging.location(), error))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)
            .map_err(|error| read_error(&doing, error))?;
        let metadata = builder.metadata().file_metadata().key_value_metadata();
        let decoded_bytes = metadata
            .into_iter()
            .flatten()
            .find(|entry| entry.key == DECODED_BYTES)
            .and_then(|entry| entry.value.as_ref()?.parse::<u64>().ok());
        // A file that doesn't say it is read row by row.
        let row_bytes =
            decoded_bytes.map_or(READ_BATCH_BYTES_MAX, |bytes| bytes / self.file.rows.max(1));
        let columns = builder.parquet_schema().num_columns() as u64;
        let batch_bytes = (columns * READ_BATCH_BYTES_PER_COLUMN)
            .clamp(READ_BATCH_BYTES_MIN, READ_BATCH_BYTES_MAX);
        let batch_rows = (batch_bytes / row_bytes.max(1)).clamp(1, READ_BATCH_ROWS_MAX);
        let reader = builder
            .with_batch_size(usize::try_from(batch_rows).unwrap_or(1))
            .build()
            .map_err(|error| read_error(&doing, error))?;
        Ok(Box::new(reader.map(move |batch| {
            batch.map_err(|error| read_error(&doing, error))
        })))
    }
}

fn read_error(doing: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(
        ErrorKind::Staging,
        format!("{doing} failed: {error}"),
        error,
    )
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

    use super::*;
    use crate::stage::{FolderStaging, verify};

    fn batch(schema: &SchemaRef, from: i64) -> RecordBatch {
        let ids = Int64Array::from_iter_values(from..from + 1_000);
        let texts =
            StringArray::from_iter_values((from..from + 1_000).map(|id| format!("text {id}")));
        RecordBatch::try_new(Arc::clone(schema), vec![Arc::new(ids), Arc::new(texts)]).unwrap()
    }

    #[test]
    fn staged_rows_come_back_as_often_as_asked() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        let fields = vec![
            Field::new("id", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ];
        let schema = Arc::new(Schema::new(fields));
        let mut writer =
            RowWriter::create(Arc::clone(&staging), "a".into(), &batch(&schema, 0)).unwrap();
        writer.write(&batch(&schema, 0)).unwrap();
        assert!(writer.in_progress_bytes() > 0);
        writer.flush().unwrap();
        writer.write(&batch(&schema, 1_000)).unwrap();
        let (file, checksum) = writer.finish().unwrap();
        assert_eq!(file.rows, 2_000);
        verify(&*staging, &file).unwrap();

        let rows = StagedRows {
            staging: Arc::clone(&staging),
            file: file.clone(),
        };
        for _ in 0..2 {
            let batches: Vec<_> = rows.open().unwrap().collect::<Result<_, _>>().unwrap();
            let all = arrow::compute::concat_batches(&schema, &batches).unwrap();
            assert_eq!(all.slice(0, 1_000), batch(&schema, 0));
            assert_eq!(all.slice(1_000, 1_000), batch(&schema, 1_000));
            let mut again = RowChecksum::default();
            again.add(&all).unwrap();
            assert_eq!(again.sum(), checksum);
        }
    }

    #[test]
    fn long_texts_that_come_again_are_read_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        let long = ["a", "b"].map(|letter| letter.repeat(20_000));
        let texts = StringArray::from_iter_values((0..1_000).map(|row| &long[row % 2]));
        let field = Field::new("text", DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![field]));
        let batch = RecordBatch::try_new(schema, vec![Arc::new(texts)]).unwrap();
        let mut writer = RowWriter::create(Arc::clone(&staging), "a".into(), &batch).unwrap();
        writer.write(&batch).unwrap();
        let (file, _) = writer.finish().unwrap();
        assert!(file.bytes < 100_000, "{}", file.bytes);
        let mut rows = 0;
        for batch in (StagedRows { staging, file }).open().unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows();
            assert!(batch.num_rows() < 100, "{}", batch.num_rows());
        }
        assert_eq!(rows, 1_000);
    }

    #[test]
    fn a_staged_file_that_changed_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("text", DataType::Utf8, true),
        ]));
        let mut writer =
            RowWriter::create(Arc::clone(&staging), "a".into(), &batch(&schema, 0)).unwrap();
        writer.write(&batch(&schema, 0)).unwrap();
        let (file, _) = writer.finish().unwrap();
        let path = folder.path().join("a");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(
            verify(&*staging, &file).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        std::fs::write(&path, &bytes[..50]).unwrap();
        assert_eq!(
            verify(&*staging, &file).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
        std::fs::remove_file(&path).unwrap();
        assert_eq!(
            verify(&*staging, &file).unwrap_err().kind(),
            ErrorKind::Corrupt
        );
    }
}
