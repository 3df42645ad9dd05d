//! What the scan does with 64 bytes, once it is known which of them are what.

use super::Found;

/// Which of 64 bytes are what: a bit for each, the lowest for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Brackets, colons and commas.
    pub(super) operators: u64,
    /// Spaces, tabs and ends of lines.
    pub(super) spaces: u64,
    /// Bytes below 0x20.
    pub(super) controls: u64,
}

/// What one block says of the next. A bit at the place of the next block's first byte, unless said otherwise.
#[derive(Debug, Default)]
struct Carry {
    /// It is escaped.
    escaped: u64,
    /// All bits where it is in a string.
    in_string: u64,
    /// It goes on with a scalar that is no string.
    in_scalar: u64,
    /// Its position.
    base: u32,
}

/// What is wrong with the text, as far as the scan can tell.
#[derive(Debug, Default)]
pub(super) struct Faults {
    misplaced: u64,
    backslashes: u64,
    unterminated: bool,
}

impl Faults {
    pub(super) fn any(&self) -> bool {
        self.misplaced != 0 || self.unterminated
    }

    pub(super) fn has_backslashes(&self) -> bool {
        self.backslashes != 0
    }
}

/// The three steps that processors do in their own ways.
pub(super) struct Steps<Classify, PrefixXor, Flatten> {
    /// Tells which bytes are what.
    pub(super) classify: Classify,
    /// Gives for each bit the exclusive or of it and all lower ones.
    pub(super) prefix_xor: PrefixXor,
    /// Writes down where tokens are, given the bits of their first bytes, the place of the first of the 64 bytes, and
    /// the bytes. There is room for 64 tokens; what it leaves behind them is of no account.
    pub(super) flatten: Flatten,
}

#[expect(
    clippy::inline_always,
    reason = "the steps use instructions that only the caller is compiled for"
)]
impl<Classify, PrefixXor, Flatten> Steps<Classify, PrefixXor, Flatten>
where
    Classify: Fn(&[u8; 64]) -> Block,
    PrefixXor: Fn(u64) -> u64,
    Flatten: Fn(u64, u32, &[u8; 64], &mut [u32; 64], &mut [u8; 64]),
{
    /// Goes through all of `text`.
    #[inline(always)]
    pub(super) fn scan(&self, text: &[u8], found: &mut Found) -> Faults {
        let mut carry = Carry::default();
        let mut faults = Faults::default();
        let (chunks, rest) = text.as_chunks();
        for chunk in chunks {
            self.take(chunk, &mut carry, &mut faults, found);
        }
        if !rest.is_empty() {
            let mut last = [b' '; 64];
            last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            self.take(&last, &mut carry, &mut faults, found);
        }
        faults.unterminated = carry.in_string != 0;
        faults
    }

    #[inline(always)]
    fn take(&self, chunk: &[u8; 64], carry: &mut Carry, faults: &mut Faults, found: &mut Found) {
        let block = (self.classify)(chunk);
        let quotes = block.quotes & !carry.escaped(block.backslashes);
        let in_string = (self.prefix_xor)(quotes) ^ carry.in_string;
        let tokens = carry.tokens(&block, quotes, in_string);
        faults.misplaced |= (block.controls & in_string) | (block.backslashes & !in_string);
        faults.backslashes |= block.backslashes;
        if let Some(place) = found.backslashes.get_mut(found.blocks) {
            *place = block.backslashes;
        }
        found.blocks += 1;
        if let Some((positions, kinds)) = found.room() {
            (self.flatten)(tokens, carry.base, chunk, positions, kinds);
        }
        found.tokens += tokens.count_ones() as usize;
        carry.base = carry.base.wrapping_add(64);
    }
}

impl Carry {
    /// The bytes that a backslash stands before which isn't escaped itself.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        // Of a run of backslashes every other one escapes what follows it, beginning with the first. The subtraction
        // carries through each run, which leaves a run's odd bits if it started at an even place, and else its even bits.
        let starts = backslashes & !self.escaped;
        let odd_or_behind = (starts << 1) | ODD;
        let alternating = odd_or_behind.wrapping_sub(starts) ^ ODD;
        let escaped = alternating ^ (backslashes | self.escaped);
        self.escaped = (alternating & backslashes) >> 63;
        escaped
    }

    /// The bytes that tokens start with. `in_string` holds opening quotes, but no closing ones.
    #[inline]
    fn tokens(&mut self, block: &Block, quotes: u64, in_string: u64) -> u64 {
        self.in_string = if in_string >> 63 == 0 { 0 } else { u64::MAX };
        let scalars = !(in_string | quotes | block.operators | block.spaces);
        let goes_on = (scalars << 1) | self.in_scalar;
        self.in_scalar = scalars >> 63;
        (block.operators & !in_string) | (quotes & in_string) | (scalars & !goes_on)
    }
}

/// Writes down a few tokens at a time, which is quicker than to ask for each whether it is the last.
#[expect(
    clippy::inline_always,
    reason = "it is as fast as the instructions that the caller is compiled for"
)]
#[inline(always)]
pub(super) fn flatten(
    mut bits: u64,
    base: u32,
    chunk: &[u8; 64],
    positions: &mut [u32; 64],
    kinds: &mut [u8; 64],
) {
    let count = bits.count_ones() as usize;
    let mut next = |(position, kind): (&mut u32, &mut u8)| {
        // Behind the last bit the number is 64.
        let number = bits.trailing_zeros();
        *position = base.wrapping_add(number);
        *kind = chunk[number as usize % 64];
        bits &= bits.wrapping_sub(1);
    };
    let mut places = positions.iter_mut().zip(kinds);
    places.by_ref().take(8).for_each(&mut next);
    if count > 8 {
        places.by_ref().take(8).for_each(&mut next);
        if count > 16 {
            places.take(count - 16).for_each(next);
        }
    }
}
