//! What can go wrong with a call, and what a caller can do about it.

use std::fmt;
use std::time::Duration;

use crate::block::BoxError;

/// A call that failed: what was tried, what came back, and how often and how long it was tried.
///
/// Neither the text nor the debug form ever holds a credential or a signature.
pub struct Error(Box<Inner>);

struct Inner {
    failure: Failure,
    call: Call,
}

/// What a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The thing is not there.
    NotFound(Missing),
    /// The server doesn't accept the credentials or the signature; a clock that is wrong by 15 minutes does it too.
    Unauthorized,
    /// The credentials are good but may not do this.
    PermissionDenied,
    /// The server asked to slow down until the deadline of the retries was over. Try again later.
    Throttled,
    /// The upload session expired, was cancelled or broke. Nothing was loaded: open a new one and send all blocks.
    SessionExpired,
    /// The session's status doesn't allow the call, such as a block for a session that is closed.
    StatusConflict,
    /// The server's block list isn't the one expected; nothing was committed. Send what is missing, or all blocks in a
    /// new session where there are stray ones.
    BlockListDiffers,
    /// The session was committed, with other blocks than expected: their rows are in the table. Look at it, and load it
    /// again where they are wrong.
    CommittedDiffers,
    /// It isn't known whether the commit happened. Commit again later; where the session stays unknown, only the
    /// table can tell.
    CommitUnknown,
    /// The server can't make sense of the request, or the client refused to send it.
    InvalidRequest,
    /// A column, or the rows given for it, can't travel in the form used. Nothing was sent.
    Unsupported,
    /// A SQL statement failed; the text says why.
    Sql,
    /// The bytes of a block were damaged on the way, twice.
    Corrupted,
    /// The server failed.
    Server,
    /// No connection could be made, or there was no answer at first contact.
    Connect,
    /// The connection was lost before the whole answer came.
    Disconnected,
    /// No answer came in time.
    Timeout,
    /// The source of a block's rows failed; the server saw a cut body and keeps nothing of it.
    Source,
    /// The answer isn't what the protocol says.
    Protocol,
    /// A setting of the client is wrong.
    Config,
}

/// What was not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The project, or the right to see it.
    Project,
    /// The schema of a project with three levels.
    Schema,
    /// The table.
    Table,
    /// The table partition.
    Partition,
    /// The upload or download session: expired, committed long ago, or never opened.
    Session,
    /// The SQL instance.
    Instance,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Project => "project",
            Self::Schema => "schema",
            Self::Table => "table",
            Self::Partition => "table partition",
            Self::Session => "session",
            Self::Instance => "instance",
        })
    }
}

impl ErrorKind {
    /// Whether the same call may succeed when it is simply made again. The client has done so already, within its
    /// [`RetryPolicy`](crate::RetryPolicy).
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::Throttled | Self::Server | Self::Connect | Self::Disconnected | Self::Timeout
        )
    }

    /// What is said about the failure besides the server's own words.
    fn problem(self) -> Option<&'static str> {
        Some(match self {
            Self::NotFound(Missing::Project) => {
                "the project does not exist, or these credentials can't see it"
            }
            Self::NotFound(Missing::Schema) => "the schema does not exist",
            Self::NotFound(Missing::Table) => "the table does not exist",
            Self::NotFound(Missing::Partition) => "the table partition does not exist",
            Self::NotFound(Missing::Session) => "the server doesn't know the session",
            Self::NotFound(Missing::Instance) => "the server doesn't know the instance",
            Self::Unauthorized => {
                "the server doesn't accept the credentials; check access id, secret, security token and this \
                 machine's clock"
            }
            Self::PermissionDenied => "the credentials may not do this",
            Self::Throttled => "the server asked to slow down",
            Self::SessionExpired => "the session can't be used any more; open a new one",
            Self::StatusConflict => "the session's status doesn't allow it",
            Self::CommitUnknown => "it isn't known whether the commit happened",
            Self::Corrupted => "the block was damaged on the way",
            Self::Server => "the server failed",
            Self::Disconnected => "the connection was lost",
            Self::Source => "the rows can't be read",
            Self::Protocol => "the answer can't be understood",
            _ => return None,
        })
    }
}

impl Error {
    pub(crate) fn new(failure: Failure, call: Call) -> Self {
        Self(Box::new(Inner { failure, call }))
    }

    /// What went wrong, for a caller to act on.
    pub fn kind(&self) -> ErrorKind {
        self.0.failure.kind
    }

    /// The server's own code, such as `NoSuchTable` or `ODPS-0130131`.
    pub fn code(&self) -> Option<&str> {
        self.0.failure.code.as_deref()
    }

    /// The id that the server gave the last request, to quote in a ticket.
    pub fn request_id(&self) -> Option<&str> {
        self.0.failure.request_id.as_deref()
    }

    /// Tries that were made; 0 when nothing was sent.
    pub fn tries(&self) -> u32 {
        self.0.call.tries
    }

    /// Whether the call was given up although it might succeed later: see [`ErrorKind::is_retryable`].
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// The same error under another kind, where the call that failed was a part of a larger one.
    pub(crate) fn into_kind(mut self, kind: ErrorKind) -> Self {
        self.0.failure.kind = kind;
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { failure, call } = &*self.0;
        write!(f, "cannot {}", call.action)?;
        if let Some(problem) = failure.kind.problem() {
            write!(f, ": {problem}")?;
        }
        match (&failure.code, failure.message.as_str()) {
            (Some(code), "") => write!(f, ": {code}")?,
            (Some(code), message) if !message.starts_with(code.as_str()) => {
                write!(f, ": {code}: {message}")?;
            }
            (None, "") => {}
            (_, message) => write!(f, ": {message}")?,
        }
        let Some(request) = &call.request else {
            return Ok(());
        };
        write!(f, " ({request}")?;
        if let Some(status) = failure.status {
            write!(f, ", status {status}")?;
        }
        if let Some(id) = &failure.request_id {
            write!(f, ", request id {id}")?;
        }
        if call.tries > 1 {
            write!(
                f,
                ", {} tries in {:.1} s",
                call.tries,
                call.elapsed.as_secs_f64()
            )?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind())
            .field("text", &format_args!("{self}"))
            .field("source", &self.0.failure.source)
            .finish()
    }
}

impl std::error::Error for Error {
    /// The error of the [`BlockSource`](crate::BlockSource), whose text is in this one's.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.failure.source.as_deref().map(|source| source as _)
    }
}

/// What a call was about.
#[derive(Debug, Default)]
pub(crate) struct Call {
    /// What was to be done, to follow "cannot": `read the columns of p.t`.
    pub(crate) action: String,
    /// Method and path of the request; nothing where none was made.
    pub(crate) request: Option<String>,
    pub(crate) tries: u32,
    pub(crate) elapsed: Duration,
}

/// How one try failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) status: Option<u16>,
    pub(crate) code: Option<String>,
    /// A lower-case sentence of ours, or what the server said; may be empty.
    pub(crate) message: String,
    pub(crate) request_id: Option<String>,
    /// The least time to wait before the next try, where the server named one.
    pub(crate) retry_after: Option<Duration>,
    /// Whether there wasn't even a connection, so that the server can't have acted.
    pub(crate) unsent: bool,
    /// Where the credentials were refused: whether there are others.
    pub(crate) renewal: Renewal,
    pub(crate) source: Option<BoxError>,
}

/// What becomes of refused credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// There can't be others.
    None,
    /// There are others by now.
    Done,
    /// These were taken earlier, and whoever keeps the file may be about to write others.
    Awaited,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: None,
            code: None,
            message: message.into(),
            request_id: None,
            retry_after: None,
            unsent: false,
            renewal: Renewal::None,
            source: None,
        }
    }

    /// The failure of a source of rows, which the caller gets back.
    pub(crate) fn source(error: BoxError) -> Self {
        let text = error.to_string();
        Self {
            source: Some(error),
            ..Self::new(ErrorKind::Source, text)
        }
    }

    /// An error about something that needed no request.
    pub(crate) fn into_error(self, action: impl Into<String>) -> Error {
        Error::new(
            self,
            Call {
                action: action.into(),
                ..Call::default()
            },
        )
    }
}
