//! The one place that joins the steps: lanes that read, decode and stage, and uploads beside them.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use engine_model::job::Job;
use engine_model::{Ledger, SliceReport, SliceSpec};

use crate::bandwidth::ReadLimit;
use crate::border::Border;
use crate::budget::ByteBudget;
use crate::cancel::Cancel;
use crate::complete::Completion;
use crate::decode::Lane;
use crate::plan::{SliceQueue, WindowOrder};
use crate::ports::MessageSource;
use crate::progress::count;
use crate::read::{self, Idle};
use crate::rules::SliceRules;
use crate::threads::{FirstFailure, spawn};
use crate::upload::{BlockTask, Uploads};
use crate::{Error, ErrorKind};

/// Staged blocks that wait for an upload before the lanes wait too.
pub(crate) const BLOCKS_WAITING_MAX: usize = 8;

/// Lanes for so many slices: what the job or the cores say, and no more than there are slices.
pub(crate) fn lanes(job: &Job, cores: usize, slices: usize) -> usize {
    let configured = job.limits.concurrency.map_or(cores, NonZeroUsize::get);
    configured.min(slices).max(1)
}

/// The lanes, and what their threads share.
pub(crate) struct Lanes<'a> {
    pub(crate) source: &'a dyn MessageSource,
    pub(crate) rules: &'a SliceRules<'a>,
    pub(crate) budget: &'a ByteBudget,
    pub(crate) cancel: &'a Cancel,
    pub(crate) idle: &'a Idle<'a>,
    pub(crate) limit: &'a ReadLimit<'a>,
    /// At least 1, and no more than there are slices.
    pub(crate) count: usize,
}

impl Lanes<'_> {
    /// Starts the threads of all lanes, which hand the slices of `queue` to `execute` until none is left. Each lane has a clone of
    /// `execute` to itself, and drops it when it is done.
    pub(crate) fn start<'scope>(
        &'scope self,
        scope: &'scope thread::Scope<'scope, '_>,
        queue: &'scope Mutex<SliceQueue>,
        failure: &'scope FirstFailure,
        execute: impl Fn(&mut Lane<'_>, &SliceSpec) -> Result<(), Error> + Clone + Send + 'scope,
    ) -> Result<(), Error> {
        for number in 0..self.count {
            let (handle, consumer) = read::channel(
                self.budget,
                self.cancel,
                self.idle,
                self.limit,
                self.rules.progress,
            );
            spawn(
                scope,
                format!("read-{number}"),
                self.cancel,
                move || match self.source.reader() {
                    Ok(reader) => consumer.run(reader),
                    Err(error) => failure.watch(self.cancel, Err(error)),
                },
            )?;
            let execute = execute.clone();
            spawn(scope, format!("lane-{number}"), self.cancel, move || {
                let mut lane = Lane::new(self.rules, handle);
                let done = self.run_lane(number, &mut lane, queue, &execute);
                failure.watch(self.cancel, done);
            })?;
        }
        Ok(())
    }

    fn run_lane(
        &self,
        number: usize,
        lane: &mut Lane<'_>,
        queue: &Mutex<SliceQueue>,
        execute: &dyn Fn(&mut Lane<'_>, &SliceSpec) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            self.cancel.check()?;
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(number);
            let Some(spec) = next else { return Ok(()) };
            execute(lane, &spec)?;
        }
    }
}

/// What the threads of the pipeline share.
pub(crate) struct Pipeline<'a> {
    pub(crate) lanes: Lanes<'a>,
    pub(crate) uploads: &'a Uploads<'a>,
    pub(crate) completion: &'a Completion,
    /// Blocks that are uploaded at once; at least 1.
    pub(crate) uploads_at_once: usize,
    pub(crate) order: WindowOrder,
}

impl Pipeline<'_> {
    /// Executes `slices`, uploads their blocks and those of `staged_before`, and ends each window that is complete.
    ///
    /// Returns when all of it is done, or with the first error after every thread has stopped. Calls `on_staged` for
    /// each slice that was staged, after the journal knows it, and `end_window` for each window, one at a time.
    pub(crate) fn run(
        &self,
        slices: Vec<SliceSpec>,
        staged_before: Vec<BlockTask>,
        on_staged: &(dyn Fn(SliceReport) + Sync),
        end_window: &mut (dyn FnMut(u32) -> Result<(), Error> + Send),
    ) -> Result<(), Error> {
        let cancel = self.lanes.cancel;
        let queue = Mutex::new(SliceQueue::new(slices, self.lanes.count, self.order));
        let failure = FirstFailure::default();
        let (blocks, waiting_blocks) = bounded(BLOCKS_WAITING_MAX);
        thread::scope(|scope| -> Result<(), Error> {
            for upload in 0..self.uploads_at_once {
                let (waiting_blocks, failure) = (waiting_blocks.clone(), &failure);
                spawn(scope, format!("upload-{upload}"), cancel, move || {
                    let on_uploaded = |window| self.completion.uploaded(window);
                    failure.watch(cancel, self.uploads.run(&waiting_blocks, &on_uploaded));
                })?;
            }
            let failures = &failure;
            spawn(scope, "commit".to_owned(), cancel, move || {
                let end_all = || {
                    (0..self.completion.windows())
                        .try_for_each(|_| end_window(self.completion.next(cancel)?))
                };
                let mut end_all = end_all;
                failures.watch(cancel, end_all());
            })?;
            // The receivers that count are the uploads' own: when they are gone, sending fails.
            drop(waiting_blocks);
            let lane_blocks = blocks.clone();
            let execute = move |lane: &mut Lane<'_>, spec: &SliceSpec| {
                self.execute(lane, spec, &lane_blocks, on_staged)
            };
            self.lanes.start(scope, &queue, &failure, execute)?;
            for task in staged_before {
                if let Err(error) = cancel.send(&blocks, task) {
                    failure.watch(cancel, Err(error));
                    break;
                }
            }
            drop(blocks);
            Ok(())
        })?;
        failure.into_result(cancel)
    }

    /// Stages a slice and hands its blocks on.
    fn execute(
        &self,
        lane: &mut Lane<'_>,
        spec: &SliceSpec,
        blocks: &Sender<BlockTask>,
        on_staged: &(dyn Fn(SliceReport) + Sync),
    ) -> Result<(), Error> {
        let Lanes { rules, cancel, .. } = self.lanes;
        self.uploads.disk.reserve(spec, cancel)?;
        let report = lane.execute_slice(spec)?;
        check_slice(spec, &report)?;
        self.uploads.disk.staged(spec, &report);
        rules.between((Border::SliceStaged, Border::SliceJournalled), || {
            self.uploads.journal.slice_staged(rules.run, &report)
        })?;
        count(&rules.progress.slices_staged, 1);
        // Before the window can be complete: its end looks at the reports.
        on_staged(report.clone());
        let (tasks, unwanted) = self.completion.staged(spec, &report);
        for task in unwanted {
            self.uploads.disk.discard(&task.file)?;
        }
        for task in tasks {
            count(&rules.progress.blocks_known, 1);
            cancel.send(blocks, task)?;
        }
        Ok(())
    }
}

/// Every offset of the slice must be accounted for, in each of its ranges.
pub(crate) fn check_slice(spec: &SliceSpec, report: &SliceReport) -> Result<(), Error> {
    let mut ledger = Ledger::default();
    for range in &report.ranges {
        ledger.add(&range.topic_partition, &range.counts);
    }
    let read = report
        .ranges
        .iter()
        .map(|range| (&range.topic_partition, range.range));
    let planned = spec
        .ranges
        .iter()
        .map(|range| (&range.topic_partition, range.range));
    if !read.eq(planned) {
        let message = format!(
            "slice {} was not read as it was planned; nothing of it was committed",
            spec.number
        );
        return Err(Error::new(ErrorKind::Unbalanced, message));
    }
    ledger.check().map_err(|imbalance| {
        Error::with_source(ErrorKind::Unbalanced, imbalance.to_string(), imbalance)
    })
}

/// The blocks that a staged slice makes, one for each window that it has rows for.
pub(crate) fn block_tasks(report: &SliceReport) -> impl Iterator<Item = BlockTask> + '_ {
    report.windows.iter().filter_map(|(window, staged)| {
        staged.rows.clone().map(|file| BlockTask {
            window: *window,
            slice: report.number,
            block: report.block_id(*window),
            file,
        })
    })
}
