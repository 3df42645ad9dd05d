//! One run from its lock to its report.

use std::collections::{BTreeMap, BTreeSet};
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
use crate::border::{Border, OnBorder};
use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::commit::{Commits, LoadedWindow, blocks, checksum, ledger, target_key};
use crate::complete::Completion;
use crate::disk::DiskBudget;
use crate::extent::{Extent, PartitionRead};
use crate::journal::{Journal, OpenRun};
use crate::lock::TargetLock;
use crate::pipeline::Pipeline;
use crate::plan::WindowOrder;
use crate::ports::{Clock, MessageSource, Staging, TargetTable};
use crate::prepare::{Prepared, check_same_topic, check_window_is_over};
use crate::progress::{Progress, count, seconds};
use crate::read::Idle;
use crate::report::{Done, compare_with_last_load, report};
use crate::resume::{Remaining, Resume, delete_files};
use crate::rules::{RejectGuard, SliceRules};
use crate::settle::{Assume, Settle};
use crate::shares::MemoryShares;
use crate::stage::run_prefix;
use crate::upload::Uploads;
use crate::verify::{Counted, Verify};
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

fn begin_and_load(
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
    let id = run.id;
    let loaded = attempt.load_to_the_end(&prepared, run, resumed);
    let loaded = loaded.inspect_err(|error| {
        // The error itself is what the caller has to hear of, not that the journal lacks it.
        let _unrecorded = ports.journal.attempt_failed(id, error);
    });
    let (run, mut report) = loaded.map_err(goes_on)?;
    report.seconds = seconds(ports.clock.elapsed().saturating_sub(started));
    (ports.on_border)(Border::RunLoaded)?;
    let ended_ms = ports.clock.now().as_millisecond();
    ports.journal.end_run(run.id, ended_ms, &report).map_err(|error| {
        let message = format!("the load is committed, but its report is not kept: {error}; run the same command again to write it");
        Error::with_source(ErrorKind::Journal, message, error)
    })?;
    (ports.on_border)(Border::RunEnded)?;
    let warnings = report.warnings.len();
    attempt.clean_up(&run, &mut report)?;
    if report.warnings.len() > warnings
        && let Err(error) = ports.journal.keep_report(run.id, &report)
    {
        report.warnings.push(error.to_string());
    }
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
        let (commits, verify) = (self.commits(run), self.verify());
        let remaining = resume.remaining(run)?;
        let mut ended = ended_before(run, &verify)?;
        let goes_on = before.resumed || !before.lost.is_empty();
        if goes_on && !remaining.slices.is_empty() {
            check_same_topic(&run.plan, self.ports.source)?;
        }
        self.count_known(&run.plan, &remaining, &ended);
        let mut slices = before.slices(run, &remaining);
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
        let blocks_known = remaining.blocks_uploaded;
        let executed = self.execute(&work, remaining, &mut ended);
        before.uploaded += self.progress.blocks_uploaded.load(Ordering::Relaxed) - blocks_known;
        let reports = executed?;
        slices.uploaded = before.uploaded;
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
        report.resumed = before.resumed;
        Ok(report)
    }

    /// Lets the progress start from what is done already.
    fn count_known(&self, plan: &LoadPlan, remaining: &Remaining, ended: &Ended) {
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
            (&progress.windows_planned, plan.windows.len() as u64),
            (&progress.windows_ended, ended.len() as u64),
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
            on_border: self.ports.on_border,
        }
    }

    fn commits<'run>(&'run self, run: &'run OpenRun) -> Commits<'run> {
        Commits {
            run: run.id,
            begun: &run.windows,
            write: self.job.destination.write,
            rejects: self.job.rejects,
            on_empty: self.job.on_empty,
            target: self.ports.target,
            journal: self.ports.journal,
            on_border: self.ports.on_border,
        }
    }

    fn verify(&self) -> Verify<'_> {
        Verify {
            wanted: [self.options.verify, self.job.verify].contains(&job::Verify::Count),
            write: self.job.destination.write,
            target: self.ports.target,
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
        let loaded = remaining.done.clone();
        let completion =
            Completion::new(&open, loaded.clone(), &remaining.slices, &remaining.blocks);
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
            match end_one(&window, loaded.contains(&number), work) {
                Ok(done) => {
                    ended.insert(number, done);
                    for file in &files {
                        if uploads.disk.release(file)? {
                            (self.ports.on_border)(Border::FileDeleted)?;
                        }
                    }
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
            .filter_map(|partition| {
                // Messages behind the look-up of the end are mostly of later windows, and a group never goes back.
                let end = partition.reaches.iter().map(Reach::look_up_end).max()?;
                Some((partition.topic_partition.clone(), end))
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

/// The windows of which the journal knows how they ended.
fn ended_before(run: &OpenRun, verify: &Verify<'_>) -> Result<Ended, Error> {
    let mut ended = Ended::new();
    for (number, state) in (0_u32..).zip(&run.windows) {
        let Some(outcome) = state.outcome else {
            continue;
        };
        let window = loaded_window(&run.plan, &run.staged, number);
        let counted = verify.after(window.planned, outcome, window.counts.rows, None)?;
        let session = state.session.clone();
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

/// Commits a complete window, or finds that it was committed without an answer, and counts its target where that is wanted.
fn end_one(
    window: &LoadedWindow<'_>,
    is_loaded: bool,
    work: &Work<'_>,
) -> Result<EndedWindow, Error> {
    let mut before = None;
    let (outcome, session) = if is_loaded {
        let session = work.uploads.known_session(window.number);
        work.commits.already_done(window, session)?
    } else {
        before = work.verify.before(window.planned)?;
        work.commits.commit(window, work.uploads)?
    };
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
        reads: PartitionRead::of(plan, number as usize, reports.values()),
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
