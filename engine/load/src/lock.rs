//! One process per target: a lock that dies with its holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::stage::create_private_folder;
use crate::{Error, ErrorKind};

/// Holds a target until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct TargetLock {
    _file: File,
}

impl TargetLock {
    /// Takes the lock of `target` among the lock files of `folder`; `holder` says who we are to whoever comes second.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Locked`] where another process holds it, named.
    pub(crate) fn take(folder: &Path, target: &str, holder: &str) -> Result<Self, Error> {
        let path = folder.join(file_name(target));
        let failed = |error: std::io::Error| {
            let advice = match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::MFILE) => {
                    "; each window of a run takes one: load fewer in a run, or raise `ulimit -n`"
                }
                _ => "",
            };
            let message = format!(
                "the lock file {} can't be used: {error}{advice}",
                path.display()
            );
            Error::with_source(ErrorKind::Journal, message, error)
        };
        create_private_folder(folder).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut other = String::new();
                // What it says is a courtesy; that it is locked is what counts.
                drop(file.read_to_string(&mut other));
                let message = format!(
                    "{target} is being loaded by {}; wait until it ends",
                    other.trim()
                );
                return Err(Error::new(ErrorKind::Locked, message));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        file.write_all(holder.as_bytes()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Lets this process open as many files as it may: each target has a lock file, and a run may have thousands of targets.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where that is refused, the files that can't be opened are an error of their own.
    let _refused = setrlimit(Resource::Nofile, most);
}

/// A file name for any target: what is readable of it, and a checksum that keeps different ones apart.
fn file_name(target: &str) -> String {
    let readable: String = target
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(80)
        .collect();
    format!("{readable}-{:08x}.lock", crc32c::crc32c(target.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let first = TargetLock::take(folder.path(), "p.orders/ds=1", "process 7 of job a").unwrap();
        let error = TargetLock::take(folder.path(), "p.orders/ds=1", "process 8").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        assert_eq!(
            error.to_string(),
            "p.orders/ds=1 is being loaded by process 7 of job a; wait until it ends"
        );
        TargetLock::take(folder.path(), "p.orders/ds=2", "process 8").unwrap();
        drop(first);
        TargetLock::take(folder.path(), "p.orders/ds=1", "process 8").unwrap();
    }
}
