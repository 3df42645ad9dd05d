//! File systems that are full, or can't be written.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A file system of a given size, where this machine lets us mount one.
#[derive(Debug)]
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts one of `size`, such as `2m`; nothing where that isn't allowed.
    ///
    /// # Panics
    ///
    /// When there is no folder for it.
    pub fn mount(size: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder.path())
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(folder))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Lets the disk be read only, or be written again.
    ///
    /// # Panics
    ///
    /// When it can't be mounted so.
    pub fn read_only(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let mounted = Command::new("mount")
            .args(["-o", options])
            .arg(self.path())
            .status();
        let mounted = mounted.expect("mount starts");
        assert!(mounted.success(), "mount -o {options}: {mounted}");
    }

    /// Fills the disk until no more than about `left` bytes can be written.
    ///
    /// # Panics
    ///
    /// When there is less already, or the disk can't be written.
    pub fn leave(&self, left: u64) {
        self.free();
        let free = free_bytes(self.path());
        let taken = free.checked_sub(left).expect("a disk with so much space");
        let mut file = File::create(self.filler()).expect("a file on the disk");
        let zeros = vec![0; usize::try_from(taken).expect("a small disk")];
        file.write_all(&zeros).expect("space on the disk");
    }

    /// Takes away what [`leave`](Self::leave) has filled the disk with.
    pub fn free(&self) {
        // It may not be full.
        fs::remove_file(self.filler()).ok();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }
}

/// Bytes that can be written.
fn free_bytes(folder: &Path) -> u64 {
    let stat = rustix::fs::statvfs(folder).expect("a file system");
    stat.f_bavail * stat.f_frsize
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(
            Command::new("umount")
                .arg("--lazy")
                .arg(self.path())
                .status(),
        );
    }
}
