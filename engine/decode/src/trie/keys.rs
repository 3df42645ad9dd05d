//! Looking up an object's keys among the few that are mapped.

/// Up to here a scan from the start is faster than a binary search.
const SCANNED_KEYS_MAX: usize = 24;

/// Keys and the steps that they lead to.
#[derive(Debug, Default)]
pub(super) struct KeyTable {
    /// A [`signature`] per key, rising. Nearly all keys of a message are told apart by it alone.
    signatures: Vec<u64>,
    keys: Vec<(Box<str>, usize)>,
}

impl KeyTable {
    /// A table of distinct keys.
    pub(super) fn new(keys: &[(&str, usize)]) -> Self {
        let mut keys: Vec<(Box<str>, usize)> = keys
            .iter()
            .map(|(key, step)| ((*key).into(), *step))
            .collect();
        keys.sort_unstable_by_key(|(key, _)| signature(key.as_bytes()));
        let signatures = keys.iter().map(|(key, _)| signature(key.as_bytes()));
        Self {
            signatures: signatures.collect(),
            keys,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The step that `key` leads to.
    pub(super) fn find(&self, key: &str) -> Option<usize> {
        let wanted = signature(key.as_bytes());
        let first = if self.signatures.len() <= SCANNED_KEYS_MAX {
            self.signatures.iter().position(|have| *have == wanted)?
        } else {
            self.signatures.partition_point(|have| *have < wanted)
        };
        self.signatures[first..]
            .iter()
            .zip(&self.keys[first..])
            .take_while(|(have, _)| **have == wanted)
            .find(|(_, (have, _))| **have == *key)
            .map(|(_, (_, step))| *step)
    }
}

/// A number that differs between most keys: length, first and last bytes.
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
        for count in [0, 1, 3, SCANNED_KEYS_MAX, SCANNED_KEYS_MAX + 1, 1_200] {
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
