//! Staging in a folder of the local file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ports::{Staging, StagingFile};

/// Suffix of a file that is still being written. Left behind by a crash, it is deleted when the run goes on.
const PARTIAL_SUFFIX: &str = ".partial";

/// A flat folder of staged files.
#[derive(Clone, Debug)]
pub struct FolderStaging {
    folder: PathBuf,
}

impl FolderStaging {
    /// Uses `folder`, which is made, readable for its owner alone, where it is missing.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        create_private_folder(&folder)?;
        Ok(Self { folder })
    }
}

/// Bytes that can be written where `folder` is, or would be made; nothing where the system doesn't say.
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let nearest = folder
        .ancestors()
        .find(|ancestor| ancestor.try_exists().is_ok_and(|there| there));
    let stat = rustix::fs::statvfs(nearest.unwrap_or(Path::new("."))).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Makes a folder and its parents, the new ones with mode 0700: staged rows are the user's data.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

impl Staging for FolderStaging {
    fn create(&self, name: &str) -> io::Result<Box<dyn StagingFile>> {
        let partial = self.folder.join(format!("{name}{PARTIAL_SUFFIX}"));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&partial)?;
        let published = self.folder.join(name);
        Ok(Box::new(PartialFile {
            file,
            partial,
            published,
            done: false,
        }))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.folder.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let names = fs::read_dir(&self.folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        free_bytes(&self.folder).ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
    }

    fn location(&self) -> String {
        self.folder.display().to_string()
    }
}

/// A file under its temporary name.
#[derive(Debug)]
struct PartialFile {
    file: File,
    partial: PathBuf,
    published: PathBuf,
    done: bool,
}

impl Write for PartialFile {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the implementation that `write_all` calls"
    )]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StagingFile for PartialFile {
    fn publish(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.published)?;
        self.done = true;
        // The rename is durable once the folder is: without this a power loss could forget the name.
        let folder = self.published.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.done {
            // Nothing to do about a failure here: the file is deleted when the run goes on.
            drop(fs::remove_file(&self.partial));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn content(staging: &FolderStaging, name: &str) -> String {
        let mut text = String::new();
        staging
            .open(name)
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn a_file_is_seen_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let staging = FolderStaging::open(folder.path().join("a/b")).unwrap();

        let mut file = staging.create("one").unwrap();
        file.write_all(b"first").unwrap();
        assert!(staging.open("one").is_err());
        file.publish().unwrap();
        assert_eq!(content(&staging, "one"), "first");

        let mut file = staging.create("one").unwrap();
        file.write_all(b"second").unwrap();
        drop(file);
        assert_eq!(content(&staging, "one"), "first");
        assert_eq!(
            staging.list().unwrap(),
            ["one"],
            "a file that was given up leaves nothing behind"
        );

        staging.remove("one").unwrap();
        staging.remove("one").unwrap();
        assert!(staging.list().unwrap().is_empty());
        assert!(staging.free_bytes().unwrap() > 0);
    }
}
