//! What can go wrong with the broker as a whole, and with one connection.

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting of [`BrokerConfig`](super::BrokerConfig) cannot be used; nothing was started.
    Config,
    /// Another broker holds the data folder; stop it or name another folder.
    InUse,
    /// A file of the data folder is not what this broker writes; the message names it.
    Stored,
    /// The operating system refused: disk full, permissions, port taken.
    Io,
    /// A client sent bytes that are no request of a version that the broker advertises; its connection was closed.
    Malformed,
}

/// An error of the broker: a kind to act on, a message to read, and the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// What went wrong, as far as a caller can act on it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// An I/O error at `path` while doing `what` ("read", "create", …).
    pub(super) fn io(what: &str, path: &Path, source: io::Error) -> Self {
        Self {
            kind: ErrorKind::Io,
            message: format!("cannot {what} {}", path.display()),
            source: Some(Box::new(source)),
        }
    }

    pub(super) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The source's text is part of `Display`, so it continues with what lies behind it.
        self.source.as_ref().and_then(|source| source.source())
    }
}
