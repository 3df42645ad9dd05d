//! The pipeline against a simulated topic and table: what is loaded, and what every fault leaves behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that can't be set up fails"
)]

mod simulation;

mod audit;
mod bench;
mod borders;
mod changes;
mod crash;
mod damage;
mod history;
mod limits;
mod model;
mod other_runs;
mod random;
mod refusals;
mod replay;
mod sessions;
mod verify;
mod window;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use engine_load::audit::{Audit, AuditReport};
use engine_load::plan::WindowOrder;
use engine_load::ports::{Staging, TargetTable};
use engine_load::{
    Cancel, Error, FolderStaging, Journal, OnBorder, Ports, Progress, RunOptions, run,
};
use engine_model::job::{Job, JobSpec, Lateness, Setting, Verify};
use engine_model::params::ScheduledTime;
use engine_model::{PartitionSpec, RunReport};
use jiff::Timestamp;
use tempfile::TempDir;

use simulation::{SleepingClock, SmallDisk, Source, SteppingClock, Table, Topic};

/// The window of [`job`]: 22 November 2026 in UTC.
pub(crate) const DAY_START_MS: i64 = 1_795_305_600_000;
pub(crate) const DAY_END_MS: i64 = DAY_START_MS + 86_400_000;

/// A world with one topic and one table, and a state folder that survives runs.
pub(crate) struct World {
    pub(crate) topic: Arc<Topic>,
    pub(crate) table: Table,
    pub(crate) folder: TempDir,
    pub(crate) disk_bytes: Option<u64>,
    pub(crate) now: Timestamp,
    /// Whether time passes also while nobody sleeps.
    pub(crate) time_passes: bool,
    pub(crate) options: RunOptions,
}

impl World {
    pub(crate) fn new(topic: Topic, table: Table) -> Self {
        Self {
            topic: Arc::new(topic),
            table,
            folder: tempfile::tempdir().unwrap(),
            disk_bytes: None,
            now: Timestamp::from_millisecond(DAY_END_MS + 60_000).unwrap(),
            time_passes: false,
            options: RunOptions {
                allow_open_window: false,
                replace_other_window: false,
                replan: false,
                order: WindowOrder::OldestFirst,
                assume: None,
                verify: Verify::None,
                cores: 2,
                holder: "a test".into(),
            },
        }
    }

    pub(crate) fn staging_folder(&self) -> PathBuf {
        self.folder.path().join("staging")
    }

    pub(crate) fn journal(&self) -> Journal {
        Journal::open(&self.folder.path().join("journal.sqlite")).unwrap()
    }

    pub(crate) fn run(&self, job: &Job) -> Result<RunReport, Error> {
        self.run_with(job, &self.table, &Cancel::default())
    }

    /// Audits the windows of several jobs.
    pub(crate) fn audit(&self, jobs: &[Job], lateness: Lateness) -> Result<AuditReport, Error> {
        let audit = Audit {
            source: &Source(Arc::clone(&self.topic)),
            target: &self.table,
            journal: &self.journal(),
            clock: &SleepingClock {
                now: self.now,
                slept_ms: AtomicU64::new(0),
            },
            lateness,
            lanes: 2,
        };
        audit.run(jobs, &Progress::default(), &Cancel::default())
    }

    /// Loads the windows of several jobs in one pass.
    pub(crate) fn run_all(&self, jobs: &[Job]) -> Result<RunReport, Error> {
        self.run_jobs(jobs, &self.table, &Cancel::default(), &|_| Ok(()))
    }

    /// The same, and calls `on_border` at each border.
    pub(crate) fn run_all_watched(
        &self,
        jobs: &[Job],
        on_border: OnBorder<'_>,
    ) -> Result<RunReport, Error> {
        self.run_jobs(jobs, &self.table, &Cancel::default(), on_border)
    }

    pub(crate) fn run_with(
        &self,
        job: &Job,
        target: &dyn TargetTable,
        cancel: &Cancel,
    ) -> Result<RunReport, Error> {
        self.run_watched(job, target, cancel, &|_| Ok(()))
    }

    /// Runs and calls `on_border` at each border.
    pub(crate) fn run_watched(
        &self,
        job: &Job,
        target: &dyn TargetTable,
        cancel: &Cancel,
        on_border: OnBorder<'_>,
    ) -> Result<RunReport, Error> {
        self.run_jobs(std::slice::from_ref(job), target, cancel, on_border)
    }

    fn run_jobs(
        &self,
        jobs: &[Job],
        target: &dyn TargetTable,
        cancel: &Cancel,
        on_border: OnBorder<'_>,
    ) -> Result<RunReport, Error> {
        let folder = FolderStaging::open(self.staging_folder()).unwrap();
        let staging: Arc<dyn Staging> = match self.disk_bytes {
            Some(bytes) => Arc::new(SmallDisk::new(folder, bytes)),
            None => Arc::new(folder),
        };
        let journal = Journal::open(&self.folder.path().join("journal.sqlite"))?;
        let source = Source(Arc::clone(&self.topic));
        let sleeping = SleepingClock {
            now: self.now,
            slept_ms: AtomicU64::new(0),
        };
        let stepping = SteppingClock {
            now: self.now,
            steps: AtomicU64::new(0),
        };
        let ports = Ports {
            source: &source,
            target,
            staging,
            journal: &journal,
            clock: if self.time_passes {
                &stepping
            } else {
                &sleeping
            },
            locks: &self.folder.path().join("locks"),
            on_border,
        };
        run(jobs, &ports, &self.options, &Progress::default(), cancel)
    }
}

/// A daily job into `ds=20261122` with `more` lines at the top level of its file.
pub(crate) fn job(more: &str) -> Job {
    job_of("partition: { ds: \"20261122\" }", more)
}

/// The same with another line or none for the partition.
pub(crate) fn job_of(partition: &str, more: &str) -> Job {
    let text = format!(
        "job: orders_daily
time_zone: UTC
source: {{ kafka: {{ brokers: [\"localhost:9092\"], topic: orders }} }}
window: {{ start: \"20261122\", end: \"20261123\" }}
destination:
  maxcompute:
    endpoint: http://localhost/api
    project: p
    table: orders
    {partition}
columns: {{ id: id, city: city, at: __timestamp__ }}
{more}
"
    );
    let spec = JobSpec::parse("orders.yaml", &text).unwrap();
    let utc = jiff::tz::TimeZone::UTC;
    let scheduled_time = ScheduledTime::parse("2026-11-23T00:15", &utc).unwrap();
    let setting = Setting {
        scheduled_time: &scheduled_time,
        environment: None,
        sources: None,
        overrides: &[],
        env: &|_| None,
        default_time_zone: &utc,
    };
    spec.check(&setting).unwrap().job
}

pub(crate) fn day() -> PartitionSpec {
    PartitionSpec(vec![("ds".into(), "20261122".into())])
}
