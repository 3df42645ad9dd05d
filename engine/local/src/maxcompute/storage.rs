//! Parquet files: how blocks and query results lie on disk.
//!
//! A file is written under a name of its own, synced, and renamed; from then on it never changes. Whether its rows count
//! is the catalog's business: a file that the catalog doesn't name is an orphan and may be removed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::ids::is_id;

/// Encoded bytes of a row group in progress, which is what a writer holds in memory.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// Rows of a row group, so that narrow tables can be skipped through as well.
const ROW_GROUP_ROWS: usize = 1 << 20;
/// Rows of a batch that is read back.
const BATCH_ROWS: usize = 4_096;
/// Rows that go to the Parquet writer at once; it checks its memory only between calls.
const WRITE_ROWS: usize = 8_192;
/// What a file is called while it is written.
const UNFINISHED: &str = "part";

/// The folder of the files.
#[derive(Clone, Debug)]
pub(crate) struct FileStore {
    folder: PathBuf,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFile {
    /// Name within the folder.
    pub(crate) name: String,
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

impl FileStore {
    /// Opens the folder, which is created where it is missing.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Starts the file `id`.parquet.
    pub(crate) fn create(&self, id: &str, schema: SchemaRef) -> Result<FileWriter, ParquetError> {
        let name = format!("{id}.parquet");
        let unfinished = self.folder.join(format!("{name}.{UNFINISHED}"));
        let properties = WriterProperties::builder()
            .set_compression(Compression::LZ4_RAW)
            // Both cost more than the whole rest, and no query asks for them.
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let file = File::create_new(&unfinished)?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties))?;
        Ok(FileWriter {
            writer,
            store: self.clone(),
            name,
            unfinished: Some(unfinished),
            rows: 0,
        })
    }

    /// Reads `rows` rows of a file from row `skip` on. `columns` are positions in the file's schema; reading none of
    /// them yields batches that have a length only.
    pub(crate) fn read(
        &self,
        name: &str,
        columns: &[usize],
        skip: usize,
        rows: usize,
    ) -> Result<ParquetRecordBatchReader, ParquetError> {
        let file = File::open(self.folder.join(name))?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .with_offset(skip)
            .with_limit(rows)
            .build()
    }

    /// Removes one file; one that is gone already is fine.
    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes every file of ours that isn't in `known`. Only for a folder that nobody else of us writes to.
    pub(crate) fn remove_orphans(&self, known: &HashSet<String>) -> io::Result<usize> {
        let mut removed = 0;
        for name in self.names()? {
            if !known.contains(&name) {
                fs::remove_file(self.folder.join(&name))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// A finished file, where there is one.
    pub(crate) fn any(&self) -> io::Result<Option<PathBuf>> {
        let names = self.names()?;
        let finished = names.into_iter().find(|name| !name.ends_with(UNFINISHED));
        Ok(finished.map(|name| self.folder.join(name)))
    }

    /// The files in the folder whose names were made here.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let Ok(name) = entry?.file_name().into_string() else {
                continue;
            };
            let id = name
                .strip_suffix(UNFINISHED)
                .map_or(name.as_str(), |name| name.trim_end_matches('.'))
                .strip_suffix(".parquet");
            if id.is_some_and(is_id) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Writes one file. Dropped unfinished, it leaves nothing behind.
pub(crate) struct FileWriter {
    writer: ArrowWriter<File>,
    store: FileStore,
    name: String,
    /// `None` once the file has its final name.
    unfinished: Option<PathBuf>,
    rows: i64,
}

impl FileWriter {
    /// Appends rows. Row groups are closed early enough that memory stays bounded, whatever a batch holds.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), ParquetError> {
        for start in (0..batch.num_rows()).step_by(WRITE_ROWS) {
            let slice = batch.slice(start, WRITE_ROWS.min(batch.num_rows() - start));
            self.writer.write(&slice)?;
            if self.writer.in_progress_size() >= ROW_GROUP_BYTES {
                self.writer.flush()?;
            }
        }
        self.rows += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// Completes the file and makes it durable. `None` for a file without rows, which isn't kept.
    pub(crate) fn finish(mut self) -> Result<Option<StoredFile>, ParquetError> {
        self.writer.finish()?;
        if self.rows == 0 {
            return Ok(None);
        }
        let file = self.writer.inner();
        file.sync_all()?;
        let bytes = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        if let Some(unfinished) = self.unfinished.take() {
            fs::rename(unfinished, self.store.folder.join(&self.name))?;
            // The new name is durable only when its folder is.
            File::open(&self.store.folder)?.sync_all()?;
        }
        Ok(Some(StoredFile {
            name: self.name.clone(),
            rows: self.rows,
            bytes,
        }))
    }
}

impl Drop for FileWriter {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            // What can't be removed now is an orphan, and goes at the next start.
            drop(fs::remove_file(unfinished));
        }
    }
}
