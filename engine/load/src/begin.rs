//! The beginning of a run: which one to go on with, what stands against a new one, and its frozen plan.

use std::collections::{BTreeMap, BTreeSet};

use engine_model::job::{Job, WriteMode};
use engine_model::{LoadPlan, PlannedPartition};

use crate::commit::target_key;
use crate::decode::run_of_staged_file;
use crate::journal::{OpenRun, Phase, WindowState};
use crate::ports::{PartitionOffsets, SessionState};
use crate::prepare::{Prepared, check_retention};
use crate::resume::{Assume, delete_files};
use crate::run::{Ports, RunOptions};
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
            && self.goes_on(&open)?
        {
            return Ok((open, true));
        }
        self.settle_undecided(&key)?;
        self.check_earlier_loads(prepared)?;
        let now_ms = clock.now().as_millisecond();
        let plan = prepared.plan(self.job, *source, now_ms, self.lanes)?;
        check_retention(self.job, &plan, *target)?;
        let id = journal.begin_run(&key, &fingerprint, &self.job.name, &plan)?;
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

    /// Whether an open run is worth going on with. One whose commit is under way always is.
    fn goes_on(&self, open: &OpenRun) -> Result<bool, Error> {
        if open
            .windows
            .iter()
            .any(|window| window.phase != Phase::Loading)
        {
            return Ok(true);
        }
        // Planned before the window was over, the run would miss what was written since.
        let over = self.job.window.end_ms <= self.ports.clock.now().as_millisecond();
        if self.options.replan || (open.plan.is_open() && over) {
            return Ok(false);
        }
        // Also where every slice is staged: a damaged file has its slice read again.
        self.check_same_topic(&open.plan)?;
        Ok(true)
    }

    /// Fails where the topic is not the one that the plan was made for: the rest of the slices would be read from other
    /// messages than those that are staged.
    fn check_same_topic(&self, plan: &LoadPlan) -> Result<(), Error> {
        let partitions: Vec<_> = plan
            .partitions
            .iter()
            .map(|partition| partition.topic_partition.clone())
            .collect();
        let found = self.ports.source.offsets(&partitions, self.job.window)?;
        let changed = plan
            .partitions
            .iter()
            .zip(found)
            .find(|(planned, now)| has_changed(planned, now));
        let Some((planned, now)) = changed else {
            return Ok(());
        };
        let message = format!(
            "{} is not what it was when the run was planned: its log now is [{}, {}), and {} was to be read; if the \
             topic was made anew or messages of the window are gone, pass --replan to begin from what is there now",
            planned.topic_partition, now.log_start, now.high_watermark, planned.range,
        );
        Err(Error::new(ErrorKind::Source, message))
    }

    /// Finds out about commits of the same target whose end nobody saw, before another run takes their place.
    fn settle_undecided(&self, key: &str) -> Result<(), Error> {
        let Ports {
            target, journal, ..
        } = self.ports;
        for run in journal.undecided_runs(key)? {
            for (number, (state, planned)) in run.windows.iter().zip(&run.plan.windows).enumerate()
            {
                let (Phase::Committing, Some(session)) = (state.phase, &state.session) else {
                    continue;
                };
                let happened = match target.session(&planned.partition, session)? {
                    SessionState::Committed => true,
                    SessionState::Open(_) => false,
                    SessionState::Gone => match (self.job.destination.write, self.options.assume) {
                        // Whatever it left, this run replaces it.
                        (WriteMode::Replace, _) => false,
                        (WriteMode::Append, Some(assume)) => assume == Assume::Committed,
                        (WriteMode::Append, None) => {
                            let message = format!(
                                "whether run {} committed {} is not known: the server no longer knows its upload session \
                                 {session}; look at the table, then run again with --assume committed or --assume \
                                 not-committed",
                                run.id, planned.window,
                            );
                            return Err(Error::new(ErrorKind::CommitUnknown, message));
                        }
                    },
                };
                if happened {
                    let loaded = target_key(*target, planned);
                    let outcome = engine_model::WindowOutcome::Committed;
                    journal.window_done(
                        run.id,
                        number,
                        outcome,
                        Some((&loaded, planned.window)),
                    )?;
                }
            }
        }
        Ok(())
    }

    /// What the journal says against loading this window into its target now.
    fn check_earlier_loads(&self, prepared: &Prepared) -> Result<(), Error> {
        let journal = self.ports.journal;
        for planned in &prepared.windows {
            let target = target_key(self.ports.target, planned);
            let window = planned.window;
            if self.job.destination.write == WriteMode::Append {
                if let Some(earlier) = journal.overlapping_load(&target, window)? {
                    let message = format!(
                        "{target} already got {} in run {}: appending {window} would load messages twice; use `write: \
                         replace`, or another window",
                        earlier.window, earlier.run,
                    );
                    return Err(Error::new(ErrorKind::Job, message));
                }
                continue;
            }
            let earlier = journal.last_load(&target)?;
            let other = earlier.filter(|earlier| !window.contains(earlier.window));
            if let Some(other) = other.filter(|_| !self.options.replace_other_window) {
                let message = format!(
                    "{target} last got {} (run {}), which {window} does not contain: replacing it would lose rows; \
                     correct the partition, or pass --replace-other-window",
                    other.window, other.run,
                );
                return Err(Error::new(ErrorKind::Job, message));
            }
        }
        Ok(())
    }

    /// Deletes what runs that ended, or were given up, left in the staging folder. Rejected messages stay.
    fn delete_leftovers(&self, begun: i64) -> Result<(), Error> {
        let open: BTreeSet<i64> = self.ports.journal.open_run_ids()?.into_iter().collect();
        delete_files(&*self.ports.staging, |name| {
            let rejects = name.ends_with("-rejects.parquet");
            run_of_staged_file(name)
                .is_some_and(|run| run == begun || (!open.contains(&run) && !rejects))
        })
    }
}

/// Whether a topic partition can't be the one that was planned.
fn has_changed(planned: &PlannedPartition, now: &PartitionOffsets) -> bool {
    let moved = |planned: Option<i64>, now: Option<i64>, kept_from: i64| {
        planned.is_some_and(|offset| offset >= kept_from && now != Some(offset))
    };
    now.high_watermark < planned.range.end
        || moved(planned.start_offset, now.start, now.log_start)
        || moved(planned.end_offset, now.end, now.log_start)
}
