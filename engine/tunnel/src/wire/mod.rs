//! The protocol as pure functions: no IO, no clock, and no panic on any input.

mod arrow;
mod body;
mod cells;
mod compression;
mod csv;
mod error_body;
pub mod frame;
mod instance;
mod metadata;
pub mod record;
mod request;
mod sessions;
mod sign;

pub use self::arrow::{BatchError, arrow_schema, arrow_type, check_batch_schema};
pub use self::body::{BODY_BYTES_MAX, BodyEncoder, BodyError, BodyForm, EncodeError, read_body};
pub use self::compression::{compression_of, content_encoding, decompress};
pub use self::csv::{CsvError, SqlRows, parse_csv};
pub use self::error_body::{ErrorBody, classify, parse_error_body};
pub use self::instance::{InstanceResult, InstanceStatus, TaskStatus, submission};
pub use self::metadata::{PartitionPage, parse_partitions, parse_project, parse_table};
pub use self::request::{Method, Request};
pub use self::sessions::{
    DownloadAnswer, SessionAnswer, parse_download, parse_session, parse_session_status,
};
pub use self::sign::{authorization, canonical_string};

pub(crate) use self::body::CHUNKS_PER_PIECE;

/// An answer that can't be understood: what was read, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerError(String);

impl AnswerError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl std::fmt::Display for AnswerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for AnswerError {}

/// The first characters of an answer, to show what came instead of what was expected.
fn excerpt(body: &[u8]) -> String {
    const CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let mut short: String = text.chars().take(CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
