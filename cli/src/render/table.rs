//! Columns of text.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// Columns, one space apart from the terminal's edge and two from each other, under a header.
pub(super) struct Columns {
    table: Table,
    right: Vec<bool>,
}

impl Columns {
    /// Begins a table. Columns whose header ends in `>` are numbers: they stand on the right.
    pub(super) fn new(header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(header.iter().map(|name| name.trim_end_matches('>')));
        let right = header.iter().map(|name| name.ends_with('>')).collect();
        Self { table, right }
    }

    /// Begins a table with names that hold anything, all on the left.
    pub(super) fn of_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(names.into_iter().map(cell));
        Self {
            table,
            right: Vec::new(),
        }
    }

    /// Adds a row, whose cells may hold anything.
    pub(super) fn row<C: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.table
            .add_row(cells.into_iter().map(|text| cell(text.as_ref())));
    }

    /// The table, without a line break at its end.
    pub(super) fn text(mut self) -> String {
        for (index, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if self.right.get(index).is_some_and(|right| *right) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.table.trim_fmt()
    }
}

/// The text without what a terminal would act on, line breaks included: messages may hold anything.
pub(super) fn cell(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// Names and what they stand for, one a line; further lines of a value are indented under the first.
pub(super) fn pairs<V: AsRef<[String]>>(pairs: &[(&str, V)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, values) in pairs {
        for (index, value) in values.as_ref().iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            lines.push(format!("{name:width$}  {value}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_on_the_right_and_control_characters_are_shown() {
        let mut columns = Columns::new(&["name", "rows>"]);
        columns.row(["a\tb\u{1b}[31m", "1,000"]);
        columns.row(["订单", "7"]);
        assert_eq!(
            columns.text(),
            "name             rows\n\
             a\\tb\\u{1b}[31m  1,000\n\
             订单                7"
        );
    }

    #[test]
    fn names_line_up_and_further_lines_are_indented() {
        let text = pairs(&[
            ("job", vec!["orders".to_owned()]),
            ("window", vec!["one".to_owned(), "two".to_owned()]),
        ]);
        assert_eq!(text, "job     orders\nwindow  one\n        two");
    }
}
