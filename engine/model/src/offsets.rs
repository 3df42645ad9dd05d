//! Topic partitions and ranges of their offsets.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// One numbered log of a topic. Ordered by topic name, then number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The number within the topic, from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// Names partition number `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.topic, self.partition)
    }
}

/// The offsets from `start` up to, not including, `end`.
///
/// Compaction and transaction markers leave holes, so [`OffsetRange::len`] counts offsets, not messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OffsetRange {
    /// First offset to read.
    pub start: i64,
    /// First offset not to read; equal to `start` for an empty range, never below it.
    pub end: i64,
}

impl OffsetRange {
    /// Makes the range, or nothing where `end` lies before `start`.
    pub fn new(start: i64, end: i64) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// Offsets in the range.
    pub fn len(self) -> u64 {
        self.end.abs_diff(self.start)
    }

    /// Whether the range holds no offset.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether `offset` lies in the range.
    pub fn contains(self, offset: i64) -> bool {
        (self.start..self.end).contains(&offset)
    }

    /// The offsets that lie in both ranges; nothing where there is none.
    pub fn intersection(self, other: Self) -> Option<Self> {
        let both = Self::new(self.start.max(other.start), self.end.min(other.end))?;
        (!both.is_empty()).then_some(both)
    }

    /// Where part number `part` of `parts` equal ones begins, give or take one offset; the range's end for part `parts`.
    pub fn part(self, part: u64, parts: u64) -> i64 {
        let share = u128::from(self.len()) * u128::from(part.min(parts)) / u128::from(parts.max(1));
        self.start
            .saturating_add(i64::try_from(share).unwrap_or(i64::MAX))
    }

    /// The offsets of all `ranges`, in order, as few ranges as there can be; none of them is empty.
    pub fn merged(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_unstable();
        let mut merged: Vec<Self> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match merged.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => merged.push(range),
            }
        }
        merged
    }

    /// The offsets that lie in one of `ranges` and one of `others`, both of which are in order and apart from each other.
    pub fn common(ranges: &[Self], others: &[Self]) -> Vec<Self> {
        let mut common = Vec::new();
        let mut others = others.iter().peekable();
        for range in ranges {
            while let Some(other) = others.peek() {
                common.extend(range.intersection(**other));
                if other.end > range.end {
                    break;
                }
                others.next();
            }
        }
        common
    }

    /// The offsets of this range that lie in none of `taken`, which are in order and apart from each other.
    pub fn without(self, taken: &[Self]) -> Vec<Self> {
        let mut left = Vec::new();
        let mut start = self.start;
        for taken in taken.iter().filter_map(|taken| taken.intersection(self)) {
            left.extend(Self::new(start, taken.start));
            start = taken.end;
        }
        left.extend(Self::new(start, self.end));
        left.retain(|range| !range.is_empty());
        left
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_half_open() {
        let range = OffsetRange::new(3, 5).unwrap();
        assert_eq!((range.len(), range.is_empty()), (2, false));
        assert!(range.contains(3) && range.contains(4) && !range.contains(5));
        assert!(OffsetRange::new(5, 5).unwrap().is_empty());
        assert_eq!(OffsetRange::new(5, 4), None);
        assert_eq!(range.to_string(), "[3, 5)");
    }

    #[test]
    fn ranges_are_merged_and_cut() {
        let range = |start, end| OffsetRange { start, end };
        let ranges = vec![
            range(9, 12),
            range(4, 4),
            range(1, 3),
            range(3, 5),
            range(10, 11),
        ];
        assert_eq!(OffsetRange::merged(ranges), [range(1, 5), range(9, 12)]);
        assert_eq!(range(1, 5).intersection(range(3, 9)), Some(range(3, 5)));
        assert_eq!(range(1, 5).intersection(range(5, 9)), None);
        assert_eq!(range(1, 5).intersection(range(7, 9)), None);
        let taken = [range(0, 3), range(5, 6), range(9, 20)];
        assert_eq!(range(2, 12).without(&taken), [range(3, 5), range(6, 9)]);
        assert_eq!(range(9, 12).without(&taken), []);
        assert_eq!(range(2, 12).without(&[]), [range(2, 12)]);
        let others = [range(2, 4), range(5, 12), range(15, 16), range(19, 30)];
        let common = [
            range(2, 3),
            range(5, 6),
            range(9, 12),
            range(15, 16),
            range(19, 20),
        ];
        assert_eq!(OffsetRange::common(&taken, &others), common);
        assert_eq!(OffsetRange::common(&others, &taken), common);
        assert_eq!(OffsetRange::common(&taken, &[]), []);
        let parts: Vec<i64> = (0..=3).map(|part| range(10, 20).part(part, 3)).collect();
        assert_eq!(parts, [10, 13, 16, 20]);
    }
}
