//! One run from its lock to its report.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use engine_model::job::{Job, WriteMode};
use engine_model::{
    Counts, Ledger, LedgerEntry, LoadPlan, RunReport, SliceCounts, SliceReport, WindowReport,
};

use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::commit::{Commits, Committed, LoadedWindow, blocks, ledger, target_key};
use crate::decode::{RejectGuard, SliceRules, run_prefix};
use crate::disk::DiskBudget;
use crate::journal::{Journal, OpenRun, Phase, WindowState};
use crate::lock::TargetLock;
use crate::pipeline::Pipeline;
use crate::ports::{Clock, MessageSource, Staging, TargetTable};
use crate::prepare::{Prepared, check_retention, check_window_is_over, plan_notes};
use crate::progress::{Progress, count};
use crate::resume::{Assume, Remaining, Resume, delete_files};
use crate::shares::MemoryShares;
use crate::upload::Uploads;
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
    /// Replace a target although it last got another window from us.
    pub replace_other_window: bool,
    /// What to take for true about a commit that nobody can tell about any more.
    pub assume: Option<Assume>,
    /// Cores that the run may use, at least 1.
    pub cores: usize,
    /// Who we are, for whoever finds the target locked: a process id and a job's name.
    pub holder: String,
}

/// Loads the job's window: plans it, or goes on with the plan of an attempt that did not end, and commits it once.
///
/// # Errors
///
/// Nothing was committed where it fails, except with [`ErrorKind::CommitUnknown`]. What was staged is kept: the same
/// call goes on from there.
pub fn run(
    job: &Job,
    ports: &Ports<'_>,
    options: &RunOptions,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<RunReport, Error> {
    let attempt = Attempt {
        job,
        ports,
        options,
        progress,
        cancel,
    };
    let started = ports.clock.elapsed();
    check_window_is_over(job, ports.clock, options.allow_open_window)?;
    let prepared = Prepared::new(job, ports.source, ports.target)?;
    let mut locks = Vec::new();
    for window in &prepared.windows {
        let target = target_key(ports.target, window);
        locks.push(TargetLock::take(ports.locks, &target, &options.holder)?);
    }
    let (run, resumed) = attempt.begin(&prepared)?;
    let planned = ports.clock.elapsed().saturating_sub(started);
    progress
        .plan
        .add(planned, run.plan.partitions.len() as u64, 0);
    let mut report = attempt.load(&prepared, &run)?;
    report.resumed = resumed;
    report.seconds = ports.clock.elapsed().saturating_sub(started).as_secs_f64();
    ports.journal.end_run(run.id, &report)?;
    attempt.clean_up(&run, &mut report);
    Ok(report)
}

/// One attempt at a run.
struct Attempt<'a> {
    job: &'a Job,
    ports: &'a Ports<'a>,
    options: &'a RunOptions,
    progress: &'a Progress,
    cancel: &'a Cancel,
}

impl Attempt<'_> {
    fn lanes(&self) -> usize {
        self.job
            .limits
            .concurrency
            .map_or(self.options.cores, NonZeroUsize::get)
            .max(1)
    }

    /// The run to go on with, or a new one; and whether it was begun before.
    fn begin(&self, prepared: &Prepared) -> Result<(OpenRun, bool), Error> {
        let Ports {
            source,
            target,
            journal,
            ..
        } = self.ports;
        let key = run_key(*target, prepared);
        let fingerprint = prepared.fingerprint(self.job)?;
        if let Some(open) = journal.open_run(&key, &fingerprint)? {
            return Ok((open, true));
        }
        self.check_earlier_loads(prepared)?;
        let plan = prepared.plan(self.job, *source, self.lanes())?;
        check_retention(self.job, &plan, *target)?;
        let (id, given_up) = journal.begin_run(&key, &fingerprint, &self.job.name, &plan)?;
        let prefixes: Vec<_> = given_up.into_iter().chain([id]).map(run_prefix).collect();
        delete_files(&*self.ports.staging, |name| {
            prefixes.iter().any(|prefix| name.starts_with(prefix))
        })?;
        let windows = plan
            .windows
            .iter()
            .map(|_| WindowState {
                phase: Phase::Loading,
                session: None,
            })
            .collect();
        Ok((
            OpenRun {
                id,
                plan,
                windows,
                staged: BTreeMap::new(),
            },
            false,
        ))
    }

    /// What the journal says against loading this window into its target now.
    fn check_earlier_loads(&self, prepared: &Prepared) -> Result<(), Error> {
        for planned in &prepared.windows {
            let target = target_key(self.ports.target, planned);
            let window = planned.window;
            match self.job.destination.write {
                WriteMode::Append => {
                    if let Some(earlier) = self.ports.journal.overlapping_load(&target, window)? {
                        let message = format!(
                            "{target} already got {} in run {}: appending {window} would load messages twice; use \
                             `write: replace`, or another window",
                            earlier.window, earlier.run,
                        );
                        return Err(Error::new(ErrorKind::Job, message));
                    }
                }
                WriteMode::Replace if !self.options.replace_other_window => {
                    let earlier = self.ports.journal.last_load(&target)?;
                    if let Some(earlier) =
                        earlier.filter(|earlier| !window.contains(earlier.window))
                    {
                        let message = format!(
                            "{target} last got {} (run {}), which {window} does not contain: replacing it would lose \
                             rows; correct the partition, or pass --replace-other-window",
                            earlier.window, earlier.run,
                        );
                        return Err(Error::new(ErrorKind::Job, message));
                    }
                }
                WriteMode::Replace => {}
            }
        }
        Ok(())
    }

    /// Does what is left of the run and commits its windows.
    fn load(&self, prepared: &Prepared, run: &OpenRun) -> Result<RunReport, Error> {
        let resume = Resume {
            target: self.ports.target,
            staging: &self.ports.staging,
            journal: self.ports.journal,
            write: self.job.destination.write,
            assume: self.options.assume,
        };
        let remaining = resume.remaining(run)?;
        self.count_known(&run.plan, &remaining);
        let mut slices = SliceCounts {
            planned: run.plan.slices.len() as u64,
            read: remaining.slices.len() as u64,
            kept: remaining.staged.len() as u64,
            uploaded: 0,
            uploaded_before: remaining.blocks_uploaded,
        };
        let done = remaining.done.clone();
        let rules = self.rules(prepared, run, &remaining.staged);
        let disk = DiskBudget::new(
            Arc::clone(&self.ports.staging),
            self.job.limits.disk_bytes.unwrap_or(u64::MAX),
            &run.plan,
            self.lanes(),
            remaining.staged.values(),
        )?;
        let uploads = self.uploads(run, remaining.sessions.clone(), &disk);
        let reports = self.execute(&rules, &uploads, remaining)?;
        slices.uploaded =
            self.progress.blocks_uploaded.load(Ordering::Relaxed) - slices.uploaded_before;
        let ledger = check_ledger(&run.plan, &reports)?;
        let outcomes = self.commit(run, &uploads, &done, &ledger, &reports)?;
        Ok(self.report(run, slices, &ledger, &reports, outcomes))
    }

    /// Lets the progress start from what an earlier attempt has done.
    fn count_known(&self, plan: &LoadPlan, remaining: &Remaining) {
        let offsets_staged: u64 = remaining
            .staged
            .values()
            .flat_map(|report| &report.ranges)
            .map(|range| range.counts.planned)
            .sum();
        count(&self.progress.offsets_planned, plan.offsets());
        count(&self.progress.offsets_read, offsets_staged);
        count(&self.progress.slices_planned, plan.slices.len() as u64);
        count(&self.progress.slices_staged, remaining.staged.len() as u64);
        count(
            &self.progress.blocks_known,
            remaining.blocks.len() as u64 + remaining.blocks_uploaded,
        );
        count(&self.progress.blocks_uploaded, remaining.blocks_uploaded);
    }

    fn shares(&self) -> MemoryShares {
        MemoryShares::new(self.job.limits.memory_bytes, self.lanes())
    }

    fn rules(
        &self,
        prepared: &Prepared,
        run: &OpenRun,
        staged: &BTreeMap<u32, SliceReport>,
    ) -> SliceRules<'_> {
        let windows = run.plan.windows.len();
        let rejected = (0..windows).map(|window| {
            let of_window =
                |report: &SliceReport| report.windows[window].rejected.values().sum::<u64>();
            staged.values().map(of_window).sum()
        });
        let shares = self.shares();
        SliceRules {
            run: run.id,
            windows: run
                .plan
                .windows
                .iter()
                .map(|planned| planned.window)
                .collect(),
            tombstones: self.job.tombstones,
            projection: Arc::clone(&prepared.projection),
            staging: Arc::clone(&self.ports.staging),
            rejects: RejectGuard::new(self.job.rejects, rejected),
            batch_bytes: shares.batch_bytes,
            row_group_bytes: shares.row_group_bytes_per_lane,
            threads_per_block: (self.options.cores / self.lanes()).max(1),
            clock: self.ports.clock,
            progress: self.progress,
        }
    }

    fn uploads<'run>(
        &'run self,
        run: &'run OpenRun,
        sessions: Vec<Option<String>>,
        disk: &'run DiskBudget,
    ) -> Uploads<'run> {
        Uploads {
            run: run.id,
            windows: &run.plan.windows,
            overwrite: self.job.destination.write == WriteMode::Replace,
            target: self.ports.target,
            staging: Arc::clone(&self.ports.staging),
            journal: self.ports.journal,
            clock: self.ports.clock,
            progress: self.progress,
            cancel: self.cancel,
            disk,
            sessions: sessions.into_iter().map(Mutex::new).collect(),
        }
    }

    /// Runs the pipeline over what remains and returns the reports of all slices.
    fn execute(
        &self,
        rules: &SliceRules<'_>,
        uploads: &Uploads<'_>,
        remaining: Remaining,
    ) -> Result<BTreeMap<u32, SliceReport>, Error> {
        let reports = Mutex::new(remaining.staged);
        let budget = ByteBudget::new(self.shares().block_bytes);
        let pipeline = Pipeline {
            source: self.ports.source,
            rules,
            uploads,
            journal: self.ports.journal,
            budget: &budget,
            disk: uploads.disk,
            cancel: self.cancel,
            lanes: self.lanes(),
        };
        pipeline.run(remaining.slices, remaining.blocks, &|report| {
            reports
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(report.number, report);
        })?;
        Ok(reports.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn commit(
        &self,
        run: &OpenRun,
        uploads: &Uploads<'_>,
        done: &[bool],
        ledger: &Ledger,
        reports: &BTreeMap<u32, SliceReport>,
    ) -> Result<Vec<Committed>, Error> {
        let started = self.ports.clock.elapsed();
        let commits = Commits {
            run: run.id,
            write: self.job.destination.write,
            rejects: self.job.rejects,
            on_empty: self.job.on_empty,
            target: self.ports.target,
            journal: self.ports.journal,
            uploads,
        };
        let total = ledger.total();
        let mut outcomes = Vec::with_capacity(run.plan.windows.len());
        for (number, planned) in run.plan.windows.iter().enumerate() {
            let window = LoadedWindow {
                number,
                planned,
                counts: total.windows.get(number).copied().unwrap_or_default(),
                blocks: blocks(reports.values(), number),
            };
            self.cancel.check()?;
            outcomes.push(if done[number] {
                commits.already_done(&window)?
            } else {
                commits.commit(&window)?
            });
        }
        let busy = self.ports.clock.elapsed().saturating_sub(started);
        self.progress.commit.add(busy, outcomes.len() as u64, 0);
        Ok(outcomes)
    }

    fn report(
        &self,
        run: &OpenRun,
        slices: SliceCounts,
        ledger: &Ledger,
        reports: &BTreeMap<u32, SliceReport>,
        outcomes: Vec<Committed>,
    ) -> RunReport {
        let total = ledger.total();
        let windows = run.plan.windows.iter().zip(outcomes).enumerate().map(
            |(number, (planned, (outcome, session)))| {
                let counts = total.windows.get(number).copied().unwrap_or_default();
                let (rejected, reject_files) = rejects_of(reports, number);
                WindowReport {
                    window: planned.window,
                    partition: planned.partition.clone(),
                    outcome,
                    session,
                    rows: counts.rows,
                    rejected,
                    reject_files,
                }
            },
        );
        RunReport {
            run: run.id,
            job: self.job.name.clone(),
            topic: self.job.source.topic.clone(),
            table: self.job.destination.table.to_string(),
            resumed: false,
            slices,
            ledger: ledger
                .iter()
                .map(|(topic_partition, counts)| LedgerEntry {
                    topic_partition: topic_partition.clone(),
                    counts: counts.clone(),
                })
                .collect(),
            windows: windows.collect(),
            steps: self.progress.steps(),
            seconds: 0.0,
            memory_bytes_peak: memory_bytes_peak(),
            warnings: plan_notes(&run.plan),
        }
    }

    /// Deletes the staged rows, which the table holds now, and tells the consumer group how far the run came. What
    /// fails here changes nothing about the load, so it is only a warning.
    fn clean_up(&self, run: &OpenRun, report: &mut RunReport) {
        let prefix = run_prefix(run.id);
        let kept: Vec<_> = report
            .windows
            .iter()
            .flat_map(|window| &window.reject_files)
            .collect();
        let deleted = delete_files(&*self.ports.staging, |name| {
            name.starts_with(&prefix) && !kept.iter().any(|kept| *kept == name)
        });
        let ends: Vec<_> = run
            .plan
            .partitions
            .iter()
            .map(|partition| (partition.topic_partition.clone(), partition.range.end))
            .collect();
        let told = self.ports.source.set_group_position(&ends);
        for error in [deleted.err(), told.err()].into_iter().flatten() {
            report.warnings.push(error.to_string());
        }
    }
}

/// The ledger of all slices, checked: every topic partition balances, and every planned offset is in it.
fn check_ledger(plan: &LoadPlan, reports: &BTreeMap<u32, SliceReport>) -> Result<Ledger, Error> {
    let mut ledger = ledger(reports.values());
    for partition in plan
        .partitions
        .iter()
        .filter(|partition| partition.range.is_empty())
    {
        ledger.add(
            &partition.topic_partition,
            &Counts::new(0, plan.windows.len()),
        );
    }
    ledger.check().map_err(|imbalance| {
        Error::with_source(ErrorKind::Unbalanced, imbalance.to_string(), imbalance)
    })?;
    for partition in &plan.partitions {
        let counted = ledger
            .get(&partition.topic_partition)
            .map_or(0, |counts| counts.planned);
        if counted != partition.range.len() {
            let message = format!(
                "{} of the {} offsets planned for {} were read; nothing was committed",
                counted,
                partition.range.len(),
                partition.topic_partition,
            );
            return Err(Error::new(ErrorKind::Unbalanced, message));
        }
    }
    Ok(ledger)
}

/// The reject counts of one window by reason, and the files that keep the messages.
fn rejects_of(
    reports: &BTreeMap<u32, SliceReport>,
    window: usize,
) -> (BTreeMap<String, u64>, Vec<String>) {
    let mut counts = BTreeMap::new();
    let mut files = Vec::new();
    for staged in reports
        .values()
        .filter_map(|report| report.windows.get(window))
    {
        for (reason, count) in &staged.rejected {
            *counts.entry(reason.clone()).or_default() += count;
        }
        files.extend(staged.rejects.iter().map(|file| file.name.clone()));
    }
    (counts, files)
}

/// The targets of a run's windows, as the journal keys runs.
fn run_key(target: &dyn TargetTable, prepared: &Prepared) -> String {
    let targets: Vec<_> = prepared
        .windows
        .iter()
        .map(|window| target_key(target, window))
        .collect();
    targets.join(" ")
}

/// The most memory that the process held at once, as Linux tells it.
fn memory_bytes_peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
