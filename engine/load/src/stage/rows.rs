//! The rows of one slice for one window: written once, read once per upload try.

use std::iter;
use std::sync::Arc;

use arrow::array::RecordBatch;
use engine_model::{Checksum, StagedFile};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::KeyValue;

use super::encoding::writer_properties;
use super::{ChecksummedFile, WriteFailure, parquet_error};
use crate::checksum::RowChecksum;
use crate::ports::{BlockSource, RowBatches, Staging};
use crate::{Error, ErrorKind};

/// Decoded bytes that reading back aims at per record batch, at least: such a batch is still in the cache when it is encoded for the
/// tunnel, and its memory is soon used again.
const READ_BATCH_BYTES_MIN: usize = 256 << 10;
/// The same at most.
const READ_BATCH_BYTES_MAX: usize = 1 << 20;
/// The same for each column: in the tunnel's form every batch has some 100 bytes for a column, beside its values.
const READ_BATCH_BYTES_PER_COLUMN: usize = 8 << 10;
/// Rows of such a batch, at most.
const READ_BATCH_ROWS_MAX: usize = 16_384;
/// Where a staged file says how many bytes the rows of each row group have as record batches, with commas between. Encoded they may
/// have far fewer: a long text that comes again and again is there once.
const DECODED_BYTES: &str = "tidegate.decoded_bytes";
/// How many times as large as its memory a row group may be once it is decoded.
const DECODED_TIMES_MAX: usize = 4;

/// Writes the rows of one slice for one window.
pub(crate) struct RowWriter {
    staging: Arc<dyn Staging>,
    name: String,
    writer: ArrowWriter<ChecksummedFile>,
    failure: WriteFailure,
    rows: u64,
    /// Bytes of the rows of each row group as record batches; the last one is in progress.
    decoded_bytes: Vec<usize>,
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
            decoded_bytes: vec![0],
            checksum: RowChecksum::default(),
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        if let Some(decoded) = self.decoded_bytes.last_mut() {
            *decoded += batch.get_array_memory_size();
        }
        self.checksum.add(batch)?;
        self.writer.write(batch).map_err(|error| self.error(error))
    }

    /// Bytes of memory that the row group in progress takes: now, and when it is read back, as far as that is more than
    /// [`DECODED_TIMES_MAX`] times as much.
    pub(crate) fn in_progress_bytes(&self) -> usize {
        let decoded = self.decoded_bytes.last().copied().unwrap_or_default();
        self.writer.memory_size().max(decoded / DECODED_TIMES_MAX)
    }

    /// Ends the row group in progress, which gives its memory back.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.decoded_bytes.last().is_some_and(|bytes| *bytes > 0) {
            self.decoded_bytes.push(0);
        }
        self.writer.flush().map_err(|error| self.error(error))
    }

    /// Makes the file durable. Returns it with the checksum of its rows.
    pub(crate) fn finish(mut self) -> Result<(StagedFile, Checksum), Error> {
        self.flush()?;
        let Self {
            staging,
            name,
            mut writer,
            failure,
            rows,
            decoded_bytes,
            checksum,
        } = self;
        let decoded_bytes: Vec<String> = decoded_bytes.iter().map(usize::to_string).collect();
        let decoded_bytes = KeyValue::new(DECODED_BYTES.to_owned(), decoded_bytes.join(","));
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
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())
            .map_err(|error| read_error(&doing, error))?;
        let row_groups = metadata.metadata().num_row_groups();
        let decoded_bytes = decoded_bytes(&metadata);
        let columns = metadata.parquet_schema().num_columns();
        let batch_bytes = (columns * READ_BATCH_BYTES_PER_COLUMN)
            .clamp(READ_BATCH_BYTES_MIN, READ_BATCH_BYTES_MAX);
        let read = move |row_group: usize| -> Result<RowBatches, Error> {
            let rows = metadata.metadata().row_group(row_group).num_rows();
            let rows = usize::try_from(rows).unwrap_or_default().max(1);
            // A file that doesn't say it is read row by row.
            let decoded = decoded_bytes.get(row_group);
            let row_bytes = decoded.map_or(batch_bytes, |bytes| bytes / rows).max(1);
            let batch_rows = (batch_bytes / row_bytes).clamp(1, READ_BATCH_ROWS_MAX);
            let file = file.try_clone();
            let file = file.map_err(|error| read_error(&doing, error))?;
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
                .with_row_groups(vec![row_group])
                .with_batch_size(batch_rows)
                .build()
                .map_err(|error| read_error(&doing, error))?;
            let doing = doing.clone();
            Ok(Box::new(reader.map(move |batch| {
                batch.map_err(|error| read_error(&doing, error))
            })))
        };
        Ok(Box::new((0..row_groups).flat_map(move |row_group| {
            read(row_group).unwrap_or_else(|error| Box::new(iter::once(Err(error))))
        })))
    }
}

/// What a staged file says of the bytes that its row groups have as record batches.
fn decoded_bytes(metadata: &ArrowReaderMetadata) -> Vec<usize> {
    let entries = metadata.metadata().file_metadata().key_value_metadata();
    let mut entries = entries.into_iter().flatten();
    let entry = entries.find(|entry| entry.key == DECODED_BYTES);
    let told = entry.and_then(|entry| entry.value.as_deref());
    let numbers = told.unwrap_or_default().split(',');
    numbers.map_while(|number| number.parse().ok()).collect()
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
    fn long_texts_among_many_short_ones_are_read_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        let field = Field::new("text", DataType::Utf8, true);
        let schema = Arc::new(Schema::new(vec![field]));
        let batch = |rows: usize, text: &str| {
            let texts = StringArray::from_iter_values((0..rows).map(|_| text));
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(texts)]).unwrap()
        };
        let (short, long) = (batch(10_000, "short"), batch(4, &"long".repeat(100_000)));
        let mut writer = RowWriter::create(Arc::clone(&staging), "a".into(), &short).unwrap();
        let mut share = |batch| {
            writer.write(batch).unwrap();
            if writer.in_progress_bytes() > 256 << 10 {
                writer.flush().unwrap();
            }
        };
        for _ in 0..10 {
            share(&short);
        }
        for _ in 0..20 {
            share(&long);
        }
        let (file, _) = writer.finish().unwrap();
        let (mut rows, mut largest) = (0, 0);
        for batch in (StagedRows { staging, file }).open().unwrap() {
            let batch = batch.unwrap();
            rows += batch.num_rows();
            largest = largest.max(batch.get_array_memory_size());
        }
        assert_eq!(rows, 100_080);
        assert!(largest < 2 << 20, "{largest}");
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
