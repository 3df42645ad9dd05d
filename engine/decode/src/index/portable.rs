//! The scan on any processor, eight bytes at a time in a register of 64 bits.

use super::Found;
use super::block::{Block, Faults, Steps, flatten};
use crate::swar::{EACH, equal, zeros};

pub(super) fn scan(text: &[u8], found: &mut Found) -> Faults {
    let steps = Steps {
        classify,
        prefix_xor,
        flatten,
    };
    steps.scan(text, found)
}

#[inline]
fn classify(chunk: &[u8; 64]) -> Block {
    let mut block = Block {
        quotes: 0,
        backslashes: 0,
        operators: 0,
        spaces: 0,
        controls: 0,
    };
    let (words, _) = chunk.as_chunks();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let set = |mask: &mut u64, bytes: u64| *mask |= gathered(bytes) << (8 * number);
        // `[` and `]` are `{` and `}` without this bit, and nothing else of note is.
        let curly = word | (0x20 * EACH);
        let brackets = equal(curly, b'{') | equal(curly, b'}');
        let blanks = equal(word, b' ') | equal(word, b'\t');
        set(&mut block.quotes, equal(word, b'"'));
        set(&mut block.backslashes, equal(word, b'\\'));
        set(
            &mut block.operators,
            brackets | equal(word, b':') | equal(word, b','),
        );
        set(
            &mut block.spaces,
            blanks | equal(word, b'\n') | equal(word, b'\r'),
        );
        set(&mut block.controls, zeros(word & (0xE0 * EACH)));
    }
    block
}

/// The highest bits of the bytes, side by side, where no other bits are set.
#[inline]
fn gathered(high_bits: u64) -> u64 {
    (high_bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[inline]
fn prefix_xor(bits: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .iter()
        .fold(bits, |bits, shift| bits ^ (bits << shift))
}
