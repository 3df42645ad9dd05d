//! The one place that joins the steps: lanes that read, decode and stage, and uploads beside them.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Sender, bounded};
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
const BLOCKS_WAITING_MAX: usize = 8;

/// What the threads of the pipeline share.
pub(crate) struct Pipeline<'a> {
    pub(crate) source: &'a dyn MessageSource,
    pub(crate) rules: &'a SliceRules<'a>,
    pub(crate) uploads: &'a Uploads<'a>,
    pub(crate) completion: &'a Completion,
    pub(crate) budget: &'a ByteBudget,
    pub(crate) cancel: &'a Cancel,
    pub(crate) idle: &'a Idle<'a>,
    pub(crate) limit: &'a ReadLimit<'a>,
    /// At least 1, and no more than there are slices.
    pub(crate) lanes: usize,
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
        let lanes = self.lanes;
        let queue = Mutex::new(SliceQueue::new(slices, lanes, self.order));
        let failure = FirstFailure::default();
        let (blocks, waiting_blocks) = bounded(BLOCKS_WAITING_MAX);
        thread::scope(|scope| -> Result<(), Error> {
            for upload in 0..self.uploads_at_once {
                let (waiting_blocks, failure) = (waiting_blocks.clone(), &failure);
                spawn(scope, format!("upload-{upload}"), self.cancel, move || {
                    let on_uploaded = |window| self.completion.uploaded(window);
                    failure.watch(self.cancel, self.uploads.run(&waiting_blocks, &on_uploaded));
                })?;
            }
            let failures = &failure;
            spawn(scope, "commit".to_owned(), self.cancel, move || {
                let end_all = || {
                    (0..self.completion.windows())
                        .try_for_each(|_| end_window(self.completion.next(self.cancel)?))
                };
                let mut end_all = end_all;
                failures.watch(self.cancel, end_all());
            })?;
            // The receivers that count are the uploads' own: when they are gone, sending fails.
            drop(waiting_blocks);
            for number in 0..lanes {
                let (handle, consumer) = read::channel(
                    self.budget,
                    self.cancel,
                    self.idle,
                    self.limit,
                    self.rules.progress,
                );
                let (blocks, failure, queue) = (blocks.clone(), &failure, &queue);
                spawn(
                    scope,
                    format!("read-{number}"),
                    self.cancel,
                    move || match self.source.reader() {
                        Ok(reader) => consumer.run(reader),
                        Err(error) => failure.watch(self.cancel, Err(error)),
                    },
                )?;
                spawn(scope, format!("lane-{number}"), self.cancel, move || {
                    let mut lane = Lane::new(self.rules, handle);
                    let done = self.run_lane(number, &mut lane, queue, &blocks, on_staged);
                    failure.watch(self.cancel, done);
                })?;
            }
            for task in staged_before {
                if let Err(error) = self.cancel.send(&blocks, task) {
                    failure.watch(self.cancel, Err(error));
                    break;
                }
            }
            drop(blocks);
            Ok(())
        })?;
        failure.into_result(self.cancel)
    }

    fn run_lane(
        &self,
        number: usize,
        lane: &mut Lane<'_>,
        queue: &Mutex<SliceQueue>,
        blocks: &Sender<BlockTask>,
        on_staged: &(dyn Fn(SliceReport) + Sync),
    ) -> Result<(), Error> {
        loop {
            self.cancel.check()?;
            let next = queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(number);
            let Some(spec) = next else { return Ok(()) };
            self.uploads.disk.reserve(&spec, self.cancel)?;
            let report = lane.execute_slice(&spec)?;
            check_slice(&spec, &report)?;
            self.uploads.disk.staged(&spec, &report);
            self.rules
                .between((Border::SliceStaged, Border::SliceJournalled), || {
                    self.uploads.journal.slice_staged(self.rules.run, &report)
                })?;
            count(&self.rules.progress.slices_staged, 1);
            // Before the window can be complete: its end looks at the reports.
            on_staged(report.clone());
            let (tasks, unwanted) = self.completion.staged(&spec, &report);
            for task in unwanted {
                self.uploads.disk.discard(&task.file)?;
            }
            for task in tasks {
                count(&self.rules.progress.blocks_known, 1);
                self.cancel.send(blocks, task)?;
            }
        }
    }
}

/// Every offset of the slice must be accounted for, in each of its ranges.
fn check_slice(spec: &SliceSpec, report: &SliceReport) -> Result<(), Error> {
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
