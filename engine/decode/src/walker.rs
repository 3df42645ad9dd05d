//! Mapped fields from the tokens of a payload that isn't parsed.
//!
//! A value is checked when it is read, all of it; the way to it was checked by the walk (`trie/tokens.rs`), and that its
//! strings end and have no control characters in them was seen when the tokens were found (`index.rs`).

use std::ops::Range;

use crate::check::check_value;
use crate::column::ColumnBuffer;
use crate::escape::{check_escapes, resolve};
use crate::index::{Index, Tokens};
use crate::number::{Integer, JsonNumber};
use crate::parser::FLOAT_MAX_TRUSTED;
use crate::reject::RejectReason;
use crate::text::utf8;
use crate::value::Value;

/// Bytes of memory for tokens that stay reserved at a flush; more is only needed by unusually large messages.
const MEMORY_KEPT: usize = 1 << 20;

/// Finds the tokens of payloads; allocates nothing once its memory has grown.
#[derive(Debug, Default)]
pub(crate) struct Walker {
    index: Index,
}

impl Walker {
    /// The tokens of `payload`.
    pub(crate) fn read<'a>(&'a mut self, payload: &'a [u8]) -> Result<Tokens<'a>, RejectReason> {
        self.index.scan(payload)
    }

    /// Bytes of memory that are reserved for tokens.
    pub(crate) fn memory(&self) -> usize {
        self.index.memory()
    }

    /// Gives back memory that only unusually large messages need.
    pub(crate) fn shrink(&mut self) {
        if self.memory() > MEMORY_KEPT {
            *self = Self::default();
        }
    }
}

/// The value that starts with `token`, within `depth` objects and arrays, all of it checked. `resolved` is for strings that
/// have escapes.
#[inline]
pub(crate) fn value_of_token<'a>(
    tokens: Tokens<'a>,
    token: usize,
    depth: usize,
    buffer: &ColumnBuffer,
    resolved: &'a mut Vec<u8>,
) -> Result<Value<'a>, RejectReason> {
    let [start, next, ..] = *tokens.positions_from(token) else {
        return Err(RejectReason::InvalidJson);
    };
    match tokens.kind(token) {
        b'"' => {
            let start = start as usize;
            let end = tokens.end_before(next);
            string(tokens, start..end, buffer, resolved)
        }
        b'{' | b'[' => {
            let behind = check_value(tokens, token, depth)?;
            let range = start as usize..tokens.start(behind - 1) + 1;
            if tokens.has_backslash(range.clone()) {
                check_escapes(tokens, range.clone())?;
            }
            let text = tokens.text().get(range).unwrap_or_default();
            utf8(text).map(Value::Json)
        }
        b't' => literal(tokens, token, b"true").map(|()| Value::Bool(true)),
        b'f' => literal(tokens, token, b"false").map(|()| Value::Bool(false)),
        b'n' => literal(tokens, token, b"null").map(|()| Value::Null),
        _ => number(tokens, start, next, buffer),
    }
}

/// The string at `quoted`.
#[inline]
fn string<'a>(
    tokens: Tokens<'a>,
    quoted: Range<usize>,
    buffer: &ColumnBuffer,
    resolved: &'a mut Vec<u8>,
) -> Result<Value<'a>, RejectReason> {
    let has_escapes = tokens.has_backslash(quoted.clone());
    let inside = quoted.start + 1..quoted.end - 1;
    if buffer.needs_string_text() {
        if has_escapes {
            check_escapes(tokens, inside)?;
        }
        let text = tokens.text().get(quoted).unwrap_or_default();
        return utf8(text).map(Value::Json);
    }
    let text = if has_escapes {
        resolve(tokens, inside, resolved)?;
        resolved
    } else {
        tokens.text().get(inside).unwrap_or_default()
    };
    utf8(text).map(Value::Text)
}

#[inline]
fn literal(tokens: Tokens<'_>, token: usize, spelling: &[u8]) -> Result<(), RejectReason> {
    let is_it = tokens.text().get(tokens.scalar(token)) == Some(spelling);
    is_it.then_some(()).ok_or(RejectReason::InvalidJson)
}

/// The number at `start`, before the token at `next`.
#[inline]
fn number<'a>(
    tokens: Tokens<'a>,
    start: u32,
    next: u32,
    buffer: &ColumnBuffer,
) -> Result<Value<'a>, RejectReason> {
    let text = tokens.text();
    let from_here = text.get(start as usize..).unwrap_or_default();
    let (number, behind) = JsonNumber::at_start(from_here).ok_or(RejectReason::InvalidJson)?;
    let end = text.len() - behind.len();
    if end != next as usize && end != tokens.end_before(next) {
        return Err(RejectReason::InvalidJson);
    }
    if let Some(integer) = number.integer() {
        return Ok(value_of_integer(integer));
    }
    if !buffer.needs_number_text()
        && let Some(float) = number.float()
    {
        return Ok(Value::Float(float));
    }
    let text = utf8(text.get(start as usize..end).unwrap_or_default())?;
    if let Some(integer) = number.long_integer(text) {
        return Ok(value_of_integer(integer));
    }
    if buffer.needs_number_text() {
        return Ok(Value::Number(text));
    }
    let float = text.parse().ok();
    let float = float.filter(|float: &f64| float.abs() < FLOAT_MAX_TRUSTED);
    Ok(float.map_or(Value::Number(text), Value::Float))
}

#[inline]
fn value_of_integer<'a>(integer: Integer) -> Value<'a> {
    match integer {
        Integer::Unsigned(value) => Value::Unsigned(value),
        Integer::Negative(value) => Value::Int(value),
    }
}
