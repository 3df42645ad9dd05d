//! The client of MaxCompute: table metadata, SQL instances, and the Tunnel's upload and download sessions.
//!
//! [`Client`] does what a loader needs and no more. A window is loaded in four calls: the table partition is made
//! ([`Client::create_partition`]), a session opened ([`Client::create_upload_session`]), each slice sent as one block
//! ([`Client::put_block`]), and everything made visible at once ([`Client::commit`]). Blocks are encoded while they are
//! sent, so that memory doesn't grow with them, and re-read from their [`BlockSource`] when a try fails. Rows come back the
//! other way: [`Client::open_download`], then [`Client::read_rows`] a range at a time.
//!
//! [`wire`] holds the protocol itself as pure functions: what is signed, how answers are read, how a block is framed.
//! [`session`] holds the rules of an upload session: its states, its block list, and what to do about a commit whose
//! answer was lost.

mod bandwidth;
mod block;
mod client;
mod clock;
mod config;
mod credentials;
mod error;
mod flow;
mod retry;
pub mod session;
pub mod wire;

pub use block::{BlockReceipt, BlockSource, BoxError, RecordBatches, UPLOAD_BYTES_MAX};
pub use client::{Client, SqlResult};
pub use clock::{Clock, SystemClock};
pub use config::{ClientConfig, Timeouts};
pub use credentials::{CredentialSource, Credentials, ProfileFile};
pub use error::{Error, ErrorKind, Missing};
pub use retry::RetryPolicy;
pub use session::{
    BlockInfo, Committed, DownloadSession, SessionKey, SessionStatus, UploadSession,
};

/// The result of a call to MaxCompute.
pub type Result<T, E = Error> = std::result::Result<T, E>;
