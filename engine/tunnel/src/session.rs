//! The rules of an upload session: its states, its block list, and how to commit when answers get lost.

use std::collections::BTreeMap;
use std::fmt;

use engine_model::{PartitionSpec, TableColumns, TableName};
use serde::{Deserialize, Serialize};

use crate::ErrorKind;

/// What names a session in every later call. Keep it to resume an upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SessionKey {
    /// The table.
    pub table: TableName,
    /// The table partition; empty for a table without partition keys.
    pub partition: PartitionSpec,
    /// The id that the server gave.
    pub id: String,
}

/// `session 2026… of p.t/ds=20261122`, for errors.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {} of {}", self.id, self.table)?;
        if self.partition.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.partition)
        }
    }
}

/// An upload session as the server described it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadSession {
    /// What names it.
    pub key: SessionKey,
    /// The status.
    pub status: SessionStatus,
    /// The table's columns, in the order in which rows must be sent, and its partition keys.
    pub columns: TableColumns,
    /// The blocks that the server has whole, by block id.
    pub blocks: BTreeMap<u32, BlockInfo>,
    /// Bytes that a text or a BINARY may have in one cell.
    pub cell_bytes_max: usize,
}

/// A download session: the rows of a table or table partition as they were when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadSession {
    /// What names it.
    pub key: SessionKey,
    /// Rows that it has.
    pub rows: u64,
    /// The table's columns, in the order in which rows come, and its partition keys, which don't come.
    pub columns: TableColumns,
}

/// What the server says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Rows in it, where the server says so.
    pub rows: Option<u64>,
}

/// A session's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    /// Open for blocks.
    Normal,
    /// Being committed.
    Closing,
    /// Being committed; another spelling of the same.
    Committing,
    /// Committed.
    Closed,
    /// Given up.
    Canceled,
    /// Older than 24 hours.
    Expired,
    /// Broken inside the service.
    Critical,
    /// A word that this client doesn't know.
    Unknown,
}

impl SessionStatus {
    /// Reads the server's word, in any case.
    pub fn from_text(text: &str) -> Self {
        match text.to_ascii_lowercase().as_str() {
            "normal" => Self::Normal,
            "closing" => Self::Closing,
            "committing" => Self::Committing,
            "closed" => Self::Closed,
            "canceled" => Self::Canceled,
            "expired" => Self::Expired,
            "critical" => Self::Critical,
            _ => Self::Unknown,
        }
    }

    /// Whether it can neither take blocks nor be committed any more: cancelled, expired or broken.
    pub fn is_lost(self) -> bool {
        matches!(self, Self::Canceled | Self::Expired | Self::Critical)
    }
}

/// Lower case, as the server spells it.
impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Normal => "normal",
            Self::Closing => "closing",
            Self::Committing => "committing",
            Self::Closed => "closed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        })
    }
}

/// A session that is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Whether the server's row counts were compared with the expected ones. A server that gives no counts, or only
    /// zeros, leaves the block ids alone to compare.
    pub rows_compared: bool,
}

/// The next step of a commit, once the session's status is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitStep {
    /// Compare the block lists and ask for the commit.
    Ask,
    /// Wait and look again.
    Wait,
    /// It is committed.
    Done,
    /// It can't be committed any more, for this reason.
    GiveUp(ErrorKind),
}

/// Decides what to do about a session that should be committed. `asked` says whether a commit was asked for whose
/// answer didn't come or didn't say.
pub fn commit_step(status: SessionStatus, asked: bool) -> CommitStep {
    match status {
        SessionStatus::Normal => CommitStep::Ask,
        SessionStatus::Closed => CommitStep::Done,
        SessionStatus::Closing | SessionStatus::Committing | SessionStatus::Unknown => {
            CommitStep::Wait
        }
        // A session that was committed may be shown as expired later on.
        SessionStatus::Expired if asked => CommitStep::GiveUp(ErrorKind::CommitUnknown),
        SessionStatus::Expired | SessionStatus::Canceled | SessionStatus::Critical => {
            CommitStep::GiveUp(ErrorKind::SessionExpired)
        }
    }
}

/// How the server's block list differs from the expected one. Empty where it doesn't.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockDifference {
    /// Expected, but not with the server.
    pub missing: Vec<u32>,
    /// With the server, but not expected: its rows would be loaded twice or without being asked for.
    pub stray: Vec<u32>,
    /// On both sides, with other row counts: block id, expected rows, the server's.
    pub differing: Vec<(u32, u64, u64)>,
    /// Whether row counts were compared at all.
    pub rows_compared: bool,
}

impl BlockDifference {
    /// Compares the server's list with the `expected` rows by block id.
    pub fn new(expected: &BTreeMap<u32, u64>, server: &BTreeMap<u32, BlockInfo>) -> Self {
        // An empty block is never sent, so a list of zeros is a server that doesn't count.
        let rows_compared = server
            .values()
            .any(|block| block.rows.unwrap_or_default() > 0)
            || expected.values().all(|rows| *rows == 0);
        let missing = expected
            .keys()
            .filter(|id| !server.contains_key(id))
            .copied();
        let stray = server
            .keys()
            .filter(|id| !expected.contains_key(id))
            .copied();
        let differing = expected.iter().filter_map(|(id, rows)| {
            let found = server.get(id)?.rows?;
            (rows_compared && found != *rows).then_some((*id, *rows, found))
        });
        Self {
            missing: missing.collect(),
            stray: stray.collect(),
            differing: differing.collect(),
            rows_compared,
        }
    }

    /// Whether the lists are the same.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.stray.is_empty() && self.differing.is_empty()
    }
}

/// `blocks 3, 4 are missing; block 9 is stray; block 1 has 5 rows instead of 6`.
impl fmt::Display for BlockDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Blocks that are named one by one; the rest is counted.
        const NAMED_MAX: usize = 10;
        let mut separator = "";
        for (ids, are, is) in [
            (&self.missing, "are missing", "is missing"),
            (&self.stray, "are stray", "is stray"),
        ] {
            let (noun, verb) = match ids.len() {
                0 => continue,
                1 => ("block", is),
                _ => ("blocks", are),
            };
            let named: Vec<_> = ids.iter().take(NAMED_MAX).map(u32::to_string).collect();
            write!(f, "{separator}{noun} {}", named.join(", "))?;
            if ids.len() > NAMED_MAX {
                write!(f, " and {} more", ids.len() - NAMED_MAX)?;
            }
            write!(f, " {verb}")?;
            separator = "; ";
        }
        for (id, expected, found) in self.differing.iter().take(NAMED_MAX) {
            write!(
                f,
                "{separator}block {id} has {found} rows instead of {expected}"
            )?;
            separator = "; ";
        }
        if self.differing.len() > NAMED_MAX {
            write!(f, "; {} more differ", self.differing.len() - NAMED_MAX)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
