//! A job against the real topic and the real table.

use std::fmt;
use std::path::Path;

use engine_load::audit::{Audit, AuditReport, audit_lateness, check_repairable};
use engine_load::bench::BenchReport;
use engine_load::plan::WindowOrder;
use engine_load::ports::{Clock as _, MessageSource, TargetTable};
use engine_load::{
    Cancel, Error, ErrorKind, MemoryShares, Passing, Ports, Prepared, Progress, RunOptions,
    SystemClock, check_disk_limit, is_of_one_window, objections, plan_notes,
};
use engine_model::job::{Job, KafkaSource, Lateness, OnRetentionGap, Verify};
use engine_model::limits::{BLOCKS_PER_PERIOD_MAX, PACE_PERIOD_S, SESSIONS_PER_PERIOD_MAX};
use engine_model::{ByteRate, LoadPlan, RunReport};
use jiff::tz::TimeZone;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::adapters::kafka::KafkaTopics;
use crate::adapters::tunnel::MaxComputeTable;
use crate::bench::{BenchOptions, bench};
use crate::check::{CheckReport, check};
use crate::halt::{Halt, halt_at};
use crate::preview::{Preview, preview};
use crate::sample::{TopicSample, sample};
use crate::state::StateFolder;

/// Bytes that a sample fetches ahead: little, for it turns to another place soon.
const SAMPLE_FETCH_BYTES: usize = 1 << 20;
/// Reasons for which a run would be refused that its plan tells, at most: a backfill may have one for each window.
const REFUSALS_TOLD_MAX: usize = 5;

/// What a plan costs and finds, besides the plan itself.
#[derive(Clone, Debug, Serialize)]
pub struct PlanReport {
    /// The plan.
    #[serde(flatten)]
    pub plan: LoadPlan,
    /// Offsets to read.
    pub offsets: u64,
    /// Bytes to read, estimated from sampled messages.
    pub bytes_estimate: u64,
    /// Bytes that can still be staged on the disk of the state folder.
    pub disk_bytes_free: Option<u64>,
    /// Upload sessions that the run opens.
    pub sessions: usize,
    /// What a person should look at, in whole sentences.
    pub notes: Vec<String>,
}

/// Checks, plans and runs jobs.
pub struct Engine {
    /// Runs the calls to MaxCompute; what computes runs on plain threads.
    runtime: Runtime,
    cores: usize,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("cores", &self.cores)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that uses `cores` cores.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] where the system gives no thread.
    pub fn new(cores: usize) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| {
                Error::with_source(
                    ErrorKind::Internal,
                    format!("no thread can be started: {error}"),
                    error,
                )
            })?;
        Ok(Self {
            runtime,
            cores: cores.max(1),
        })
    }

    /// Looks for everything that would keep the windows of `jobs` from being loaded together: brokers, topic, table, columns,
    /// permissions.
    pub fn check(&self, jobs: &[Job]) -> CheckReport {
        match first(jobs).and_then(|job| self.edges(job, &Cancel::default())) {
            Ok((source, target)) => {
                let lanes = jobs.first().map_or(1, |job| self.lanes(job));
                check(jobs, &source, &target, lanes)
            }
            Err(error) => CheckReport::failed("settings", &error),
        }
    }

    /// Makes the plan of a run that would keep its state in `state`, and touches nothing.
    pub fn plan(
        &self,
        jobs: &[Job],
        state: &Path,
        order: WindowOrder,
    ) -> Result<PlanReport, Error> {
        let job = first(jobs)?;
        let (source, target) = self.edges(job, &Cancel::default())?;
        let prepared = Prepared::new(jobs, &source, &target)?;
        let plan = prepared.plan(job, &source, now_ms(), self.lanes(job), order)?;
        let mut notes = plan_notes(&plan);
        let earlier = StateFolder::existing(state)?;
        let journal = earlier.as_ref().map(StateFolder::journal);
        let clock = SystemClock::start();
        let mut refused = objections(jobs, &plan, &prepared.topic, &target, journal, &clock)?;
        let room = check_disk_limit(job.limits.disk_bytes, &plan, self.lanes(job));
        refused.extend(room.err().map(|error| error.to_string()));
        notes.extend(refusal_notes(refused));
        let (offsets, bytes_estimate) = (plan.offsets(), plan.bytes_estimate());
        let disk_bytes_free = engine_load::free_bytes(state);
        let bound = job
            .limits
            .disk_bytes
            .into_iter()
            .chain(disk_bytes_free)
            .min();
        if let Some(bound) = bound.filter(|bound| *bound < bytes_estimate) {
            notes.push(format!(
                "about {bytes_estimate} bytes are read, and {bound} can be staged at once: uploaded files are deleted as \
                 the run goes, and where that is not enough it waits or fails with a full disk",
            ));
        }
        let sessions = plan.windows.len();
        let slices = plan.slices.iter();
        let blocks = slices.map(|slice| slice.windows().len()).sum();
        notes.extend(pace_note(sessions, blocks));
        let rate = job.limits.bandwidth.read;
        notes.extend(rate.and_then(|rate| rate_note(rate, bytes_estimate)));
        Ok(PlanReport {
            plan,
            offsets,
            bytes_estimate,
            disk_bytes_free,
            sessions,
            notes,
        })
    }

    /// Of jobs in time order, those whose targets hold no rows yet, or which a run in `state` that has not ended loads.
    ///
    /// # Errors
    ///
    /// Where the jobs don't fit their table or can't be loaded together.
    pub fn missing(&self, jobs: &[Job], state: &Path) -> Result<Vec<Job>, Error> {
        let (source, target) = self.edges(first(jobs)?, &Cancel::default())?;
        let prepared = Prepared::new(jobs, &source, &target)?;
        let earlier = StateFolder::existing(state)?;
        let journal = earlier.as_ref().map(StateFolder::journal);
        let missing = engine_load::missing(&prepared, &target, journal)?;
        let job = |number: usize| jobs.get(number).cloned();
        Ok(missing.into_iter().filter_map(job).collect())
    }

    /// Decodes the first `rows` messages of the window and shows them.
    pub fn preview(&self, job: &Job, rows: usize) -> Result<Preview, Error> {
        let (source, target) = self.edges(job, &Cancel::default())?;
        preview(job, &source, &target, rows)
    }

    /// Reads up to `messages` messages of a topic, from the start, the middle and the end of its logs, and looks at their
    /// fields; instants without an offset are read in `zone`. Needs no table.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Source`] where brokers or topic can't be read; [`ErrorKind::Job`] where payloads are not JSON.
    pub fn sample(
        &self,
        source: &KafkaSource,
        zone: &TimeZone,
        messages: usize,
    ) -> Result<TopicSample, Error> {
        let topic = KafkaTopics::of_source(source, false, SAMPLE_FETCH_BYTES)?;
        sample(source, &topic, zone, messages)
    }

    /// Loads the windows of `jobs` in one pass over the topic, or goes on with an attempt that did not end. Blocks until it
    /// is done.
    ///
    /// # Errors
    ///
    /// As [`engine_load::run`].
    pub fn run(
        &self,
        jobs: &[Job],
        state: &StateFolder,
        options: &LoadOptions,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<RunReport, Error> {
        let job = first(jobs)?;
        let (source, target) = self.edges(job, cancel)?;
        let source = source.for_run();
        let ports = Ports {
            source: &source,
            target: &target,
            staging: state.staging()?,
            journal: state.journal(),
            clock: &SystemClock::start(),
            locks: &state.locks(),
            on_border: &halt_at(&options.halts),
        };
        let options = RunOptions {
            allow_open_window: options.allow_open_window,
            replace_other_window: options.replace_other_window,
            replan: options.replan,
            order: options.order,
            assume: options.assume,
            verify: options.verify,
            cores: self.cores,
            holder: format!("process {} (job {})", std::process::id(), job.name),
        };
        engine_load::run(jobs, &ports, &options, progress, cancel)
    }

    /// Measures how fast the steps of a run of `jobs` are on this machine, with files in a folder of its own in `state`. Asks the table
    /// for its columns and for nothing else, and loads nothing. Blocks until it is done.
    ///
    /// # Errors
    ///
    /// As [`Bench::run`](engine_load::bench::Bench::run); [`ErrorKind::Locked`] where another bench uses the folder.
    pub fn bench(
        &self,
        jobs: &[Job],
        state: &Path,
        options: BenchOptions,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<BenchReport, Error> {
        let (source, target) = self.edges(first(jobs)?, cancel)?;
        let place = (state, self.cores);
        bench(jobs, (&source, &target), place, options, progress, cancel)
    }

    /// Looks for messages of windows that are loaded, and that their runs did not read; reads only what they did not.
    /// Windows that lack some are loaded again where that is wanted, each by a run of its own. Blocks until it is done.
    ///
    /// # Errors
    ///
    /// As [`Audit::run`], and as [`Engine::run`] for the windows that are loaded again; those before it are loaded then.
    pub fn audit(
        &self,
        jobs: &[Job],
        state: &StateFolder,
        options: &AuditOptions,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<AuditReport, Error> {
        let job = first(jobs)?;
        let lateness = options.lateness.unwrap_or_else(|| audit_lateness(job));
        if options.repair.is_some() {
            check_repairable(job)?;
        }
        let (source, target) = self.edges(job, cancel)?;
        let audit = Audit {
            source: &source,
            target: &target,
            journal: state.journal(),
            clock: &SystemClock::start(),
            lateness,
            lanes: self.lanes(job),
        };
        let mut report = audit.run(jobs, progress, cancel)?;
        let Some(load) = &options.repair else {
            return Ok(report);
        };
        let topics = job.source.topics.iter();
        let mut topics = topics.filter(|topic| source.is_compacted(topic) == Some(true));
        if let Some(topic) = topics.next() {
            let why = format!(
                "{topic} is compacted: to load the window again would take away rows of messages that are gone since"
            );
            let audits = report.windows.iter_mut();
            for audit in audits.filter(|audit| audit.messages() > 0) {
                audit.not_repaired = Some(why.clone());
            }
            return Ok(report);
        }
        let lacking = report.windows.iter_mut();
        for audit in lacking.filter(|audit| audit.messages() > 0) {
            let Some(job) = jobs.iter().find(|job| job.window == audit.window) else {
                continue;
            };
            let again = Job {
                // As far as the audit looked, or the run would not find what it has found.
                lateness,
                // To lose rows is no repair, whatever the job takes for a first load.
                on_retention_gap: match job.on_retention_gap {
                    OnRetentionGap::Warn => OnRetentionGap::Auto,
                    other => other,
                },
                ..job.clone()
            };
            // Its report has its own steps.
            progress.reset();
            match self.run(&[again], state, load, progress, cancel) {
                Ok(repaired) => report.repairs.push(repaired),
                Err(error) if is_of_one_window(&error) => {
                    audit.not_repaired = Some(error.to_string());
                }
                Err(error) => {
                    let message = format!(
                        "{} lacks messages and is not loaded again: {error}; {} that lacked some are",
                        audit.window,
                        report.repairs.len(),
                    );
                    return Err(Error::with_source(error.kind(), message, error));
                }
            }
        }
        Ok(report)
    }

    fn lanes(&self, job: &Job) -> usize {
        job.limits
            .concurrency
            .map_or(self.cores, std::num::NonZero::get)
    }

    fn edges(&self, job: &Job, cancel: &Cancel) -> Result<(KafkaTopics, MaxComputeTable), Error> {
        let lanes = self.lanes(job);
        let shares = MemoryShares::new(job.limits.memory_bytes, lanes);
        let source = KafkaTopics::new(job, &shares, cancel.clone())?;
        let destination = &job.destination;
        let runtime = self.runtime.handle().clone();
        let target = MaxComputeTable::new(
            &destination.connection,
            &destination.table,
            job.limits.bandwidth.upload,
            runtime,
            cancel.clone(),
        )?;
        Ok((source, target))
    }
}

/// What a plan says of that for which its run would be refused.
fn refusal_notes(mut refused: Vec<String>) -> Vec<String> {
    refused.dedup();
    let more = refused.len().saturating_sub(REFUSALS_TOLD_MAX);
    let told = refused.iter().take(REFUSALS_TOLD_MAX);
    let mut notes: Vec<_> = told
        .map(|why| format!("the run would be refused: {why}"))
        .collect();
    if more > 0 {
        notes.push(format!(
            "the run would be refused for {more} more reasons of this kind"
        ));
    }
    notes
}

/// How long the service makes a run take that opens so many upload sessions and sends so many blocks, where that is worth saying.
fn pace_note(sessions: usize, blocks: usize) -> Option<String> {
    let periods = |calls: usize, calls_max: usize| calls.saturating_sub(1) / calls_max;
    let periods =
        periods(sessions, SESSIONS_PER_PERIOD_MAX).max(periods(blocks, BLOCKS_PER_PERIOD_MAX));
    let minutes = periods as u64 * (PACE_PERIOD_S / 60);
    (periods > 0).then(|| {
        format!(
            "the run opens up to {sessions} upload sessions and sends up to {blocks} blocks, and the service takes \
             {SESSIONS_PER_PERIOD_MAX} and {BLOCKS_PER_PERIOD_MAX} for a table in {} minutes: it takes {minutes} minutes at least",
            PACE_PERIOD_S / 60
        )
    })
}

/// How long the job's own limit makes it take to read so many bytes, where that is worth saying.
fn rate_note(rate: ByteRate, bytes: u64) -> Option<String> {
    let seconds = rate.time_of(bytes).as_secs();
    let time = match seconds {
        0..60 => return None,
        60..600 => format!("{seconds} s"),
        _ => format!("{} minutes", seconds / 60),
    };
    Some(format!(
        "about {} MiB are read at {rate} or less, as `limits.bandwidth` says: that takes {time} at least",
        bytes >> 20
    ))
}

pub(crate) fn first(jobs: &[Job]) -> Result<&Job, Error> {
    jobs.first().ok_or_else(|| {
        Error::new(
            ErrorKind::Job,
            "there is no window to load; check the range of time",
        )
    })
}

/// How to run, beyond what the job says.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// Load what is there of a window whose end is still to come.
    pub allow_open_window: bool,
    /// Replace a target although it holds other windows of ours.
    pub replace_other_window: bool,
    /// Begin anew where a run that did not end would be gone on with. A commit of it that was sent is settled first.
    pub replan: bool,
    /// Which of several windows are to be complete first.
    pub order: WindowOrder,
    /// What to take for true about a commit that nobody can tell about any more.
    pub assume: Option<engine_load::Assume>,
    /// What to compare with the table after the commit, besides what the job asks for.
    pub verify: Verify,
    /// Where the process halts, for tests.
    pub halts: Vec<(Passing, Halt)>,
}

/// How to audit windows.
#[derive(Clone, Debug, Default)]
pub struct AuditOptions {
    /// How far from their windows messages are looked for; nothing for a day of message time, or as far as the job where
    /// that is more.
    pub lateness: Option<Lateness>,
    /// How windows that lack messages are loaded again; nothing to leave them.
    pub repair: Option<LoadOptions>,
}

/// The time at which a plan that nothing is loaded by was made.
pub(crate) fn now_ms() -> i64 {
    SystemClock::start().now().as_millisecond()
}

/// The messages of the window's start, for looking at some of them.
pub(crate) fn window_start(
    job: &Job,
    source: &dyn MessageSource,
    target: &dyn TargetTable,
) -> Result<(Prepared, LoadPlan), Error> {
    let prepared = Prepared::new(std::slice::from_ref(job), source, target)?;
    let plan = prepared.plan(job, source, now_ms(), 1, WindowOrder::OldestFirst)?;
    Ok((prepared, plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_tells_a_few_of_many_refusals() {
        let why = |number: usize| format!("window {number} is not over");
        assert!(refusal_notes(Vec::new()).is_empty());
        let once = refusal_notes(vec![why(1), why(1)]);
        assert_eq!(once, ["the run would be refused: window 1 is not over"]);
        let notes = refusal_notes((0..1_000).map(why).collect());
        assert_eq!(notes.len(), REFUSALS_TOLD_MAX + 1);
        assert_eq!(
            notes.last().unwrap(),
            "the run would be refused for 995 more reasons of this kind"
        );
    }

    #[test]
    fn a_run_that_reads_slowly_is_told_how_long_it_takes_at_least() {
        let rate = ByteRate::new(10 << 20).unwrap();
        assert_eq!(rate_note(rate, 500 << 20), None);
        let short = rate_note(rate, 610 << 20).unwrap();
        assert!(short.ends_with("that takes 61 s at least"), "{short}");
        let note = rate_note(rate, 6_000 << 20).unwrap();
        assert_eq!(
            note,
            "about 6000 MiB are read at 10MiB/s or less, as `limits.bandwidth` says: that takes 10 minutes at least"
        );
    }

    #[test]
    fn a_run_of_many_sessions_is_told_how_long_it_takes_at_least() {
        let most = (SESSIONS_PER_PERIOD_MAX, BLOCKS_PER_PERIOD_MAX);
        assert_eq!(pace_note(most.0, most.1), None);
        assert!(pace_note(1, most.1 + 1).is_some());
        let note = pace_note(1_001, 20).unwrap();
        assert!(
            note.ends_with("for a table in 5 minutes: it takes 10 minutes at least"),
            "{note}"
        );
    }
}
