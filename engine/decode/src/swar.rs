//! Eight bytes at a time in a register of 64 bits, the first of them lowest.

/// Times a byte: that byte in each place.
pub(crate) const EACH: u64 = 0x0101_0101_0101_0101;
const LOW_BITS: u64 = 0x7F * EACH;

/// The highest bit of each byte that is 0, and no other bits.
#[inline]
pub(crate) fn zeros(word: u64) -> u64 {
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// The highest bit of each byte that is `byte`, and no other bits.
#[inline]
pub(crate) fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ (u64::from(byte) * EACH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_beside_every_other() {
        for byte in 0..=u8::MAX {
            for other in 0..=u8::MAX {
                let word = u64::from_le_bytes([byte, other, byte, 0, other, byte, 0xFF, other]);
                let expected = word
                    .to_le_bytes()
                    .map(|at| if at == byte { 0x80 } else { 0 });
                assert_eq!(equal(word, byte).to_le_bytes(), expected, "{byte} {other}");
            }
        }
    }
}
