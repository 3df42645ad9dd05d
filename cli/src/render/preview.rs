//! What `preview` decoded.

use engine::Preview;
use engine::model::job::Job;

use super::table::{Columns, cell};
use super::time::window_lines;

/// Characters of a cell that are shown; a row should fit on a screen.
const CELL_CHARS_MAX: usize = 40;

/// The window, its first rows, and what became none.
pub(crate) fn text(job: &Job, preview: &Preview) -> String {
    let mut parts = vec![format!(
        "window {}",
        window_lines(job.window, &job.offsets, &job.time_zone).join("\n       ")
    )];
    if preview.rows.is_empty() && preview.rejected.is_empty() {
        parts.push(
            "no rows: the window has no messages, or none among the first that were read"
                .to_owned(),
        );
    }
    if !preview.rows.is_empty() {
        let mut columns = Columns::of_names(preview.columns.iter().map(String::as_str));
        for row in &preview.rows {
            columns.row(
                row.iter()
                    .map(|value| cut(value.as_deref().unwrap_or("NULL"))),
            );
        }
        parts.push(columns.text());
        let zone = preview.time_zone.as_ref();
        parts.extend(zone.map(|zone| format!("instants are as clocks in {zone} show them")));
    }
    if !preview.rejected.is_empty() {
        let rejected = preview
            .rejected
            .iter()
            .map(|text| format!("rejected: {}", cell(text)));
        parts.push(rejected.collect::<Vec<_>>().join("\n"));
    }
    parts.join("\n\n")
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        None => text.to_owned(),
        Some(_) => text.chars().take(CELL_CHARS_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn long_cells_are_cut_and_rejected_messages_come_last() {
        let preview = Preview {
            columns: vec!["order_id".to_owned(), "raw".to_owned()],
            rows: vec![
                vec![Some("1".to_owned()), Some("x".repeat(41))],
                vec![None, Some("上".repeat(40))],
            ],
            time_zone: Some("Asia/Shanghai".to_owned()),
            rejected: vec!["offset 7 of orders[0]: \u{1b}[2J".to_owned()],
        };
        insta::assert_snapshot!(text(&fixture::job(), &preview), @r"
            window [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)
                   [2026-11-22T00:00:00+08:00, 2026-11-23T00:00:00+08:00) in Asia/Shanghai

            order_id  raw
            1         xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
            NULL      上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上

            instants are as clocks in Asia/Shanghai show them

            rejected: offset 7 of orders[0]: \u{1b}[2J
            ");
        assert!(text(&fixture::job(), &Preview::default()).contains("no rows: "));
        let rejected_only = Preview {
            rows: Vec::new(),
            ..preview
        };
        assert!(!text(&fixture::job(), &rejected_only).contains("no rows: "));
    }
}
