//! Small JSON files that are replaced as a whole, and the lock on the data folder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Error, ErrorKind};

/// Name of the file whose lock says that a broker uses the folder.
const LOCK_FILE: &str = "lock";

/// Reads `path`; `None` when it isn't there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Replaces `path`: after a crash it holds the old or the new value, never a mixture.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(value)?;
    let draft = path.with_extension("draft");
    let mut file = File::create(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

/// The file's error as one of the broker: unreadable contents are [`ErrorKind::Stored`].
pub(super) fn explain(what: &str, path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::InvalidData {
        Error::new(
            ErrorKind::Stored,
            format!(
                "{} is not what this broker writes; move it away or name another data folder",
                path.display()
            ),
        )
        .with_source(error)
    } else {
        Error::io(what, path, error)
    }
}

/// Creates the data folder and takes its lock, which lasts as long as the returned file is open.
pub(super) fn lock_folder(folder: &Path) -> Result<File, Error> {
    fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(|error| Error::io("create", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            ErrorKind::InUse,
            format!(
                "another broker uses {}; stop it or name another data folder",
                folder.display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, error)),
    }
}
