//! What a run rejected.

use std::path::Path;

use engine::{RejectedMessage, RejectedMessages};
use jiff::Timestamp;

use super::number::{count, of};
use super::table::{Columns, cell};

/// Messages by reason, then the first of them, each with its place and what was wrong.
pub(crate) fn text(found: &RejectedMessages, export: Option<&Path>) -> String {
    let Some(run) = found.run else {
        return "no run has rejected a message, or none is kept any more".to_owned();
    };
    let total = found.reasons.values().sum::<u64>();
    let mut parts = vec![format!("run {run} rejected {}", of(total, "message"))];
    let mut columns = Columns::new(&["because", "messages>"]);
    for (reason, messages) in &found.reasons {
        columns.row([reason.clone(), count(*messages)]);
    }
    parts.push(columns.text());
    let lines: Vec<String> = found.messages.iter().map(line).collect();
    if !lines.is_empty() {
        parts.push(lines.join("\n"));
    }
    let left = total.saturating_sub(found.messages.len() as u64);
    if let Some(file) = export {
        parts.push(format!(
            "all of them are in {}",
            cell(&file.to_string_lossy())
        ));
    } else if left > 0 {
        parts.push(format!(
            "{} more: --messages N shows more, --export FILE writes all of them with their bytes",
            count(left)
        ));
    }
    if !found.other_runs.is_empty() {
        let runs: Vec<String> = found.other_runs.iter().map(ToString::to_string).collect();
        parts.push(format!(
            "rejected messages are kept of other runs, too: {}",
            runs.join(", ")
        ));
    }
    parts.join("\n\n")
}

fn line(message: &RejectedMessage) -> String {
    let RejectedMessage {
        topic,
        partition,
        offset,
        timestamp_ms,
        detail,
        ..
    } = message;
    let at = Timestamp::from_millisecond(*timestamp_ms)
        .map_or_else(|_| format!("{timestamp_ms} ms"), |at| at.to_string());
    format!(
        "offset {offset} of {}[{partition}] at {at}: {}",
        cell(topic),
        cell(detail)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn reasons_come_first_and_then_messages() {
        let mut found = RejectedMessages {
            run: Some(12),
            reasons: BTreeMap::from([("invalid_json".to_owned(), 3), ("wrong_type".to_owned(), 1)]),
            messages: vec![RejectedMessage {
                topic: "orders".to_owned(),
                partition: 2,
                offset: 17,
                timestamp_ms: 1_795_341_600_123,
                reason: "invalid_json".to_owned(),
                detail: "payload: expected a JSON text, found \"{\u{1b}\"".to_owned(),
                key: None,
                payload: None,
                headers: Vec::new(),
            }],
            other_runs: vec![3, 7],
        };
        insta::assert_snapshot!(text(&found, None), @r#"
        run 12 rejected 4 messages

        because       messages
        invalid_json         3
        wrong_type           1

        offset 17 of orders[2] at 2026-11-22T10:00:00.123Z: payload: expected a JSON text, found "{\u{1b}"

        3 more: --messages N shows more, --export FILE writes all of them with their bytes

        rejected messages are kept of other runs, too: 3, 7
        "#);
        let exported = text(&found, Some(Path::new("bad.jsonl")));
        assert!(
            exported.contains("all of them are in bad.jsonl"),
            "{exported}"
        );
        found.run = None;
        assert!(text(&found, None).starts_with("no run has rejected"));
    }
}
