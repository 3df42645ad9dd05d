//! Audits: messages of windows that are loaded, and that their runs did not read.

mod scan;

use std::collections::BTreeMap;
use std::fmt;

use engine_model::job::{Job, Lateness, WriteMode};
use engine_model::limits::AUDIT_MARGIN_MS_DEFAULT;
use engine_model::{
    PartitionSpec, PlannedPartition, PlannedWindow, RunReport, TopicPartition, Window,
};
use serde::Serialize;

use crate::cancel::Cancel;
use crate::commit::target_key;
use crate::journal::{Journal, LastRead};
use crate::ports::{Clock, MessageSource, TargetTable, TopicDescription};
use crate::prepare::Prepared;
use crate::progress::{Progress, seconds};
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
    /// Offsets that were read for it, none of which the windows' runs had read.
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
    /// Messages that were there then, where the run did not look.
    pub not_reached: u64,
    /// Offset of the first of them.
    pub first_offset: i64,
    /// Offset of the last.
    pub last_offset: i64,
}

impl AuditReport {
    /// The windows that lack messages.
    pub fn incomplete(&self) -> impl Iterator<Item = &WindowAudit> {
        self.windows.iter().filter(|audit| audit.messages() > 0)
    }

    /// Whether every window is loaded, and no message of any was found that its run had not read.
    pub fn is_good(&self) -> bool {
        let good = |audit: &WindowAudit| audit.run.is_some() && audit.messages() == 0;
        self.windows.iter().all(good)
    }
}

impl WindowAudit {
    /// Messages that the window lacks.
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
    let message = "the job appends, and to load a window again would double its rows; audit it without --repair, and load \
                   what it lacks by a job whose window is bounded by offsets";
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
            let message = "the window is bounded by offsets, between which nothing can come later; an audit is for windows \
                           that are bounded by time";
            return Err(Error::new(ErrorKind::Job, message));
        }
        let prepared = Prepared::new(jobs, self.source, self.target)?;
        let job = Job {
            lateness: self.lateness,
            ..first.clone()
        };
        let mut warnings = Vec::new();
        let mut windows = Vec::with_capacity(prepared.windows.len());
        let mut unread = BTreeMap::new();
        for planned in &prepared.windows {
            cancel.check()?;
            let loaded = self.last_read(planned, &mut warnings)?;
            windows.push(WindowAudit {
                window: planned.window,
                partition: planned.partition.clone(),
                run: loaded.as_ref().map(|loaded| loaded.run),
                missed: Vec::new(),
                not_repaired: None,
            });
            let Some(loaded) = loaded else { continue };
            check_topic(&loaded, planned, &prepared.topic)?;
            // Each by itself, as it is planned when it is loaded again.
            let partitions = &prepared.topic.partitions;
            let now = resolve(&job, self.source, partitions, std::slice::from_ref(planned))?;
            let number = windows.len() - 1;
            for partition in now {
                let left = unread_of(&partition, &loaded, &mut warnings)?;
                unread
                    .entry(partition.topic_partition)
                    .or_insert_with(BTreeMap::new)
                    .insert(number, left);
            }
        }
        let scan = Scan {
            windows: &prepared.windows,
            unread,
        };
        let offsets_read = scan.offsets();
        for (number, missed) in scan.run(self.source, self.lanes, progress, cancel)? {
            windows[number].missed.push(missed);
        }
        let passed = self.clock.elapsed().saturating_sub(started);
        Ok(AuditReport {
            job: first.name.clone(),
            topic: first.source.topic_list(),
            table: first.destination.table.to_string(),
            offsets_read,
            windows,
            warnings,
            repairs: Vec::new(),
            seconds: seconds(passed),
        })
    }

    /// What the run read that loaded a window last; nothing where its target does not hold the window.
    fn last_read(
        &self,
        planned: &PlannedWindow,
        warnings: &mut Vec<String>,
    ) -> Result<Option<LastRead>, Error> {
        let target = target_key(self.target, planned);
        let Some(last) = self.journal.last_read(&target, planned.window)? else {
            warnings.push(format!(
                "no run of this state folder has loaded {} into {target}, so it is not audited: load it, or name the state \
                 folder that the run had with --state",
                planned.window,
            ));
            return Ok(None);
        };
        let held = self.journal.loads_held(&target)?;
        let replaced = held.iter().find(|load| load.run > last.run);
        if last.outcome.changed_target()
            && !held.iter().any(|load| load.run == last.run)
            && let Some(other) = replaced
        {
            warnings.push(format!(
                "run {} loaded {} into {target}, and run {} has replaced that by {}, so it is not audited",
                last.run, planned.window, other.run, other.extent,
            ));
            return Ok(None);
        }
        Ok(Some(last))
    }
}

/// Fails where the topic is not the one that was loaded.
fn check_topic(
    loaded: &LastRead,
    planned: &PlannedWindow,
    topic: &TopicDescription,
) -> Result<(), Error> {
    match (&loaded.topic_id, &topic.topic_id) {
        (Some(then), Some(now)) if then != now => {
            let message = format!(
                "the topic was deleted and made anew since run {} loaded {} from it, for its id was {then} and is {now}: \
                 nothing can be said of what came later to the one that was loaded",
                loaded.run, planned.window,
            );
            Err(Error::new(ErrorKind::Source, message))
        }
        _ => Ok(()),
    }
}

/// What the run that loaded a window did not read of the offsets that are planned for it now.
fn unread_of(
    planned: &PlannedPartition,
    loaded: &LastRead,
    warnings: &mut Vec<String>,
) -> Result<Unread, Error> {
    let name = &planned.topic_partition;
    let mut reads = loaded.reads.iter();
    let Some(read) = reads.find(|read| read.topic_partition == *name) else {
        // It has come since.
        return Ok(Unread {
            ranges: planned.ranges.clone(),
            high_watermark: 0,
        });
    };
    if planned.high_watermark < read.high_watermark {
        let message = format!(
            "the log of {name} ends at {}, and ended at {} when run {} read it: this is another topic of the same name, or \
             messages were lost on the brokers, so that nothing can be said of what came later",
            planned.high_watermark, read.high_watermark, loaded.run,
        );
        return Err(Error::new(ErrorKind::Source, message));
    }
    let read_end = read
        .ranges
        .last()
        .map_or(read.high_watermark, |last| last.end);
    if planned.log_start > read_end {
        warnings.push(format!(
            "the log of {name} begins at offset {} now, and run {} read it up to {read_end}: what lay between can't be \
             audited any more",
            planned.log_start, loaded.run,
        ));
    }
    let wanted = planned.ranges_of_window(0);
    let ranges = wanted
        .into_iter()
        .flat_map(|range| range.without(&read.ranges));
    Ok(Unread {
        ranges: ranges.collect(),
        high_watermark: read.high_watermark,
    })
}
