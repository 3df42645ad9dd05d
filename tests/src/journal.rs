//! What a run that was killed has left in its journal.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

/// How far a run had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It is not in the journal.
    Planning,
    /// No upload session is open.
    Reading,
    /// An upload session is open.
    Uploading,
    /// The commit was sent, or was about to be.
    Committing,
    /// The commit is known to have happened.
    Committed,
    /// The run has ended.
    Ended,
}

/// Looks the last run into a table partition up, in a copy of the journal: what a crash left is for the next run.
///
/// # Panics
///
/// When the journal can't be read.
pub fn phase(state: &Path, partition: &str) -> Phase {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        // A run that was killed early has none.
        fs::copy(state.join(name), copy.path().join(name)).ok();
    }
    let journal = Connection::open(copy.path().join("journal.sqlite")).expect("the journal");
    let run = journal.query_row(
        "SELECT state, phase, session FROM runs JOIN windows ON run = id WHERE target LIKE '%/ds=' || ?1 \
         ORDER BY id DESC LIMIT 1",
        [partition],
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        },
    );
    let Some((state, phase, session)) = run.optional().expect("the journal's tables") else {
        return Phase::Planning;
    };
    match (state.as_str(), phase.as_str()) {
        ("done", _) => Phase::Ended,
        (_, "done") => Phase::Committed,
        (_, "committing") => Phase::Committing,
        _ if session.is_some() => Phase::Uploading,
        _ => Phase::Reading,
    }
}
