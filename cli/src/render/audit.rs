//! What an audit found, and what its repairs changed.

use std::time::Duration;

use engine::model::job::Lateness;
use engine::model::{RunReport, WindowReport};
use engine::{AuditReport, WindowAudit};

use super::number::{count, duration, of, seconds};
use super::table::{Columns, pairs};

/// A line for each window, then the topic partitions in which messages were missed, and the repairs.
pub(crate) fn text(report: &AuditReport) -> String {
    let mut parts = vec![
        pairs(&[
            ("job", [report.job.clone()]),
            ("topic", [report.topic.clone()]),
            ("table", [report.table.clone()]),
            (
                "read",
                [format!(
                    "{} that no run of these windows had read, in {}",
                    of(report.offsets_read, "offset"),
                    seconds(report.seconds)
                )],
            ),
        ]),
        windows(report),
    ];
    parts.extend(missed(report));
    parts.push(verdict(report));
    if !report.repairs.is_empty() {
        parts.push(repairs(&report.repairs));
    }
    let unrepaired = report.windows.iter().filter_map(|audit| {
        let why = audit.not_repaired.as_ref()?;
        Some(format!("{} is not loaded again: {why}", audit.window))
    });
    let unrepaired: Vec<String> = unrepaired.collect();
    let repaired = report.repairs.iter().flat_map(|run| &run.warnings);
    let warnings: Vec<String> = report
        .warnings
        .iter()
        .chain(repaired)
        .chain(&unrepaired)
        .map(|warning| format!("warning: {warning}"))
        .collect();
    if !warnings.is_empty() {
        parts.push(warnings.join("\n"));
    }
    parts.join("\n\n")
}

fn windows(report: &AuditReport) -> String {
    let is_cut = report.windows.iter().any(|audit| !audit.deleted.is_empty());
    let mut header = vec!["window", "target", "run>", "messages missed>"];
    header.extend(is_cut.then_some("retention"));
    let mut columns = Columns::new(&header);
    for audit in &report.windows {
        let run = audit.run.map_or("-".to_owned(), |run| run.to_string());
        let messages = audit
            .run
            .map_or("not audited".to_owned(), |_| count(audit.messages()));
        let retention = match (audit.run, audit.deleted.is_empty()) {
            (None, _) => "-",
            (Some(_), true) => "ok",
            (Some(_), false) => "gap",
        };
        let mut row = vec![audit.window.to_string(), target(audit), run, messages];
        row.extend(is_cut.then(|| retention.to_owned()));
        columns.row(row);
    }
    columns.text()
}

fn target(audit: &WindowAudit) -> String {
    if audit.partition.is_empty() {
        "the whole table".to_owned()
    } else {
        audit.partition.to_string()
    }
}

/// How far messages were looked for.
fn looked(lateness: Lateness) -> String {
    match lateness {
        Lateness::Exact => "to the ends of the logs".to_owned(),
        Lateness::None => "up to the look-up of each window's end".to_owned(),
        Lateness::Margin(margin_ms) => {
            let margin = Duration::from_millis(u64::try_from(margin_ms).unwrap_or(0));
            format!(
                "up to {} of message time from each window, and where looks saw any",
                duration(margin)
            )
        }
    }
}

/// A line for each topic partition and window; nothing where no message was missed.
fn missed(report: &AuditReport) -> Option<String> {
    let mut columns = Columns::new(&[
        "target",
        "topic partition",
        "written since>",
        "not reached>",
        "first offset>",
        "last offset>",
    ]);
    for audit in report.incomplete() {
        for missed in &audit.missed {
            columns.row([
                target(audit),
                missed.topic_partition.to_string(),
                count(missed.written_since),
                count(missed.not_reached),
                missed.first_offset.to_string(),
                missed.last_offset.to_string(),
            ]);
        }
    }
    report.incomplete().next().map(|_| columns.text())
}

fn verdict(report: &AuditReport) -> String {
    let incomplete = report.incomplete().count() as u64;
    let unaudited = report
        .windows
        .iter()
        .filter(|audit| audit.run.is_none())
        .count() as u64;
    let mut parts = Vec::new();
    if incomplete > 0 {
        let tried = |audit: &WindowAudit| audit.not_repaired.is_some();
        let untried = report.repairs.is_empty() && !report.windows.iter().any(tried);
        let whole = report.incomplete().any(|audit| audit.deleted.is_empty());
        let advice = if untried && report.repairable && whole {
            "; --repair loads them again"
        } else {
            ""
        };
        let messages: u64 = report.incomplete().map(WindowAudit::messages).sum();
        parts.push(format!(
            "{} missed in {} of {}{advice}",
            of(messages, "message"),
            count(incomplete),
            of(report.windows.len() as u64, "window"),
        ));
    }
    if unaudited > 0 {
        parts.push(format!(
            "{} not audited, as the warnings say",
            of(unaudited, "window")
        ));
    }
    let all = of(report.windows.len() as u64, "window");
    let with = |is_so: fn(&WindowAudit) -> bool| {
        let windows = report.windows.iter();
        windows.filter(|audit| is_so(audit)).count() as u64
    };
    let cut = with(|audit| !audit.deleted.is_empty());
    if cut > 0 {
        parts.push(format!(
            "{} of {all} cut by retention before they were read, as the warnings say: what they lack can't be loaded any more",
            count(cut),
        ));
    }
    let kept_back = with(|audit| !audit.kept_back.is_empty());
    if kept_back > 0 {
        parts.push(format!(
            "{} of {all} not audited whole, as a transaction is open",
            count(kept_back),
        ));
    }
    if parts.is_empty() {
        parts.push("no message was missed".to_owned());
    }
    let unseen = with(|audit| !audit.unseen.is_empty());
    if unseen > 0 {
        parts.push(format!(
            "in {} of {all} what came later is not seen where retention has deleted it since",
            count(unseen),
        ));
    }
    format!(
        "{}\nmessages were looked for {}",
        parts.join("; "),
        looked(report.lateness)
    )
}

/// What each run that loaded a window again has changed.
fn repairs(runs: &[RunReport]) -> String {
    let mut columns = Columns::new(&["repaired", "run>", "rows before>", "rows now>", "rejected>"]);
    for run in runs {
        for window in &run.windows {
            columns.row([
                name(window),
                run.run.to_string(),
                window
                    .last_load
                    .map_or("-".to_owned(), |last| count(last.rows)),
                count(window.rows),
                count(window.rejected.values().sum()),
            ]);
        }
    }
    columns.text()
}

fn name(window: &WindowReport) -> String {
    if window.partition.is_empty() {
        window.window.to_string()
    } else {
        window.partition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use engine::MissedMessages;
    use engine::model::{DeletedOffsets, OffsetRange, TopicPartition};

    use super::*;
    use crate::render::fixture;

    fn report() -> AuditReport {
        let run = fixture::report();
        let window = &run.windows[0];
        let audit = WindowAudit {
            window: window.window,
            partition: window.partition.clone(),
            run: Some(7),
            not_audited: None,
            deleted: Vec::new(),
            unseen: Vec::new(),
            kept_back: Vec::new(),
            missed: vec![MissedMessages {
                topic_partition: TopicPartition::new("orders", 1),
                written_since: 1_200,
                not_reached: 3,
                first_offset: 500_017,
                last_offset: 612_000,
            }],
            not_repaired: None,
        };
        let unknown = WindowAudit {
            run: None,
            not_audited: Some("no run has loaded it".to_owned()),
            missed: Vec::new(),
            not_repaired: None,
            ..audit.clone()
        };
        AuditReport {
            job: run.job.clone(),
            topic: run.topic.clone(),
            table: run.table.clone(),
            lateness: Lateness::Margin(86_400_000),
            repairable: true,
            offsets_read: 800_000,
            windows: vec![audit, unknown],
            warnings: vec!["no run has loaded it".to_owned()],
            repairs: Vec::new(),
            seconds: 2.5,
        }
    }

    #[test]
    fn an_audit_says_what_each_window_lacks() {
        insta::assert_snapshot!(text(&report()), @"
        job    orders_daily
        topic  orders
        table  shop.orders
        read   800,000 offsets that no run of these windows had read, in 2.50 s

        window                                        target       run  messages missed
        [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)  ds=20261122    7            1,203
        [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)  ds=20261122    -      not audited

        target       topic partition  written since  not reached  first offset  last offset
        ds=20261122  orders[1]                1,200            3        500017       612000

        1,203 messages missed in 1 of 2 windows; --repair loads them again; 1 window not audited, as the warnings say
        messages were looked for up to 24h of message time from each window, and where looks saw any

        warning: no run has loaded it
        ");
    }

    #[test]
    fn what_retention_took_is_no_matter_for_a_repair() {
        let mut report = report();
        let whole = report.windows[0].clone();
        report.windows[0].deleted = vec![DeletedOffsets {
            topic_partition: TopicPartition::new("orders", 1),
            ranges: vec![OffsetRange { start: 0, end: 90 }],
        }];
        report.windows[1] = WindowAudit {
            unseen: vec![TopicPartition::new("orders", 1)],
            missed: Vec::new(),
            ..whole
        };
        report.warnings = vec!["retention deleted some".to_owned()];
        insta::assert_snapshot!(text(&report), @"
        job    orders_daily
        topic  orders
        table  shop.orders
        read   800,000 offsets that no run of these windows had read, in 2.50 s

        window                                        target       run  messages missed  retention
        [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)  ds=20261122    7            1,203  gap
        [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)  ds=20261122    7                0  ok

        target       topic partition  written since  not reached  first offset  last offset
        ds=20261122  orders[1]                1,200            3        500017       612000

        1,203 messages missed in 1 of 2 windows; 1 of 2 windows cut by retention before they were read, as the warnings say: what they lack can't be loaded any more; in 1 of 2 windows what came later is not seen where retention has deleted it since
        messages were looked for up to 24h of message time from each window, and where looks saw any

        warning: retention deleted some
        ");
    }

    #[test]
    fn repairs_say_what_they_changed() {
        let mut report = report();
        report.windows.pop();
        report.warnings.clear();
        report.repairs = vec![fixture::report()];
        insta::assert_snapshot!(text(&report), @"
        job    orders_daily
        topic  orders
        table  shop.orders
        read   800,000 offsets that no run of these windows had read, in 2.50 s

        window                                        target       run  messages missed
        [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)  ds=20261122    7            1,203

        target       topic partition  written since  not reached  first offset  last offset
        ds=20261122  orders[1]                1,200            3        500017       612000

        1,203 messages missed in 1 of 1 window
        messages were looked for up to 24h of message time from each window, and where looks saw any

        repaired     run  rows before  rows now  rejected
        ds=20261122   12      500,099   500,100         4

        warning: no message at or after the window's end was seen yet in orders[1]
        ");
    }

    #[test]
    fn a_clean_audit_is_short() {
        let mut report = report();
        report.windows.pop();
        report.windows[0].missed.clear();
        report.warnings.clear();
        insta::assert_snapshot!(text(&report), @"
        job    orders_daily
        topic  orders
        table  shop.orders
        read   800,000 offsets that no run of these windows had read, in 2.50 s

        window                                        target       run  messages missed
        [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)  ds=20261122    7                0

        no message was missed
        messages were looked for up to 24h of message time from each window, and where looks saw any
        ");
    }
}
