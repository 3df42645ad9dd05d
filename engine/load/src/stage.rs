//! The stage step: rows and rejected messages to Parquet files.

mod encoding;
mod folder;
mod rejects;
mod rows;
mod slice;

use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use engine_model::StagedFile;
use parquet::errors::ParquetError;

pub(crate) use folder::create_private_folder;
pub use folder::{FolderStaging, free_bytes};
use rejects::{RejectWriter, RejectedMessage};
use rows::RowWriter;
pub(crate) use rows::StagedRows;
pub(crate) use slice::{SliceFiles, holds_rejects, run_of_staged_file, run_prefix};

use crate::ports::{Staging, StagingFile};
use crate::{Error, ErrorKind};

/// Bytes read at a time when a checksum is verified.
const VERIFY_BYTES: usize = 1 << 20;

/// Counts and checksums what goes into a staged file.
struct ChecksummedFile {
    file: Box<dyn StagingFile>,
    bytes: u64,
    crc32c: u32,
    failure: WriteFailure,
}

/// The first write that failed. The Parquet library keeps only the text of some of them, and a full disk is to be told
/// as such.
type WriteFailure = Arc<OnceLock<(io::ErrorKind, String)>>;

impl ChecksummedFile {
    fn create(staging: &dyn Staging, name: &str) -> io::Result<Self> {
        let file = staging.create(name)?;
        Ok(Self {
            file,
            bytes: 0,
            crc32c: 0,
            failure: WriteFailure::default(),
        })
    }

    fn publish(self, name: &str, rows: u64) -> io::Result<StagedFile> {
        self.file.publish()?;
        Ok(StagedFile {
            name: name.to_owned(),
            rows,
            bytes: self.bytes,
            crc32c: self.crc32c,
        })
    }
}

impl Write for ChecksummedFile {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the implementation that `write_all` calls"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes).inspect_err(|error| {
            self.failure
                .get_or_init(|| (error.kind(), error.to_string()));
        })?;
        self.bytes += written as u64;
        self.crc32c = crc32c::crc32c_append(self.crc32c, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Checks that a staged file is what was written.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] where it is missing, of another size, or of another checksum.
pub(crate) fn verify(staging: &dyn Staging, staged: &StagedFile) -> Result<(), Error> {
    let corrupt = |found: String| {
        let message = format!(
            "staged file {} in {} {found}; its slice has to be read again",
            staged.name,
            staging.location(),
        );
        Error::new(ErrorKind::Corrupt, message)
    };
    let mut file = staging
        .open(&staged.name)
        .map_err(|error| corrupt(format!("can't be opened: {error}")))?;
    let mut buffer = vec![0; VERIFY_BYTES];
    let (mut bytes, mut crc) = (0, 0);
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(|error| corrupt(format!("can't be read: {error}")))?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        crc = crc32c::crc32c_append(crc, &buffer[..read]);
    }
    if (bytes, crc) == (staged.bytes, staged.crc32c) {
        return Ok(());
    }
    Err(corrupt(format!(
        "has {bytes} bytes with checksum {crc:08x}; {} bytes with {:08x} were written",
        staged.bytes, staged.crc32c,
    )))
}

/// An error of the Parquet library, or of the file below it where that is the cause.
fn parquet_error(
    doing: &str,
    staging: &dyn Staging,
    failure: &WriteFailure,
    error: ParquetError,
) -> Error {
    match failure.get() {
        Some((kind, text)) => Error::staging(
            doing,
            &staging.location(),
            io::Error::new(*kind, text.clone()),
        ),
        None => Error::with_source(
            ErrorKind::Staging,
            format!("{doing} failed: {error}"),
            error,
        ),
    }
}
