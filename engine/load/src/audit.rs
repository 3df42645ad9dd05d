//! Audits: messages of windows that are loaded, and that their runs did not read.

mod scan;

use std::collections::BTreeMap;
use std::fmt;

use engine_model::job::{Job, Lateness, WriteMode};
use engine_model::limits::AUDIT_MARGIN_MS_DEFAULT;
use engine_model::{
    DeletedOffsets, OffsetRange, PartitionSpec, PlannedPartition, PlannedWindow, RunReport,
    TopicPartition, Window,
};
use serde::Serialize;

use crate::bandwidth::ReadLimit;
use crate::cancel::Cancel;
use crate::commit::target_key;
use crate::extent::PartitionRead;
use crate::journal::{Journal, LastRead};
use crate::notes::{kept_back, window_names};
use crate::ports::{Clock, MessageSource, TargetTable, TopicDescription};
use crate::prepare::Prepared;
use crate::progress::{Progress, count, seconds};
use crate::resolve::resolve;
use crate::{Error, ErrorKind};

use scan::{Scan, Unread};

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditReport {
    /// The job's name.
    pub job: String,
    /// The topics.
    pub topic: String,
    /// The table.
    pub table: String,
    /// How far from their windows messages were looked for.
    pub lateness: Lateness,
    /// Whether a window can be loaded again without doubling its rows.
    pub repairable: bool,
    /// Offsets that were read for it, each of which the run of one of the windows had not read.
    pub offsets_read: u64,
    /// The windows in time order.
    pub windows: Vec<WindowAudit>,
    /// What a person should know about it.
    pub warnings: Vec<String>,
    /// The runs that loaded windows again.
    pub repairs: Vec<RunReport>,
    /// Wall time, without that of the repairs.
    pub seconds: f64,
}

/// What an audit found about one window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WindowAudit {
    /// The message timestamps.
    pub window: Window,
    /// The table partition; empty for a table without partition keys.
    pub partition: PartitionSpec,
    /// The run that loaded the window last; nothing where its target does not hold it, and it was not looked at.
    pub run: Option<i64>,
    /// Why it was not looked at.
    pub not_audited: Option<String>,
    /// Where messages of the window may have been that it lacks, for retention deleted them before this run read them; from 0 on
    /// where the log no longer reached back to the window when the run was planned. No run can load them any more.
    pub deleted: Vec<DeletedOffsets>,
    /// Topic partitions of which retention has deleted more than this run had read from the first of its offsets on: messages that came
    /// there later, and are gone already, can't be seen. That is no finding.
    pub unseen: Vec<TopicPartition>,
    /// Topic partitions in which a transaction is open and keeps messages back that may be of the window: they can't be read before
    /// it ends.
    pub kept_back: Vec<TopicPartition>,
    /// Messages of the window that this run did not read, by topic partition.
    pub missed: Vec<MissedMessages>,
    /// Why it was not loaded again, though it lacks messages and that was asked for.
    pub not_repaired: Option<String>,
}

/// Messages of one topic partition that a window lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissedMessages {
    /// The topic partition.
    #[serde(flatten)]
    pub topic_partition: TopicPartition,
    /// Messages that were written after the run was planned.
    pub written_since: u64,
    /// Messages that were there then, where the run did not look, or in a transaction that was open.
    pub not_reached: u64,
    /// Offset of the first of them.
    pub first_offset: i64,
    /// Offset of the last.
    pub last_offset: i64,
}

impl AuditReport {
    /// The windows that lack messages which are there to be loaded.
    pub fn incomplete(&self) -> impl Iterator<Item = &WindowAudit> {
        self.windows.iter().filter(|audit| audit.messages() > 0)
    }

    /// Whether every window could be audited, no open transaction keeps messages of it back, and retention deleted nothing of it
    /// before it was read.
    pub fn is_whole(&self) -> bool {
        let whole = |audit: &WindowAudit| {
            audit.run.is_some() && audit.deleted.is_empty() && audit.kept_back.is_empty()
        };
        self.windows.iter().all(whole)
    }

    /// Whether that is so, and no message was found that a window's run had not read.
    pub fn is_good(&self) -> bool {
        self.is_whole() && self.incomplete().next().is_none()
    }
}

impl WindowAudit {
    /// Messages that the window lacks and that are there.
    pub fn messages(&self) -> u64 {
        let missed = self.missed.iter();
        missed
            .map(|missed| missed.written_since + missed.not_reached)
            .sum()
    }
}

/// What an audit works with.
#[derive(Clone, Copy)]
pub struct Audit<'a> {
    /// The topic.
    pub source: &'a dyn MessageSource,
    /// The table.
    pub target: &'a dyn TargetTable,
    /// What runs have read.
    pub journal: &'a Journal,
    /// Time.
    pub clock: &'a dyn Clock,
    /// How far from their windows messages are looked for.
    pub lateness: Lateness,
    /// Threads that read, at least 1.
    pub lanes: usize,
}

/// Offsets that are read in the time that the looks for one window take in one topic partition: some 150 of them, each a request.
const LOOKS_COST_OFFSETS: u64 = 50_000;

/// How far an audit of `job` looks where nobody says it: a day of message time, or as far as the job where that is more.
pub fn audit_lateness(job: &Job) -> Lateness {
    match job.lateness {
        Lateness::Exact => Lateness::Exact,
        Lateness::Margin(margin_ms) => Lateness::Margin(margin_ms.max(AUDIT_MARGIN_MS_DEFAULT)),
        Lateness::None => Lateness::Margin(AUDIT_MARGIN_MS_DEFAULT),
    }
}

/// Fails where windows that lack messages could not be loaded again.
///
/// # Errors
///
/// [`ErrorKind::Job`] where the job appends.
pub fn check_repairable(job: &Job) -> Result<(), Error> {
    if job.destination.write == WriteMode::Replace {
        return Ok(());
    }
    let message = "the job appends, and to load a window again would double its rows; audit it without --repair, which says \
                   what it lacks";
    Err(Error::new(ErrorKind::Job, message))
}

impl fmt::Debug for Audit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit")
            .field("target", &self.target.name())
            .field("lateness", &self.lateness)
            .finish_non_exhaustive()
    }
}

impl Audit<'_> {
    /// Looks for messages of the jobs' windows that the runs which loaded them did not read. Reads only what they did not,
    /// and touches nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] where a window is bounded by offsets; [`ErrorKind::Source`] where the topic is not the one that
    /// was loaded; those of the ports.
    pub fn run(
        &self,
        jobs: &[Job],
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<AuditReport, Error> {
        let started = self.clock.elapsed();
        let first = jobs.first().ok_or_else(|| {
            Error::new(
                ErrorKind::Job,
                "there is no window to audit; check the range of time",
            )
        })?;
        if first.offsets.start.is_some() || first.offsets.end.is_some() {
            let message = "the window is bounded by offsets, and a run that begins or ends there reads all that lies between; \
                           an audit is for windows that are bounded by time on both sides";
            return Err(Error::new(ErrorKind::Job, message));
        }
        let prepared = Prepared::new(jobs, self.source, self.target)?;
        let mut report = AuditReport {
            job: first.name.clone(),
            topic: first.source.topic_list(),
            table: first.destination.table.to_string(),
            lateness: self.lateness,
            repairable: check_repairable(first).is_ok(),
            offsets_read: 0,
            windows: Vec::with_capacity(prepared.windows.len()),
            warnings: Vec::new(),
            repairs: Vec::new(),
            seconds: 0.0,
        };
        let loaded = self.loaded(&prepared, &mut report)?;
        let (mut unread, mut kept_back_of) = (BTreeMap::new(), BTreeMap::new());
        for (number, partition) in self.resolve(first, &prepared, &loaded, progress, cancel)? {
            let read = &loaded[&number];
            if is_unseen(&partition, read) {
                let name = partition.topic_partition.clone();
                report.windows[number].unseen.push(name);
            }
            if let Some(note) = kept_back(&partition) {
                let name = partition.topic_partition.clone();
                let of_partition = kept_back_of.entry(name.clone());
                let (_, windows) = of_partition.or_insert_with(|| (note, Vec::new()));
                windows.push(report.windows[number].window);
                report.windows[number].kept_back.push(name);
            }
            let left = unread_of(&partition, read)?;
            unread
                .entry(partition.topic_partition)
                .or_insert_with(BTreeMap::new)
                .insert(number, left);
        }
        report
            .warnings
            .extend(kept_back_of.into_values().map(kept_back_warning));
        let scan = Scan {
            windows: &prepared.windows,
            unread,
        };
        report.offsets_read = scan.offsets();
        let limit = ReadLimit::new(first.limits.bandwidth.read, self.clock, cancel);
        for (number, missed) in scan.run(self.source, self.lanes, &limit, progress, cancel)? {
            report.windows[number].missed.push(missed);
        }
        report.seconds = seconds(self.clock.elapsed().saturating_sub(started));
        Ok(report)
    }

    /// The windows that runs have loaded, by their numbers, with what these have read. Adds all windows to the report.
    fn loaded(
        &self,
        prepared: &Prepared,
        report: &mut AuditReport,
    ) -> Result<BTreeMap<usize, LastRead>, Error> {
        let mut loaded = BTreeMap::new();
        for (number, planned) in prepared.windows.iter().enumerate() {
            let mut audit = WindowAudit {
                window: planned.window,
                partition: planned.partition.clone(),
                run: None,
                not_audited: None,
                deleted: Vec::new(),
                unseen: Vec::new(),
                kept_back: Vec::new(),
                missed: Vec::new(),
                not_repaired: None,
            };
            match self.last_read(planned)? {
                Ok(last) => {
                    check_topic(&last, planned, &prepared.topic)?;
                    audit.run = Some(last.run);
                    audit.deleted = PartitionRead::all_deleted(&last.reads);
                    report.warnings.extend(deleted_warning(&audit));
                    loaded.insert(number, last);
                }
                Err(why) => {
                    report.warnings.push(why.clone());
                    audit.not_audited = Some(why);
                }
            }
            report.windows.push(audit);
        }
        Ok(loaded)
    }

    /// Where messages of the loaded windows may lie now, for each window and topic partition, with the window as the only one.
    fn resolve(
        &self,
        job: &Job,
        prepared: &Prepared,
        loaded: &BTreeMap<usize, LastRead>,
        progress: &Progress,
        cancel: &Cancel,
    ) -> Result<Vec<(usize, PlannedPartition)>, Error> {
        let partitions = &prepared.topic.partitions;
        let with = |lateness| Job {
            lateness,
            ..job.clone()
        };
        let windows: Vec<_> = loaded
            .keys()
            .map(|number| prepared.windows[*number].clone())
            .collect();
        count(&progress.windows_planned, windows.len() as u64);
        let all = resolve(&with(Lateness::Exact), self.source, partitions, &windows)?;
        let offsets: u64 = all.iter().map(PlannedPartition::offsets).sum();
        let looks = (windows.len() * partitions.len()) as u64;
        let mut resolved = Vec::new();
        if self.lateness == Lateness::Exact || offsets <= looks.saturating_mul(LOOKS_COST_OFFSETS) {
            for partition in all {
                for (place, number) in loaded.keys().enumerate() {
                    resolved.push((*number, of_one_window(&partition, place)));
                }
            }
            return Ok(resolved);
        }
        let job = with(self.lateness);
        for (number, window) in loaded.keys().zip(&windows) {
            cancel.check()?;
            // Each by itself, as it is planned when it is loaded again.
            let now = resolve(&job, self.source, partitions, std::slice::from_ref(window))?;
            resolved.extend(now.into_iter().map(|partition| (*number, partition)));
            count(&progress.windows_ended, 1);
        }
        Ok(resolved)
    }

    /// What the run read that loaded a window last, or why that says nothing about what its target holds.
    fn last_read(&self, planned: &PlannedWindow) -> Result<Result<LastRead, String>, Error> {
        let target = target_key(self.target, planned);
        let Some(last) = self.journal.last_read(&target, planned.window)? else {
            return Ok(Err(format!(
                "no run of this state folder has loaded {} into {target}, so it is not audited: load it, or name the state \
                 folder that the run had with --state",
                planned.window,
            )));
        };
        let held = self.journal.loads_held(&target)?;
        let replaced = held.iter().find(|load| load.run > last.run);
        if last.outcome.changed_target()
            && !held.iter().any(|load| load.run == last.run)
            && let Some(other) = replaced
        {
            return Ok(Err(format!(
                "run {} loaded {} into {target}, and run {} has replaced that by {}, so it is not audited",
                last.run, planned.window, other.run, other.extent,
            )));
        }
        Ok(Ok(last))
    }
}

/// Fails where the topic is not the one that was loaded.
fn check_topic(
    loaded: &LastRead,
    planned: &PlannedWindow,
    topic: &TopicDescription,
) -> Result<(), Error> {
    if !loaded.is_of_another_topic(topic) {
        return Ok(());
    }
    let id = |id: &Option<String>| id.clone().unwrap_or_default();
    let message = format!(
        "the topic was deleted and made anew since run {} loaded {} from it, for its id was {} and is {}: nothing can be said of \
         what came later to the one that was loaded",
        loaded.run,
        planned.window,
        id(&loaded.topic_id),
        id(&topic.topic_id),
    );
    Err(Error::new(ErrorKind::Source, message))
}

/// What was planned for the window in one place among several, as if it were the only one.
fn of_one_window(partition: &PlannedPartition, place: usize) -> PlannedPartition {
    let reach = partition.reaches.get(place).cloned();
    PlannedPartition {
        topic_partition: partition.topic_partition.clone(),
        ranges: partition.ranges_of_window(place),
        reaches: reach.into_iter().collect(),
        ..*partition
    }
}

/// Says where a window lacks what retention deleted before its run read it; nothing where it doesn't.
fn deleted_warning(audit: &WindowAudit) -> Option<String> {
    let run = audit.run.filter(|_| !audit.deleted.is_empty())?;
    let gone: Vec<_> = audit.deleted.iter().map(ToString::to_string).collect();
    Some(format!(
        "retention deleted offsets {} before run {run} read them: what messages of window {} were there can't be loaded any more",
        gone.join(", "),
        audit.window,
    ))
}

/// Says of which windows an open transaction may keep messages back; `note` says where it does.
fn kept_back_warning((note, windows): (String, Vec<Window>)) -> String {
    let windows = window_names(windows.into_iter());
    format!("{note}, and messages of {windows} may be in them: audit again when it has ended")
}

/// Whether retention has deleted offsets behind those that a window's run has read, or between them: what came there later
/// is gone.
fn is_unseen(planned: &PlannedPartition, loaded: &LastRead) -> bool {
    let Some(read) = loaded.of(&planned.topic_partition) else {
        return planned.log_start > 0;
    };
    let known = read.ranges.iter().chain(&read.deleted);
    let known = OffsetRange::merged(known.copied().collect());
    let first = known.first();
    let start = first.map_or(read.written_end, |first| first.start);
    let gone = OffsetRange::new(start, planned.log_start);
    gone.is_some_and(|gone| !gone.without(&known).is_empty())
}

/// What the run that loaded a window did not read of the offsets that are planned for it now.
fn unread_of(planned: &PlannedPartition, loaded: &LastRead) -> Result<Unread, Error> {
    let name = &planned.topic_partition;
    let Some(read) = loaded.of(name) else {
        // It has come since.
        return Ok(Unread {
            ranges: planned.ranges.clone(),
            read: Vec::new(),
            written_end: 0,
        });
    };
    if planned.written_end < read.written_end {
        let message = format!(
            "the log of {name} ends at {}, and ended at {} when run {} read it: this is another topic of the same name, or \
             messages were lost on the brokers, so that nothing can be said of what came later",
            planned.written_end, read.written_end, loaded.run,
        );
        return Err(Error::new(ErrorKind::Source, message));
    }
    let ranges = planned.ranges.iter();
    let ranges = ranges.flat_map(|range| range.without(&read.ranges));
    Ok(Unread {
        ranges: ranges.collect(),
        read: read.ranges.clone(),
        written_end: read.written_end,
    })
}
