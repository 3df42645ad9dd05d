//! The report of a run that ended, and what a person should look at in it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use engine_model::job::{Job, WriteMode};
use engine_model::limits::HOLE_SPANS_MAX;
use engine_model::{
    Content, Counts, DeletedOffsets, LastLoad, Ledger, LedgerEntry, LoadPlan, OffsetRange,
    PlannedWindow, RunReport, SliceCounts, SliceReport, Steps, TopicPartition, WindowOutcome,
    WindowReport,
};

use crate::commit::{checksum, target_key};
use crate::ended::{Ended, SlicesOfWindows};
use crate::extent::PartitionRead;
use crate::journal::OpenRun;
use crate::notes::{WINDOWS_TOLD_MAX, plan_notes, window_names};
use crate::ports::MessageSource;
use crate::run::Ports;
use crate::unchanged::changes;
use crate::{Error, usage};

/// What a report is made of.
pub(crate) struct Done<'a> {
    pub(crate) job: &'a Job,
    pub(crate) source: &'a dyn MessageSource,
    pub(crate) run: &'a OpenRun,
    pub(crate) slices: SliceCounts,
    pub(crate) ledger: &'a Ledger,
    pub(crate) reports: &'a BTreeMap<u32, SliceReport>,
    pub(crate) of_windows: &'a SlicesOfWindows,
    pub(crate) ended: &'a Ended,
    pub(crate) steps: Steps,
}

/// The report, as of an attempt that was not resumed and took no time.
pub(crate) fn report(done: &Done<'_>) -> RunReport {
    let Done {
        job,
        run,
        ledger,
        reports,
        of_windows,
        ..
    } = done;
    let total = ledger.total();
    let counted = done
        .ended
        .values()
        .filter_map(|ended| ended.counted.as_ref());
    let mut warnings = plan_notes(&run.plan);
    warnings.extend(counted.filter_map(|counted| counted.warning.clone()));
    warnings.extend(superseded_notes(done));
    let windows = done.ended.iter().map(|(number, ended)| {
        let planned = &run.plan.windows[*number as usize];
        let reports = of_windows.reports(reports, *number);
        let (rejected, reject_files) = rejects_of(reports.clone(), *number);
        let reads = PartitionRead::of(&run.plan, *number as usize, reports.clone());
        WindowReport {
            window: planned.window,
            partition: planned.partition.clone(),
            outcome: ended.outcome,
            session: ended.session.clone(),
            rows: match ended.outcome {
                WindowOutcome::Superseded => 0,
                _ => total.window(*number).rows,
            },
            rows_past_look_up: rows_past_look_up(&run.plan, reports.clone(), *number),
            counted: ended.counted.as_ref().map(|counted| counted.rows),
            checksum: checksum(reports, *number),
            last_load: None,
            deleted: match ended.outcome {
                WindowOutcome::Superseded => Vec::new(),
                _ => PartitionRead::all_deleted(&reads),
            },
            rejected,
            reject_files,
        }
    });
    let mut report = RunReport {
        run: run.id,
        job: job.name.clone(),
        scheduled_time: job.scheduled_time.to_string(),
        topic: job.source.topic_list(),
        table: job.destination.table.to_string(),
        open: run.plan.is_open(),
        resumed: false,
        slices: done.slices,
        ledger: ledger_entries(ledger, reports),
        bounds: run.plan.bounds.clone(),
        windows: windows.collect(),
        steps: done.steps,
        seconds: 0.0,
        memory_bytes_peak: usage::memory_bytes_peak(),
        unmapped_fields: reports.values().map(|report| &report.unmapped_fields).sum(),
        warnings,
    };
    let is_compacted = |topic: &str| done.source.is_compacted(topic);
    let notes = ledger_notes(&report.ledger, &run.plan.windows, &is_compacted);
    report.warnings.extend(notes);
    let notes = deleted_notes(&report);
    report.warnings.extend(notes);
    report.warnings.extend(changes(&run.plan, done.source));
    report
}

/// Says which windows were left out.
fn superseded_notes<'a>(done: &'a Done<'_>) -> impl Iterator<Item = String> + 'a {
    let total = done.ledger.total();
    let ended = done.ended.iter();
    let superseded = ended.filter(|(_, ended)| ended.outcome == WindowOutcome::Superseded);
    superseded.map(move |(number, _)| {
        format!(
            "window {} is left out, as another run has loaded into its target since this one was planned: the {} rows that \
             the ledger has of it went nowhere",
            done.run.plan.windows[*number as usize].window,
            total.window(*number).rows,
        )
    })
}

/// Says of each window that was replaced whether its rows are those of the last time.
pub(crate) fn compare_with_last_load(
    report: &mut RunReport,
    write: WriteMode,
    ports: &Ports<'_>,
) -> Result<(), Error> {
    if write == WriteMode::Append {
        return Ok(());
    }
    for window in &mut report.windows {
        let Some(checksum) = window.checksum else {
            continue;
        };
        if !window.outcome.changed_target() {
            continue;
        }
        let planned = PlannedWindow {
            window: window.window,
            partition: window.partition.clone(),
        };
        let target = target_key(ports.target, &planned);
        let last = ports
            .journal
            .last_load(&target, window.window, report.run)?;
        if let Some((run, rows, _)) = last
            && rows > window.rows
        {
            report.warnings.push(format!(
                "window {} has {} rows now, and {rows} were loaded by run {run}: if that was a repair, or a run with more \
                 `lateness`, load the window again in that way",
                window.window, window.rows,
            ));
        }
        window.last_load = last.map(|(run, rows, before)| LastLoad {
            run,
            rows,
            content: if (rows, before) == (window.rows, checksum) {
                Content::Same
            } else {
                Content::Changed
            },
        });
    }
    Ok(())
}

/// The ledger's lines, with the places of the first holes.
fn ledger_entries(ledger: &Ledger, reports: &BTreeMap<u32, SliceReport>) -> Vec<LedgerEntry> {
    let mut spans: BTreeMap<&TopicPartition, (Vec<_>, Vec<_>)> = BTreeMap::new();
    for range in reports.values().flat_map(|report| &report.ranges) {
        let (found, deleted) = spans.entry(&range.topic_partition).or_default();
        let holes = range.hole_spans.iter();
        found.extend(holes.flat_map(|span| span.without(&range.deleted)));
        deleted.extend(&range.deleted);
    }
    let entry = |(topic_partition, counts): (&TopicPartition, &Counts)| {
        let (found, deleted) = spans.remove(topic_partition).unwrap_or_default();
        let mut hole_spans = OffsetRange::merged(found);
        hole_spans.truncate(HOLE_SPANS_MAX);
        LedgerEntry {
            topic_partition: topic_partition.clone(),
            counts: counts.clone(),
            hole_spans,
            deleted: OffsetRange::merged(deleted),
        }
    };
    ledger.iter().map(entry).collect()
}

/// What a person should know about what was read.
fn ledger_notes(
    ledger: &[LedgerEntry],
    windows: &[PlannedWindow],
    is_compacted: &dyn Fn(&str) -> Option<bool>,
) -> Vec<String> {
    let mut notes = Vec::new();
    let mut compacted: BTreeMap<&str, Option<bool>> = BTreeMap::new();
    for entry in ledger {
        let LedgerEntry {
            topic_partition,
            counts,
            hole_spans,
            deleted,
        } = entry;
        let deleted: u64 = deleted.iter().map(|range| range.len()).sum();
        let holes = counts.holes.saturating_sub(deleted);
        if counts.unread > 0 {
            notes.push(format!(
                "{} offsets of {topic_partition} are unread: nothing came for as long as `exit: idle` waits; what they hold is \
                 not loaded, so run the window again",
                counts.unread,
            ));
        }
        if counts.outside_reach > 0 {
            notes.push(format!(
                "{} messages of {topic_partition} belong to windows of this run, but lie where these are not looked for any \
                 more, and are not loaded{}; run those windows again with a longer `lateness`, or `exact`",
                counts.outside_reach,
                lacking(&counts.outside_reach_of, windows),
            ));
        }
        let topic = &*topic_partition.topic;
        if holes > 0
            && *compacted
                .entry(topic)
                .or_insert_with(|| is_compacted(topic))
                == Some(false)
        {
            let spans: Vec<_> = hole_spans.iter().map(ToString::to_string).collect();
            notes.push(format!(
                "{holes} offsets of {topic_partition} have no message, at {}: the topic is not compacted, so these should be \
                 markers and aborted messages of transactions; if nobody writes to it in transactions, messages are lost on \
                 the broker",
                spans.join(", "),
            ));
        }
    }
    notes
}

/// Names the windows that lack most messages; nothing where none lacks any.
fn lacking(outside_reach_of: &BTreeMap<u32, u64>, windows: &[PlannedWindow]) -> String {
    let mut lacking: Vec<_> = outside_reach_of.iter().collect();
    lacking.sort_by_key(|(_, messages)| Reverse(**messages));
    let told = lacking.iter().take(WINDOWS_TOLD_MAX);
    let told: Vec<_> = told
        .filter_map(|(number, messages)| {
            let planned = windows.get(**number as usize)?;
            Some(format!("{messages} of {}", planned.window))
        })
        .collect();
    match (told.is_empty(), lacking.len() - told.len()) {
        (true, _) => String::new(),
        (false, 0) => format!(": {}", told.join(", ")),
        (false, more) => format!(": {} and those of {more} more windows", told.join(", ")),
    }
}

/// Says which windows retention has cut while the run was under way.
fn deleted_notes(report: &RunReport) -> Vec<String> {
    let cut = report
        .ledger
        .iter()
        .filter(|entry| !entry.deleted.is_empty());
    let note = |entry: &LedgerEntry| -> Option<String> {
        let gone = DeletedOffsets {
            topic_partition: entry.topic_partition.clone(),
            ranges: entry.deleted.clone(),
        };
        let lacks = |window: &&WindowReport| {
            let mut deleted = window.deleted.iter();
            let found = deleted.find(|found| found.topic_partition == entry.topic_partition);
            let mut ranges = found.into_iter().flat_map(|found| &found.ranges);
            ranges.any(|range| range.without(&entry.deleted) != [*range])
        };
        let windows = report.windows.iter().filter(lacks);
        let windows: Vec<_> = windows.map(|window| window.window).collect();
        // Windows that were left out lack nothing.
        (!windows.is_empty()).then(|| {
            let windows = window_names(windows.into_iter());
            format!(
                "retention deleted offsets {gone} before they were read: what messages were there of {windows} can't be \
                 loaded any more",
            )
        })
    };
    cut.filter_map(note).collect()
}

/// The rows of a window that the plain look-up of its end would have missed. Ranges are cut there.
fn rows_past_look_up<'a>(
    plan: &LoadPlan,
    reports: impl Iterator<Item = &'a SliceReport>,
    window: u32,
) -> u64 {
    let ends: BTreeMap<&TopicPartition, i64> = plan
        .partitions
        .iter()
        .filter_map(|partition| {
            let reach = partition.reaches.get(window as usize)?;
            Some((&partition.topic_partition, reach.look_up_end()))
        })
        .collect();
    let ranges = reports.flat_map(|report| &report.ranges);
    let past = ranges.filter(|range| {
        let end = ends.get(&range.topic_partition);
        end.is_some_and(|end| range.range.start >= *end)
    });
    past.map(|range| range.counts.window(window).rows).sum()
}

/// The reject counts of one window by reason, and the files that keep the messages.
fn rejects_of<'a>(
    reports: impl Iterator<Item = &'a SliceReport>,
    window: u32,
) -> (BTreeMap<String, u64>, Vec<String>) {
    let mut counts = BTreeMap::new();
    let mut files = Vec::new();
    for staged in reports.filter_map(|report| report.windows.get(&window)) {
        for (reason, count) in &staged.rejected {
            *counts.entry(reason.clone()).or_default() += count;
        }
        files.extend(staged.rejects.iter().map(|file| file.name.clone()));
    }
    (counts, files)
}

#[cfg(test)]
mod tests {
    use engine_model::{PartitionSpec, Window};

    use super::*;

    #[test]
    fn the_windows_that_lack_most_are_named() {
        let planned = |number: i64| PlannedWindow {
            window: Window::new(number * 1_000, (number + 1) * 1_000).unwrap(),
            partition: PartitionSpec::default(),
        };
        let windows: Vec<_> = (0..5).map(planned).collect();
        assert_eq!(lacking(&BTreeMap::new(), &windows), "");
        assert_eq!(
            lacking(&[(1, 7)].into(), &windows),
            ": 7 of [1970-01-01T00:00:01Z, 1970-01-01T00:00:02Z)"
        );
        assert_eq!(
            lacking(&[(0, 1), (1, 2), (2, 9), (3, 2), (4, 1)].into(), &windows),
            ": 9 of [1970-01-01T00:00:02Z, 1970-01-01T00:00:03Z), 2 of [1970-01-01T00:00:01Z, 1970-01-01T00:00:02Z), \
             2 of [1970-01-01T00:00:03Z, 1970-01-01T00:00:04Z) and those of 2 more windows"
        );
    }
}
