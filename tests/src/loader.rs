//! What one test loads with: the program, a server to load into, and a folder for job and state.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::job::{JobFile, table_ddl, write_mapping};
use crate::program::{self, Ended};
use crate::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server, TestServer};
use crate::truth::{
    Reader, TableRequest, TableTruth, TopicRequest, TopicTruth, table_truth, topic_truth,
};

/// Longest wait for slices of a run that goes on.
const STAGED_WITHIN: Duration = Duration::from_mins(2);

/// A server and a state folder of their own.
#[derive(Debug)]
pub struct Loader<S = Server> {
    /// The server that is loaded into.
    pub server: S,
    /// Where the job file lies; the state folder is in it.
    pub folder: TempDir,
}

impl Loader {
    /// As [`on`](Self::on), with a server that is started.
    ///
    /// # Panics
    ///
    /// When any of it fails.
    pub fn with_table() -> Self {
        Self::on(Server::start())
    }
}

impl<S: TestServer> Loader<S> {
    /// Gives a server an empty table `orders` for [`mapped_columns`](crate::job::mapped_columns) that has the partition
    /// key `ds`, and builds the program if need be.
    ///
    /// # Panics
    ///
    /// When any of it fails.
    pub fn on(server: S) -> Self {
        program::build();
        server.sql(&table_ddl("orders", &["ds"]));
        Self {
            server,
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// The folder of journal and staged files.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Runs the job to its end; its report is on standard output.
    ///
    /// # Panics
    ///
    /// When the program can't be started.
    pub fn run(&self, job: &JobFile) -> Ended {
        self.command(job)
            .output()
            .expect("the program starts")
            .into()
    }

    /// The command that runs the job.
    pub fn command(&self, job: &JobFile) -> Command {
        self.command_with_state(job, &self.state())
    }

    /// The same with another state folder.
    pub fn command_with_state(&self, job: &JobFile, state: &Path) -> Command {
        let arguments = self.arguments(job, state);
        program::program(&arguments.each_ref().map(String::as_str), ACCESS_SECRET)
    }

    /// Starts to run the job.
    ///
    /// # Panics
    ///
    /// When the program can't be started.
    pub fn start(&self, job: &JobFile) -> Child {
        program::start(
            &self
                .arguments(job, &self.state())
                .each_ref()
                .map(String::as_str),
            ACCESS_SECRET,
        )
    }

    /// Waits until a run has staged `count` slices. With a single lane all but the last of them are then in its journal.
    ///
    /// # Panics
    ///
    /// When the run ends before, or nothing is staged for minutes.
    #[track_caller]
    pub fn wait_for_slices(&self, run: &mut Child, count: usize) {
        let deadline = now() + STAGED_WITHIN;
        loop {
            let staged = self.staged_slices();
            if staged >= count {
                return;
            }
            let ended = run.try_wait().expect("the state of a child");
            assert_eq!(ended, None, "the run ended with {staged} slices staged");
            assert!(
                now() < deadline,
                "only {staged} slices were staged in {STAGED_WITHIN:?}"
            );
            std::thread::yield_now();
        }
    }

    /// How many slices of a run that goes on are staged.
    pub fn staged_slices(&self) -> usize {
        fs::read_dir(self.state().join("staging")).map_or(0, |files| {
            let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
            names.filter(|name| name.ends_with("-rows.parquet")).count()
        })
    }

    /// What the job's window of its topic must become. `bootstrap` is a listener without log-in.
    ///
    /// # Panics
    ///
    /// When the judge fails.
    pub fn topic_truth(&self, job: &JobFile, bootstrap: &str) -> TopicTruth {
        topic_truth(&TopicRequest {
            bootstrap,
            topic: &job.topic,
            mapping: &write_mapping(self.folder.path()),
            window: job.window.clone(),
            zone: "Asia/Shanghai",
            keep_tombstones: true,
        })
    }

    /// What the table `orders`, or a table partition of it, holds.
    ///
    /// # Panics
    ///
    /// When the judge fails.
    pub fn table_truth(&self, partition: Option<&str>) -> TableTruth {
        table_truth(&TableRequest {
            endpoint: self.server.endpoint(),
            project: PROJECT,
            access_id: ACCESS_ID,
            access_secret: ACCESS_SECRET,
            table: "orders",
            partition,
            columns: &[],
            reader: Reader::PythonArrow,
        })
    }

    fn arguments(&self, job: &JobFile, state: &Path) -> [String; 8] {
        let job = job.write(self.folder.path());
        [
            "run",
            &job.display().to_string(),
            "--at",
            "2026-11-23T00:15",
            "--state",
            &state.display().to_string(),
            "--allow-open-window",
            "--json",
        ]
        .map(str::to_owned)
    }
}

#[expect(clippy::disallowed_methods, reason = "a test must not wait for ever")]
fn now() -> Instant {
    Instant::now()
}
