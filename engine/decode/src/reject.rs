//! Why a message could not become a row.

use std::fmt;

use engine_model::limits::CELL_BYTES_MAX;

/// Characters of [`Rejection::found`], at most.
const FOUND_CHARS_MAX: usize = 100;

/// A message that could not become a row: what was wrong, and where.
///
/// ```text
/// column "paid" (payment.paid): expected BIGINT, found the string "1,9"
/// payload: expected a JSON text, found "{\"order\": "
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    place: Option<Place>,
    reason: RejectReason,
    expected: Box<str>,
    found: Box<str>,
}

/// The column that refused its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    column: Box<str>,
    source: Box<str>,
}

impl Rejection {
    /// A payload that can't be read at all; `found` is cut to its length limit.
    pub(crate) fn of_payload(reason: RejectReason, expected: &str, found: &str) -> Self {
        Self {
            place: None,
            reason,
            expected: expected.into(),
            found: excerpt(found).into(),
        }
    }

    /// The same, for one `column` whose value comes from `source`.
    pub(crate) fn in_column(self, column: &str, source: &str) -> Self {
        Self {
            place: Some(Place {
                column: column.into(),
                source: source.into(),
            }),
            ..self
        }
    }

    /// The column that refused its value, as the table spells it; nothing where the payload as a whole is at fault.
    pub fn column(&self) -> Option<&str> {
        self.place.as_ref().map(|place| &*place.column)
    }

    /// The field path or metadata field that the column's value comes from.
    pub fn path(&self) -> Option<&str> {
        self.place.as_ref().map(|place| &*place.source)
    }

    /// What kind of fault it is, for counting.
    pub fn reason(&self) -> RejectReason {
        self.reason
    }

    /// What was there instead, at most 100 characters of it.
    pub fn found(&self) -> &str {
        &self.found
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(Place { column, source }) => write!(f, "column {column:?} ({source})")?,
            None => f.write_str("payload")?,
        }
        write!(f, ": expected {}, found {}", self.expected, self.found)?;
        match self.reason {
            RejectReason::OutOfRange => f.write_str(", which is out of range"),
            RejectReason::TooLong => {
                write!(
                    f,
                    ", which takes more than the {CELL_BYTES_MAX} bytes of a cell, or eight times that of nested values"
                )
            }
            RejectReason::NeedsRounding => {
                f.write_str(", which it holds only rounded; `round` allows that")
            }
            RejectReason::UnreadableText if &*self.found == "the string \"\"" => {
                f.write_str(", which is NULL with `empty_as_null: true`")
            }
            RejectReason::RepeatedKey => f.write_str(", in which two keys are the same"),
            RejectReason::TooManyCharacters => f.write_str(", which has too many characters"),
            RejectReason::BatchFull => f.write_str(": flush the batch before this message"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Rejection {}

/// What kind of fault made a message a reject. The names are stable: reports count by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RejectReason {
    /// A field is mapped and the payload is no JSON text.
    InvalidJson,
    /// Bytes that are no text of their encoding.
    InvalidText,
    /// A payload that is not compressed as the job says.
    InvalidCompression,
    /// A payload that is no record of delimited text.
    InvalidRecord,
    /// More nested objects and arrays than [`DEPTH_MAX`](crate::DEPTH_MAX).
    NestedTooDeep,
    /// No value for a column that doesn't take NULL.
    NullNotAllowed,
    /// A kind of value that the column's type never takes, such as an object for BIGINT.
    WrongType,
    /// A string that doesn't read as the column's type, such as `"abc"` for BIGINT.
    UnreadableText,
    /// Different keys of an object that are one in the column, such as `"1"` and `"01"` in a map with keys of BIGINT, or `"id"`
    /// and `"ID"` in a struct.
    RepeatedKey,
    /// A value of the right kind beyond what the column's type holds.
    OutOfRange,
    /// A number or time that the column's type could only hold rounded.
    NeedsRounding,
    /// More bytes than one cell may have.
    TooLong,
    /// More characters than a VARCHAR or a CHAR takes.
    TooManyCharacters,
    /// Bytes whose number isn't that of the key's or the payload's type.
    WrongLength,
    /// A compressed payload that holds too many bytes.
    UnpackedTooLong,
    /// The caller let the batch grow past the 2 GiB of text that one column holds; the message itself is fine.
    BatchFull,
}

impl RejectReason {
    /// The reason why a column refuses a text that should be JSON, from that why it isn't.
    pub(crate) fn of_nested_json(self) -> Self {
        match self {
            Self::NestedTooDeep => self,
            _ => Self::UnreadableText,
        }
    }

    /// The reason in reports and metrics, such as `wrong_type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::InvalidText => "invalid_text",
            Self::InvalidCompression => "invalid_compression",
            Self::InvalidRecord => "invalid_record",
            Self::NestedTooDeep => "nested_too_deep",
            Self::NullNotAllowed => "null_not_allowed",
            Self::WrongType => "wrong_type",
            Self::UnreadableText => "unreadable_text",
            Self::RepeatedKey => "repeated_key",
            Self::OutOfRange => "out_of_range",
            Self::NeedsRounding => "needs_rounding",
            Self::TooLong => "too_long",
            Self::TooManyCharacters => "too_many_characters",
            Self::WrongLength => "wrong_length",
            Self::UnpackedTooLong => "unpacked_too_long",
            Self::BatchFull => "batch_full",
        }
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first [`FOUND_CHARS_MAX`] characters of `text`, the last of them `…` where more follows.
fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(FOUND_CHARS_MAX).collect();
    if excerpt.len() < text.len() {
        excerpt.pop();
        excerpt.push('…');
    }
    excerpt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_finds_are_cut_and_say_so() {
        let found = |text: &str| {
            let rejection = Rejection::of_payload(RejectReason::InvalidJson, "a JSON text", text);
            rejection.found().to_owned()
        };
        assert_eq!(found(&"上".repeat(100)), "上".repeat(100));
        assert_eq!(
            found(&"上".repeat(101)),
            format!("{}…", "上".repeat(FOUND_CHARS_MAX - 1))
        );
    }

    #[test]
    fn what_the_find_does_not_show_is_said() {
        let text = |reason| Rejection::of_payload(reason, "STRING", "the string \"…\"").to_string();
        assert_eq!(
            text(RejectReason::TooLong),
            "payload: expected STRING, found the string \"…\", which takes more than the 8388608 bytes of a cell, or eight times that of nested values"
        );
        assert_eq!(
            text(RejectReason::BatchFull),
            "payload: expected STRING, found the string \"…\": flush the batch before this message"
        );
    }

    #[test]
    fn the_column_and_its_source_are_named() {
        let rejection =
            Rejection::of_payload(RejectReason::NeedsRounding, "BIGINT", "the number 1.9")
                .in_column("paid", "payment.paid");
        assert_eq!(
            rejection.to_string(),
            "column \"paid\" (payment.paid): expected BIGINT, found the number 1.9, which it holds only rounded; `round` allows that"
        );
        assert_eq!(
            (rejection.column(), rejection.path()),
            (Some("paid"), Some("payment.paid"))
        );
    }
}
