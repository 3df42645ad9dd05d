//! The ledger: what became of every planned offset.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::TopicPartition;

/// What became of the offsets of one topic partition, or of a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Offsets that were to be read.
    pub planned: u64,
    /// Messages whose timestamp lies before the first window.
    pub outside_before: u64,
    /// Messages whose timestamp lies in no window and not before the first.
    pub outside_after: u64,
    /// Messages of a window of the plan, at offsets where it is not looked for any more.
    #[serde(default)]
    pub outside_reach: u64,
    /// How many of these are of each window, by its number in the plan; windows that have none are left out.
    #[serde(
        default,
        with = "by_number",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub outside_reach_of: BTreeMap<u32, u64>,
    /// Offsets at which no message was delivered: transaction markers, aborted messages, compaction, and what retention deleted
    /// before it was read.
    pub holes: u64,
    /// Offsets that were left unread, for nothing came for as long as the job waits.
    #[serde(default)]
    pub unread: u64,
    /// The messages of each window, by its number in the plan; windows that were not looked for are left out.
    #[serde(with = "by_number")]
    pub windows: BTreeMap<u32, WindowCounts>,
}

/// Numbers as keys of JSON, also where the counts are a part of another object.
mod by_number {
    use std::collections::BTreeMap;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<V: Serialize, S: Serializer>(
        windows: &BTreeMap<u32, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        windows.serialize(serializer)
    }

    pub(super) fn deserialize<'de, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<u32, V>, D::Error> {
        let named = BTreeMap::<String, V>::deserialize(deserializer)?;
        let numbered = named.into_iter().map(|(name, counts)| {
            let number = name.parse().map_err(D::Error::custom)?;
            Ok((number, counts))
        });
        numbered.collect()
    }
}

/// What became of the messages of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCounts {
    /// Rows to load, those of kept tombstones included.
    pub rows: u64,
    /// Of these rows, how many are tombstones.
    pub tombstones_kept: u64,
    /// Tombstones that the job leaves out.
    pub tombstones_skipped: u64,
    /// Messages that could not become a row.
    pub rejected: u64,
}

impl WindowCounts {
    /// Messages of the window.
    pub fn messages(&self) -> u64 {
        self.rows + self.tombstones_skipped + self.rejected
    }

    /// Adds the counts of another part of the same window.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.tombstones_kept += other.tombstones_kept;
        self.tombstones_skipped += other.tombstones_skipped;
        self.rejected += other.rejected;
    }
}

impl Counts {
    /// Counts for `planned` offsets, none of them seen yet.
    pub fn new(planned: u64) -> Self {
        Self {
            planned,
            ..Self::default()
        }
    }

    /// The messages of one window.
    pub fn window(&self, number: u32) -> WindowCounts {
        self.windows.get(&number).copied().unwrap_or_default()
    }

    /// Offsets that were accounted for.
    pub fn accounted(&self) -> u64 {
        let in_windows: u64 = self.windows.values().map(WindowCounts::messages).sum();
        self.outside() + self.holes + self.unread + in_windows
    }

    /// Messages that go to no window.
    pub fn outside(&self) -> u64 {
        self.outside_before + self.outside_after + self.outside_reach
    }

    /// Adds the counts of another part of the same topic partition.
    pub fn add(&mut self, other: &Self) {
        self.planned += other.planned;
        self.outside_before += other.outside_before;
        self.outside_after += other.outside_after;
        self.outside_reach += other.outside_reach;
        for (number, messages) in &other.outside_reach_of {
            *self.outside_reach_of.entry(*number).or_default() += messages;
        }
        self.holes += other.holes;
        self.unread += other.unread;
        for (number, counts) in &other.windows {
            self.windows.entry(*number).or_default().add(counts);
        }
    }
}

/// The counts of every topic partition of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    partitions: BTreeMap<TopicPartition, Counts>,
}

/// A topic partition whose planned offsets are not all accounted for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// The topic partition.
    pub topic_partition: TopicPartition,
    /// Its counts.
    pub counts: Counts,
}

impl Ledger {
    /// Adds counts of a part of `topic_partition`.
    pub fn add(&mut self, topic_partition: &TopicPartition, counts: &Counts) {
        self.partitions
            .entry(topic_partition.clone())
            .or_default()
            .add(counts);
    }

    /// The counts of each topic partition, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &Counts)> {
        self.partitions.iter()
    }

    /// The counts of one topic partition.
    pub fn get(&self, topic_partition: &TopicPartition) -> Option<&Counts> {
        self.partitions.get(topic_partition)
    }

    /// The sum over all topic partitions.
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        for counts in self.partitions.values() {
            total.add(counts);
        }
        total
    }

    /// Checks that planned = rows + rejected + skipped tombstones + outside + holes + unread in each topic partition.
    ///
    /// # Errors
    ///
    /// The first topic partition where it doesn't.
    pub fn check(&self) -> Result<(), Imbalance> {
        let unbalanced = self
            .partitions
            .iter()
            .find(|(_, counts)| counts.planned != counts.accounted());
        unbalanced.map_or(Ok(()), |(topic_partition, counts)| {
            Err(Imbalance {
                topic_partition: topic_partition.clone(),
                counts: counts.clone(),
            })
        })
    }
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            topic_partition,
            counts,
        } = self;
        let accounted = counts.accounted();
        write!(
            f,
            "the ledger of {topic_partition} does not balance: {} offsets were planned and {accounted} are accounted \
             for, a difference of {}; nothing was committed",
            counts.planned,
            i128::from(accounted) - i128::from(counts.planned),
        )
    }
}

impl std::error::Error for Imbalance {}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Counts {
        let window = WindowCounts {
            rows: 5,
            tombstones_kept: 1,
            tombstones_skipped: 2,
            rejected: 1,
        };
        Counts {
            planned: 21,
            outside_before: 1,
            outside_after: 2,
            outside_reach: 4,
            outside_reach_of: [(1, 3), (7, 1)].into(),
            holes: 3,
            unread: 3,
            windows: [(0, window)].into(),
        }
    }

    #[test]
    fn parts_add_up_and_balance() {
        let mut ledger = Ledger::default();
        let partition = TopicPartition::new("orders", 0);
        ledger.add(&partition, &counts());
        ledger.add(&partition, &counts());
        ledger.add(&TopicPartition::new("orders", 1), &counts());
        assert_eq!(ledger.check(), Ok(()));
        assert_eq!(ledger.get(&partition).unwrap().planned, 42);
        assert_eq!(ledger.total().window(0).messages(), 24);
        assert_eq!(ledger.total().outside_reach_of, [(1, 9), (7, 3)].into());
        assert_eq!(
            (ledger.total().planned, ledger.total().accounted()),
            (63, 63)
        );
    }

    #[test]
    fn one_missing_offset_is_found_and_named() {
        let mut ledger = Ledger::default();
        ledger.add(&TopicPartition::new("orders", 0), &counts());
        ledger.add(
            &TopicPartition::new("orders", 3),
            &Counts {
                planned: 22,
                ..counts()
            },
        );
        let imbalance = ledger.check().unwrap_err();
        assert_eq!(
            imbalance.to_string(),
            "the ledger of orders[3] does not balance: 22 offsets were planned and 21 are accounted for, \
             a difference of -1; nothing was committed"
        );
    }
}
