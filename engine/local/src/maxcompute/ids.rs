//! Identifiers of sessions, instances, files and requests.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;

/// Hands out identifiers that sort by time, such as `20260302030405678g5bcdef0123456789`.
///
/// They differ within a process by a counter and between processes by random keys, so files and sessions of an
/// earlier life are never met again.
#[derive(Debug)]
pub(crate) struct Ids {
    keys: RandomState,
    counter: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        Self {
            keys: RandomState::new(),
            counter: AtomicU64::new(0),
        }
    }

    /// A new identifier made of digits and the letters `a` to `g`.
    pub(crate) fn next(&self, now: Timestamp) -> String {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u64(self.counter.fetch_add(1, Ordering::Relaxed));
        hasher.write_i128(now.as_nanosecond());
        format!(
            "{}g{:016x}",
            now.strftime("%Y%m%d%H%M%S%3f"),
            hasher.finish()
        )
    }
}

/// Whether a text has the form of such an identifier.
pub(crate) fn is_id(text: &str) -> bool {
    let Some((time, rest)) = text.split_once('g') else {
        return false;
    };
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    time.len() == 17
        && time.bytes().all(|byte| byte.is_ascii_digit())
        && rest.len() == 16
        && rest.bytes().all(hexadecimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_told_from_other_names() {
        let ids = Ids::new();
        let now = "2026-03-02T03:04:05.678Z".parse().unwrap();
        let (first, second) = (ids.next(now), ids.next(now));
        assert_ne!(first, second);
        assert!(first.starts_with("20260302030405678g") && is_id(&first) && is_id(&second));
        for other in [
            "",
            "g",
            "orders",
            "2026g0",
            "20260302030405678g0123456789abcdeX",
        ] {
            assert!(!is_id(other), "{other}");
        }
    }
}
