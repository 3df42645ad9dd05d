//! The program under test, built once.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::cache::root;

/// The environment variable that job files of the tests take the access secret from.
pub const SECRET_VARIABLE: &str = "TEST_ACCESS_SECRET";

/// What a command of the program printed and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Standard output as one JSON document.
    ///
    /// # Panics
    ///
    /// When the command failed or printed something else.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command of the program with `arguments`, and with `secret` where the tests' job files expect it.
pub fn program(arguments: &[&str], secret: &str) -> Command {
    let mut command = Command::new(path());
    command
        .args(arguments)
        .env(SECRET_VARIABLE, secret)
        .stdin(Stdio::null());
    command
}

/// Runs a command of the program to its end.
///
/// # Panics
///
/// When it can't be started.
pub fn run(arguments: &[&str], secret: &str) -> Ended {
    program(arguments, secret)
        .output()
        .expect("the program starts")
        .into()
}

/// Starts a command of the program; its output is caught until [`Child::wait_with_output`].
///
/// # Panics
///
/// When it can't be started.
pub fn start(arguments: &[&str], secret: &str) -> Child {
    let mut command = program(arguments, secret);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
}

/// Builds the program unless it is built, so that what is timed later is the program alone.
///
/// # Panics
///
/// When it can't be built.
pub fn build() {
    path();
}

/// The program of this build, in the profile that the tests were built in.
///
/// # Panics
///
/// When it can't be built.
fn path() -> &'static PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own path");
        let folder = test
            .ancestors()
            .nth(2)
            .expect("tests are in a folder of their profile's")
            .to_owned();
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "tidegate",
                "--profile",
                profile,
            ])
            .current_dir(root())
            .status()
            .expect("cargo starts");
        assert!(built.success(), "the program can't be built");
        folder.join("tidegate")
    })
}
