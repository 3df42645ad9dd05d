//! What a run that was begun before still has to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine_model::job::WriteMode;
use engine_model::{SliceReport, SliceSpec, StagedFile};

use crate::cancel::Cancel;
use crate::decode::run_prefix;
use crate::journal::{Journal, OpenRun, Phase};
use crate::pipeline::block_tasks;
use crate::ports::{SessionState, Staging, TargetTable};
use crate::stage::verify;
use crate::upload::BlockTask;
use crate::{Error, ErrorKind};

/// What to take for true about a commit whose answer never came and whose session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assume {
    /// The rows are in the table.
    Committed,
    /// The rows are not in the table.
    NotCommitted,
}

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
    /// The windows that are done.
    pub(crate) done: Vec<bool>,
    /// Blocks that the sessions already have.
    pub(crate) blocks_uploaded: u64,
    /// The staged files of these blocks that are still there.
    pub(crate) files_uploaded: Vec<StagedFile>,
}

/// The ports that resuming asks.
pub(crate) struct Resume<'a> {
    pub(crate) target: &'a dyn TargetTable,
    pub(crate) staging: &'a Arc<dyn Staging>,
    pub(crate) journal: &'a Journal,
    pub(crate) write: WriteMode,
    pub(crate) assume: Option<Assume>,
    pub(crate) cancel: &'a Cancel,
}

/// What the server has of one window.
struct Held {
    done: bool,
    session: Option<String>,
    blocks: BTreeMap<u32, u64>,
}

impl Resume<'_> {
    /// Compares journal, staged files and server.
    pub(crate) fn remaining(&self, run: &OpenRun) -> Result<Remaining, Error> {
        let mut held = Vec::with_capacity(run.windows.len());
        for window in 0..run.windows.len() {
            held.push(self.held(run, window)?);
        }
        let lost = self.lost_slices(run, &mut held)?;
        for number in &lost {
            self.journal.slice_lost(run.id, *number)?;
        }
        let mut staged = run.staged.clone();
        staged.retain(|number, _| !lost.contains(number));
        let known = staged
            .values()
            .flat_map(block_tasks)
            .filter(|task| !held[task.window].done);
        let (uploaded, blocks): (Vec<_>, Vec<_>) =
            known.partition(|task| has_block(&held[task.window], task));
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
        Ok(Remaining {
            slices,
            blocks,
            staged,
            done: held.iter().map(|held| held.done).collect(),
            sessions: held.into_iter().map(|held| held.session).collect(),
            blocks_uploaded,
            files_uploaded,
        })
    }

    fn held(&self, run: &OpenRun, window: usize) -> Result<Held, Error> {
        let state = &run.windows[window];
        let nothing = Held {
            done: false,
            session: None,
            blocks: BTreeMap::new(),
        };
        let (Phase::Loading | Phase::Committing, Some(session)) = (state.phase, &state.session)
        else {
            return Ok(Held {
                done: state.phase == Phase::Done,
                ..nothing
            });
        };
        let committing = state.phase == Phase::Committing;
        match self
            .target
            .session(&run.plan.windows[window].partition, session)?
        {
            SessionState::Open(blocks) => Ok(Held {
                done: false,
                session: Some(session.clone()),
                blocks,
            }),
            SessionState::Committed if committing => Ok(Held {
                done: true,
                session: Some(session.clone()),
                ..nothing
            }),
            // Blocks that were only loading can be loaded again; after an unknown commit only a replace can.
            SessionState::Committed | SessionState::Gone
                if !committing || self.write == WriteMode::Replace =>
            {
                Ok(nothing)
            }
            SessionState::Committed | SessionState::Gone => match self.assume {
                Some(Assume::Committed) => Ok(Held {
                    done: true,
                    ..nothing
                }),
                Some(Assume::NotCommitted) => Ok(nothing),
                None => Err(Error::new(
                    ErrorKind::CommitUnknown,
                    format!(
                        "whether upload session {session} of window {} was committed is not known: the server no \
                         longer knows the session; look at the table, then run again with --assume committed or \
                         --assume not-committed",
                        run.plan.windows[window].window,
                    ),
                )),
            },
        }
    }

    /// The staged slices whose files are needed and not what was written. A session that holds a block of such a slice,
    /// or of one that is not staged at all, is given up: read again, the slice might have no rows any more, and the
    /// old block would be committed.
    fn lost_slices(&self, run: &OpenRun, held: &mut [Held]) -> Result<BTreeSet<u32>, Error> {
        let mut verified = BTreeSet::new();
        let mut lost = BTreeSet::new();
        loop {
            let needed = run.staged.values().flat_map(block_tasks);
            let needed = needed
                .filter(|task| !held[task.window].done && !has_block(&held[task.window], task));
            for task in needed.collect::<Vec<_>>() {
                self.cancel.check()?;
                if verified.insert((task.window, task.block))
                    && verify(&**self.staging, &task.file).is_err()
                {
                    lost.insert(task.block);
                }
            }
            let mut given_up = false;
            for window in held.iter_mut() {
                let stray =
                    |number: &u32| lost.contains(number) || !run.staged.contains_key(number);
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
            .flat_map(|report| &report.windows)
            .flat_map(|window| window.rows.iter().chain(&window.rejects))
            .map(|file| file.name.as_str())
            .collect();
        let prefix = run_prefix(run);
        let staging = &**self.staging;
        delete_files(staging, |name| {
            name.starts_with(&prefix) && !known.contains(name)
        })?;
        let left = staging.list().map_err(|error| {
            Error::staging("looking for staged files", &staging.location(), error)
        })?;
        Ok(left.into_iter().collect())
    }
}

/// Deletes the staged files that `unwanted` names.
pub(crate) fn delete_files(
    staging: &dyn Staging,
    unwanted: impl Fn(&str) -> bool,
) -> Result<(), Error> {
    let delete = || -> std::io::Result<()> {
        for name in staging.list()? {
            if unwanted(&name) {
                staging.remove(&name)?;
            }
        }
        Ok(())
    };
    delete().map_err(|error| Error::staging("deleting old files", &staging.location(), error))
}

fn has_block(held: &Held, task: &BlockTask) -> bool {
    held.blocks.get(&task.block) == Some(&task.file.rows)
}
