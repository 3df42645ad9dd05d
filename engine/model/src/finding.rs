//! What is wrong, or worth a look, in a file that somebody wrote.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

/// One remark on a file, at a place in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Whether the file can be used as it is.
    pub severity: Severity,
    /// The file's name as the caller gave it; empty for a text without one.
    pub file: Arc<str>,
    /// The line, from 1; 0 where the finding has no place in the file.
    pub line: usize,
    /// The column in characters, from 1; 0 where the finding has no place in the file.
    pub column: usize,
    /// The keys from the top of the file down, `window.start`; empty for the file as a whole.
    pub path: String,
    /// What was found and what to do. Never holds a value from the environment.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The file can't be used before this is mended.
    Error,
    /// The file can be used, and somebody should look.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// `jobs/orders.yaml:12:5: error: window.start: …`, always one line; parts that there are none of are left out.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:", self.file)?;
        }
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if !self.file.is_empty() || self.line > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{}: ", self.severity)?;
        if !self.path.is_empty() {
            escape(f, &self.path)?;
            f.write_str(": ")?;
        }
        escape(f, &self.message)
    }
}

/// Writes `text` without line breaks and what else a terminal would act on: keys of a file may hold anything.
fn escape(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

/// Everything that was found, ordered by file and place.
///
/// As an error it holds at least one [`Severity::Error`]; warnings come along, so that nobody mends a file twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// Orders the findings; those of one place stay in the order given.
    pub fn new(mut list: Vec<Finding>) -> Self {
        list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Self { list }
    }

    /// The findings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Finding> {
        self.list.iter()
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|f| f.severity == Severity::Error)
    }

    /// The findings in order, to keep.
    pub fn into_vec(self) -> Vec<Finding> {
        self.list
    }
}

/// One finding a line, without a line break at the end.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, finding) in self.list.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, line: usize, path: &str) -> Finding {
        Finding {
            severity: Severity::Error,
            file: file.into(),
            line,
            column: line.min(1),
            path: path.to_owned(),
            message: "it is wrong".to_owned(),
        }
    }

    #[test]
    fn findings_are_ordered_by_place_and_name_it() {
        let findings = Findings::new(vec![
            finding("job.yaml", 12, "window.end"),
            finding("job.yaml", 3, "job"),
            finding("", 0, ""),
            finding("", 4, "job"),
            finding("job.yaml", 0, "destination"),
        ]);
        assert_eq!(
            findings.to_string(),
            "error: it is wrong\n\
             4:1: error: job: it is wrong\n\
             job.yaml: error: destination: it is wrong\n\
             job.yaml:3:1: error: job: it is wrong\n\
             job.yaml:12:1: error: window.end: it is wrong"
        );
    }

    #[test]
    fn a_finding_is_one_line_and_leaves_terminals_alone() {
        let escaped = finding("", 1, "columns.a\n\u{1b}[31mb").to_string();
        assert_eq!(escaped, "1:1: error: columns.a\\n\\u{1b}[31mb: it is wrong");
    }

    #[test]
    fn warnings_alone_are_no_errors() {
        let mut list = vec![finding("", 1, "")];
        assert!(Findings::new(list.clone()).has_errors());
        list[0].severity = Severity::Warning;
        let findings = Findings::new(list);
        assert!(!findings.has_errors());
        assert_eq!(findings.to_string(), "1:1: warning: it is wrong");
    }
}
