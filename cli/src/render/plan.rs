//! What `plan` found.

use engine::PlanReport;
use engine::model::job::Job;
use engine::model::{LoadPlan, OffsetRange, PlannedPartition, PlannedWindow, Reach};

use super::number::{bytes, count, of};
use super::table::{Columns, pairs};
use super::time::{window_in, window_lines};

/// Where the windows go, what is read for them and what that costs.
pub(crate) fn text(job: &Job, report: &PlanReport) -> String {
    let mut parts = vec![
        header(job, &report.plan),
        reads(job, &report.plan),
        costs(job, report),
    ];
    if !report.notes.is_empty() {
        let notes: Vec<String> = report
            .notes
            .iter()
            .map(|note| format!("note: {note}"))
            .collect();
        parts.push(notes.join("\n"));
    }
    parts.join("\n\n")
}

fn header(job: &Job, plan: &LoadPlan) -> String {
    let mut lines = vec![
        (
            "job",
            vec![format!("{} at {}", job.name, job.scheduled_time)],
        ),
        ("topic", vec![job.source.topic_list()]),
        ("table", vec![job.destination.table.to_string()]),
    ];
    if let [planned] = plan.windows.as_slice() {
        lines.push((
            "window",
            window_lines(planned.window, &plan.bounds, &job.time_zone),
        ));
        lines.push(("target", vec![target(planned)]));
    }
    pairs(&lines)
}

fn target(planned: &PlannedWindow) -> String {
    if planned.partition.is_empty() {
        "the whole table".to_owned()
    } else {
        format!("table partition {}", planned.partition)
    }
}

/// A line for each topic partition; of one window with its look-ups, of several with a line for each of these above.
fn reads(job: &Job, plan: &LoadPlan) -> String {
    if plan.windows.len() == 1 {
        return partitions_of_one_window(plan);
    }
    format!("{}\n\n{}", windows(job, plan), partitions(plan))
}

fn partitions_of_one_window(plan: &LoadPlan) -> String {
    let mut columns = Columns::new(&[
        "topic partition",
        "log start>",
        "window start>",
        "look-up end>",
        "high watermark>",
        "range>",
        "offsets>",
        "window",
        "retention",
    ]);
    let offset = |offset: Option<i64>| offset.map_or("-".to_owned(), |offset| offset.to_string());
    for partition in &plan.partitions {
        let Some(reach) = partition.reaches.first() else {
            continue;
        };
        columns.row([
            partition.topic_partition.to_string(),
            partition.log_start.to_string(),
            offset(reach.start_offset),
            offset(reach.end_offset),
            partition.high_watermark.to_string(),
            ranges(&partition.ranges),
            count(partition.offsets()),
            if reach.closed { "closed" } else { "open" }.to_owned(),
            if reach.retention_gap { "gap" } else { "ok" }.to_owned(),
        ]);
    }
    columns.text()
}

/// The ranges, or how many there are where a line would be too long.
fn ranges(ranges: &[OffsetRange]) -> String {
    match ranges {
        [] => "-".to_owned(),
        [one] => one.to_string(),
        [one, other] => format!("{one} {other}"),
        [first, .., last] => format!("{} ranges in [{}, {})", ranges.len(), first.start, last.end),
    }
}

fn windows(job: &Job, plan: &LoadPlan) -> String {
    let mut columns = Columns::new(&["window", "target", "open in>", "retention"]);
    for (number, planned) in plan.windows.iter().enumerate() {
        let partitions = plan.partitions.iter();
        let reaches: Vec<&Reach> = partitions
            .filter_map(|partition| partition.reaches.get(number))
            .collect();
        let open = reaches.iter().filter(|reach| !reach.closed).count();
        let gap = reaches.iter().any(|reach| reach.retention_gap);
        columns.row([
            window_in(planned.window, &job.time_zone),
            target(planned),
            count(open as u64),
            if gap { "gap" } else { "ok" }.to_owned(),
        ]);
    }
    columns.text()
}

fn partitions(plan: &LoadPlan) -> String {
    let mut columns = Columns::new(&[
        "topic partition",
        "log start>",
        "high watermark>",
        "range>",
        "offsets>",
    ]);
    for partition in &plan.partitions {
        columns.row([
            partition.topic_partition.to_string(),
            partition.log_start.to_string(),
            partition.high_watermark.to_string(),
            ranges(&partition.ranges),
            count(partition.offsets()),
        ]);
    }
    columns.text()
}

fn costs(job: &Job, report: &PlanReport) -> String {
    let late: u64 = report
        .plan
        .partitions
        .iter()
        .map(PlannedPartition::offsets_past_look_up)
        .sum();
    let mean = report.plan.message_bytes_mean;
    let (offsets, estimate) = (of(report.offsets, "offset"), bytes(report.bytes_estimate));
    let mean = if mean > 0 {
        format!(" at {} a message", bytes(mean))
    } else {
        String::new()
    };
    let mut read = vec![format!("{offsets}, about {estimate}{mean}")];
    if late > 0 {
        read.push(format!(
            "{} of them behind the look-up of the end, for late messages",
            count(late)
        ));
    }
    let free = report.disk_bytes_free.map_or("not known".to_owned(), bytes);
    let limit = job.limits.disk_bytes.map_or("none".to_owned(), bytes);
    pairs(&[
        ("read", read),
        ("slices", vec![count(report.plan.slices.len() as u64)]),
        ("sessions", vec![count(report.sessions as u64)]),
        (
            "disk",
            vec![format!("{free} free for staging, limit {limit}")],
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn a_plan_says_where_how_much_and_what_to_look_at() {
        insta::assert_snapshot!(text(&fixture::job(), &fixture::plan_report()), @"
        job     orders_daily at 2026-11-23T00:15:00+08:00[Asia/Shanghai]
        topic   orders
        table   shop.orders
        window  [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)
                [2026-11-22T00:00:00+08:00, 2026-11-23T00:00:00+08:00) in Asia/Shanghai
        target  table partition ds=20261122

        topic partition  log start  window start  look-up end  high watermark              range    offsets  window  retention
        orders[0]                0        500000      1500000         2000000  [500000, 2000000)  1,500,000  closed  ok
        orders[1]               70            70            -             100          [70, 100)         30  open    gap
        orders[2]                5             -            -               5                  -          0  open    ok

        read      1,500,030 offsets, about 732.44 MiB at 512 B a message
                  500,000 of them behind the look-up of the end, for late messages
        slices    3
        sessions  1
        disk      20.00 GiB free for staging, limit 1.00 GiB

        note: no message at or after the window's end was seen yet in orders[1]
        ");
    }

    #[test]
    fn nothing_to_read_is_no_special_case() {
        let mut report = fixture::plan_report();
        report.plan.partitions.clear();
        report.plan.message_bytes_mean = 0;
        (
            report.offsets,
            report.bytes_estimate,
            report.disk_bytes_free,
        ) = (0, 0, None);
        report.notes.clear();
        let text = text(&fixture::job(), &report);
        assert!(text.contains("read      0 offsets, about 0 B\n"), "{text}");
        assert!(
            text.ends_with("disk      not known free for staging, limit 1.00 GiB"),
            "{text}"
        );
    }
}
