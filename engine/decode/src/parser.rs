//! simd-json with its buffers kept, held to RFC 8259.

use std::mem;

use simd_json::{Buffers, ErrorType, INPUT_PADDING, Node, Tape, fill_tape_padded};

use crate::number::{is_json_number, number_at};
use crate::reject::RejectReason;

/// Objects and arrays within each other, at most. RFC 8259 lets a parser set a limit; simdjson's own is the same.
pub const DEPTH_MAX: usize = 1_024;

/// From here up a float of the tape may stand for a number that no float can hold: see [`tame_overflows`].
pub(crate) const FLOAT_MAX_TRUSTED: f64 = 1e308;
const OVERFLOW: &[u8] = b"1e308";
const OVERFLOW_NEGATIVE: &[u8] = b"-1e308";

/// Scratch memory beyond this is given back at a flush, so that one giant message doesn't stay reserved for ever.
const INPUT_BYTES_KEPT: usize = 4 << 20;
/// So is that for the tokens of a message beyond this many: the tape and the positions take some 30 bytes for each,
/// whatever a token's own length is.
pub(crate) const TOKENS_KEPT: usize = 64 << 10;

/// A parsed payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    /// The payload as it came.
    pub(crate) text: &'a [u8],
    /// Its values in order; strings are unescaped.
    pub(crate) tape: &'a [Node<'a>],
    /// Where its tokens start: brackets, colons, commas, opening quotes, and first bytes of other scalars.
    pub(crate) positions: &'a [u32],
}

/// A JSON parser that allocates nothing once its buffers have grown.
pub(crate) struct Parser {
    /// A copy of the payload, padded; strings are unescaped in place.
    input: Vec<u8>,
    buffers: Buffers,
    /// Empty between messages.
    tape: Tape<'static>,
    /// Most tokens of a message since the buffers were new.
    tokens_max: usize,
}

impl Default for Parser {
    fn default() -> Self {
        Self {
            input: Vec::new(),
            buffers: Buffers::with_max_depth(0, DEPTH_MAX),
            tape: Tape(Vec::new()),
            tokens_max: 0,
        }
    }
}

impl Parser {
    /// Parses the whole of `payload` and shows it to `visit`.
    pub(crate) fn read<R>(
        &mut self,
        payload: &[u8],
        visit: impl FnOnce(Document<'_>) -> R,
    ) -> Result<R, RejectReason> {
        let Self {
            input,
            buffers,
            tape: kept,
            tokens_max,
        } = self;
        input.clear();
        input.extend_from_slice(payload);
        input.resize(payload.len() + INPUT_PADDING, 0);
        let mut tape = mem::replace(kept, Tape(Vec::new())).reset();
        let mut outcome = fill_tape_padded(input, payload.len(), buffers, &mut tape);
        if let Err(error) = &outcome
            && *error.error() == ErrorType::InvalidNumber
        {
            let emptied = tape.reset();
            input[..payload.len()].copy_from_slice(payload);
            tame_overflows(&mut input[..payload.len()], buffers.structural_indexes());
            tape = emptied.reset();
            outcome = fill_tape_padded(input, payload.len(), buffers, &mut tape);
        }
        let outcome = match outcome {
            Ok(()) => Ok(visit(Document {
                text: payload,
                tape: &tape.0,
                positions: buffers.structural_indexes(),
            })),
            Err(error) => Err(reason(error.error(), payload)),
        };
        *kept = tape.reset();
        *tokens_max = buffers.structural_indexes().len().max(*tokens_max);
        outcome
    }

    /// Gives back memory that only unusually large messages need.
    pub(crate) fn shrink(&mut self) {
        if self.input.capacity() > INPUT_BYTES_KEPT || self.tokens_max > TOKENS_KEPT {
            *self = Self::default();
        }
    }
}

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parser")
            .field("input_capacity", &self.input.capacity())
            .finish_non_exhaustive()
    }
}

/// Overwrites each number that no float can hold with one that simd-json takes and that nobody trusts.
///
/// `1e400` is JSON, and the right value of a STRING, but simd-json fails on it. The replacement is never longer: five
/// characters are the least that overflow, `2e308`.
#[cold]
fn tame_overflows(text: &mut [u8], positions: &[u32]) {
    for position in positions {
        let start = *position as usize;
        let Some(number) = number_at(text, start) else {
            continue;
        };
        let overflows = number.parse().is_ok_and(f64::is_infinite);
        if !overflows || !is_json_number(number) {
            continue;
        }
        let replacement = if number.starts_with('-') {
            OVERFLOW_NEGATIVE
        } else {
            OVERFLOW
        };
        let end = start + number.len();
        text[start..end].fill(b' ');
        text[start..start + replacement.len()].copy_from_slice(replacement);
    }
}

#[cold]
fn reason(error: &ErrorType, payload: &[u8]) -> RejectReason {
    if *error == ErrorType::DepthLimitExceeded {
        RejectReason::NestedTooDeep
    } else if str::from_utf8(payload).is_err() {
        RejectReason::InvalidText
    } else {
        RejectReason::InvalidJson
    }
}

#[cfg(test)]
mod tests;
