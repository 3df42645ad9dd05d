//! One run from its lock to its report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use engine_decode::MappedFields;
use engine_model::job::{Job, WriteMode};
use engine_model::{
    Counts, Ledger, LedgerEntry, LoadPlan, RunReport, SliceCounts, SliceReport, WindowReport,
};

use crate::begin::Begin;
use crate::border::{Border, OnBorder};
use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::commit::{Commits, Committed, LoadedWindow, blocks, ledger, target_key};
use crate::disk::DiskBudget;
use crate::journal::{Journal, OpenRun};
use crate::lock::TargetLock;
use crate::pipeline::Pipeline;
use crate::ports::{Clock, MessageSource, Staging, TargetTable};
use crate::prepare::{Prepared, check_same_topic, check_window_is_over, plan_notes};
use crate::progress::Progress;
use crate::resume::{Remaining, Resume, delete_files};
use crate::rules::{RejectGuard, SliceRules};
use crate::settle::{Assume, Settle};
use crate::shares::MemoryShares;
use crate::stage::run_prefix;
use crate::upload::Uploads;
use crate::{Error, ErrorKind};

/// Upload sessions that an attempt may lose and go on: one lives for a day, so that more of them have a cause that stays.
const SESSIONS_LOST_MAX: usize = 3;

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
/// Nothing was committed where it fails, except with [`ErrorKind::CommitUnknown`] and where the text says that only a
/// record of the commit is missing. What was staged is kept: the same call goes on from there.
pub fn run(
    job: &Job,
    ports: &Ports<'_>,
    options: &RunOptions,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<RunReport, Error> {
    let loaded = begin_and_load(job, ports, options, progress, cancel);
    loaded.map_err(|error| ports.journal.named(error))
}

fn begin_and_load(
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
    let begin = Begin {
        job,
        ports,
        options,
        lanes: attempt.lanes(usize::MAX),
    };
    let (run, resumed) = begin.begin(&prepared)?;
    let planned = ports.clock.elapsed().saturating_sub(started);
    progress
        .plan
        .add(planned, run.plan.partitions.len() as u64, 0);
    let loaded = attempt.load_to_the_end(&prepared, run, resumed);
    let (run, mut report) = loaded.map_err(goes_on)?;
    report.seconds = ports.clock.elapsed().saturating_sub(started).as_secs_f64();
    (ports.on_border)(Border::RunLoaded)?;
    ports.journal.end_run(run.id, &report).map_err(|error| {
        let message = format!("the load is committed, but its report is not kept: {error}; run the same command again to write it");
        Error::with_source(ErrorKind::Journal, message, error)
    })?;
    (ports.on_border)(Border::RunEnded)?;
    attempt.clean_up(&run, &mut report)?;
    (ports.on_border)(Border::CleanedUp)?;
    Ok(report)
}

/// What was before a part of an attempt: earlier attempts, and the parts until a session was gone.
#[derive(Default)]
struct Before {
    /// Slices that earlier attempts staged.
    staged: BTreeSet<u32>,
    /// Whether there was an earlier attempt.
    resumed: bool,
    /// Blocks that this attempt uploaded.
    uploaded: u64,
    /// What is to be said of each session that this attempt has lost.
    lost: Vec<String>,
}

impl Before {
    /// The counts of the attempt as a whole, but for the blocks that it will upload.
    fn slices(&self, run: &OpenRun, remaining: &Remaining) -> SliceCounts {
        let kept = remaining.staged.keys();
        let kept = kept.filter(|number| self.staged.contains(number)).count() as u64;
        let planned = run.plan.slices.len() as u64;
        SliceCounts {
            planned,
            read: planned - kept,
            kept,
            uploaded: 0,
            uploaded_before: if self.lost.is_empty() {
                remaining.blocks_uploaded
            } else {
                0
            },
        }
    }
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
    /// Lanes for so many slices: what the job or the cores say, and no more than there are slices.
    fn lanes(&self, slices: usize) -> usize {
        let configured = self
            .job
            .limits
            .concurrency
            .map_or(self.options.cores, NonZeroUsize::get);
        configured.min(slices).max(1)
    }

    /// Loads the run. An upload session that is gone on the way costs no attempt: what is left of the run is looked up
    /// anew, and a new session gets the blocks from the staged files.
    fn load_to_the_end(
        &self,
        prepared: &Prepared,
        mut run: OpenRun,
        resumed: bool,
    ) -> Result<(OpenRun, RunReport), Error> {
        let mut before = Before {
            staged: run.staged.keys().copied().collect(),
            resumed,
            ..Before::default()
        };
        loop {
            let error = match self.load(prepared, &run, &mut before) {
                Ok(mut report) => {
                    report.warnings.append(&mut before.lost);
                    return Ok((run, report));
                }
                Err(error) if error.kind() == ErrorKind::SessionGone => error,
                Err(error) => return Err(error),
            };
            if before.lost.len() == SESSIONS_LOST_MAX {
                let message = format!(
                    "{error}, after {SESSIONS_LOST_MAX} others of this attempt; run the same command again: a new session \
                     gets the blocks from the staged files"
                );
                return Err(Error::with_source(ErrorKind::SessionGone, message, error));
            }
            before.lost.push(format!(
                "{error}; another one got all blocks again from the staged files"
            ));
            self.cancel.recover();
            run = self.ports.journal.run(run.id)?;
        }
    }

    /// Does what is left of the run and commits its windows.
    fn load(
        &self,
        prepared: &Prepared,
        run: &OpenRun,
        before: &mut Before,
    ) -> Result<RunReport, Error> {
        let resume = Resume {
            settle: Settle {
                target: self.ports.target,
                write: self.job.destination.write,
                assume: self.options.assume,
            },
            staging: &self.ports.staging,
            journal: self.ports.journal,
            cancel: self.cancel,
        };
        let remaining = resume.remaining(run)?;
        let goes_on = before.resumed || !before.lost.is_empty();
        if goes_on && !remaining.slices.is_empty() {
            check_same_topic(&run.plan, self.job.window, self.ports.source)?;
        }
        self.count_known(&run.plan, &remaining);
        let mut slices = before.slices(run, &remaining);
        let done = remaining.done.clone();
        let lanes = self.lanes(remaining.slices.len());
        let rules = self.rules(prepared, run, &remaining.staged, lanes);
        let waiting = remaining.blocks.iter().map(|task| task.file.bytes).sum();
        let disk = DiskBudget::new(
            Arc::clone(&self.ports.staging),
            self.job.limits.disk_bytes,
            &run.plan,
            lanes,
            (waiting, remaining.files_uploaded.clone()),
        )?;
        let uploads = self.uploads(run, remaining.sessions.clone(), &disk);
        let blocks_known = remaining.blocks_uploaded;
        let executed = self.execute(&rules, &uploads, remaining, lanes);
        before.uploaded += self.progress.blocks_uploaded.load(Ordering::Relaxed) - blocks_known;
        let reports = executed?;
        slices.uploaded = before.uploaded;
        let ledger = check_ledger(&run.plan, &reports)?;
        let outcomes = self.commit(run, &uploads, &done, &ledger, &reports)?;
        let mut report = self.report(run, slices, &ledger, &reports, outcomes);
        report.resumed = before.resumed;
        Ok(report)
    }

    /// Lets the progress start from what is done already.
    fn count_known(&self, plan: &LoadPlan, remaining: &Remaining) {
        let offsets_staged: u64 = remaining
            .staged
            .values()
            .flat_map(|report| &report.ranges)
            .map(|range| range.counts.planned)
            .sum();
        let progress = self.progress;
        let blocks_known = remaining.blocks.len() as u64 + remaining.blocks_uploaded;
        for (counter, known) in [
            (&progress.offsets_planned, plan.offsets()),
            (&progress.offsets_read, offsets_staged),
            (&progress.slices_planned, plan.slices.len() as u64),
            (&progress.slices_staged, remaining.staged.len() as u64),
            (&progress.blocks_known, blocks_known),
            (&progress.blocks_uploaded, remaining.blocks_uploaded),
        ] {
            counter.store(known, Ordering::Relaxed);
        }
    }

    fn shares(&self, lanes: usize) -> MemoryShares {
        MemoryShares::new(self.job.limits.memory_bytes, lanes)
    }

    fn rules(
        &self,
        prepared: &Prepared,
        run: &OpenRun,
        staged: &BTreeMap<u32, SliceReport>,
        lanes: usize,
    ) -> SliceRules<'_> {
        let windows = run.plan.windows.len();
        let rejected = (0..windows).map(|window| {
            let of_window =
                |report: &SliceReport| report.windows[window].rejected.values().sum::<u64>();
            staged.values().map(of_window).sum()
        });
        let shares = self.shares(lanes);
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
            mapped_fields: MappedFields::new(&self.job.columns).map(Arc::new),
            staging: Arc::clone(&self.ports.staging),
            rejects: RejectGuard::new(self.job.rejects, rejected),
            batch_bytes: shares.batch_bytes,
            row_group_bytes: shares.row_group_bytes_per_lane,
            threads_per_block: (self.options.cores / lanes).max(1),
            clock: self.ports.clock,
            progress: self.progress,
            on_border: self.ports.on_border,
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
            on_border: self.ports.on_border,
            sessions: sessions.into_iter().map(Mutex::new).collect(),
        }
    }

    /// Runs the pipeline over what remains and returns the reports of all slices.
    fn execute(
        &self,
        rules: &SliceRules<'_>,
        uploads: &Uploads<'_>,
        remaining: Remaining,
        lanes: usize,
    ) -> Result<BTreeMap<u32, SliceReport>, Error> {
        let reports = Mutex::new(remaining.staged);
        let budget = ByteBudget::new(self.shares(lanes).block_bytes);
        let pipeline = Pipeline {
            source: self.ports.source,
            rules,
            uploads,
            budget: &budget,
            cancel: self.cancel,
            lanes,
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
            begun: &run.windows,
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
                first_reject: first_reject(reports, number),
            };
            self.cancel.check()?;
            outcomes.push(match run.windows[number].outcome {
                Some(outcome) => (outcome, run.windows[number].session.clone()),
                None if done[number] => commits.already_done(&window)?,
                None => commits.commit(&window)?,
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
            open: run.plan.is_open(),
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
            unmapped_fields: reports.values().map(|report| &report.unmapped_fields).sum(),
            warnings: plan_notes(&run.plan),
        }
    }

    /// Deletes the staged rows, which the table holds now, and tells the consumer group how far the run came. What
    /// fails here changes nothing about the load, so it is only a warning.
    fn clean_up(&self, run: &OpenRun, report: &mut RunReport) -> Result<(), Error> {
        match self.unneeded_files(run, report) {
            Ok(unneeded) => {
                for name in unneeded {
                    if let Err(error) = delete_files(&*self.ports.staging, [name]) {
                        report.warnings.push(error.to_string());
                        break;
                    }
                    (self.ports.on_border)(Border::FileDeleted)?;
                }
            }
            Err(error) => report.warnings.push(error.to_string()),
        }
        let ends: Vec<_> = run
            .plan
            .partitions
            .iter()
            .map(|partition| {
                // Messages behind the look-up of the end are mostly of later windows, and a group never goes back.
                let end = partition.end_offset.unwrap_or(partition.range.end);
                let end = end.clamp(partition.range.start, partition.range.end);
                (partition.topic_partition.clone(), end)
            })
            .collect();
        if let Err(error) = self.ports.source.set_group_position(&ends) {
            report.warnings.push(error.to_string());
        }
        Ok(())
    }

    /// The run's files in the staging folder, but those of rejected messages.
    fn unneeded_files(&self, run: &OpenRun, report: &RunReport) -> Result<Vec<String>, Error> {
        let prefix = run_prefix(run.id);
        let kept: Vec<_> = report
            .windows
            .iter()
            .flat_map(|window| &window.reject_files)
            .collect();
        let staging = &*self.ports.staging;
        let names = staging
            .list()
            .map_err(|error| Error::staging("looking for old files", &staging.location(), error))?;
        let unneeded = names
            .into_iter()
            .filter(|name| name.starts_with(&prefix) && !kept.contains(&name));
        Ok(unneeded.collect())
    }
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

/// The first rejected message of a window in words.
fn first_reject(reports: &BTreeMap<u32, SliceReport>, window: usize) -> Option<&str> {
    reports
        .values()
        .find_map(|report| report.windows.get(window)?.first_reject.as_deref())
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
