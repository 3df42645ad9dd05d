//! One run from its lock to its report.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use engine_decode::MappedFields;
use engine_model::job::{self, Job, WriteMode};
use engine_model::{
    Counts, Ledger, LoadPlan, Reach, RunReport, SliceCounts, SliceReport, StagedFile, WindowCounts,
    WindowOutcome,
};

use crate::begin::Begin;
use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::commit::{Commits, LoadedWindow, blocks, checksum, ledger, target_key};
use crate::complete::Completion;
use crate::disk::DiskBudget;
use crate::extent::Extent;
use crate::journal::{Journal, OpenRun};
use crate::lock::TargetLock;
use crate::pipeline::Pipeline;
use crate::plan::WindowOrder;
use crate::ports::{Clock, MessageSource, Staging, TargetTable};
use crate::prepare::{Prepared, check_same_topic, check_window_is_over};
use crate::progress::{Progress, count, seconds};
use crate::read::Idle;
use crate::report::{Done, compare_with_last_load, report};
use crate::resume::{Held, Remaining, Resume, delete_files};
use crate::rules::{RejectGuard, SliceRules};
use crate::settle::{Assume, Settle};
use crate::shares::MemoryShares;
use crate::stage::run_prefix;
use crate::upload::Uploads;
use crate::verify::{Counted, Verify};
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
    let job = jobs.first().ok_or_else(|| {
        Error::new(
            ErrorKind::Job,
            "there is no window to load; check the range of time",
        )
    })?;
    let attempt = Attempt {
        job,
        ports,
        options,
        progress,
        cancel,
    };
    let started = ports.clock.elapsed();
    for job in jobs {
        check_window_is_over(job, ports.clock, options.allow_open_window)?;
    }
    let prepared = Prepared::new(jobs, ports.source, ports.target)?;
    let mut locks = Vec::new();
    for window in &prepared.windows {
        let target = target_key(ports.target, window);
        locks.push(TargetLock::take(ports.locks, &target, &options.holder)?);
    }
    let begin = Begin {
        job,
        ports,
        options,
        cancel,
        lanes: attempt.lanes(usize::MAX),
    };
    let (run, resumed) = begin.begin(&prepared)?;
    let planned = ports.clock.elapsed().saturating_sub(started);
    progress
        .plan
        .add(planned, run.plan.partitions.len() as u64, 0);
    let loaded = attempt.load(&prepared, &run, resumed);
    let mut report = loaded.inspect_err(|error| {
        // The error itself is what the caller has to hear of, not that the journal lacks it.
        let _unrecorded = ports.journal.attempt_failed(run.id, error);
    })?;
    report.seconds = seconds(ports.clock.elapsed().saturating_sub(started));
    let ended_ms = ports.clock.now().as_millisecond();
    ports.journal.end_run(run.id, ended_ms, &report).map_err(|error| {
        let message = format!("the load is committed, but its report is not kept: {error}; run the same command again to write it");
        Error::with_source(ErrorKind::Journal, message, error)
    })?;
    let warnings = report.warnings.len();
    attempt.clean_up(&run, &mut report);
    if report.warnings.len() > warnings
        && let Err(error) = ports.journal.keep_report(run.id, &report)
    {
        report.warnings.push(error.to_string());
    }
    Ok(report)
}

/// How windows ended, by their numbers.
pub(crate) type Ended = BTreeMap<u32, EndedWindow>;

/// How a window ended.
pub(crate) struct EndedWindow {
    pub(crate) outcome: WindowOutcome,
    /// The upload session that was committed.
    pub(crate) session: Option<String>,
    /// What its target counts afterwards, where that was asked for.
    pub(crate) counted: Option<Counted>,
}

/// What the steps of one attempt work with.
struct Work<'a> {
    plan: &'a LoadPlan,
    rules: &'a SliceRules<'a>,
    uploads: &'a Uploads<'a>,
    commits: &'a Commits<'a>,
    verify: &'a Verify<'a>,
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

    /// Does what is left of the run and commits its windows.
    fn load(&self, prepared: &Prepared, run: &OpenRun, resumed: bool) -> Result<RunReport, Error> {
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
        let commits = Commits {
            run: run.id,
            begun: &run.windows,
            write: self.job.destination.write,
            rejects: self.job.rejects,
            on_empty: self.job.on_empty,
            target: self.ports.target,
            journal: self.ports.journal,
        };
        let verify = Verify {
            wanted: [self.options.verify, self.job.verify].contains(&job::Verify::Count),
            write: self.job.destination.write,
            target: self.ports.target,
        };
        let held = resume.held_of_all(run)?;
        let mut ended = ended_before(run, &held, &commits, &verify)?;
        let remaining = resume.remaining(run, held)?;
        if resumed && !remaining.slices.is_empty() {
            check_same_topic(&run.plan, self.ports.source)?;
        }
        self.count_known(&run.plan, &remaining, &ended);
        let mut slices = slice_counts(&run.plan, &remaining);
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
        let work = Work {
            plan: &run.plan,
            rules: &rules,
            uploads: &uploads,
            commits: &commits,
            verify: &verify,
        };
        let reports = self.execute(&work, remaining, &mut ended)?;
        slices.uploaded =
            self.progress.blocks_uploaded.load(Ordering::Relaxed) - slices.uploaded_before;
        let ledger = check_ledger(&run.plan, &reports)?;
        let mut report = report(&Done {
            job: self.job,
            source: self.ports.source,
            run,
            slices,
            ledger: &ledger,
            reports: &reports,
            ended: &ended,
            steps: self.progress.steps(),
        });
        compare_with_last_load(&mut report, self.job.destination.write, self.ports)?;
        report.resumed = resumed;
        Ok(report)
    }

    /// Lets the progress start from what an earlier attempt has done.
    fn count_known(&self, plan: &LoadPlan, remaining: &Remaining, ended: &Ended) {
        let offsets_staged: u64 = remaining
            .staged
            .values()
            .flat_map(|report| &report.ranges)
            .map(|range| range.counts.planned)
            .sum();
        count(&self.progress.offsets_planned, plan.offsets());
        count(&self.progress.offsets_read, offsets_staged);
        count(&self.progress.windows_planned, plan.windows.len() as u64);
        count(&self.progress.windows_ended, ended.len() as u64);
        count(&self.progress.slices_planned, plan.slices.len() as u64);
        count(&self.progress.slices_staged, remaining.staged.len() as u64);
        count(
            &self.progress.blocks_known,
            remaining.blocks.len() as u64 + remaining.blocks_uploaded,
        );
        count(&self.progress.blocks_uploaded, remaining.blocks_uploaded);
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
        let rejected = (0_u32..).take(windows).map(|window| {
            let of_window = |report: &SliceReport| {
                let staged = report.windows.get(&window);
                staged.map_or(0, |staged| staged.rejected.values().sum::<u64>())
            };
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
            projections: prepared.projections.clone(),
            mapped_fields: MappedFields::new(&self.job.columns).map(Arc::new),
            staging: Arc::clone(&self.ports.staging),
            rejects: RejectGuard::new(self.job.rejects, rejected),
            batch_bytes: shares.batch_bytes,
            row_group_bytes: shares.row_group_bytes_per_lane,
            threads_per_block: (self.options.cores / lanes).max(1),
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

    /// Runs the pipeline over what remains, notes how each window ends, and returns the reports of all slices.
    fn execute(
        &self,
        work: &Work<'_>,
        remaining: Remaining,
        ended: &mut Ended,
    ) -> Result<BTreeMap<u32, SliceReport>, Error> {
        let Work {
            plan,
            rules,
            uploads,
            ..
        } = work;
        let windows = plan.windows.len();
        let open: Vec<u32> = (0_u32..)
            .take(windows)
            .filter(|number| !ended.contains_key(number))
            .collect();
        let completion = Completion::new(&open, &remaining.slices, &remaining.blocks);
        let lanes = self.lanes(remaining.slices.len());
        let budget = ByteBudget::new(self.shares(lanes).block_bytes);
        let idle = Idle::new(self.ports.clock, self.job.exit.idle());
        let pipeline = Pipeline {
            source: self.ports.source,
            rules,
            uploads,
            completion: &completion,
            budget: &budget,
            cancel: self.cancel,
            idle: &idle,
            lanes,
            order: WindowOrder::of(plan),
        };
        let reports = Mutex::new(remaining.staged);
        let lock = || reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Vec::new();
        let mut end_window = |number: u32| {
            let started = self.ports.clock.elapsed();
            let (window, files) = {
                let reports = lock();
                let window = loaded_window(plan, &reports, number);
                (window, row_files(&reports, number))
            };
            match end_one(&window, work) {
                Ok(done) => {
                    ended.insert(number, done);
                    uploads.disk.release(&files)?;
                    count(&self.progress.windows_ended, 1);
                }
                Err(error) if windows > 1 && is_of_one_window(&error) => refused.push(error),
                Err(error) => return Err(error),
            }
            let busy = self.ports.clock.elapsed().saturating_sub(started);
            self.progress.commit.add(busy, 1, 0);
            Ok(())
        };
        pipeline.run(
            remaining.slices,
            remaining.blocks,
            &|report| {
                lock().insert(report.number, report);
            },
            &mut end_window,
        )?;
        match refused.len() {
            0 => Ok(reports.into_inner().unwrap_or_else(PoisonError::into_inner)),
            _ => Err(not_all(&refused, windows)),
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
        let staging = &*self.ports.staging;
        let deleted = staging
            .list()
            .map_err(|error| Error::staging("looking for old files", &staging.location(), error))
            .and_then(|names| {
                let unwanted = names
                    .into_iter()
                    .filter(|name| name.starts_with(&prefix) && !kept.contains(&name));
                delete_files(staging, unwanted)
            });
        let ends: Vec<_> = run
            .plan
            .partitions
            .iter()
            .filter_map(|partition| {
                // Messages behind the look-up of the end are mostly of later windows, and a group never goes back.
                let end = partition.reaches.iter().map(Reach::look_up_end).max()?;
                Some((partition.topic_partition.clone(), end))
            })
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
        .filter(|partition| partition.ranges.is_empty())
    {
        ledger.add(&partition.topic_partition, &Counts::new(0));
    }
    ledger.check().map_err(|imbalance| {
        Error::with_source(ErrorKind::Unbalanced, imbalance.to_string(), imbalance)
    })?;
    for partition in &plan.partitions {
        let counted = ledger
            .get(&partition.topic_partition)
            .map_or(0, |counts| counts.planned);
        if counted != partition.offsets() {
            let message = format!(
                "{} of the {} offsets planned for {} were read; nothing was committed",
                counted,
                partition.offsets(),
                partition.topic_partition,
            );
            return Err(Error::new(ErrorKind::Unbalanced, message));
        }
    }
    Ok(ledger)
}

/// The first rejected message of a window in words.
fn first_reject(reports: &BTreeMap<u32, SliceReport>, window: u32) -> Option<String> {
    reports
        .values()
        .find_map(|report| report.windows.get(&window)?.first_reject.clone())
}

/// The slices of a run before its attempt has uploaded anything.
fn slice_counts(plan: &LoadPlan, remaining: &Remaining) -> SliceCounts {
    SliceCounts {
        planned: plan.slices.len() as u64,
        read: remaining.slices.len() as u64,
        kept: remaining.staged.len() as u64,
        uploaded: 0,
        uploaded_before: remaining.blocks_uploaded,
    }
}

/// The windows that an earlier attempt has ended, also those that it committed without living to tell.
fn ended_before(
    run: &OpenRun,
    held: &[Held],
    commits: &Commits<'_>,
    verify: &Verify<'_>,
) -> Result<Ended, Error> {
    let mut ended = Ended::new();
    for (number, (state, held)) in (0_u32..).zip(run.windows.iter().zip(held)) {
        let window = loaded_window(&run.plan, &run.staged, number);
        let (outcome, session) = match state.outcome {
            Some(outcome) => (outcome, state.session.clone()),
            None if held.done => commits.already_done(&window, held.session.clone())?,
            None => continue,
        };
        let counted = verify.after(window.planned, outcome, window.counts.rows, None)?;
        ended.insert(
            number,
            EndedWindow {
                outcome,
                session,
                counted,
            },
        );
    }
    Ok(ended)
}

/// Commits a complete window, and counts its target where that is wanted.
fn end_one(window: &LoadedWindow<'_>, work: &Work<'_>) -> Result<EndedWindow, Error> {
    let before = work.verify.before(window.planned)?;
    let (outcome, session) = work.commits.commit(window, work.uploads)?;
    let counted = work
        .verify
        .after(window.planned, outcome, window.counts.rows, before)?;
    Ok(EndedWindow {
        outcome,
        session,
        counted,
    })
}

/// What the slices of a complete window come to.
fn loaded_window<'a>(
    plan: &'a LoadPlan,
    reports: &BTreeMap<u32, SliceReport>,
    number: u32,
) -> LoadedWindow<'a> {
    let mut counts = WindowCounts::default();
    for report in reports.values() {
        counts.add(&report.window(number));
    }
    let planned = &plan.windows[number as usize];
    let extent = Extent::of(plan, number as usize, &plan.bounds);
    LoadedWindow {
        number,
        planned,
        extent: extent.unwrap_or(Extent {
            window: planned.window,
            offsets: None,
        }),
        counts,
        blocks: blocks(reports.values(), number),
        checksum: checksum(reports.values(), number),
        first_reject: first_reject(reports, number),
    }
}

/// The staged rows of a window.
fn row_files(reports: &BTreeMap<u32, SliceReport>, window: u32) -> Vec<StagedFile> {
    let of_window = |report: &SliceReport| report.windows.get(&window)?.rows.clone();
    reports.values().filter_map(of_window).collect()
}

/// Whether an error is about one window alone, so that others need not wait for it.
fn is_of_one_window(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Job | ErrorKind::Rejects | ErrorKind::CountDiffers
    )
}

/// The error for a run of which some windows were refused.
fn not_all(refused: &[Error], windows: usize) -> Error {
    let kind = refused.first().map_or(ErrorKind::Internal, Error::kind);
    let list: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let message = format!(
        "{} of {windows} windows were not committed, and the others are; run the same command again once it is mended: {}",
        refused.len(),
        list.join("; ")
    );
    Error::new(kind, message)
}
