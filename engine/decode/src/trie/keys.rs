//! Looking up an object's keys among the few that are mapped.

use std::ops::Range;

/// Keys and the steps that they lead to: a hash table with room to spare, made once and read for every key of every
/// message, most of which are not in it.
#[derive(Debug)]
pub(super) struct KeyTable {
    /// The lengths that keys have: a bit for each, the highest for all from 63 bytes up.
    lengths: u64,
    /// A key is at or behind the place that its signature hashes to. At least half of the places are empty; their number is a
    /// power of two.
    places: Vec<Place>,
    /// By how many bits a hash is moved to be the number of a place.
    shift: u32,
    /// Of each key the whole.
    names: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    signature: Signature,
    step: u32,
    /// Its place in `names`.
    name: u32,
}

impl Place {
    const EMPTY: Self = Self {
        signature: Signature {
            length: u32::MAX,
            first: 0,
            last: 0,
        },
        step: 0,
        name: 0,
    };

    #[inline]
    fn is_empty(&self) -> bool {
        self.signature.length == u32::MAX
    }
}

/// What is quickly told of a key: its length, and its first and last bytes. Up to [`WHOLE_BYTES_MAX`] bytes that is all of
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature {
    first: u64,
    last: u64,
    length: u32,
}

const WHOLE_BYTES_MAX: u32 = 16;
/// Keys shorter than this are all in the first eight bytes of a signature.
const SHORT_BYTES_END: usize = 8;

impl Default for KeyTable {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl KeyTable {
    /// A table of distinct keys.
    pub(super) fn new(keys: &[(&str, usize)]) -> Self {
        let places = (keys.len() * 2).next_power_of_two();
        let mut table = Self {
            lengths: 0,
            places: vec![Place::EMPTY; places],
            shift: u64::BITS - places.trailing_zeros(),
            names: keys.iter().map(|(key, _)| (*key).into()).collect(),
        };
        for (name, (key, step)) in (0..).zip(keys) {
            let signature = Signature::of(key.as_bytes());
            let mut place = table.first_place(signature);
            while !table.places[place].is_empty() {
                place = table.next_place(place);
            }
            table.lengths |= length_bit(key.len());
            table.places[place] = Place {
                signature,
                step: u32::try_from(*step).expect("a job maps far fewer fields"),
                name,
            };
        }
        table
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
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
        if length < SHORT_BYTES_END
            && let Some(first) = text.get(key.start..).and_then(<[u8]>::first_chunk)
        {
            let first = u64::from_le_bytes(*first) & ((1 << (8 * length)) - 1);
            return self.find_signed(&[], Signature::new(length, first, 0));
        }
        self.find_long(text, key)
    }

    #[inline(never)]
    fn find_long(&self, text: &[u8], key: Range<usize>) -> Option<usize> {
        let key = text.get(key)?;
        self.find_signed(key, Signature::of(key))
    }

    /// The step of the key that has this signature. `key` is looked at only where the signature isn't all of it.
    #[inline]
    fn find_signed(&self, key: &[u8], wanted: Signature) -> Option<usize> {
        let mut number = self.first_place(wanted);
        while let Some(place) = self.places.get(number)
            && !place.is_empty()
        {
            let is_it = || {
                let name = self.names.get(place.name as usize);
                name.is_some_and(|name| name.as_bytes() == key)
            };
            if place.signature == wanted && (wanted.length <= WHOLE_BYTES_MAX || is_it()) {
                return Some(place.step as usize);
            }
            number = self.next_place(number);
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
        let mixed = first ^ last.rotate_left(29) ^ u64::from(length).rotate_right(8);
        // Fibonacci hashing: only the top bits of the product depend on all of what is hashed.
        let product = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        // A number below that of the places.
        usize::try_from(product.unbounded_shr(self.shift)).unwrap_or_default()
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
    fn new(length: usize, first: u64, last: u64) -> Self {
        Self {
            first,
            last,
            // That of no place: a payload is shorter than 4 GiB, and so is a key in it.
            length: u32::try_from(length).unwrap_or(u32::MAX - 1),
        }
    }

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
        Self::new(key.len(), first, last)
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
