//! What the server knows, in one SQLite database: tables, partitions and their files, sessions, instances.
//!
//! Rows become visible through it alone: a commit is one transaction that switches which files a table partition
//! consists of. The files themselves are synced before their names get here.

mod instances;
mod sessions;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::{Error, ServiceError};
use super::storage::FileStore;

pub(crate) use instances::{Instance, InstanceStatus, ResultSet};
pub(crate) use sessions::{Block, Download, DownloadFile, Upload, UploadStatus};
pub(crate) use tables::{Snapshot, SnapshotFile};

/// Version of the database's layout.
const VERSION: i64 = 1;
/// How long a second process waits for the first before it gives up.
const BUSY: Duration = Duration::from_secs(10);

const LAYOUT: &str = "
CREATE TABLE tables (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folded TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ddl_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    table_id INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    spec TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    ddl_ms INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL,
    UNIQUE (table_id, spec)
) STRICT;
CREATE TABLE files (
    name TEXT PRIMARY KEY,
    partition_id INTEGER NOT NULL REFERENCES partitions ON DELETE CASCADE,
    position INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;
CREATE INDEX files_of_partition ON files (partition_id, position);
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    table_id INTEGER NOT NULL REFERENCES tables ON DELETE CASCADE,
    spec TEXT NOT NULL,
    overwrite INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE blocks (
    upload_id TEXT NOT NULL REFERENCES uploads ON DELETE CASCADE,
    block INTEGER NOT NULL,
    version INTEGER NOT NULL,
    file TEXT,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (upload_id, block)
) STRICT;
CREATE TABLE downloads (
    id TEXT PRIMARY KEY,
    resource TEXT NOT NULL,
    spec TEXT NOT NULL,
    columns TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE download_files (
    download_id TEXT NOT NULL REFERENCES downloads ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    PRIMARY KEY (download_id, position)
) STRICT;
CREATE TABLE instances (
    id TEXT PRIMARY KEY,
    task TEXT NOT NULL,
    job TEXT NOT NULL,
    status TEXT NOT NULL,
    text TEXT NOT NULL,
    columns TEXT,
    file TEXT,
    rows INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER
) STRICT;
CREATE TABLE retired (name TEXT PRIMARY KEY) STRICT;
";

/// The database and the files that it names.
#[derive(Debug)]
pub(crate) struct Catalog {
    state: Mutex<State>,
    files: FileStore,
    /// Held while the catalog is open: a second server would take files in progress for orphans.
    _lock: File,
}

#[derive(Debug)]
struct State {
    connection: Connection,
    /// Files that queries have open, and how many have: these outlive their table partition.
    pins: HashMap<String, usize>,
}

impl Catalog {
    /// Opens the database in `folder` and removes files that it doesn't name.
    pub(crate) fn open(folder: &Path) -> Result<Arc<Self>, Error> {
        let files_folder = folder.join("files");
        let on_files = |source| Error::Io {
            path: files_folder.clone(),
            source,
        };
        let files = FileStore::open(files_folder.clone()).map_err(on_files)?;
        let lock = lock(&folder.join("lock"))?;
        let connection = Connection::open(folder.join("catalog.sqlite"))?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A committed upload session must survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => {
                if let Some(file) = files.any().map_err(on_files)? {
                    return Err(Error::CatalogLost { file });
                }
                connection.execute_batch(&format!(
                    "BEGIN; {LAYOUT} PRAGMA user_version={VERSION}; COMMIT;"
                ))?;
            }
            VERSION => {}
            found => {
                return Err(Error::Version {
                    found,
                    known: VERSION,
                });
            }
        }
        connection.execute("DELETE FROM retired", [])?;
        let known = known_files(&connection)?;
        files.remove_orphans(&known).map_err(on_files)?;
        let state = Mutex::new(State {
            connection,
            pins: HashMap::new(),
        });
        Ok(Arc::new(Self {
            state,
            files,
            _lock: lock,
        }))
    }

    /// The files that the catalog names.
    pub(crate) fn files(&self) -> &FileStore {
        &self.files
    }

    /// Runs `work` in one transaction, which is rolled back when it fails.
    fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut state = self.lock();
        transaction(&mut state.connection, work)
    }

    /// A transaction after which files may be needed no longer: [`Self::collect`] follows.
    fn change<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let done = self.transaction(work)?;
        self.collect();
        Ok(done)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic leaves no half-done work behind: the transaction was rolled back.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the files that nothing needs any longer: no table partition, no session, no running query. What can't be
    /// removed now stays retired, and goes with the next change or start: the change that retired it is made.
    pub(crate) fn collect(&self) {
        drop(self.try_collect());
    }

    fn try_collect(&self) -> Result<(), ServiceError> {
        let mut state = self.lock();
        let State { connection, pins } = &mut *state;
        let retired: Vec<String> = connection
            .prepare("SELECT name FROM retired")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if retired.is_empty() {
            return Ok(());
        }
        let known = known_files(connection)?;
        for name in retired.iter().filter(|name| !pins.contains_key(*name)) {
            if !known.contains(name) {
                self.files.remove(name)?;
            }
            connection.execute("DELETE FROM retired WHERE name = ?1", [name])?;
        }
        Ok(())
    }
}

/// Takes the folder's lock, which ends with the process, however that ends.
fn lock(path: &Path) -> Result<File, Error> {
    let on_lock = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::create(path).map_err(on_lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(on_lock(source)),
    }
}

fn transaction<T>(
    connection: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = work(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// Names of all files that anything refers to.
fn known_files(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    connection
        .prepare(
            "SELECT name FROM files UNION SELECT file FROM blocks WHERE file IS NOT NULL
             UNION SELECT name FROM download_files
             UNION SELECT file FROM instances WHERE file IS NOT NULL",
        )?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Marks files for removal by the next [`Catalog::collect`]. `select` yields their names for `id`.
fn retire(
    transaction: &Transaction<'_>,
    select: &str,
    id: impl rusqlite::ToSql,
) -> rusqlite::Result<usize> {
    transaction.execute(&format!("INSERT OR IGNORE INTO retired {select}"), [id])
}
