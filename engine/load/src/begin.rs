//! The beginning of a run: which one to go on with, what stands against a new one, and its frozen plan.

use std::collections::{BTreeMap, BTreeSet};

use engine_model::job::{Job, WriteMode};
use engine_model::{PlannedWindow, WindowOutcome};

use crate::border::Border;
use crate::commit::{blocks, target_key};
use crate::journal::{Change, Journal, OpenRun, Phase, WindowState};
use crate::ports::{Clock, TargetTable};
use crate::prepare::{Prepared, check_retention, check_window_is_over};
use crate::resume::delete_files;
use crate::run::{Ports, RunOptions};
use crate::settle::{Assume, Fate, Settle};
use crate::stage::{holds_rejects, run_of_staged_file};
use crate::{Error, ErrorKind};

/// What a run begins with.
pub(crate) struct Begin<'a> {
    pub(crate) job: &'a Job,
    pub(crate) ports: &'a Ports<'a>,
    pub(crate) options: &'a RunOptions,
    pub(crate) lanes: usize,
}

impl Begin<'_> {
    /// The run to go on with, or a new one; and whether it was begun before.
    pub(crate) fn begin(&self, prepared: &Prepared) -> Result<(OpenRun, bool), Error> {
        let Ports {
            source,
            target,
            journal,
            clock,
            ..
        } = self.ports;
        let targets: Vec<_> = prepared
            .windows
            .iter()
            .map(|window| target_key(*target, window))
            .collect();
        let key = targets.join(" ");
        let fingerprint = prepared.fingerprint(self.job)?;
        if let Some(open) = journal.open_run(&key, &fingerprint)?
            && self.goes_on(&open)
        {
            return Ok((open, true));
        }
        self.settle_undecided(&key)?;
        self.check_earlier_loads(prepared)?;
        let now_ms = clock.now().as_millisecond();
        let plan = prepared.plan(self.job, *source, now_ms, self.lanes)?;
        check_retention(self.job, &plan, *target)?;
        let id = journal.begin_run(&key, &fingerprint, &self.job.name, &plan)?;
        (self.ports.on_border)(Border::RunBegun)?;
        self.delete_leftovers(id)?;
        let window = |_| WindowState {
            phase: Phase::Loading,
            session: None,
            outcome: None,
        };
        let windows = plan.windows.iter().map(window).collect();
        Ok((
            OpenRun {
                id,
                plan,
                windows,
                staged: BTreeMap::new(),
            },
            false,
        ))
    }

    /// Whether an open run is worth going on with.
    fn goes_on(&self, open: &OpenRun) -> bool {
        let loading = |window: &WindowState| window.phase == Phase::Loading;
        // Planned before the window was over, the run would miss what was written since. A commit that was sent is looked
        // after first.
        let over = self.job.window.end_ms <= self.ports.clock.now().as_millisecond();
        let too_early = open.plan.is_open() && over && open.windows.iter().all(loading);
        !self.options.replan && !too_early
    }

    /// Finds out about commits of the same target whose end nobody saw, before another run takes their place.
    fn settle_undecided(&self, key: &str) -> Result<(), Error> {
        let Ports {
            target, journal, ..
        } = self.ports;
        let write = self.job.destination.write;
        for run in journal.undecided_runs(key)? {
            for (number, (state, planned)) in run.windows.iter().zip(&run.plan.windows).enumerate()
            {
                if state.phase != Phase::Committing {
                    continue;
                }
                let sent = blocks(run.staged.values(), number);
                if self.is_committed(&run, planned, state, &sent)? {
                    let loaded = target_key(*target, planned);
                    let change = Change {
                        target: &loaded,
                        window: planned.window,
                        replaced: write == WriteMode::Replace,
                    };
                    journal.window_done(run.id, number, WindowOutcome::Committed, Some(change))?;
                }
            }
        }
        Ok(())
    }

    /// Whether a window of another run, of which a commit was sent, is in the table; after that, it stays so. A commit that
    /// is under way is waited for. One that did not come to anything is finished where it would append: all was ready for
    /// it, and it might still happen. Where it would be replaced anyway, it is given up.
    fn is_committed(
        &self,
        run: &OpenRun,
        planned: &PlannedWindow,
        state: &WindowState,
        sent: &BTreeMap<u32, u64>,
    ) -> Result<bool, Error> {
        let target = self.ports.target;
        let settle = Settle {
            target,
            write: self.job.destination.write,
            assume: self.options.assume,
        };
        let session = match settle.fate(run.id, planned, state)? {
            Fate::Anew => return Ok(false),
            Fate::Assumed => return Ok(true),
            Fate::Committed { session } => session,
            Fate::Open { session, .. } => match (settle.write, self.options.assume) {
                (WriteMode::Replace, _) => return Ok(false),
                (WriteMode::Append, Some(assume)) => return Ok(assume == Assume::Committed),
                (WriteMode::Append, None) => session,
            },
        };
        match target.commit(&planned.partition, &session, sent) {
            Ok(()) => Ok(true),
            // Not the rows that were sent, but rows of the window.
            Err(error) if error.kind() == ErrorKind::CommittedDiffers => Ok(true),
            Err(error) => {
                let message = format!(
                    "run {} of the same target was about to commit {}, and that has to be settled first: {error}; run the \
                     same command again, or look at the table and add --assume committed or --assume not-committed",
                    run.id, planned.window,
                );
                Err(Error::with_source(error.kind(), message, error))
            }
        }
    }

    /// Fails where earlier loads stand against loading these windows now.
    fn check_earlier_loads(&self, prepared: &Prepared) -> Result<(), Error> {
        if self.options.replace_other_window && self.job.destination.write == WriteMode::Replace {
            return Ok(());
        }
        for planned in &prepared.windows {
            let found = earlier_load(self.job, planned, self.ports.target, self.ports.journal)?;
            if let Some(message) = found {
                return Err(Error::new(ErrorKind::Job, message));
            }
        }
        Ok(())
    }

    /// Deletes what runs that ended, or were given up, left in the staging folder. Rejected messages stay.
    fn delete_leftovers(&self, begun: i64) -> Result<(), Error> {
        let Ports {
            staging, journal, ..
        } = self.ports;
        // First the files, then the runs: what another process begins in between is not among the files.
        let names = staging
            .list()
            .map_err(|error| Error::staging("looking for old files", &staging.location(), error))?;
        let open: BTreeSet<i64> = journal.open_run_ids()?.into_iter().collect();
        let unwanted = names.into_iter().filter(|name| {
            run_of_staged_file(name)
                .is_some_and(|run| run == begun || (!open.contains(&run) && !holds_rejects(name)))
        });
        delete_files(&**staging, unwanted)
    }
}

/// Why a run of the job would be refused as things are: its window is not over, or its target holds what it would lose or
/// load twice. Empty where nothing stands against it. Without a journal nothing is known of earlier loads.
///
/// # Errors
///
/// Those of journal and target, where they can't be asked.
pub fn objections(
    job: &Job,
    prepared: &Prepared,
    target: &dyn TargetTable,
    journal: Option<&Journal>,
    clock: &dyn Clock,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    if let Err(error) = check_window_is_over(job, clock, false) {
        found.push(error.to_string());
    }
    for planned in &prepared.windows {
        if let Some(journal) = journal {
            found.extend(earlier_load(job, planned, target, journal)?);
        }
    }
    Ok(found)
}

/// What the journal says against loading a window into its target: an append would load messages twice, a replace would take
/// away the rows of other windows. Asks the table as well: what somebody took out of it, or dropped with its partition, can
/// neither be doubled nor lost.
fn earlier_load(
    job: &Job,
    planned: &PlannedWindow,
    target: &dyn TargetTable,
    journal: &Journal,
) -> Result<Option<String>, Error> {
    let key = target_key(target, planned);
    let window = planned.window;
    let append = job.destination.write == WriteMode::Append;
    let held = journal.loads_held(&key)?;
    let mut others = held.iter().filter(|earlier| {
        if append {
            window.overlaps(earlier.window)
        } else {
            !window.contains(earlier.window)
        }
    });
    let (Some(other), more) = (others.next(), others.count()) else {
        return Ok(None);
    };
    if target.row_count(&planned.partition)?.unwrap_or(0) == 0 {
        return Ok(None);
    }
    Ok(Some(if append {
        format!(
            "{key} already got {} in run {}: appending {window} would load messages twice; load another window, or one \
             that contains all that the target got with `write: replace`, which replaces all of it",
            other.window, other.run,
        )
    } else {
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{key} got {} in run {}{more}, which {window} does not contain: replacing it would lose rows; correct the \
             partition or the window, or pass --replace-other-window",
            other.window, other.run,
        )
    }))
}
