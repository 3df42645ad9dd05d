//! The edge to Kafka: the only crate that links librdkafka.
//!
//! [`Client`] answers questions about a topic: its topic partitions, their log start offsets and high watermarks, and
//! the offsets at a message timestamp. [`Reader`] reads [`OffsetRange`](engine_model::OffsetRange)s of topic partitions
//! into [`MessageBlock`](engine_model::MessageBlock)s; it belongs to one thread. [`set_group_position`] tells lag
//! monitors how far a load has come. [`check_brokers`] says which addresses answer, and with which release.
//!
//! Offsets are assigned by hand and never committed while reading. Every error says what was found and what to do, and
//! librdkafka writes nothing to standard error.

mod call;
mod check;
mod client;
mod clock;
mod error;
mod group;
mod members;
mod offsets;
mod probe;
mod produce;
mod reader;
mod settings;
#[cfg(test)]
mod testing;
mod topic_config;
mod topic_id;
mod watch;

pub use check::{BrokerCheck, KafkaRelease, check_brokers};
pub use client::{Broker, Client, PartitionMetadata, TopicMetadata};
pub use error::{Error, ErrorKind, Result};
pub use group::{GroupPosition, group_offsets, group_setters, set_group_position};
pub use members::{GroupMember, group_members};
pub use offsets::LogEnds;
pub use probe::SAMPLE_MESSAGES_MAX;
pub use produce::{Producer, create_topic};
pub use reader::{ReadProgress, Reader};
pub use settings::{OptionText, STALL_TIMEOUT, Settings};
pub use topic_config::{TimestampType, TopicConfig};
