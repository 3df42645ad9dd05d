//! How fast a job is on this machine: its topic, read for nothing.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine_load::bench::{Bench, BenchReport};
use engine_load::ports::{MessageSource, TargetTable};
use engine_load::{Cancel, Error, ErrorKind, FolderStaging, Progress, SystemClock};
use engine_model::job::Job;
use engine_tunnel::wire::BodyForm;

use crate::adapters::discard::discard;
use crate::load::first;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct BenchOptions {
    /// About how many messages; all of the windows where they hold no more.
    pub messages: u64,
    /// How often each step is measured; the median counts.
    pub repetitions: usize,
}

/// Measures the steps of a run of `jobs` by `edges`, and stages in a folder of its own in `state`.
pub(crate) fn bench(
    jobs: &[Job],
    (source, target): (&dyn MessageSource, &dyn TargetTable),
    (state, cores): (&Path, usize),
    options: BenchOptions,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<BenchReport, Error> {
    let folder = Folder::make(state)?;
    let connection = &first(jobs)?.destination.connection;
    let form = BodyForm {
        format: connection.block_format,
        compression: connection.compression,
    };
    let bench = Bench {
        jobs,
        source,
        target,
        staging: Arc::new(folder.staging.clone()),
        discard: &|columns, rows| discard(form, columns, rows),
        clock: &SystemClock::start(),
        cores,
        messages: options.messages,
        repetitions: options.repetitions,
    };
    let report = bench.run(progress, cancel);
    report.map_err(|error| match error.kind() {
        ErrorKind::Stopped => Error::new(
            ErrorKind::Stopped,
            "stopped as asked; a bench loads nothing and keeps nothing",
        ),
        _ => error,
    })
}

/// A folder of a bench, which goes with it. What a bench left that was killed, the next one deletes.
struct Folder {
    path: PathBuf,
    staging: FolderStaging,
    /// Holds the folder until the process ends, however it ends.
    _lock: File,
}

impl Folder {
    fn make(state: &Path) -> Result<Self, Error> {
        let path = state.join("bench");
        let failed = |error: std::io::Error| {
            let message = format!(
                "the folder {} of the bench can't be used: {error}; name another with --state",
                path.display()
            );
            Error::with_source(ErrorKind::Staging, message, error)
        };
        let staging = FolderStaging::open(path.clone()).map_err(failed)?;
        let lock = File::open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another bench uses the folder {}, and two at once would measure each other; wait until it ends",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Locked, message));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let folder = Self {
            path: path.clone(),
            staging,
            _lock: lock,
        };
        for entry in fs::read_dir(&path).map_err(failed)? {
            let left = entry.map_err(failed)?.path();
            fs::remove_file(left).map_err(failed)?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next bench deletes what is left.
        drop(fs::remove_dir_all(&self.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bench_has_its_folder_to_itself_and_takes_it_away() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("bench");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("left"), "by a bench that was killed").unwrap();
        let folder = Folder::make(state.path()).unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let second = Folder::make(state.path()).err().unwrap();
        assert_eq!(second.kind(), ErrorKind::Locked);
        fs::write(path.join("staged"), "rows").unwrap();
        drop(folder);
        assert!(!path.try_exists().unwrap());
        Folder::make(state.path()).unwrap();
    }
}
