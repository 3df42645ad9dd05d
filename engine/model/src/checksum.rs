//! The checksum of a set of rows.

use std::fmt;
use std::iter::Sum;
use std::num::ParseIntError;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What tells one set of rows from another: the sum of a 64-bit hash of each row, so that it depends neither on their
/// order nor on how they were divided. Two sets that differ have the same one by chance alone, once in 2^64. It is no
/// protection against someone who wants that.
///
/// No rows have 0. In text and JSON it is 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checksum(pub u64);

impl AddAssign for Checksum {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl Sum for Checksum {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut sum = Self::default();
        for part in parts {
            sum += part;
        }
        sum
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Checksum {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Checksum {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Checksum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| de::Error::custom(format!("{text:?} is no checksum in hexadecimal")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_in_any_order() {
        let parts = [Checksum(u64::MAX), Checksum(3), Checksum(40)];
        let there: Checksum = parts.into_iter().sum();
        let back: Checksum = parts.into_iter().rev().sum();
        assert_eq!((there, back), (Checksum(42), Checksum(42)));
        assert_eq!(std::iter::empty().sum::<Checksum>(), Checksum(0));
    }

    #[test]
    fn it_is_written_in_hexadecimal() {
        let text = serde_json::to_string(&Checksum(42)).unwrap();
        assert_eq!(text, "\"000000000000002a\"");
        assert_eq!(
            serde_json::from_str::<Checksum>(&text).unwrap(),
            Checksum(42)
        );
        for wrong in ["\"g\"", "\"\"", "42", "\"10000000000000000\""] {
            assert!(serde_json::from_str::<Checksum>(wrong).is_err(), "{wrong}");
        }
    }
}
