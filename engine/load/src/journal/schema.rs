//! The journal's tables.

use rusqlite::Connection;

use crate::{Error, ErrorKind};

/// Version of the tables, kept in the file as SQLite's user version.
const VERSION: i64 = 5;

const TABLES: &str = "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL,
        job TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'done', 'given up')),
        plan TEXT NOT NULL,
        report TEXT,
        -- When the run was due, in the job's zone.
        scheduled_time TEXT,
        begun_ms INTEGER,
        -- The id of the topic that is read, where brokers give one.
        topic_id TEXT,
        -- Whether its commits take away what a target held before.
        replaces INTEGER NOT NULL,
        -- When it was done, or given up for another.
        ended_ms INTEGER,
        -- What the last attempt failed by; nothing while one is under way.
        error TEXT
    );
    CREATE INDEX runs_by_state ON runs (state);
    CREATE TABLE windows (
        run INTEGER NOT NULL REFERENCES runs (id),
        number INTEGER NOT NULL,
        target TEXT NOT NULL,
        phase TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        partition TEXT NOT NULL,
        session TEXT,
        outcome TEXT,
        -- What was read for it, as JSON; nothing until it is done.
        reads TEXT,
        PRIMARY KEY (run, number)
    );
    CREATE INDEX windows_by_target ON windows (target, phase);
    CREATE TABLE slices (
        run INTEGER NOT NULL REFERENCES runs (id),
        number INTEGER NOT NULL,
        report TEXT NOT NULL,
        PRIMARY KEY (run, number)
    );
    CREATE TABLE loads (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        run INTEGER NOT NULL REFERENCES runs (id),
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        -- The offsets that the window is bounded by, as JSON; nothing where it is bounded by time alone.
        offsets TEXT,
        -- Whether what the target held before was taken away.
        replaced INTEGER NOT NULL,
        -- What was loaded; the checksum is nothing where it is not known.
        rows INTEGER,
        checksum TEXT
    );
    CREATE INDEX loads_by_target ON loads (target);
";

/// What to do about a journal whose file is damaged.
pub(super) const DAMAGED: &str = "; it is damaged: move it and the files beside it that begin with its name to another place, \
    and run the same command again, which begins anew; where the job appends, look first whether the table has the window's \
    rows already, for only the journal knew";

/// How long a statement waits for another process that holds the journal, in ms.
const BUSY_MS: u64 = 10_000;

/// Sets the connection up, and makes the tables where they are missing.
pub(super) fn prepare(connection: &mut Connection) -> Result<(), Error> {
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    match version {
        // Who only reads writes nothing.
        VERSION => return Ok(()),
        0 => transaction.execute_batch(TABLES)?,
        other => {
            let message = format!(
                "it has version {other}, and this program knows version {VERSION}: use the program that made it, or \
                 another state folder"
            );
            return Err(Error::new(ErrorKind::Journal, message));
        }
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(())
}

/// Looks at every page, for SQLite would notice a damaged one only when it comes by: a run must not.
pub(super) fn check(connection: &Connection) -> Result<(), Error> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    let message = format!("{}{DAMAGED}", found.lines().last().unwrap_or_default());
    Err(Error::new(ErrorKind::Journal, message))
}
