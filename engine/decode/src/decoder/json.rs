//! The mapped fields of a JSON payload, with full validation or with no more than they need.

use engine_model::job::Validation;
use serde::de::IgnoredAny;

use super::append;
use crate::column::ColumnBuffer;
use crate::index::Tokens;
use crate::locate::{Wanted, locate};
use crate::node::{value_of, value_of_text};
use crate::parser::{DEPTH_MAX, Document, Parser};
use crate::payload::SCRATCH_BYTES_KEPT;
use crate::projection::{PathFeed, Projection};
use crate::reject::{RejectReason, Rejection};
use crate::trie::ABSENT;
use crate::value::Value;
use crate::walker::{Walker, value_of_token};

/// The mapped fields of JSON payloads.
#[derive(Debug)]
pub(super) struct JsonFields {
    pub(super) road: Road,
    scratch: Scratch,
}

/// How fields are found in a JSON payload.
#[derive(Debug)]
pub(super) enum Road {
    /// All of it is parsed and checked.
    Full(Parser),
    /// No more is read than the way to the fields.
    Mapped(Walker),
}

/// What is only of use within one payload; kept for its memory.
#[derive(Debug, Default)]
struct Scratch {
    /// Where each path leads to: numbers of tape nodes, or of tokens.
    found: Vec<u32>,
    wanted: Vec<Wanted>,
    /// A key or a string without its escapes.
    resolved: Vec<u8>,
}

impl JsonFields {
    pub(super) fn new(projection: &Projection) -> Self {
        Self {
            road: match projection.validation() {
                Validation::Full => Road::Full(Parser::default()),
                Validation::Mapped => Road::Mapped(Walker::default()),
            },
            scratch: Scratch {
                found: vec![ABSENT; projection.trie().slots()],
                ..Scratch::default()
            },
        }
    }

    /// Gives back memory that only unusually large messages need.
    pub(super) fn shrink(&mut self) {
        match &mut self.road {
            Road::Full(parser) => parser.shrink(),
            Road::Mapped(walker) => walker.shrink(),
        }
        self.scratch.resolved.clear();
        self.scratch.resolved.shrink_to(SCRATCH_BYTES_KEPT);
    }

    /// Appends what each path leads to in a payload. Tells the bytes of text.
    pub(super) fn append(
        &mut self,
        projection: &Projection,
        buffers: &mut [ColumnBuffer],
        payload: &[u8],
    ) -> Result<usize, Rejection> {
        let Self { road, scratch } = self;
        let read = match road {
            Road::Full(parser) => parser.read(payload, |document| {
                fields(projection, document, buffers, scratch)
            }),
            Road::Mapped(walker) => walker
                .read(payload)
                .and_then(|tokens| mapped_fields(projection, tokens, buffers, scratch)),
        };
        read.unwrap_or_else(|reason| Err(unreadable(payload, reason)))
    }
}

/// Walks a parsed payload and appends what each path leads to. Tells the bytes of text.
fn fields(
    projection: &Projection,
    document: Document<'_>,
    buffers: &mut [ColumnBuffer],
    Scratch { found, wanted, .. }: &mut Scratch,
) -> Result<usize, Rejection> {
    projection.trie().walk(document.tape, found);
    wanted.clear();
    let mut text_bytes = 0;
    let feeds = projection.paths.iter().zip(&mut *buffers).enumerate();
    for (index, (PathFeed { column, slot }, buffer)) in feeds {
        let node = found[*slot];
        match value_of(document, node, buffer) {
            Some(value) => text_bytes += append(projection, *column, buffer, &value)?,
            None => wanted.push(Wanted { node, feed: index }),
        }
    }
    if wanted.is_empty() {
        return Ok(text_bytes);
    }
    wanted.sort_unstable();
    locate(document, wanted, |Wanted { node, feed }, text| {
        let column = projection.paths[feed].column;
        let value = text.and_then(|text| value_of_text(document, node, text));
        let value = value.ok_or_else(|| lost(projection, column))?;
        text_bytes += append(projection, column, &mut buffers[feed], &value)?;
        Ok(())
    })?;
    Ok(text_bytes)
}

/// Walks the tokens of a payload and appends what each path leads to. Tells the bytes of text, or why the payload is no
/// JSON, as far as it was read.
fn mapped_fields(
    projection: &Projection,
    tokens: Tokens<'_>,
    buffers: &mut [ColumnBuffer],
    scratch: &mut Scratch,
) -> Result<Result<usize, Rejection>, RejectReason> {
    let Scratch {
        found, resolved, ..
    } = scratch;
    let trie = projection.trie();
    trie.walk_tokens(tokens, found, resolved)?;
    let mut text_bytes = 0;
    for (PathFeed { column, slot }, buffer) in projection.paths.iter().zip(buffers) {
        let token = found[*slot];
        let value = if token == ABSENT {
            Value::Null
        } else {
            value_of_token(tokens, token as usize, trie.depth(*slot), buffer, resolved)?
        };
        match append(projection, *column, buffer, &value) {
            Ok(bytes) => text_bytes += bytes,
            Err(rejection) => return Ok(Err(rejection)),
        }
    }
    Ok(Ok(text_bytes))
}

/// The rejection of a value that the tape has and the text doesn't seem to: better no row than one with a hole.
#[cold]
fn lost(projection: &Projection, column: usize) -> Rejection {
    let expected = projection.expected(column);
    let found = "a value whose text can't be found";
    let rejection = Rejection::of_payload(RejectReason::InvalidJson, &expected, found);
    projection.in_column(rejection, column)
}

/// The rejection of a whole payload.
#[cold]
pub(super) fn unreadable(payload: &[u8], reason: RejectReason) -> Rejection {
    let start = payload.get(..400).unwrap_or(payload);
    let start = String::from_utf8_lossy(start);
    let fault = (reason == RejectReason::InvalidJson).then(|| fault(payload));
    let found = match fault.flatten() {
        Some(fault) => format!("{fault}, in {start:?}"),
        None => format!("{start:?}"),
    };
    let expected = match reason {
        RejectReason::NestedTooDeep => {
            format!("at most {DEPTH_MAX} objects and arrays within each other")
        }
        RejectReason::InvalidText => "a JSON text in UTF-8".to_owned(),
        _ => "a JSON text".to_owned(),
    };
    Rejection::of_payload(reason, &expected, &found)
}

/// What is wrong with a payload, and where: in the words of a parser that keeps track of that.
fn fault(payload: &[u8]) -> Option<String> {
    let error = serde_json::from_slice::<IgnoredAny>(payload).err()?;
    // It goes less deep than others, which says nothing about what is wrong.
    let fault = error.to_string();
    (!fault.starts_with("recursion limit")).then_some(fault)
}
