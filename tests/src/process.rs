//! Servers in processes of their own that never outlive the test.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

/// Becomes the server, and leaves a watcher behind that ends it and removes its folder as soon as the pipe closes
/// whose other end the test holds: drops don't run when a test is killed, nor for statics.
const GUARD: &str = r#"
exec 3<&0 </dev/null
(cat <&3; kill -9 $$; rm -rf -- "$1") &
exec 3<&-
shift
exec "$@"
"#;

/// A running server with a folder of its own. Dropping it kills the server's whole process group and removes the folder.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    command: Vec<String>,
    folder: TempDir,
}

impl ServerProcess {
    /// Starts `command` with its output going to the file `server.log` in `folder`.
    ///
    /// # Panics
    ///
    /// When the process can't be started.
    pub fn start(command: &[String], folder: TempDir) -> Self {
        Self {
            child: spawn(command, folder.path()),
            command: command.to_vec(),
            folder,
        }
    }

    /// Kills the server as `kill -9` would, and starts it again on what it left in its folder.
    ///
    /// # Panics
    ///
    /// When the process can't be started.
    pub fn restart(&mut self) {
        self.kill();
        self.child = spawn(&self.command, self.folder.path());
    }

    /// The server's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that the server writes its output to.
    pub fn log(&self) -> PathBuf {
        log_in(self.folder.path())
    }

    /// The end of the log, for the message of a failing test.
    pub fn log_tail(&self) -> String {
        const LINES: usize = 40;
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let skipped = log.lines().count().saturating_sub(LINES);
        log.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// The id of the process and of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How the server ended, `None` while it runs.
    pub fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills the server as `kill -9` would, and waits until it is gone. Its folder stays until the drop.
    pub fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // An error means that nothing of the group is left, which is what is wanted.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        drop(self.child.wait());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(command: &[String], folder: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_in(folder))
        .expect("a log file in the server's folder");
    let errors = log.try_clone().expect("a second handle of the log file");
    Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .arg(folder)
        .args(command)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .unwrap_or_else(|error| panic!("can't start {command:?}: {error}"))
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("server.log")
}

#[cfg(test)]
mod tests {
    use rustix::process::test_kill_process_group;

    use super::*;

    fn sleeper() -> ServerProcess {
        let command = ["sh", "-c", "echo up; sleep 1000 & sleep 1000"].map(String::from);
        ServerProcess::start(&command, TempDir::new().unwrap())
    }

    #[test]
    fn drop_ends_the_whole_group_and_removes_the_folder() {
        let server = sleeper();
        let folder = server.folder().to_path_buf();
        let group = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
        test_kill_process_group(group).unwrap();
        drop(server);
        // Killed processes stay visible until init has reaped them.
        while test_kill_process_group(group).is_ok() {
            std::thread::yield_now();
        }
        assert!(!folder.try_exists().unwrap());
    }

    #[test]
    fn server_ends_with_the_test_process_even_without_a_drop() {
        let mut server = sleeper();
        let folder = server.folder().to_path_buf();
        // What the operating system does when the test process ends.
        drop(server.child.stdin.take());
        let status = server.child.wait().unwrap();
        assert!(!status.success(), "{status}");
        while folder.try_exists().unwrap() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn log_is_kept_while_the_server_is() {
        let mut server = ServerProcess::start(
            &["sh", "-c", "echo first; echo second >&2"].map(String::from),
            TempDir::new().unwrap(),
        );
        wait_for_end(&mut server);
        assert_eq!(server.log_tail(), "first\nsecond");
        server.restart();
        wait_for_end(&mut server);
        assert_eq!(server.log_tail(), "first\nsecond\nfirst\nsecond");
    }

    fn wait_for_end(server: &mut ServerProcess) {
        // Not `wait`: that closes the pipe first, and with it ends the server.
        let status = loop {
            match server.exit_status().unwrap() {
                Some(status) => break status,
                None => std::thread::yield_now(),
            }
        };
        assert!(status.success(), "{status}");
    }
}
