//! One value on its way from a message to a column.

use crate::reject::{RejectReason, Rejection};

/// A value as the message holds it, borrowed from there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    /// JSON null, or nothing there.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer from 0.
    Unsigned(u64),
    /// A number for a column that holds no more of it than this.
    Float(f64),
    /// A number as the message spells it.
    Number(&'a str),
    /// A string, its escapes resolved.
    Text(&'a str),
    /// A JSON text of a payload as it came: an object or an array, or a string with its quotes.
    Json(&'a str),
    /// A key or a payload as it is, for a column that takes bytes.
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// The rejection of this value by a column that is `expected` to hold something else.
    #[cold]
    pub(crate) fn rejection(self, reason: RejectReason, expected: &str) -> Rejection {
        Rejection::of_payload(reason, expected, &self.describe())
    }

    /// The value in an error text. May be long.
    fn describe(self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Bool(value) => format!("the boolean {value}"),
            Self::Int(value) => format!("the number {value}"),
            Self::Unsigned(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Number(text) => format!("the number {}", head(text)),
            Self::Text(text) => format!("the string {:?}", head(text)),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Self::Json(json) => {
                let kind = match json.as_bytes().first() {
                    Some(b'{') => "object",
                    Some(b'[') => "array",
                    _ => "text",
                };
                format!("the {kind} {}", head(json))
            }
        }
    }
}

/// Enough for an error text, and little enough to copy.
const HEAD_BYTES_MAX: usize = 1_024;

/// The first characters of `text`.
fn head(text: &str) -> &str {
    let end = text.floor_char_boundary(HEAD_BYTES_MAX);
    text.split_at(end).0
}
