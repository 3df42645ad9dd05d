//! What a run did.

use std::path::Path;

use engine::model::{
    Content, Counts, RunReport, StepFigures, UnmappedFields, WindowOutcome, WindowReport,
};

use super::number::{bytes, count, of, per_second, seconds};
use super::table::{Columns, cell, pairs};
use super::time::{window_in, window_lines, zone_of};

/// Fields without a column that are named.
const FIELDS_NAMED_MAX: usize = 10;

/// The report with its ledger; reject files are named with their folder, `staging`, unless they go with it.
pub(crate) fn text(report: &RunReport, staging: Option<&Path>) -> String {
    let mut parts = vec![header(report)];
    if report.windows.len() > 1 {
        parts.push(windows(report));
    }
    parts.extend([ledger(report), slices(report), steps(report)]);
    parts.extend(
        report
            .windows
            .iter()
            .filter_map(|window| rejects(window, staging)),
    );
    parts.extend(unmapped(&report.unmapped_fields));
    if !report.warnings.is_empty() {
        let warnings = report
            .warnings
            .iter()
            .map(|warning| format!("warning: {warning}"));
        parts.push(warnings.collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn header(report: &RunReport) -> String {
    let zone = zone_of(&report.scheduled_time);
    let resumed = if report.resumed { ", resumed" } else { "" };
    let mut lines = vec![
        (
            "job",
            vec![format!("{}, run {}{resumed}", report.job, report.run)],
        ),
        ("due", vec![report.scheduled_time.clone()]),
        ("topic", vec![report.topic.clone()]),
        ("table", vec![report.table.clone()]),
    ];
    match report.windows.as_slice() {
        [window] => {
            lines.push(("window", window_lines(window.window, &report.bounds, &zone)));
            if !window.partition.is_empty() {
                lines.push((
                    "target",
                    vec![format!("table partition {}", window.partition)],
                ));
            }
            lines.push(("outcome", vec![outcome(window)]));
            let counted = window
                .counted
                .map(|rows| format!("{} by a query after the commit", of(rows, "row")));
            lines.extend(counted.map(|text| ("counted", vec![text])));
            lines.extend(content(window).map(|text| ("content", vec![text])));
            lines.extend(lacks(window).map(|lines| ("lacks", lines)));
        }
        windows => lines.push(("windows", vec![count(windows.len() as u64)])),
    }
    let memory = report.memory_bytes_peak.map_or(String::new(), |peak| {
        format!(", {} of memory at most", bytes(peak))
    });
    let attempt = if report.resumed {
        " in the last attempt"
    } else {
        ""
    };
    let time = format!("{}{attempt}{memory}", seconds(report.seconds));
    lines.push(("time", vec![time]));
    pairs(&lines)
}

/// A line for each of several windows.
fn windows(report: &RunReport) -> String {
    let zone = zone_of(&report.scheduled_time);
    let mut columns = Columns::new(&[
        "window",
        "target",
        "outcome",
        "rows>",
        "past look-up>",
        "rejected>",
    ]);
    for window in &report.windows {
        let target = if window.partition.is_empty() {
            "the whole table".to_owned()
        } else {
            window.partition.to_string()
        };
        let outcome = match window.outcome {
            WindowOutcome::Committed => "committed",
            WindowOutcome::Empty => "empty",
            WindowOutcome::Emptied => "emptied",
            WindowOutcome::Kept => "kept",
            WindowOutcome::Superseded => "superseded",
        };
        let cut = if window.deleted.is_empty() {
            ""
        } else {
            ", cut by retention"
        };
        columns.row([
            window_in(window.window, &zone),
            target,
            format!("{outcome}{cut}"),
            count(window.rows),
            count(window.rows_past_look_up),
            count(window.rejected.values().sum()),
        ]);
    }
    columns.text()
}

fn outcome(window: &WindowReport) -> String {
    let rows = of(window.rows, "row");
    let text = match window.outcome {
        WindowOutcome::Committed => format!("committed {rows}"),
        WindowOutcome::Empty => "empty: no rows, and nothing was changed".to_owned(),
        WindowOutcome::Emptied => "emptied: no rows, and those that were there are gone".to_owned(),
        WindowOutcome::Kept => "kept: no rows, and those that were there stay".to_owned(),
        WindowOutcome::Superseded => {
            "superseded: another run loads into its target since".to_owned()
        }
    };
    let late = match window.rows_past_look_up {
        0 => String::new(),
        late => format!(
            ", {} of them behind the look-up of the window's end",
            count(late)
        ),
    };
    match &window.session {
        Some(session) => format!("{text}{late}, with upload session {session}"),
        None => format!("{text}{late}"),
    }
}

/// Whether the rows are those of the last time, and what tells them apart.
fn content(window: &WindowReport) -> Option<String> {
    let checksum = window.checksum?;
    let Some(last) = window.last_load else {
        let told = window.rows > 0;
        return told.then(|| format!("checksum {checksum}"));
    };
    Some(match last.content {
        Content::Same => format!("same rows as run {} loaded, checksum {checksum}", last.run),
        Content::Changed => format!(
            "changed since run {}, which loaded {}; checksum {checksum}",
            last.run,
            of(last.rows, "row"),
        ),
    })
}

/// What retention deleted before it was read, a line for each topic partition; nothing where it deleted nothing.
fn lacks(window: &WindowReport) -> Option<Vec<String>> {
    let deleted = window.deleted.iter();
    let lines = deleted.map(|gone| format!("what was at offsets {gone}, which retention deleted"));
    (!window.deleted.is_empty()).then(|| lines.collect())
}

/// A line for each topic partition, their sum, and whether every offset is accounted for.
fn ledger(report: &RunReport) -> String {
    let mut columns = Columns::new(&[
        "topic partition",
        "planned>",
        "rows>",
        "tombstones kept>",
        "tombstones skipped>",
        "rejected>",
        "outside before>",
        "outside after>",
        "outside reach>",
        "holes>",
        "unread>",
    ]);
    let mut total = Counts::default();
    let mut balanced = true;
    for entry in &report.ledger {
        columns.row(ledger_row(
            &entry.topic_partition.to_string(),
            &entry.counts,
        ));
        total.add(&entry.counts);
        balanced &= entry.counts.planned == entry.counts.accounted();
    }
    columns.row(ledger_row("total", &total));
    let verdict = if balanced {
        "balanced: planned = rows + tombstones skipped + rejected + outside + holes + unread, in each topic partition"
    } else {
        "not balanced: the counts of a topic partition don't add up to what was planned"
    };
    format!("{}\n{verdict}", columns.text())
}

fn ledger_row(name: &str, counts: &Counts) -> Vec<String> {
    let mut windows = engine::model::WindowCounts::default();
    for window in counts.windows.values() {
        windows.add(window);
    }
    let numbers = [
        counts.planned,
        windows.rows,
        windows.tombstones_kept,
        windows.tombstones_skipped,
        windows.rejected,
        counts.outside_before,
        counts.outside_after,
        counts.outside_reach,
        counts.holes,
        counts.unread,
    ];
    std::iter::once(name.to_owned())
        .chain(numbers.map(count))
        .collect()
}

fn slices(report: &RunReport) -> String {
    let slices = &report.slices;
    pairs(&[
        (
            "slices",
            [format!(
                "{} planned, {} read, {} kept from an earlier attempt",
                count(slices.planned),
                count(slices.read),
                count(slices.kept),
            )],
        ),
        (
            "blocks",
            [format!(
                "{} uploaded, {} found in sessions that an earlier attempt opened",
                count(slices.uploaded),
                count(slices.uploaded_before),
            )],
        ),
    ])
}

/// What the steps of this attempt did. Seconds are those of all threads together, so they may add up to more than the
/// run took.
fn steps(report: &RunReport) -> String {
    let mut columns = Columns::new(&["step", "busy>", "items>", "bytes>", "items/s>", "bytes/s>"]);
    let steps = &report.steps;
    for (name, figures) in [
        ("plan", &steps.plan),
        ("read", &steps.read),
        ("decode", &steps.decode),
        ("stage", &steps.stage),
        ("upload", &steps.upload),
        ("commit", &steps.commit),
    ] {
        columns.row(step_row(name, figures));
    }
    columns.text()
}

fn step_row(name: &str, figures: &StepFigures) -> [String; 6] {
    let busy = std::time::Duration::try_from_secs_f64(figures.seconds).unwrap_or_default();
    let rate = |amount: u64, shown: fn(u64) -> String| {
        per_second(amount, busy)
            .filter(|_| amount > 0)
            .map_or("-".to_owned(), shown)
    };
    let shown_bytes = if figures.bytes == 0 {
        "-".to_owned()
    } else {
        bytes(figures.bytes)
    };
    [
        name.to_owned(),
        seconds(figures.seconds),
        count(figures.items),
        shown_bytes,
        rate(figures.items, count),
        rate(figures.bytes, bytes),
    ]
}

/// Why messages of the window became no rows, and where they are kept; nothing where all did.
fn rejects(window: &WindowReport, staging: Option<&Path>) -> Option<String> {
    if window.rejected.is_empty() {
        return None;
    }
    let mut columns = Columns::new(&["rejected because", "messages>"]);
    for (reason, messages) in &window.rejected {
        columns.row([reason.clone(), count(*messages)]);
    }
    let mut lines = vec![columns.text()];
    if let Some(staging) = staging {
        let files = window.reject_files.iter().map(|name| staging.join(name));
        lines.extend(files.map(|file| format!("kept in {}", cell(&file.to_string_lossy()))));
    }
    Some(lines.join("\n"))
}

/// Fields without a column, those of the most messages first; nothing where none was seen.
fn unmapped(seen: &UnmappedFields) -> Option<String> {
    let fields = seen.by_messages();
    let (named, more) = fields.split_at(fields.len().min(FIELDS_NAMED_MAX));
    let named: Vec<String> = named
        .iter()
        .map(|(path, messages)| format!("{} ({})", cell(path), count(*messages)))
        .collect();
    if named.is_empty() {
        // All of them have keys too long to be named.
        let messages = of(seen.messages, "sampled message");
        let text = format!("fields that no column takes, in {messages}: many");
        return seen.more.then_some(text);
    }
    let more = match (more.len(), seen.more) {
        (0, false) => String::new(),
        (more, false) => format!(" and {more} more"),
        (_, true) => " and many more".to_owned(),
    };
    Some(format!(
        "fields that no column takes, in {}: {}{more}",
        of(seen.messages, "sampled message"),
        named.join(", "),
    ))
}

#[cfg(test)]
mod tests {
    use engine::model::{DeletedOffsets, OffsetRange, TopicPartition};

    use super::*;
    use crate::render::fixture;

    #[test]
    fn a_report_accounts_for_everything() {
        let text = text(&fixture::report(), Some(Path::new("/state/staging")));
        insta::assert_snapshot!(text, @"
        job      orders_daily, run 12, resumed
        due      2026-11-23T00:15:00+08:00[Asia/Shanghai]
        topic    orders
        table    shop.orders
        window   [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)
                 [2026-11-22T00:00:00+08:00, 2026-11-23T00:00:00+08:00) in Asia/Shanghai
        target   table partition ds=20261122
        outcome  committed 500,100 rows, 30 of them behind the look-up of the window's end, with upload session 20261123001500abc
        counted  500,100 rows by a query after the commit
        content  changed since run 7, which loaded 500,099 rows; checksum 000000000000002a
        time     1m 35s in the last attempt, 150.00 MiB of memory at most

        topic partition    planned     rows  tombstones kept  tombstones skipped  rejected  outside before  outside after  outside reach  holes  unread
        orders[0]        1,500,020  500,000                4                   5         2              10      1,000,000              0      3       0
        orders[1]              120      100                4                   5         2              10              0              0      3       0
        total            1,500,140  500,100                8                  10         4              20      1,000,000              0      6       0
        balanced: planned = rows + tombstones skipped + rejected + outside + holes + unread, in each topic partition

        slices  3 planned, 2 read, 1 kept from an earlier attempt
        blocks  2 uploaded, 1 found in sessions that an earlier attempt opened

        step      busy      items       bytes  items/s     bytes/s
        plan    0.25 s          2           -        8           -
        read    8.50 s  1,500,137  732.42 MiB  176,486   86.17 MiB
        decode  6.00 s    500,104  244.14 MiB   83,350   40.69 MiB
        stage   2.00 s    500,100   38.15 MiB  250,050   19.07 MiB
        upload  1m 15s    500,100   40.05 MiB    6,668  546.88 KiB
        commit  0.00 s          1           -        -           -

        rejected because  messages
        not_json                 3
        number                   1
        kept in /state/staging/run-12-slice-0-window-0.rejects.parquet

        fields that no column takes, in 48 sampled messages: coupon (48), user.vip (3)

        warning: no message at or after the window's end was seen yet in orders[1]
        ");
    }

    #[test]
    fn the_content_is_that_of_the_last_load_or_another() {
        let mut window = fixture::report().windows.remove(0);
        let last = window.last_load.as_mut().unwrap();
        last.content = Content::Same;
        assert_eq!(
            content(&window).unwrap(),
            "same rows as run 7 loaded, checksum 000000000000002a"
        );
        (window.rows, window.rows_past_look_up) = (1, 0);
        assert_eq!(
            outcome(&window),
            "committed 1 row, with upload session 20261123001500abc"
        );
        window.last_load = None;
        assert_eq!(content(&window).unwrap(), "checksum 000000000000002a");
        window.rows = 0;
        assert_eq!(content(&window), None);
        window.checksum = None;
        assert_eq!(content(&window), None);
    }

    #[test]
    fn a_window_that_retention_cut_says_so() {
        let mut report = fixture::report();
        let gone = DeletedOffsets {
            topic_partition: TopicPartition::new("orders", 1),
            ranges: vec![OffsetRange { start: 0, end: 70 }],
        };
        report.windows[0].deleted = vec![gone];
        let one = text(&report, None);
        assert!(
            one.contains(
                "lacks    what was at offsets [0, 70) of orders[1], which retention deleted\n"
            ),
            "{one}"
        );
        report.windows.push(report.windows[0].clone());
        let many = text(&report, None);
        assert!(many.contains("committed, cut by retention"), "{many}");
    }

    #[test]
    fn a_ledger_that_is_off_by_one_says_so() {
        let mut report = fixture::report();
        report.ledger[1].counts.holes += 1;
        let text = text(&report, Some(Path::new("staging")));
        assert!(
            text.contains("\nnot balanced: ") && !text.contains("\nbalanced"),
            "{text}"
        );
    }

    #[test]
    fn a_plain_run_has_no_empty_parts() {
        let mut report = fixture::report();
        report.warnings.clear();
        report.windows[0].rejected.clear();
        report.unmapped_fields = UnmappedFields::default();
        report.windows[0].session = None;
        report.windows[0].outcome = WindowOutcome::Kept;
        report.windows[0].rows_past_look_up = 0;
        report.memory_bytes_peak = None;
        let text = text(&report, None);
        assert!(
            !text.contains("rejected because")
                && !text.contains("warning:")
                && !text.contains("no column"),
            "{text}"
        );
        assert!(
            text.contains("outcome  kept: no rows, and those that were there stay\n"),
            "{text}"
        );
        assert!(!text.contains("of memory"), "{text}");
    }

    #[test]
    fn only_some_of_many_unmapped_fields_are_named() {
        let mut seen = UnmappedFields {
            messages: 16,
            ..UnmappedFields::default()
        };
        for number in 0..12 {
            seen.count(&format!("f{number:02}"), 16 - number);
        }
        let text = unmapped(&seen).unwrap();
        assert!(
            text.contains(": f00 (16), f01 (15), ") && text.ends_with("f09 (7) and 2 more"),
            "{text}"
        );
        seen.more = true;
        assert!(unmapped(&seen).unwrap().ends_with("f09 (7) and many more"));
        assert_eq!(unmapped(&UnmappedFields::default()), None);
        let unnamed = UnmappedFields {
            messages: 2,
            more: true,
            ..UnmappedFields::default()
        };
        let text = unmapped(&unnamed).unwrap();
        assert!(text.ends_with("in 2 sampled messages: many"), "{text}");
    }
}
