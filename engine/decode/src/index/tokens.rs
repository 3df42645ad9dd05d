//! The tokens of a text, as those who walk over them see them.

use std::ops::Range;

use super::SENTINELS;
use crate::swar::{EACH, equal};

/// A text and its tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens<'a> {
    pub(super) text: &'a [u8],
    /// Where the tokens start, and the bytes that they start with; then [`SENTINELS`].
    pub(super) positions: &'a [u32],
    pub(super) kinds: &'a [u8],
    /// For each 64 bytes, which of them are backslashes; nothing where no byte is one.
    pub(super) backslashes: &'a [u64],
}

impl<'a> Tokens<'a> {
    /// The text as it came.
    pub(crate) fn text(self) -> &'a [u8] {
        self.text
    }

    /// How many there are.
    pub(crate) fn len(self) -> usize {
        self.positions.len().saturating_sub(SENTINELS)
    }

    /// Where `token` and those behind it start.
    #[inline]
    pub(crate) fn positions_from(self, token: usize) -> &'a [u32] {
        self.positions.get(token..).unwrap_or_default()
    }

    /// The first bytes of `token` and those behind it; 0 for what is behind the last.
    #[inline]
    pub(crate) fn kinds_from(self, token: usize) -> &'a [u8] {
        self.kinds.get(token..).unwrap_or_default()
    }

    /// Where `token` starts; behind the last one, where the text ends.
    #[inline]
    pub(crate) fn start(self, token: usize) -> usize {
        let position = self.positions.get(token);
        position.map_or(self.text.len(), |position| *position as usize)
    }

    /// The first byte of `token`, or 0 behind the last one.
    #[inline]
    pub(crate) fn kind(self, token: usize) -> u8 {
        self.kinds.get(token).copied().unwrap_or_default()
    }

    /// Where the scalar ends that the token at `next` follows: before the white space between them.
    #[inline]
    pub(crate) fn end_before(self, next: u32) -> usize {
        let mut end = next as usize;
        while let Some(before) = end.checked_sub(1)
            && matches!(self.text.get(before), Some(b' ' | b'\t' | b'\n' | b'\r'))
        {
            end = before;
        }
        end
    }

    /// The place of the string or other scalar that is `token`, with its quotes.
    #[inline]
    pub(crate) fn scalar(self, token: usize) -> Range<usize> {
        match self.positions_from(token) {
            [start, next, ..] => *start as usize..self.end_before(*next),
            _ => 0..0,
        }
    }

    /// Whether there is a backslash anywhere.
    #[inline]
    pub(crate) fn has_backslashes(self) -> bool {
        !self.backslashes.is_empty()
    }

    /// Whether there is a backslash in a part of the text.
    #[inline]
    pub(crate) fn has_backslash(self, range: Range<usize>) -> bool {
        !self.backslashes.is_empty() && self.backslash_from(range).is_some()
    }

    /// The first backslash in a part of the text.
    #[inline]
    pub(crate) fn backslash_from(self, range: Range<usize>) -> Option<usize> {
        let mut block = range.start / 64;
        let mut bits = self.backslashes.get(block)? & (u64::MAX << (range.start % 64));
        loop {
            if bits != 0 {
                let found = block * 64 + bits.trailing_zeros() as usize;
                return (found < range.end).then_some(found);
            }
            block += 1;
            if block * 64 >= range.end {
                return None;
            }
            bits = *self.backslashes.get(block)?;
        }
    }

    /// The token behind the bracket that closes the one at `token`, whatever is between them; nothing where there is none.
    #[inline]
    pub(crate) fn behind_bracket(self, token: usize) -> Option<usize> {
        let mut token = token + 1;
        let mut open = 1;
        loop {
            let (opening, closing) = brackets(*self.kinds_from(token).first_chunk()?);
            let closed = closing.count_ones();
            if open > closed {
                open = open + opening.count_ones() - closed;
                token += 8;
                continue;
            }
            let mut either = opening | closing;
            while either != 0 {
                let lowest = either & either.wrapping_neg();
                either ^= lowest;
                if opening & lowest != 0 {
                    open += 1;
                } else if open > 1 {
                    open -= 1;
                } else {
                    return Some(token + lowest.trailing_zeros() as usize / 8 + 1);
                }
            }
            token += 8;
        }
    }
}

/// Which of eight tokens are opening and closing brackets, as the highest bits of bytes, the first token's lowest.
#[inline]
fn brackets(kinds: [u8; 8]) -> (u64, u64) {
    // `[` and `]` are `{` and `}` without this bit, and no other token starts with those.
    let curly = u64::from_le_bytes(kinds) | (0x20 * EACH);
    (equal(curly, b'{'), equal(curly, b'}'))
}
