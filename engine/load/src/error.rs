//! Why a load failed.

use std::error::Error as StdError;
use std::{fmt, io};

/// A failed load. Nothing was committed unless the text says so.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The job can't be run as it is: change it, or the table.
    Job,
    /// Kafka could not be read.
    Source,
    /// MaxCompute refused or could not be reached.
    Target,
    /// An upload session is gone; its blocks have to be sent again in a new one.
    SessionGone,
    /// Whether the commit happened is not known.
    CommitUnknown,
    /// The session was committed earlier, with other blocks than ours: rows are in the table, and not the right ones.
    CommittedDiffers,
    /// Staging failed: the disk is full, or a file can't be written or read.
    Staging,
    /// A staged file is not what was written; the slice has to be read again.
    Corrupt,
    /// The journal could not be read or written.
    Journal,
    /// Another process loads into the same target.
    Locked,
    /// More messages were rejected than the job allows.
    Rejects,
    /// The ledger does not balance.
    Unbalanced,
    /// The table counts other rows than were committed to it; they are committed all the same.
    CountDiffers,
    /// Asked to stop; the run can be resumed.
    Stopped,
    /// A thread of ours ended without a result.
    Internal,
}

impl Error {
    /// An error of `kind`; `message` names the thing, what was found and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// The same with its cause.
    pub fn with_source(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// An IO error while staging; a full disk says so and what to do.
    pub(crate) fn staging(doing: &str, location: &str, source: io::Error) -> Self {
        let advice = if source.kind() == io::ErrorKind::StorageFull {
            "; free space there and run again, for what is staged is kept, or set `limits.disk`"
        } else {
            ""
        };
        let message = format!("{doing} in the staging folder {location} failed: {source}{advice}");
        Self::with_source(ErrorKind::Staging, message, source)
    }

    /// The request to stop, as the error that unwinds the threads.
    pub fn stopped() -> Self {
        Self::new(
            ErrorKind::Stopped,
            "stopped as asked; run the same command to go on from here",
        )
    }

    /// What went wrong, for a caller to act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::with_source(
            ErrorKind::Journal,
            format!("the journal failed: {source}"),
            source,
        )
    }
}
