//! Looking up an object's keys among the few that are mapped.

use std::ops::Range;

/// Keys and the steps that they lead to: a hash table with room to spare, made once and read for every key of every
/// message, most of which are not in it.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    /// The lengths that keys have: a bit for each, the highest for all from 63 bytes up.
    lengths: u64,
    /// The [`Signature`] of a key and its index in `keys`, at or behind the place that the signature hashes to. At
    /// least half of the places are empty; their number is a power of two.
    places: Vec<Option<(Signature, usize)>>,
    keys: Vec<(Box<str>, usize)>,
}

/// What is quickly told of a key: its length, and its first and last bytes. Up to [`WHOLE_BYTES_MAX`] bytes that is all of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature {
    length: usize,
    first: u64,
    last: u64,
}

const WHOLE_BYTES_MAX: usize = 16;

impl KeyTable {
    /// A table of distinct keys.
    pub(super) fn new(keys: &[(&str, usize)]) -> Self {
        let mut table = Self {
            lengths: 0,
            places: vec![None; (keys.len() * 2).next_power_of_two()],
            keys: Vec::with_capacity(keys.len()),
        };
        for (key, step) in keys {
            let signature = Signature::of(key.as_bytes());
            let mut place = table.first_place(signature);
            while table.places[place].is_some() {
                place = table.next_place(place);
            }
            table.lengths |= length_bit(key.len());
            table.places[place] = Some((signature, table.keys.len()));
            table.keys.push(((*key).into(), *step));
        }
        table
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The step that `key` leads to.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        if self.lengths & length_bit(key.len()) == 0 {
            return None;
        }
        self.find_signed(key, Signature::of(key))
    }

    /// The same for a key within a text; nothing where the text has no such part.
    #[inline]
    pub(super) fn find_in(&self, text: &[u8], key: Range<usize>) -> Option<usize> {
        let length = key.len();
        if self.lengths & length_bit(length) == 0 {
            return None;
        }
        let behind = text.get(key.start..)?;
        let key = behind.get(..length)?;
        let signature = match behind.first_chunk() {
            Some(first) if length < 8 => Signature {
                length,
                first: u64::from_le_bytes(*first) & ((1 << (8 * length)) - 1),
                last: 0,
            },
            _ => Signature::of(key),
        };
        self.find_signed(key, signature)
    }

    #[inline]
    fn find_signed(&self, key: &[u8], wanted: Signature) -> Option<usize> {
        let mut place = self.first_place(wanted);
        while let Some(Some((signature, index))) = self.places.get(place) {
            if *signature == wanted {
                let (name, step) = self.keys.get(*index)?;
                if key.len() <= WHOLE_BYTES_MAX || name.as_bytes() == key {
                    return Some(*step);
                }
            }
            place = self.next_place(place);
        }
        None
    }

    #[inline]
    fn first_place(&self, signature: Signature) -> usize {
        let Signature {
            length,
            first,
            last,
        } = signature;
        let mixed = first ^ last.rotate_left(29) ^ (length as u64).rotate_right(8);
        // Fibonacci hashing: only the top bits of the product depend on all of what is hashed.
        let product = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = self.places.len().trailing_zeros();
        // A number below that of the places.
        usize::try_from(product.unbounded_shr(u64::BITS - bits)).unwrap_or_default()
    }

    #[inline]
    fn next_place(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

#[inline]
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

impl Signature {
    #[inline]
    fn of(key: &[u8]) -> Self {
        let (first, last) = if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk())
        {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else {
            // Up to seven bytes are one number; where parts overlap they are the same.
            let parts = if let (Some(first), Some(last)) = (key.first_chunk(), key.last_chunk()) {
                let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
                u64::from(first) | u64::from(last) << (8 * (key.len() - 4))
            } else {
                key.iter()
                    .rev()
                    .fold(0, |parts, byte| parts << 8 | u64::from(*byte))
            };
            (parts, 0)
        };
        Self {
            length: key.len(),
            first,
            last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 24, 1_200] {
            let names: Vec<String> = (0..count).map(|n| format!("{n:x}field{}", n % 7)).collect();
            let keys: Vec<(&str, usize)> = names.iter().map(String::as_str).zip(0..).collect();
            let table = KeyTable::new(&keys);
            for (name, step) in &keys {
                assert_eq!(table.find(name.as_bytes()), Some(*step), "{name}");
                for behind in ["", "\"", "\":\"value\""] {
                    let text = format!("{{\"{name}{behind}");
                    let key = 2..2 + name.len();
                    assert_eq!(table.find_in(text.as_bytes(), key), Some(*step), "{text}");
                }
            }
            for other in ["", "f", "fi", "fie", "field", "zfield0", "0field0x"] {
                assert_eq!(table.find(other.as_bytes()), None, "{other}");
            }
            assert_eq!(table.is_empty(), count == 0);
        }
    }

    #[test]
    fn keys_with_the_same_signature_are_told_apart() {
        let (a, b) = ("01234567-a-01234567", "01234567-b-01234567");
        assert_eq!(Signature::of(a.as_bytes()), Signature::of(b.as_bytes()));
        let table = KeyTable::new(&[(a, 1), (b, 2)]);
        let find = |key: &str| table.find(key.as_bytes());
        assert_eq!((find(a), find(b)), (Some(1), Some(2)));
        assert_eq!(find("01234567-c-01234567"), None);
    }

    #[test]
    fn short_keys_are_all_distinct() {
        for key in [
            "", "a", "b", "ab", "ba", "aa", "abc", "acb", "abcd", "aaaa", "订",
        ] {
            let table = KeyTable::new(&[(key, 1)]);
            for other in [
                "", "a", "b", "ab", "ba", "aa", "abc", "acb", "abcd", "aaaa", "订",
            ] {
                assert_eq!(
                    table.find(other.as_bytes()).is_some(),
                    key == other,
                    "{key} {other}"
                );
            }
        }
    }
}
