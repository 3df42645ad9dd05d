//! The beginning of a run: which one to go on with, what stands against a new one, and its frozen plan.

use std::collections::BTreeMap;
use std::time::Duration;

use engine_model::job::{Job, WriteMode};
use engine_model::{LoadPlan, PlannedWindow, WindowOutcome};

use crate::border::Border;
use crate::cancel::{CANCEL_POLL, Cancel};
use crate::clean_up::leftovers;
use crate::commit::{blocks, target_key};
use crate::extent::{Extent, PartitionRead};
use crate::journal::{Change, Journal, NewRun, OpenRun, Phase, WindowState};
use crate::ports::{Clock, TargetTable, TopicDescription};
use crate::prepare::{Prepared, check_retention, check_window_is_over};
use crate::resume::delete_files;
use crate::run::{Ports, RunOptions};
use crate::settle::{Assume, Fate, Settle};
use crate::{Error, ErrorKind};

/// How long an open topic partition is left alone before the plan is made again.
const PLAN_AGAIN: Duration = Duration::from_secs(5);

/// What a run begins with.
pub(crate) struct Begin<'a> {
    pub(crate) job: &'a Job,
    pub(crate) ports: &'a Ports<'a>,
    pub(crate) options: &'a RunOptions,
    pub(crate) cancel: &'a Cancel,
    pub(crate) lanes: usize,
}

/// A run that is to be loaded.
pub(crate) struct Begun {
    pub(crate) run: OpenRun,
    /// Whether it was begun before.
    pub(crate) resumed: bool,
    /// Of runs that seem to be meant and are not gone on with.
    pub(crate) notes: Vec<String>,
}

impl Begin<'_> {
    /// The run to go on with, or a new one.
    pub(crate) fn begin(&self, prepared: &Prepared) -> Result<Begun, Error> {
        let Ports {
            target, journal, ..
        } = self.ports;
        let targets = targets(prepared, *target);
        let fingerprint = prepared.fingerprint()?;
        let mut open = journal.open_run(&targets, &fingerprint)?;
        let begun = open.as_ref().map(|open| open.id);
        if self.settle_undecided(&targets, begun)? {
            // That may have superseded windows of it.
            open = journal.open_run(&targets, &fingerprint)?;
        }
        if let Some(open) = open
            && self.goes_on(&open)
        {
            self.check_earlier_loads(&open.plan, Some(&open))?;
            journal.begin_attempt(open.id)?;
            return Ok(Begun {
                run: open,
                resumed: true,
                notes: Vec::new(),
            });
        }
        if begun.is_some() {
            // It is begun anew, so its own commits have to be settled, too.
            self.settle_undecided(&targets, None)?;
        }
        let plan = self.plan_when_closed(prepared)?;
        self.check_earlier_loads(&plan, None)?;
        check_retention(self.job, &plan, &prepared.topic, *target, Some(journal))?;
        let notes = self.others_under_way(&targets, begun)?;
        let id = journal.begin_run(&NewRun {
            targets: &targets,
            fingerprint: &fingerprint,
            job: &self.job.name,
            scheduled_time: &self.job.scheduled_time.to_string(),
            begun_ms: plan.planned_at_ms,
            topic_id: prepared.topic.topic_id.as_deref(),
            write: self.job.destination.write,
            plan: &plan,
        })?;
        (self.ports.on_border)(Border::RunBegun)?;
        delete_files(&*self.ports.staging, leftovers(self.ports, id, |_| false)?)?;
        let window = |_| WindowState {
            phase: Phase::Loading,
            session: None,
            outcome: None,
        };
        let windows = plan.windows.iter().map(window).collect();
        Ok(Begun {
            run: OpenRun {
                id,
                plan,
                write: self.job.destination.write,
                windows,
                staged: BTreeMap::new(),
            },
            resumed: false,
            notes,
        })
    }

    /// Says which other runs have not ended and load into some of these targets.
    fn others_under_way(
        &self,
        targets: &[String],
        begun: Option<i64>,
    ) -> Result<Vec<String>, Error> {
        let mut notes = Vec::new();
        for load in self.ports.journal.open_loads()? {
            let shared = load.targets.iter().find(|target| targets.contains(target));
            if let Some(shared) = shared.filter(|_| Some(load.run) != begun) {
                notes.push(format!(
                    "run {} has not ended and loads into {shared} as well; its job file, its windows, its topic or its table's \
                     columns were others than those of this run, which began anew instead of going on with it",
                    load.run,
                ));
            }
        }
        Ok(notes)
    }

    /// The plan. Where the job waits for that, it is made again until every topic partition is closed or the wait is over.
    fn plan_when_closed(&self, prepared: &Prepared) -> Result<LoadPlan, Error> {
        let Ports { source, clock, .. } = self.ports;
        let wait = self.job.wait_closed.unwrap_or_default();
        let begun = clock.elapsed();
        loop {
            let now_ms = clock.now().as_millisecond();
            let order = self.options.order;
            let plan = prepared.plan(self.job, *source, now_ms, self.lanes, order)?;
            let mut reaches = plan.partitions.iter().flat_map(|known| &known.reaches);
            let waited = clock.elapsed().saturating_sub(begun);
            if waited >= wait || reaches.all(|reach| reach.closed) {
                return Ok(plan);
            }
            let again = clock.elapsed() + PLAN_AGAIN.min(wait.saturating_sub(waited));
            while clock.elapsed() < again {
                self.cancel.check()?;
                clock.sleep(CANCEL_POLL);
            }
        }
    }

    /// Whether an open run is worth going on with.
    fn goes_on(&self, open: &OpenRun) -> bool {
        let loading = |window: &WindowState| window.phase == Phase::Loading;
        // Planned before the window was over, the run would miss what was written since. A commit that was sent is looked
        // after first.
        let now_ms = self.ports.clock.now().as_millisecond();
        let planned_at_ms = open.plan.planned_at_ms;
        let mut windows = open.plan.windows.iter();
        let over = !windows.any(|planned| planned.window.ends_after(now_ms));
        let mut states = open.windows.iter().zip(&open.plan.windows);
        let mut misses = states
            .clone()
            .filter(|(state, planned)| loading(state) && planned.window.ends_after(planned_at_ms));
        // What is in the table can be loaded again where that replaces it.
        let can_begin_anew = self.job.destination.write == WriteMode::Replace
            || states.all(|(state, _)| loading(state));
        let too_early = over && misses.next().is_some() && can_begin_anew;
        !self.options.replan && !too_early
    }

    /// Finds out about commits into these targets whose end nobody saw, before another run takes their place, and says whether
    /// one of them is in its table. A run that is gone on with sees after its own.
    fn settle_undecided(
        &self,
        targets: &[String],
        gone_on_with: Option<i64>,
    ) -> Result<bool, Error> {
        let mut settled = false;
        for target in targets {
            let undecided = self.ports.journal.undecided_runs(target)?;
            for run in undecided {
                if Some(run.id) != gone_on_with {
                    settled |= self.settle(&run, target)?;
                }
            }
        }
        Ok(settled)
    }

    /// The same of one run and one target.
    fn settle(&self, run: &OpenRun, loaded: &str) -> Result<bool, Error> {
        let Ports {
            target, journal, ..
        } = self.ports;
        let mut settled = false;
        for (number, (state, planned)) in (0_u32..).zip(run.windows.iter().zip(&run.plan.windows)) {
            if state.phase != Phase::Committing || target_key(*target, planned) != loaded {
                continue;
            }
            let sent = blocks(run.staged.values(), number);
            if let Some(extent) = Extent::of(&run.plan, number as usize)
                && self.is_committed(run, planned, state, &sent)?
            {
                let change = Change {
                    target: loaded,
                    extent: &extent,
                    replaced: run.write == WriteMode::Replace,
                    rows: sent.values().sum(),
                    // The session may hold others than those that are staged.
                    checksum: None,
                };
                let reads = PartitionRead::of(&run.plan, number as usize, run.staged.values());
                let outcome = WindowOutcome::Committed;
                journal.window_done(run.id, number, outcome, &reads, Some(change))?;
                settled = true;
            }
        }
        Ok(settled)
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
            write: run.write,
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

    /// Fails where loads of other runs stand against loading these windows now, but those that a run which goes on has done.
    fn check_earlier_loads(&self, plan: &LoadPlan, run: Option<&OpenRun>) -> Result<(), Error> {
        if self.options.replace_other_window && self.job.destination.write == WriteMode::Replace {
            return Ok(());
        }
        for number in 0..plan.windows.len() {
            let state = run.and_then(|run| run.windows.get(number));
            if state.is_some_and(|state| state.phase == Phase::Done) {
                continue;
            }
            let Ports {
                target, journal, ..
            } = self.ports;
            let of_run = run.map(|run| run.id);
            let found = earlier_load(self.job, plan, number, of_run, *target, journal)?;
            if let Some(message) = found {
                return Err(Error::new(ErrorKind::Job, message));
            }
        }
        Ok(())
    }
}

/// The windows whose targets hold no rows yet, by their places in `prepared`; where a run that has not ended loads these, and
/// no others than there are in `prepared`, all that it loads, so that the same call goes on with it.
///
/// # Errors
///
/// Those of journal and target, where they can't be asked.
pub fn missing(
    prepared: &Prepared,
    target: &dyn TargetTable,
    journal: Option<&Journal>,
) -> Result<Vec<usize>, Error> {
    let mut missing = Vec::new();
    for (number, planned) in prepared.windows.iter().enumerate() {
        if target.row_count(&planned.partition)?.unwrap_or(0) == 0 {
            missing.push(number);
        }
    }
    if missing.is_empty() {
        return Ok(missing);
    }
    let keys = targets(prepared, target);
    let loads = journal.map(Journal::open_loads).transpose()?;
    for load in loads.unwrap_or_default() {
        let place = |loaded: &String| keys.iter().position(|key| key == loaded);
        let Some(places) = load.targets.iter().map(place).collect::<Option<Vec<_>>>() else {
            continue;
        };
        if missing.iter().all(|number| places.contains(number))
            && prepared.fingerprint_of(&places)? == load.fingerprint
        {
            return Ok(places);
        }
    }
    Ok(missing)
}

/// What the windows are loaded into, in their order.
fn targets(prepared: &Prepared, target: &dyn TargetTable) -> Vec<String> {
    let windows = prepared.windows.iter();
    windows.map(|window| target_key(target, window)).collect()
}

/// Why a run of the jobs, of which the plan is, would be refused as things are: a window is not over, retention may have cut
/// it, or its target holds what it would lose or load twice. Empty where nothing stands against it. Without a journal
/// nothing is known of earlier loads.
///
/// # Errors
///
/// Those of journal and target, where they can't be asked.
pub fn objections(
    jobs: &[Job],
    plan: &LoadPlan,
    topic: &TopicDescription,
    target: &dyn TargetTable,
    journal: Option<&Journal>,
    clock: &dyn Clock,
) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    for job in jobs {
        if let Err(error) = check_window_is_over(job, clock, false) {
            found.push(error.to_string());
        }
    }
    let Some(job) = jobs.first() else {
        return Ok(found);
    };
    if let Err(error) = check_retention(job, plan, topic, target, journal) {
        found.push(error.to_string());
    }
    for number in 0..plan.windows.len() {
        if let Some(journal) = journal {
            found.extend(earlier_load(job, plan, number, None, target, journal)?);
        }
    }
    Ok(found)
}

/// What the journal says of other runs than `of_run` against loading a window into its target: an append would load messages
/// twice, a replace would take away the rows of other windows. Asks the table as well: what somebody took out of it, or
/// dropped with its partition, can neither be doubled nor lost.
fn earlier_load(
    job: &Job,
    plan: &LoadPlan,
    number: usize,
    of_run: Option<i64>,
    target: &dyn TargetTable,
    journal: &Journal,
) -> Result<Option<String>, Error> {
    let Some((planned, extent)) = plan.windows.get(number).zip(Extent::of(plan, number)) else {
        return Ok(None);
    };
    let key = target_key(target, planned);
    let append = job.destination.write == WriteMode::Append;
    let held = journal.loads_held(&key)?;
    let others = held.iter().filter(|earlier| Some(earlier.run) != of_run);
    let mut others = others.filter(|earlier| {
        if append {
            extent.overlaps(&earlier.extent)
        } else {
            !extent.contains(&earlier.extent)
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
            "{key} already got {} in run {}: appending {extent} would load messages twice; load another window, or one \
             that contains all that the target got with `write: replace`, which replaces all of it",
            other.extent, other.run,
        )
    } else {
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(
            "{key} got {} in run {}{more}, which {extent} does not contain: replacing it would lose rows; correct the \
             partition or the window, or pass --replace-other-window",
            other.extent, other.run,
        )
    }))
}
