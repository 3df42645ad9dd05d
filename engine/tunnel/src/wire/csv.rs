//! The comma-separated text in which small SQL results come.

use std::fmt;

/// Rows of a SQL result: names, then a cell for each name, `None` for NULL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SqlRows {
    /// The columns' names; empty where the statement returned text instead of rows.
    pub header: Vec<String>,
    /// The rows.
    pub rows: Vec<Vec<Option<String>>>,
}

/// A text that isn't a result: the line, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvError {
    line: usize,
    problem: &'static str,
}

impl fmt::Display for CsvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the result {}", self.line, self.problem)
    }
}

impl std::error::Error for CsvError {}

/// Reads a result: a line of names, then the rows. Cells are quoted with `"` where needed, doubled inside; `\N` without
/// quotes is NULL. Quoted cells may hold line ends.
///
/// This isn't left to a CSV library because they don't tell `\N` from `"\N"`.
///
/// # Errors
/// A quote that doesn't end, text behind a closing quote, or a row with another number of cells than the header has.
pub fn parse_csv(text: &str) -> Result<SqlRows, CsvError> {
    let mut reader = Reader {
        rest: text,
        line: 1,
    };
    let mut rows = Vec::new();
    let header = reader.row()?.unwrap_or_default();
    let width = header.len();
    loop {
        let line = reader.line;
        let Some(row) = reader.row()? else { break };
        if row.len() != width {
            return Err(CsvError {
                line,
                problem: "has another number of cells than the header",
            });
        }
        rows.push(row);
    }
    Ok(SqlRows {
        header: header.into_iter().map(Option::unwrap_or_default).collect(),
        rows,
    })
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

/// What ended a cell.
enum End {
    Cell,
    Row,
}

impl Reader<'_> {
    /// The next row; nothing at the end of the text.
    fn row(&mut self) -> Result<Option<Vec<Option<String>>>, CsvError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut row = Vec::new();
        loop {
            let (cell, end) = match self.rest.strip_prefix('"') {
                Some(rest) => self.quoted(rest)?,
                None => self.plain(),
            };
            row.push(cell);
            if matches!(end, End::Row) {
                self.line += 1;
                return Ok(Some(row));
            }
        }
    }

    fn plain(&mut self) -> (Option<String>, End) {
        let length = self.rest.find([',', '\n']).unwrap_or(self.rest.len());
        let (cell, rest) = self.rest.split_at(length);
        let end = if rest.starts_with(',') {
            End::Cell
        } else {
            End::Row
        };
        let mut rest = rest.chars();
        rest.next();
        self.rest = rest.as_str();
        let cell = match end {
            End::Cell => cell,
            End::Row => cell.strip_suffix('\r').unwrap_or(cell),
        };
        ((cell != "\\N").then(|| cell.to_owned()), end)
    }

    /// A cell whose opening quote stands before `rest`.
    fn quoted(&mut self, mut rest: &str) -> Result<(Option<String>, End), CsvError> {
        let error = |problem| CsvError {
            line: self.line,
            problem,
        };
        let mut cell = String::new();
        loop {
            let (part, behind) = rest
                .split_once('"')
                .ok_or_else(|| error("has a quote that doesn't end"))?;
            cell.push_str(part);
            let Some(more) = behind.strip_prefix('"') else {
                rest = behind;
                break;
            };
            cell.push('"');
            rest = more;
        }
        let row_end = ["\r\n", "\n"]
            .into_iter()
            .find_map(|end| rest.strip_prefix(end));
        let (rest, end) = if let Some(rest) = rest.strip_prefix(',') {
            (rest, End::Cell)
        } else if let Some(rest) = row_end {
            (rest, End::Row)
        } else if rest.is_empty() {
            (rest, End::Row)
        } else {
            return Err(error("has text behind a closing quote"));
        };
        // Borrowed from the text itself, not from the reader.
        let consumed = self.rest.len() - rest.len();
        self.rest = self.rest.split_at(consumed).1;
        self.line += cell.matches('\n').count();
        Ok((Some(cell), end))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A row of plain cells; `None` stands for itself.
    macro_rules! row {
        ($($cell:expr),*) => { [$(Option::<&str>::from($cell).map(str::to_owned)),*] };
    }

    #[test]
    fn nulls_quotes_and_line_ends_are_told_apart() {
        let rows =
            parse_csv("\"a\",b,c\n\"x,\"\"y\"\"\n\",\\N,\"\\N\"\r\n1,,2\r\n,\\N,\n").unwrap();
        assert_eq!(rows.header, ["a", "b", "c"]);
        let expected = [
            row!("x,\"y\"\n", None, "\\N"),
            row!("1", "", "2"),
            row!("", None, ""),
        ];
        assert_eq!(rows.rows, expected);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        assert_eq!(parse_csv("n\n5").unwrap().rows, [row!("5")]);
        assert_eq!(parse_csv("n\n\"5\"").unwrap().rows, [row!("5")]);
        assert_eq!(parse_csv("").unwrap(), SqlRows::default());
    }

    #[test]
    fn damaged_results_are_refused_with_their_line() {
        let error = |text: &str| parse_csv(text).unwrap_err().to_string();
        assert_eq!(
            error("a,b\n1,2\n\"x\ny\",2\n3\n"),
            "line 5 of the result has another number of cells than the header"
        );
        assert_eq!(
            error("a\n\"x"),
            "line 2 of the result has a quote that doesn't end"
        );
        assert_eq!(
            error("a\n\"x\"y\n"),
            "line 2 of the result has text behind a closing quote"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(rows in prop::collection::vec(
            prop::collection::vec(prop::option::of("[a\"\\\\N,\r\n 字]{0,6}"), 3), 0..5)
        ) {
            let mut text = String::from("a,b,c\n");
            for row in &rows {
                let cells: Vec<_> = row.iter().map(|cell| match cell {
                    Some(cell) => format!("\"{}\"", cell.replace('"', "\"\"")),
                    None => "\\N".to_owned(),
                }).collect();
                text += &(cells.join(",") + "\n");
            }
            prop_assert_eq!(parse_csv(&text).unwrap().rows, rows);
        }

        #[test]
        fn no_text_panics(text in "[a\",\r\n字\\\\N]{0,40}") {
            let _may_be_refused = parse_csv(&text);
        }
    }
}
