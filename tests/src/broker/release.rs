//! The releases that tests run against: the oldest that is supported, one of the middle, the newest.

use crate::cache::cached;

/// A release of Apache Kafka.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KafkaRelease {
    /// 0.10.2.2 with `ZooKeeper`: the oldest. It knows timestamps, but no headers, transactions or zstd.
    V0_10_2,
    /// 2.2.2 with `ZooKeeper`: all that readers know today, in its early versions.
    V2_2,
    /// 4.1.0 with KRaft.
    #[default]
    V4_1,
}

impl KafkaRelease {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::V0_10_2, Self::V2_2, Self::V4_1];

    /// How `tidegate check` names it.
    pub fn told(self) -> &'static str {
        match self {
            Self::V0_10_2 => "Kafka 0.10.1 or 0.10.2",
            Self::V2_2 => "Kafka 2.2",
            Self::V4_1 => "Kafka 4.1",
        }
    }

    /// All jars of the release, as Java's class path.
    pub(super) fn class_path(self) -> String {
        let folder = match self {
            Self::V0_10_2 => "kafka-0.10.2.2",
            Self::V2_2 => "kafka-2.2.2",
            Self::V4_1 => "kafka-4.1.0",
        };
        format!("{}/*", cached(folder).join("libs").display())
    }
}
