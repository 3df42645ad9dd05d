//! Where the parser is.

use super::{ParamError, ParamErrorKind};

/// A place in the source, and the end of the part that is being read.
pub(super) struct Cursor<'t> {
    pub(super) source: &'t str,
    pub(super) at: usize,
    pub(super) end: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(source: &'t str, at: usize, end: usize) -> Self {
        Self { source, at, end }
    }

    pub(super) fn rest(&self) -> &'t str {
        self.source.get(self.at..self.end).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    pub(super) fn eat(&mut self, c: char) -> bool {
        let eaten = self.peek() == Some(c);
        if eaten {
            self.bump();
        }
        eaten
    }

    pub(super) fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.find(|c| !keep(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Whether a sign and a digit follow. A `-` before anything else is a separator.
    pub(super) fn is_at_shift(&self) -> bool {
        let mut chars = self.rest().chars();
        matches!(chars.next(), Some('+' | '-')) && chars.next().is_some_and(|c| c.is_ascii_digit())
    }

    /// The error for what stands here: `found`, or the next word if that is empty.
    pub(super) fn unexpected(&self, found: &str, advice: &str) -> ParamError {
        let (kind, advice) = match self.peek() {
            Some(c) if c.is_whitespace() || c == '=' => {
                (ParamErrorKind::SpaceOrEquals, "remove it")
            }
            _ => (ParamErrorKind::Unexpected, advice),
        };
        let found = if found.is_empty() { self.word() } else { found };
        ParamError::new(kind, self.at, found, advice)
    }

    /// The letters and digits that stand here, or else one character. Where nothing is left, the closing bracket: that
    /// is what stands in the place of something missing.
    fn word(&self) -> &'t str {
        let rest = match self.rest() {
            "" => self.source.get(self.at..).unwrap_or_default(),
            rest => rest,
        };
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let word = rest.find(|c: char| !c.is_alphanumeric());
        let length = word.unwrap_or(rest.len()).max(first);
        rest.get(..length).unwrap_or_default()
    }
}
