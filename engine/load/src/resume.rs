//! What a run that was begun before still has to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine_model::{SliceReport, SliceSpec, StagedFile};

use crate::Error;
use crate::cancel::Cancel;
use crate::journal::{Journal, OpenRun, Phase};
use crate::pipeline::block_tasks;
use crate::ports::Staging;
use crate::settle::{Fate, Settle};
use crate::stage::{run_prefix, verify};
use crate::upload::BlockTask;

/// What is left of a run.
pub(crate) struct Remaining {
    /// Slices to execute.
    pub(crate) slices: Vec<SliceSpec>,
    /// Blocks to upload from staged files.
    pub(crate) blocks: Vec<BlockTask>,
    /// Staged slices that need not be read again, by number.
    pub(crate) staged: BTreeMap<u32, SliceReport>,
    /// The upload session of each window that can still be used, or that was committed without an answer.
    pub(crate) sessions: Vec<Option<String>>,
    /// Windows whose rows the table has, or that were given up.
    pub(crate) done: BTreeSet<u32>,
    /// Blocks that the sessions already have.
    pub(crate) blocks_uploaded: u64,
    /// The staged files of these blocks that are still there.
    pub(crate) files_uploaded: Vec<StagedFile>,
}

/// The ports that resuming asks.
pub(crate) struct Resume<'a> {
    pub(crate) settle: Settle<'a>,
    pub(crate) staging: &'a Arc<dyn Staging>,
    pub(crate) journal: &'a Journal,
    pub(crate) cancel: &'a Cancel,
}

/// What the server has of one window.
struct Held {
    /// The window's rows are in the table, or it was given up.
    done: bool,
    /// The upload session that can still be used, or that was committed without an answer.
    session: Option<String>,
    blocks: BTreeMap<u32, u64>,
}

impl Resume<'_> {
    /// Asks the server about every window, in the plan's order.
    fn held_of_all(&self, run: &OpenRun) -> Result<Vec<Held>, Error> {
        let mut held = Vec::with_capacity(run.windows.len());
        for window in 0..run.windows.len() {
            self.cancel.check()?;
            held.push(self.held(run, window)?);
        }
        Ok(held)
    }

    /// Compares journal, staged files and what the server has.
    pub(crate) fn remaining(&self, run: &OpenRun) -> Result<Remaining, Error> {
        let mut held = self.held_of_all(run)?;
        let lost = self.lost_slices(run, &mut held)?;
        for number in &lost {
            self.journal.slice_lost(run.id, *number)?;
        }
        let mut staged = run.staged.clone();
        staged.retain(|number, _| !lost.contains(number));
        let known = staged
            .values()
            .flat_map(block_tasks)
            .filter(|task| !held[task.window as usize].done);
        let (uploaded, blocks): (Vec<_>, Vec<_>) =
            known.partition(|task| has_block(&held[task.window as usize], task));
        let slices = run
            .plan
            .slices
            .iter()
            .filter(|slice| !staged.contains_key(&slice.number))
            .cloned()
            .collect();
        let there = self.delete_unknown_files(run.id, &staged)?;
        let blocks_uploaded = uploaded.len() as u64;
        let files = uploaded.into_iter().map(|task| task.file);
        let files_uploaded = files.filter(|file| there.contains(&file.name)).collect();
        let done = (0_u32..).zip(&held).filter(|(_, held)| held.done);
        Ok(Remaining {
            slices,
            blocks,
            staged,
            done: done.map(|(number, _)| number).collect(),
            sessions: held.into_iter().map(|held| held.session).collect(),
            blocks_uploaded,
            files_uploaded,
        })
    }

    fn held(&self, run: &OpenRun, window: usize) -> Result<Held, Error> {
        let state = &run.windows[window];
        let held = |done, session| Held {
            done,
            session,
            blocks: BTreeMap::new(),
        };
        if state.phase == Phase::Done {
            return Ok(held(true, None));
        }
        let planned = &run.plan.windows[window];
        Ok(match self.settle.fate(run.id, planned, state)? {
            Fate::Anew => held(false, None),
            Fate::Open { session, blocks } => Held {
                done: false,
                session: Some(session),
                blocks,
            },
            Fate::Committed { session } => held(true, Some(session)),
            Fate::Assumed => held(true, None),
        })
    }

    /// The staged slices whose files are needed and not what was written. A session that holds a block of such a slice,
    /// or of one that is not staged at all, or has no rows, is given up: read again, the slice might have no rows any
    /// more, and the old block would be committed, or stand in the way of every commit.
    fn lost_slices(&self, run: &OpenRun, held: &mut [Held]) -> Result<BTreeSet<u32>, Error> {
        let mut verified = BTreeSet::new();
        let mut lost = BTreeSet::new();
        loop {
            let needed = run.staged.values().flat_map(block_tasks);
            let needed = needed.filter(|task| {
                !held[task.window as usize].done && !has_block(&held[task.window as usize], task)
            });
            for task in needed.collect::<Vec<_>>() {
                self.cancel.check()?;
                if verified.insert((task.window, task.block))
                    && verify(&**self.staging, &task.file).is_err()
                {
                    lost.insert(task.slice);
                }
            }
            let mut given_up = false;
            let tasks = run.staged.values().flat_map(block_tasks);
            let slices: BTreeMap<(u32, u32), u32> = tasks
                .map(|task| ((task.window, task.block), task.slice))
                .collect();
            for (number, window) in (0_u32..).zip(held.iter_mut()) {
                let stray = |block: &u32| {
                    let slice = slices.get(&(number, *block));
                    slice.is_none_or(|slice| lost.contains(slice))
                };
                if window.blocks.keys().any(stray) {
                    window.session = None;
                    window.blocks.clear();
                    given_up = true;
                }
            }
            if !given_up {
                return Ok(lost);
            }
        }
    }

    /// Deletes the run's files that the journal does not know, and returns the names of all that are left.
    fn delete_unknown_files(
        &self,
        run: i64,
        staged: &BTreeMap<u32, SliceReport>,
    ) -> Result<BTreeSet<String>, Error> {
        let known: BTreeSet<&str> = staged
            .values()
            .flat_map(|report| report.windows.values())
            .flat_map(|window| window.rows.iter().chain(&window.rejects))
            .map(|file| file.name.as_str())
            .collect();
        let prefix = run_prefix(run);
        let staging = &**self.staging;
        let names = staging.list().map_err(|error| {
            Error::staging("looking for staged files", &staging.location(), error)
        })?;
        let (unknown, left): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|name| name.starts_with(&prefix) && !known.contains(name.as_str()));
        delete_files(staging, unknown)?;
        Ok(left.into_iter().collect())
    }
}

/// Deletes staged files.
pub(crate) fn delete_files(
    staging: &dyn Staging,
    unwanted: impl IntoIterator<Item = String>,
) -> Result<(), Error> {
    unwanted
        .into_iter()
        .try_for_each(|name| staging.remove(&name))
        .map_err(|error| Error::staging("deleting old files", &staging.location(), error))
}

fn has_block(held: &Held, task: &BlockTask) -> bool {
    held.blocks.get(&task.block) == Some(&task.file.rows)
}
