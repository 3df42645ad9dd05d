//! Which windows are complete: all their slices staged, all their blocks uploaded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use engine_model::{SliceReport, SliceSpec};

use crate::Error;
use crate::cancel::{CANCEL_POLL, Cancel};
use crate::pipeline::block_tasks;
use crate::upload::BlockTask;

/// Counts what each window waits for, and hands on those that wait for nothing any more.
pub(crate) struct Completion {
    /// By the window's number; a window that was handed on is gone.
    waiting: Mutex<BTreeMap<u32, Waiting>>,
    /// Windows whose rows the table has already; only their slices are waited for.
    loaded: BTreeSet<u32>,
    complete: Sender<u32>,
    completed: Receiver<u32>,
    /// Windows that are handed on, in the end.
    windows: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    slices: usize,
    blocks: usize,
}

impl Completion {
    /// For `windows`, of which these slices are not staged and these blocks not uploaded. Those that wait for nothing are
    /// handed on at once. The table has the rows of those that are `loaded` already.
    pub(crate) fn new(
        windows: &[u32],
        loaded: BTreeSet<u32>,
        slices: &[SliceSpec],
        blocks: &[BlockTask],
    ) -> Self {
        let mut waiting: BTreeMap<u32, Waiting> = windows
            .iter()
            .map(|number| (*number, Waiting::default()))
            .collect();
        for number in slices.iter().flat_map(SliceSpec::windows) {
            if let Some(waiting) = waiting.get_mut(&number) {
                waiting.slices += 1;
            }
        }
        for block in blocks {
            if let Some(waiting) = waiting.get_mut(&block.window) {
                waiting.blocks += 1;
            }
        }
        // Each window is sent once, so that the queue is never full.
        let (complete, completed) = bounded(windows.len());
        let completion = Self {
            waiting: Mutex::default(),
            loaded,
            complete,
            completed,
            windows: windows.len(),
        };
        {
            let mut held = completion.lock();
            *held = waiting;
            let windows: Vec<u32> = held.keys().copied().collect();
            for number in windows {
                completion.hand_on(&mut held, number);
            }
        }
        completion
    }

    /// Windows that are handed on, in the end.
    pub(crate) fn windows(&self) -> usize {
        self.windows
    }

    /// Notes that a slice is staged, and returns the blocks to upload for it, those of windows that are not done, and the
    /// others, which nobody waits for: the table has their windows already, or the rows of another run.
    pub(crate) fn staged(
        &self,
        slice: &SliceSpec,
        report: &SliceReport,
    ) -> (Vec<BlockTask>, Vec<BlockTask>) {
        let mut waiting = self.lock();
        let (tasks, unwanted): (Vec<_>, Vec<_>) = block_tasks(report).partition(|task| {
            waiting.contains_key(&task.window) && !self.loaded.contains(&task.window)
        });
        for task in &tasks {
            if let Some(waiting) = waiting.get_mut(&task.window) {
                waiting.blocks += 1;
            }
        }
        for number in slice.windows() {
            if let Some(waiting) = waiting.get_mut(&number) {
                waiting.slices = waiting.slices.saturating_sub(1);
            }
            self.hand_on(&mut waiting, number);
        }
        (tasks, unwanted)
    }

    /// Notes that a block of a window is uploaded.
    pub(crate) fn uploaded(&self, window: u32) {
        let mut waiting = self.lock();
        if let Some(waiting) = waiting.get_mut(&window) {
            waiting.blocks = waiting.blocks.saturating_sub(1);
        }
        self.hand_on(&mut waiting, window);
    }

    /// Waits for the next window that is complete.
    pub(crate) fn next(&self, cancel: &Cancel) -> Result<u32, Error> {
        loop {
            match self.completed.recv_timeout(CANCEL_POLL) {
                Ok(window) => return Ok(window),
                Err(RecvTimeoutError::Timeout) => cancel.check()?,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::stopped()),
            }
        }
    }

    fn hand_on(&self, waiting: &mut BTreeMap<u32, Waiting>, window: u32) {
        let is_complete = waiting
            .get(&window)
            .is_some_and(|waiting| waiting.slices == 0 && waiting.blocks == 0);
        if is_complete {
            waiting.remove(&window);
            // Both ends are held here, so it can't fail.
            self.complete.send(window).unwrap_or_default();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use engine_model::{
        OffsetRange, SLICE_FORMAT, SliceRange, SliceWindowReport, StagedFile, TopicPartition,
        UnmappedFields,
    };

    use super::*;

    fn slice(number: u32, windows: &[u32]) -> SliceSpec {
        SliceSpec {
            format: SLICE_FORMAT,
            number,
            block_ids: BTreeMap::new(),
            ranges: vec![SliceRange {
                topic_partition: TopicPartition::new("orders", 0),
                range: OffsetRange { start: 0, end: 9 },
                windows: windows.to_vec(),
            }],
        }
    }

    fn report(number: u32, with_rows: &[u32]) -> SliceReport {
        let rows = StagedFile {
            name: "f".into(),
            rows: 1,
            bytes: 1,
            crc32c: 0,
        };
        let staged = |window: &u32| {
            let rows = Some(rows.clone());
            (
                *window,
                SliceWindowReport {
                    rows,
                    ..SliceWindowReport::default()
                },
            )
        };
        SliceReport {
            format: SLICE_FORMAT,
            number,
            ranges: Vec::new(),
            windows: with_rows.iter().map(staged).collect(),
            unmapped_fields: UnmappedFields::default(),
        }
    }

    #[test]
    fn a_window_is_complete_with_its_last_slice_and_its_last_block() {
        let slices = [slice(0, &[0]), slice(1, &[0, 1])];
        let completion = Completion::new(&[0, 1, 2], BTreeSet::new(), &slices, &[]);
        let cancel = Cancel::default();
        let next = || completion.next(&cancel).unwrap();
        assert_eq!(next(), 2, "nothing is to be done for it");

        assert_eq!(
            completion.staged(&slices[1], &report(1, &[0, 1])).0.len(),
            2
        );
        completion.uploaded(1);
        assert_eq!(next(), 1);
        completion.uploaded(0);
        assert!(completion.completed.is_empty(), "slice 0 is missing");
        assert!(completion.staged(&slices[0], &report(0, &[])).0.is_empty());
        assert_eq!(next(), 0);
    }

    #[test]
    fn windows_that_are_done_get_no_blocks() {
        let slices = [slice(0, &[0, 1, 2])];
        let completion = Completion::new(&[1, 2], [2].into(), &slices, &[]);
        let (tasks, unwanted) = completion.staged(&slices[0], &report(0, &[0, 1, 2]));
        // Of window 2 the slice was missing, and no block.
        assert_eq!(completion.next(&Cancel::default()).unwrap(), 2);
        let windows =
            |tasks: &[BlockTask]| tasks.iter().map(|task| task.window).collect::<Vec<_>>();
        assert_eq!((windows(&tasks), windows(&unwanted)), (vec![1], vec![0, 2]));
    }
}
