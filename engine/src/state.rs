//! The folder in which runs keep what outlives them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine_load::ports::Staging;
use engine_load::{Error, ErrorKind, FolderStaging, Journal};

/// The file of the journal.
const JOURNAL: &str = "journal.sqlite";

/// Journal, staged files and locks of all runs. On a local file system: locks and the journal rely on it.
#[derive(Debug)]
pub struct StateFolder {
    folder: PathBuf,
    journal: Journal,
}

impl StateFolder {
    /// Opens the folder, which is made, readable for its owner alone, where it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Staging`] or [`ErrorKind::Journal`], naming what can't be used.
    pub fn open(folder: PathBuf) -> Result<Self, Error> {
        FolderStaging::open(folder.clone()).map_err(|error| {
            let message = format!(
                "the state folder {} can't be made: {error}; name another with --state",
                folder.display()
            );
            Error::with_source(ErrorKind::Staging, message, error)
        })?;
        let journal = Journal::open(&folder.join(JOURNAL))?;
        Ok(Self { folder, journal })
    }

    /// Opens the folder where runs have kept something in it; touches nothing elsewhere.
    ///
    /// # Errors
    ///
    /// As [`StateFolder::open`].
    pub fn existing(folder: &Path) -> Result<Option<Self>, Error> {
        let journal = folder.join(JOURNAL);
        let there = journal.try_exists().map_err(|error| {
            let message = format!(
                "the state folder {} can't be read: {error}",
                folder.display()
            );
            Error::with_source(ErrorKind::Staging, message, error)
        })?;
        there.then(|| Self::open(folder.to_owned())).transpose()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// Where the Parquet files of rows and rejected messages are.
    pub fn staging_path(&self) -> PathBuf {
        self.folder.join("staging")
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn locks(&self) -> PathBuf {
        self.folder.join("locks")
    }

    pub(crate) fn staging(&self) -> Result<Arc<dyn Staging>, Error> {
        let folder = self.staging_path();
        let staging = FolderStaging::open(folder.clone()).map_err(|error| {
            let message = format!(
                "the staging folder {} can't be made: {error}",
                folder.display()
            );
            Error::with_source(ErrorKind::Staging, message, error)
        })?;
        Ok(Arc::new(staging))
    }
}
