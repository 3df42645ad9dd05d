//! One run from its lock to its report.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use engine_model::RunReport;
use engine_model::job::{self, Job};

use crate::attempt::{Attempt, Loaded};
use crate::bandwidth::ReadLimit;
use crate::begin::{Begin, Begun};
use crate::border::{Border, OnBorder};
use crate::cancel::Cancel;
use crate::clean_up::clean_up;
use crate::commit::target_key;
use crate::journal::Journal;
use crate::lock::{TargetLock, raise_open_files};
use crate::pace::Pace;
use crate::plan::WindowOrder;
use crate::ports::{Clock, MessageSource, Staging, TargetTable};
use crate::position::set_position;
use crate::prepare::{Prepared, check_window_is_over};
use crate::progress::{Progress, seconds};
use crate::settle::Assume;
use crate::{Error, ErrorKind};

/// The world as a run sees it.
pub struct Ports<'a> {
    /// The topic.
    pub source: &'a dyn MessageSource,
    /// The table.
    pub target: &'a dyn TargetTable,
    /// Where staged files are kept.
    pub staging: Arc<dyn Staging>,
    /// What runs have done.
    pub journal: &'a Journal,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The folder of the targets' lock files.
    pub locks: &'a Path,
    /// What tests do at the run's borders.
    pub on_border: OnBorder<'a>,
}

impl fmt::Debug for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports")
            .field("target", &self.target.name())
            .finish_non_exhaustive()
    }
}

/// How to run, beyond what the job says.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Load what is there of a window whose end is still to come.
    pub allow_open_window: bool,
    /// Replace a target although it holds other windows of ours.
    pub replace_other_window: bool,
    /// Begin anew where a run that did not end would be gone on with. A commit of it that was sent is settled first.
    pub replan: bool,
    /// Which of several windows are to be complete first.
    pub order: WindowOrder,
    /// What to take for true about a commit that nobody can tell about any more.
    pub assume: Option<Assume>,
    /// What to compare with the table after the commit, besides what the job asks for.
    pub verify: job::Verify,
    /// Cores that the run may use, at least 1.
    pub cores: usize,
    /// Who we are, for whoever finds the target locked: a process id and a job's name.
    pub holder: String,
}

/// Loads the windows of `jobs`, which differ in nothing else than windows, table partitions and constants: plans them, or
/// goes on with the plan of an attempt that did not end, reads the topic once for all of them, and commits each of them
/// once, as soon as it is complete.
///
/// # Errors
///
/// Nothing of a single window was committed where it fails, except with [`ErrorKind::CommitUnknown`], with
/// [`ErrorKind::CountDiffers`], and where the text says so. Of several windows, those that were complete are committed. What
/// was staged is kept: the same call goes on from there.
pub fn run(
    jobs: &[Job],
    ports: &Ports<'_>,
    options: &RunOptions,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<RunReport, Error> {
    let loaded = begin_and_load(jobs, ports, options, progress, cancel);
    loaded.map_err(|error| ports.journal.named(error))
}

fn no_window() -> Error {
    let message = "there is no window to load; check the range of time";
    Error::new(ErrorKind::Job, message)
}

fn begin_and_load(
    jobs: &[Job],
    ports: &Ports<'_>,
    options: &RunOptions,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<RunReport, Error> {
    let job = jobs.first().ok_or_else(no_window)?;
    let attempt = Attempt {
        job,
        ports,
        options,
        progress,
        cancel,
        pace: Pace::new(ports.clock, progress, cancel),
        read_limit: ReadLimit::new(job.limits.bandwidth.read, ports.clock, cancel),
    };
    let started = ports.clock.elapsed();
    for job in jobs {
        check_window_is_over(job, ports.clock, options.allow_open_window)?;
    }
    let prepared = Prepared::new(jobs, ports.source, ports.target)?;
    let _locks = lock_targets(&prepared, ports, &options.holder)?;
    let begin = Begin {
        job,
        ports,
        options,
        cancel,
        lanes: attempt.lanes(usize::MAX),
    };
    let Begun {
        run,
        resumed,
        notes,
    } = begin.begin(&prepared)?;
    let planned = ports.clock.elapsed().saturating_sub(started);
    progress
        .plan
        .add(planned, run.plan.partitions.len() as u64, 0);
    let id = run.id;
    let loaded = attempt.load_to_the_end(&prepared, run, resumed);
    let loaded = loaded.and_then(|mut loaded| {
        let Loaded {
            run,
            report,
            positions,
        } = &mut loaded;
        set_position(&run.plan, positions, ports.source, report)?;
        Ok(loaded)
    });
    let loaded = loaded.inspect_err(|error| {
        // The error itself is what the caller has to hear of, not that the journal lacks it.
        let _unrecorded = ports.journal.attempt_failed(id, error);
    });
    let Loaded {
        run, mut report, ..
    } = loaded.map_err(goes_on)?;
    report.warnings.extend(notes);
    report.seconds = seconds(ports.clock.elapsed().saturating_sub(started));
    (ports.on_border)(Border::RunLoaded)?;
    let ended_ms = ports.clock.now().as_millisecond();
    ports.journal.end_run(run.id, ended_ms, &report).map_err(|error| {
        let message = format!("the load is committed, but its report is not kept: {error}; run the same command again to write it");
        Error::with_source(ErrorKind::Journal, message, error)
    })?;
    (ports.on_border)(Border::RunEnded)?;
    let warnings = report.warnings.len();
    clean_up(ports, &run, &mut report)?;
    if report.warnings.len() > warnings
        && let Err(error) = ports.journal.keep_report(run.id, &report)
    {
        report.warnings.push(error.to_string());
    }
    (ports.on_border)(Border::CleanedUp)?;
    Ok(report)
}

/// Locks each target once: windows that append may share one.
fn lock_targets(
    prepared: &Prepared,
    ports: &Ports<'_>,
    holder: &str,
) -> Result<Vec<TargetLock>, Error> {
    let windows = prepared.windows.iter();
    let targets: BTreeSet<_> = windows
        .map(|window| target_key(ports.target, window))
        .collect();
    raise_open_files();
    let locks = targets
        .iter()
        .map(|target| TargetLock::take(ports.locks, target, holder));
    locks.collect()
}

/// Says of what the server refused that it costs no more than this attempt.
fn goes_on(error: Error) -> Error {
    if error.kind() != ErrorKind::Target {
        return error;
    }
    let message =
        format!("{error}; once that is over, the same command goes on from what is staged");
    Error::with_source(ErrorKind::Target, message, error)
}
