//! What a SQL statement returned.

use engine::QueryResult;

use super::number::of;
use super::table::{Columns, cell};

/// Rows that the service returns at most, whatever the statement asks for.
const ROWS_MAX: u64 = 10_000;

/// What is said of a statement that returns nothing, such as `CREATE TABLE`.
const NOTHING: &str = "done";

/// A table and the number of its rows; text as it is.
pub(crate) fn text(result: &QueryResult) -> String {
    if result.columns.is_empty() && result.rows.is_empty() {
        return NOTHING.to_owned();
    }
    if result.columns.is_empty() {
        let cells = result.rows.iter().flatten();
        return cells
            .map(|text| cell(text.as_deref().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("\n");
    }
    let mut columns = Columns::of_names(result.columns.iter().map(String::as_str));
    for row in &result.rows {
        columns.row(row.iter().map(|value| value.as_deref().unwrap_or("NULL")));
    }
    let rows = result.rows.len() as u64;
    let cut = if rows >= ROWS_MAX {
        ", the most that the service returns"
    } else {
        ""
    };
    format!("{}\n({}{cut})", columns.text(), of(rows, "row"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_a_table_and_text_is_lines() {
        let mut result = QueryResult {
            columns: vec!["city".to_owned(), "_c1".to_owned()],
            rows: vec![
                vec![Some("Shanghai\n".to_owned()), Some("3".to_owned())],
                vec![None, None],
            ],
        };
        assert_eq!(
            text(&result),
            "city        _c1\nShanghai\\n  3\nNULL        NULL\n(2 rows)"
        );
        result.rows.truncate(1);
        assert!(text(&result).ends_with("\n(1 row)"));
        result.rows = vec![vec![None, None]; 10_000];
        assert!(text(&result).ends_with("\n(10,000 rows, the most that the service returns)"));

        let lines = vec![vec![Some("ds=1".to_owned())], vec![Some("ds=2".to_owned())]];
        let result = QueryResult {
            columns: Vec::new(),
            rows: lines,
        };
        assert_eq!(text(&result), "ds=1\nds=2");
        let result = QueryResult {
            rows: Vec::new(),
            ..result
        };
        assert_eq!(text(&result), "done");
    }
}
