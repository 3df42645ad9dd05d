//! Paths to fields of a JSON payload.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::FIELD_PATH_STEPS_MAX;

/// Where a value sits in a JSON payload: `a.a1`, `c[1]`, `d[0].AA`, `[2].x`, `tags['a.b']`, `$`.
///
/// A dot leads to a field of an object and `[n]` to the n-th element of an array, from 0. `a.b` always means `b` within `a`;
/// a key that holds a dot, a bracket or a quote itself is written in quotes, where `\` stands before a quote or another
/// `\`. `$` is the payload as a whole, also in front of a path: `$.a` is `a`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldPath {
    steps: Vec<Step>,
}

/// One step of a field path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// To the field of an object with this name.
    Key(String),
    /// To the element of an array at this position, from 0.
    Index(usize),
}

/// A text that is no field path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPathError {
    path: String,
    position: usize,
    expected: String,
}

impl FieldPath {
    /// The steps from the payload's top level down; none for the payload as a whole.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl From<Vec<Step>> for FieldPath {
    fn from(steps: Vec<Step>) -> Self {
        Self { steps }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return f.write_str("$");
        }
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Key(name) if needs_quotes(name) => {
                    let name = name.replace('\\', "\\\\").replace('\'', "\\'");
                    write!(f, "['{name}']")?;
                }
                Step::Key(name) if position == 0 => f.write_str(name)?,
                Step::Key(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl FromStr for FieldPath {
    type Err = FieldPathError;

    fn from_str(path: &str) -> Result<Self, FieldPathError> {
        let mut steps = Vec::new();
        let root = path
            .strip_prefix('$')
            .filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        if root == Some("") {
            return Ok(Self { steps });
        }
        // What is left of `$.a` is `.a`, which only begins with a dot here.
        let mut rest = match root {
            Some(rest) => rest.strip_prefix('.').unwrap_or(rest),
            None => path,
        };
        let error = |rest: &str, expected: &str| FieldPathError {
            path: path.to_owned(),
            position: path.len() - rest.len(),
            expected: expected.to_owned(),
        };
        while !rest.is_empty() || steps.is_empty() {
            if steps.len() == FIELD_PATH_STEPS_MAX {
                return Err(error(
                    rest,
                    &format!("at most {FIELD_PATH_STEPS_MAX} steps"),
                ));
            }
            if let Some(quoted) = rest.strip_prefix("['") {
                let (name, tail) =
                    quoted_name(quoted).ok_or_else(|| error(quoted, "a field name and `']`"))?;
                steps.push(Step::Key(name));
                rest = tail;
                continue;
            }
            if let Some(digits_at) = rest.strip_prefix('[') {
                let (digits, tail) = digits_at
                    .split_once(']')
                    .ok_or_else(|| error(digits_at, "digits and `]`"))?;
                let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                let index = plain.then(|| digits.parse().ok()).flatten();
                steps.push(Step::Index(index.ok_or_else(|| {
                    error(
                        digits_at,
                        "a position counted from 0, such as `[0]`, or a name in quotes, such as `['a.b']`",
                    )
                })?));
                rest = tail;
                continue;
            }
            let name_start = match (steps.is_empty(), rest.strip_prefix('.')) {
                (true, None) => rest,
                (false, Some(tail)) => tail,
                (true, Some(_)) => return Err(error(rest, "a field name")),
                (false, None) => return Err(error(rest, "`.` or `[`")),
            };
            let end = name_start.find(['.', '[', ']']).unwrap_or(name_start.len());
            let (name, tail) = name_start.split_at(end);
            if name.is_empty() {
                return Err(error(name_start, "a field name"));
            }
            steps.push(Step::Key(name.to_owned()));
            rest = tail;
        }
        Ok(Self { steps })
    }
}

/// The name up to the closing quote, and what stands behind the bracket that follows it.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '\'') => {
                let rest = text.get(at..)?.strip_prefix("']")?;
                return Some((name, rest));
            }
            (_, '\\') => match characters.next()? {
                (_, escaped @ ('\'' | '\\')) => name.push(escaped),
                _ => return None,
            },
            (_, other) => name.push(other),
        }
    }
}

/// Whether a name has to stand in quotes.
fn needs_quotes(name: &str) -> bool {
    name.is_empty() || name == "$" || name.contains(['.', '[', ']', '\'', '"', '`'])
}

impl fmt::Display for FieldPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            position,
            expected,
        } = self;
        write!(
            f,
            "field path {path:?}: expected {expected} at position {position}"
        )
    }
}

impl std::error::Error for FieldPathError {}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FieldPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Step {
        Step::Key(name.to_owned())
    }

    #[test]
    fn paths_read_and_write_back() {
        for (text, steps) in [
            ("b", vec![key("b")]),
            ("a.a1", vec![key("a"), key("a1")]),
            ("c[1]", vec![key("c"), Step::Index(1)]),
            ("d[0].AA", vec![key("d"), Step::Index(0), key("AA")]),
            (
                "[2][3].x y",
                vec![Step::Index(2), Step::Index(3), key("x y")],
            ),
            ("订单.号", vec![key("订单"), key("号")]),
            ("$", vec![]),
            ("$a", vec![key("$a")]),
            ("['$']", vec![key("$")]),
            ("['a.b']", vec![key("a.b")]),
            ("a['b.c'].d", vec![key("a"), key("b.c"), key("d")]),
            ("a['']", vec![key("a"), key("")]),
            (
                r"[0]['it\'s \\ [0]']",
                vec![Step::Index(0), key(r"it's \ [0]")],
            ),
        ] {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!(path.steps(), steps);
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn other_spellings_of_the_same_path() {
        for (text, shortest) in [
            ("$.a.b", "a.b"),
            ("$[0]", "[0]"),
            ("$['a.b'].c", "['a.b'].c"),
            ("['a']['b']", "a.b"),
        ] {
            let path: FieldPath = text.parse().unwrap();
            assert_eq!(path.to_string(), shortest);
        }
    }

    #[test]
    fn errors_name_the_place_and_what_belongs_there() {
        for (text, message) in [
            ("", "field path \"\": expected a field name at position 0"),
            (
                ".a",
                "field path \".a\": expected a field name at position 0",
            ),
            (
                "a..b",
                "field path \"a..b\": expected a field name at position 2",
            ),
            (
                "a.",
                "field path \"a.\": expected a field name at position 2",
            ),
            (
                "a[x]",
                "field path \"a[x]\": expected a position counted from 0, such as `[0]`, or a name in quotes, such as \
                 `['a.b']` at position 2",
            ),
            (
                "a[1",
                "field path \"a[1\": expected digits and `]` at position 2",
            ),
            (
                "a[0]b",
                "field path \"a[0]b\": expected `.` or `[` at position 4",
            ),
            ("a]", "field path \"a]\": expected `.` or `[` at position 1"),
            (
                "a[-1]",
                "field path \"a[-1]\": expected a position counted from 0, such as `[0]`, or a name in quotes, such as \
                 `['a.b']` at position 2",
            ),
            (
                "a['b",
                "field path \"a['b\": expected a field name and `']` at position 3",
            ),
            (
                "a['b'",
                "field path \"a['b'\": expected a field name and `']` at position 3",
            ),
            (
                "$.",
                "field path \"$.\": expected a field name at position 2",
            ),
        ] {
            assert_eq!(text.parse::<FieldPath>().unwrap_err().to_string(), message);
        }
    }
}
