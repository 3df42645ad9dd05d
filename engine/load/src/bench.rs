//! What a job can do on this machine, step by step: the lanes of a run that stop after a step, and blocks that are encoded and
//! dropped. The table is asked for its columns and for nothing else.

mod advice;
mod part;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use engine_decode::MappedFields;
use engine_model::job::{Job, RejectLimit};
use engine_model::{LoadPlan, StepFigures, TableColumns, WindowCounts};
use serde::Serialize;

use crate::bandwidth::ReadLimit;
use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::decode::Lane;
use crate::disk::DiskBudget;
use crate::pipeline::{BLOCKS_WAITING_MAX, Lanes, block_tasks, check_slice, lanes};
use crate::plan::{SliceQueue, WindowOrder};
use crate::ports::{BlockReceipt, BlockSource, Clock, MessageSource, Staging, TargetTable};
use crate::prepare::Prepared;
use crate::progress::{Progress, count, seconds};
use crate::read::Idle;
use crate::rules::{RejectGuard, SliceRules};
use crate::shares::MemoryShares;
use crate::stage::StagedRows;
use crate::step::LoadStep;
use crate::threads::{FirstFailure, spawn};
use crate::upload::BlockTask;
use crate::usage::{CpuTime, memory_bytes_peak};
use crate::{Error, ErrorKind};

pub use advice::Bound;
use advice::{Facts, advice};
use part::part;

/// Encodes the rows of a block as for the service, and drops it.
pub type DiscardBlock<'a> =
    &'a (dyn Fn(&TableColumns, &dyn BlockSource) -> Result<BlockReceipt, Error> + Sync);

/// What is measured, and with what.
pub struct Bench<'a> {
    /// The jobs of a run.
    pub jobs: &'a [Job],
    /// The topic.
    pub source: &'a dyn MessageSource,
    /// The table, for its columns.
    pub target: &'a dyn TargetTable,
    /// A folder where nobody else stages: all of it is deleted.
    pub staging: Arc<dyn Staging>,
    /// Where blocks go.
    pub discard: DiscardBlock<'a>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Cores that the bench may use, at least 1.
    pub cores: usize,
    /// About how many messages are measured; all where the windows hold no more.
    pub messages: u64,
    /// How often; the median counts.
    pub repetitions: usize,
}

impl fmt::Debug for Bench<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench")
            .field("target", &self.target.name())
            .finish_non_exhaustive()
    }
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct BenchReport {
    /// The job's name.
    pub job: String,
    /// The topics.
    pub topic: String,
    /// Offsets that a run would read.
    pub offsets: u64,
    /// Offsets of them that were read for each measure.
    pub offsets_measured: u64,
    /// Lanes.
    pub lanes: usize,
    /// Cores that the program may use.
    pub cores: usize,
    /// How often each step was measured.
    pub repetitions: usize,
    /// The steps in order; each figure is of the median repetition by time.
    pub steps: Vec<StepMeasure>,
    /// What binds.
    pub bound: Bound,
    /// Why that is so and what to change, in whole sentences.
    pub advice: Vec<String>,
}

/// What it took to bring messages to the end of a step, all steps before it included.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepMeasure {
    /// The step.
    pub step: LoadStep,
    /// Wall time.
    pub seconds: f64,
    /// Messages that were read.
    pub messages: u64,
    /// Bytes of their keys, payloads and headers.
    pub bytes: u64,
    /// Rows that were made of them; nothing where none were made.
    pub rows: Option<u64>,
    /// Messages that could become no row.
    pub rejected: u64,
    /// Bytes of staged files.
    pub bytes_staged: u64,
    /// Bytes of blocks that would have been sent.
    pub bytes_sent: u64,
    /// Messages in a second.
    pub messages_per_second: u64,
    /// Message bytes in a second.
    pub bytes_per_second: u64,
    /// CPU time of this process, all threads together.
    pub cpu_seconds: f64,
    /// The same for each 10⁹ message bytes.
    pub cpu_seconds_per_gb: f64,
    /// The part of all cores that all processes of the machine took, up to 1; nothing where the system doesn't say.
    pub machine_busy: Option<f64>,
    /// Most memory that the process had held at once when the step was first measured, steps that were measured before it included;
    /// nothing where the system doesn't say.
    pub memory_bytes_peak: Option<u64>,
}

impl Bench<'_> {
    /// Reads once to warm up, then measures each step, and all of them again for each repetition. Leaves no staged file, also where
    /// it fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] where the windows hold no message, and whatever a run would fail by on the way, but not for rejected
    /// messages.
    pub fn run(&self, progress: &Progress, cancel: &Cancel) -> Result<BenchReport, Error> {
        let no_messages = || {
            let message =
                "the window holds no messages to measure with; name another scheduled time";
            Error::new(ErrorKind::Job, message)
        };
        let job = self.jobs.first().ok_or_else(no_messages)?;
        let prepared = Prepared::new(self.jobs, self.source, self.target)?;
        let wanted = lanes(job, self.cores, usize::MAX);
        let now_ms = self.clock.now().as_millisecond();
        let order = WindowOrder::OldestFirst;
        let plan = prepared.plan(job, self.source, now_ms, wanted, order)?;
        let offsets = plan.offsets();
        let plan = part(plan, self.messages, (wanted, job.limits.disk_bytes))?;
        let lanes = lanes(job, self.cores, plan.slices.len());
        let measuring = Measuring {
            bench: self,
            job,
            prepared: &prepared,
            plan: &plan,
            lanes,
            progress,
            cancel,
        };
        let reads = 1 + LoadStep::ALL.len() * self.repetitions;
        count(&progress.offsets_planned, plan.offsets() * reads as u64);
        if measuring.measure(LoadStep::Read)?.messages == 0 {
            return Err(no_messages());
        }
        let mut measures: [Vec<StepMeasure>; LoadStep::ALL.len()] = Default::default();
        for _ in 0..self.repetitions.max(1) {
            for (step, measures) in LoadStep::ALL.into_iter().zip(&mut measures) {
                measures.push(measuring.measure(step)?);
            }
        }
        let steps = measures.map(median);
        let facts = Facts::new(job, &plan, self.cores);
        let (bound, advice) = advice(&steps, &facts);
        Ok(BenchReport {
            job: job.name.clone(),
            topic: job.source.topic_list(),
            offsets,
            offsets_measured: plan.offsets(),
            lanes,
            cores: self.cores,
            repetitions: self.repetitions,
            steps: steps.into_iter().collect(),
            bound,
            advice,
        })
    }
}

/// The measure of the median time; of two in the middle the faster one. Of memory the first: later ones have seen more steps.
fn median(mut measures: Vec<StepMeasure>) -> StepMeasure {
    let memory_bytes_peak = measures.first().and_then(|first| first.memory_bytes_peak);
    measures.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let median = measures.swap_remove((measures.len() - 1) / 2);
    StepMeasure {
        memory_bytes_peak,
        ..median
    }
}

/// The measures of one bench.
struct Measuring<'a> {
    bench: &'a Bench<'a>,
    job: &'a Job,
    prepared: &'a Prepared,
    plan: &'a LoadPlan,
    lanes: usize,
    progress: &'a Progress,
    cancel: &'a Cancel,
}

impl Measuring<'_> {
    /// Takes all messages as far as `last_step`, and deletes what was staged.
    fn measure(&self, last_step: LoadStep) -> Result<StepMeasure, Error> {
        let clock = self.bench.clock;
        let before = self.progress.steps();
        let (started, cpu) = (clock.elapsed(), CpuTime::now());
        let taken = self.take(last_step);
        let (time, cpu_after) = (clock.elapsed().saturating_sub(started), CpuTime::now());
        let cleared = self.clear();
        let counts = taken?;
        cleared?;
        let after = self.progress.steps();
        let since = |step: StepFigures, before: StepFigures| step.bytes - before.bytes;
        let messages = after.read.items - before.read.items;
        let bytes = since(after.read, before.read);
        let cpu_time = cpu_after.process.saturating_sub(cpu.process);
        Ok(StepMeasure {
            step: last_step,
            seconds: seconds(time),
            messages,
            bytes,
            rows: (last_step > LoadStep::Read).then_some(counts.rows),
            rejected: counts.rejected,
            bytes_staged: since(after.stage, before.stage),
            bytes_sent: since(after.upload, before.upload),
            messages_per_second: per_second(messages, time),
            bytes_per_second: per_second(bytes, time),
            cpu_seconds: seconds(cpu_time),
            cpu_seconds_per_gb: seconds(cpu_time) * 1e9 / float(bytes.max(1)),
            machine_busy: cpu_after.machine_share_since(&cpu),
            memory_bytes_peak: memory_bytes_peak(),
        })
    }

    /// Runs lanes, and uploads beside them where it goes so far. Returns what became of the messages of the windows.
    fn take(&self, last_step: LoadStep) -> Result<WindowCounts, Error> {
        let Self { bench, cancel, .. } = self;
        let rules = self.rules(last_step);
        let limit = self.job.limits.disk_bytes;
        let staging = Arc::clone(&bench.staging);
        let disk = DiskBudget::new(staging, limit, self.plan, self.lanes, (0, Vec::new()))?;
        let shares = self.shares();
        let budget = ByteBudget::new(shares.block_bytes);
        let idle = Idle::new(bench.clock, self.job.exit.idle());
        // A bench is no easier on the brokers than a run.
        let limit = ReadLimit::new(self.job.limits.bandwidth.read, bench.clock, cancel);
        let lanes = Lanes {
            source: bench.source,
            rules: &rules,
            budget: &budget,
            cancel,
            idle: &idle,
            limit: &limit,
            count: self.lanes,
        };
        let slices = self.plan.slices.iter().cloned();
        let queue = SliceQueue::new(slices, self.lanes, WindowOrder::OldestFirst);
        let (queue, failure) = (Mutex::new(queue), FirstFailure::default());
        let counts = Mutex::new(WindowCounts::default());
        let (blocks, waiting_blocks) = bounded(BLOCKS_WAITING_MAX);
        thread::scope(|scope| -> Result<(), Error> {
            for number in 0..shares.uploads {
                let (waiting_blocks, failure, disk) = (waiting_blocks.clone(), &failure, &disk);
                spawn(scope, format!("upload-{number}"), cancel, move || {
                    failure.watch(cancel, self.upload(&waiting_blocks, disk));
                })?;
            }
            drop(waiting_blocks);
            let (disk, counts) = (&disk, &counts);
            let execute = move |lane: &mut Lane<'_>, slice: &_| {
                disk.reserve(slice, cancel)?;
                let report = lane.execute_slice(slice)?;
                if last_step > LoadStep::Read {
                    check_slice(slice, &report)?;
                }
                disk.staged(slice, &report);
                let mut all = counts.lock().unwrap_or_else(PoisonError::into_inner);
                for window in slice.windows() {
                    all.add(&report.window(window));
                }
                drop(all);
                for task in block_tasks(&report) {
                    if last_step == LoadStep::Upload {
                        cancel.send(&blocks, task)?;
                    } else {
                        disk.uploaded(task.file);
                    }
                }
                Ok(())
            };
            lanes.start(scope, &queue, &failure, execute)
        })?;
        failure.into_result(cancel)?;
        Ok(counts.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn upload(&self, tasks: &Receiver<BlockTask>, disk: &DiskBudget) -> Result<(), Error> {
        let clock = self.bench.clock;
        for BlockTask { file, .. } in tasks {
            self.cancel.check()?;
            let started = clock.elapsed();
            let staging = Arc::clone(&self.bench.staging);
            let rows = StagedRows { staging, file };
            let receipt = (self.bench.discard)(&self.prepared.columns, &rows)?;
            let busy: Duration = clock.elapsed().saturating_sub(started);
            let upload = &self.progress.upload;
            upload.add(busy, rows.file.rows, receipt.bytes);
            disk.uploaded(rows.file);
        }
        Ok(())
    }

    fn rules(&self, last_step: LoadStep) -> SliceRules<'_> {
        let shares = self.shares();
        let windows = self.plan.windows.iter();
        SliceRules {
            // Runs of the journal are counted from 1.
            run: 0,
            windows: windows.map(|planned| planned.window).collect(),
            tombstones: self.job.tombstones,
            projections: self.prepared.projections.clone(),
            mapped_fields: MappedFields::new(&self.job.columns).map(Arc::new),
            last_step,
            staging: Arc::clone(&self.bench.staging),
            // A share is judged before a commit, and there is none: what a job rejects can be measured too.
            rejects: RejectGuard::new(RejectLimit::Share(0), self.plan.windows.iter().map(|_| 0)),
            batch_bytes: shares.batch_bytes,
            row_group_bytes: shares.row_group_bytes_per_lane,
            threads_per_block: (self.bench.cores / self.lanes).max(1),
            clock: self.bench.clock,
            progress: self.progress,
            on_border: &|_| Ok(()),
        }
    }

    fn shares(&self) -> MemoryShares {
        MemoryShares::new(self.job.limits.memory_bytes, self.lanes)
    }

    /// Deletes all staged files.
    fn clear(&self) -> Result<(), Error> {
        let staging = &self.bench.staging;
        let removed = staging.list().and_then(|names| {
            let mut names = names.iter();
            names.try_for_each(|name| staging.remove(name))
        });
        let location = staging.location();
        removed.map_err(|error| Error::staging("deleting what the bench staged", &location, error))
    }
}

/// `amount` for each second of `time`; 0 for no time at all.
fn per_second(amount: u64, time: Duration) -> u64 {
    let per_second = (u128::from(amount) * 1_000_000_000).checked_div(time.as_nanos());
    u64::try_from(per_second.unwrap_or(0)).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a few digits of a measure count"
)]
fn float(bytes: u64) -> f64 {
    bytes as f64
}
