//! One attempt at a run: what is left of it is done, and each window ended as soon as it is complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use engine_decode::MappedFields;
use engine_model::job::{self, Job, WriteMode};
use engine_model::{LoadPlan, RunReport, SliceCounts, SliceReport, StagedFile};

use crate::balance::check_ledger;
use crate::bandwidth::ReadLimit;
use crate::border::Border;
use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::commit::{Commits, LoadedWindow};
use crate::complete::Completion;
use crate::disk::DiskBudget;
use crate::ended::{
    Ended, EndedWindow, SlicesOfWindows, end_one, ended_before, is_of_one_window, loaded_window,
    not_all, row_files,
};
use crate::journal::OpenRun;
use crate::pace::Pace;
use crate::pipeline::{Lanes, Pipeline, lanes};
use crate::plan::WindowOrder;
use crate::ports::TopicDescription;
use crate::position::{Positions, positions};
use crate::prepare::Prepared;
use crate::progress::{Progress, count};
use crate::read::Idle;
use crate::report::{Done, compare_with_last_load, report};
use crate::resume::{Remaining, Resume};
use crate::rules::{RejectGuard, SliceRules};
use crate::run::{Ports, RunOptions};
use crate::settle::Settle;
use crate::shares::MemoryShares;
use crate::step::LoadStep;
use crate::unchanged::{check_not_made_anew, check_same_topic, check_still_kept};
use crate::upload::Uploads;
use crate::verify::Verify;
use crate::{Error, ErrorKind};

/// Upload sessions that an attempt may lose and go on: one lives for a day, so that more of them have a cause that stays.
const SESSIONS_LOST_MAX: usize = 3;

/// One attempt at a run.
pub(crate) struct Attempt<'a> {
    pub(crate) job: &'a Job,
    pub(crate) ports: &'a Ports<'a>,
    pub(crate) options: &'a RunOptions,
    pub(crate) progress: &'a Progress,
    pub(crate) cancel: &'a Cancel,
    /// Over all its upload sessions, also those that come after a lost one.
    pub(crate) pace: Pace<'a>,
    /// Over all its lanes, also those that come after a lost upload session.
    pub(crate) read_limit: ReadLimit<'a>,
}

impl Attempt<'_> {
    /// Lanes for so many slices.
    pub(crate) fn lanes(&self, slices: usize) -> usize {
        lanes(self.job, self.options.cores, slices)
    }

    /// Loads the run. An upload session that is gone on the way costs no attempt: what is left of the run is looked up
    /// anew, and a new session gets the blocks from the staged files.
    pub(crate) fn load_to_the_end(
        &self,
        prepared: &Prepared,
        mut run: OpenRun,
        resumed: bool,
    ) -> Result<Loaded, Error> {
        let mut before = Before {
            staged: run.staged.keys().copied().collect(),
            resumed,
            ..Before::default()
        };
        loop {
            let error = match self.load(prepared, &run, &mut before) {
                Ok((mut report, positions)) => {
                    report.warnings.append(&mut before.lost);
                    return Ok(Loaded {
                        run,
                        report,
                        positions,
                    });
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
    ) -> Result<(RunReport, Positions), Error> {
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
        let mut refused = Vec::new();
        let mut ended = ended_before(run, &verify, self.ports.journal, &mut refused)?;
        let goes_on = before.resumed || !before.lost.is_empty();
        if goes_on && !remaining.slices.is_empty() {
            let source = self.ports.source;
            check_same_topic(&run.plan, source)?;
            check_still_kept(&remaining.slices, self.job.on_retention_gap, source)?;
        }
        self.count_known(&run.plan, &remaining, &ended);
        let mut slices = before.slices(run, &remaining);
        let lanes = self.lanes(remaining.slices.len());
        let of_windows = SlicesOfWindows::new(&run.plan);
        let rules = self.rules(prepared, run, &of_windows, &remaining.staged, lanes);
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
            of_windows: &of_windows,
            topic: &prepared.topic,
            rules: &rules,
            uploads: &uploads,
            commits: &commits,
            verify: &verify,
        };
        let blocks_known = remaining.blocks_uploaded;
        let executed = self.execute(&work, remaining, &mut ended, refused);
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
            of_windows: &of_windows,
            ended: &ended,
            steps: self.progress.steps(),
        });
        compare_with_last_load(&mut report, self.job.destination.write, self.ports)?;
        report.resumed = before.resumed;
        Ok((report, positions(&run.plan, &reports)))
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
        of_windows: &SlicesOfWindows,
        staged: &BTreeMap<u32, SliceReport>,
        lanes: usize,
    ) -> SliceRules<'_> {
        let windows = run.plan.windows.len();
        let rejected = (0_u32..).take(windows).map(|window| {
            let of_window = |report: &SliceReport| {
                let staged = report.windows.get(&window);
                staged.map_or(0, |staged| staged.rejected.values().sum::<u64>())
            };
            of_windows.reports(staged, window).map(of_window).sum()
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
            last_step: LoadStep::Upload,
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
            pace: &self.pace,
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
        mut refused: Vec<Error>,
    ) -> Result<BTreeMap<u32, SliceReport>, Error> {
        let Work {
            plan,
            of_windows,
            topic,
            rules,
            uploads,
            ..
        } = work;
        let windows = plan.windows.len();
        let open = open_windows(windows, ended);
        let loaded = remaining.done.clone();
        let reads = !remaining.slices.is_empty();
        let completion =
            Completion::new(&open, loaded.clone(), &remaining.slices, &remaining.blocks);
        let lanes = self.lanes(remaining.slices.len());
        let shares = self.shares(lanes);
        let budget = ByteBudget::new(shares.block_bytes);
        let idle = Idle::new(self.ports.clock, self.job.exit.idle());
        let pipeline = Pipeline {
            lanes: Lanes {
                source: self.ports.source,
                rules,
                budget: &budget,
                cancel: self.cancel,
                idle: &idle,
                limit: &self.read_limit,
                count: lanes,
            },
            uploads,
            completion: &completion,
            uploads_at_once: shares.uploads,
            order: WindowOrder::of(plan),
        };
        let reports = Mutex::new(remaining.staged);
        let lock = || reports.lock().unwrap_or_else(PoisonError::into_inner);
        let mut end_window = |number: u32| {
            let started = self.ports.clock.elapsed();
            if reads && !loaded.contains(&number) {
                check_not_made_anew(topic, plan, self.ports.source)?;
            }
            let (window, files) = {
                let reports = lock();
                let reports = of_windows.reports(&reports, number);
                let window = loaded_window(plan, &reports, number);
                (window, row_files(reports, number))
            };
            match self.end_window(&window, &files, loaded.contains(&number), work) {
                Ok(done) => {
                    ended.insert(number, done);
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

    /// Commits a complete window, unless an earlier attempt has, and lets go of its staged rows.
    fn end_window(
        &self,
        window: &LoadedWindow<'_>,
        files: &[StagedFile],
        is_loaded: bool,
        work: &Work<'_>,
    ) -> Result<EndedWindow, Error> {
        let Work {
            uploads,
            commits,
            verify,
            ..
        } = work;
        let done = end_one(window, is_loaded, uploads, commits, verify)?;
        for file in files {
            if uploads.disk.release(file)? {
                (self.ports.on_border)(Border::FileDeleted)?;
            }
        }
        count(&self.progress.windows_ended, 1);
        Ok(done)
    }
}

/// The windows of so many that have not ended.
fn open_windows(windows: usize, ended: &Ended) -> Vec<u32> {
    let numbers = (0_u32..).take(windows);
    numbers
        .filter(|number| !ended.contains_key(number))
        .collect()
}

/// A run whose windows are all in the table.
pub(crate) struct Loaded {
    pub(crate) run: OpenRun,
    pub(crate) report: RunReport,
    /// Where the consumer group is to be.
    pub(crate) positions: Positions,
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

/// What the steps of one attempt work with.
struct Work<'a> {
    plan: &'a LoadPlan,
    of_windows: &'a SlicesOfWindows,
    topic: &'a TopicDescription,
    rules: &'a SliceRules<'a>,
    uploads: &'a Uploads<'a>,
    commits: &'a Commits<'a>,
    verify: &'a Verify<'a>,
}
