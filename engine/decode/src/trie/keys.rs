//! Looking up an object's keys among the few that are mapped.

/// Keys and the steps that they lead to: a hash table with room to spare, made once and read for every key of every
/// message, most of which are not in it.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    /// The [`signature`] of a key and its index in `keys`, at or behind the place that the signature hashes to. At
    /// least half of the places are empty; their number is a power of two.
    places: Vec<Option<(u64, usize)>>,
    keys: Vec<(Box<str>, usize)>,
}

impl KeyTable {
    /// A table of distinct keys.
    pub(super) fn new(keys: &[(&str, usize)]) -> Self {
        let mut table = Self {
            places: vec![None; (keys.len() * 2).next_power_of_two()],
            keys: Vec::with_capacity(keys.len()),
        };
        for (key, step) in keys {
            let signature = signature(key.as_bytes());
            let mut place = table.first_place(signature);
            while table.places[place].is_some() {
                place = table.next_place(place);
            }
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
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let wanted = signature(key.as_bytes());
        let mut place = self.first_place(wanted);
        while let Some((signature, index)) = self.places[place] {
            let (name, step) = &self.keys[index];
            if signature == wanted && **name == *key {
                return Some(*step);
            }
            place = self.next_place(place);
        }
        None
    }

    fn first_place(&self, signature: u64) -> usize {
        // Fibonacci hashing: only the top bits of the product depend on all of the signature.
        let product = signature.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = self.places.len().trailing_zeros();
        // A number below that of the places.
        usize::try_from(product.unbounded_shr(u64::BITS - bits)).unwrap_or_default()
    }

    fn next_place(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }
}

/// A number that differs between most keys: length, first and last bytes.
#[inline]
fn signature(key: &[u8]) -> u64 {
    let length = (key.len() as u64).rotate_right(8);
    if let (Some(head), Some(tail)) = (key.first_chunk(), key.last_chunk()) {
        let (head, tail) = (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
        return length ^ head ^ tail.rotate_left(29);
    }
    if let (Some(head), Some(tail)) = (key.first_chunk(), key.last_chunk()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        return length ^ u64::from(head) ^ (u64::from(tail) << 32);
    }
    match key {
        [] => length,
        [only] => length ^ u64::from(*only),
        [first, .., last] => {
            let middle = key[key.len() / 2];
            length ^ u64::from(u32::from_le_bytes([*first, middle, *last, 0]))
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
                assert_eq!(table.find(name), Some(*step), "{name}");
            }
            for other in ["", "f", "fi", "fie", "field", "zfield0", "0field0x"] {
                assert_eq!(table.find(other), None, "{other}");
            }
            assert_eq!(table.is_empty(), count == 0);
        }
    }

    #[test]
    fn keys_with_the_same_signature_are_told_apart() {
        let (a, b) = ("01234567-a-01234567", "01234567-b-01234567");
        assert_eq!(signature(a.as_bytes()), signature(b.as_bytes()));
        let table = KeyTable::new(&[(a, 1), (b, 2)]);
        assert_eq!((table.find(a), table.find(b)), (Some(1), Some(2)));
        assert_eq!(table.find("01234567-c-01234567"), None);
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
                assert_eq!(table.find(other).is_some(), key == other, "{key} {other}");
            }
        }
    }
}
