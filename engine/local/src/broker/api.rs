//! One module for each request that the broker answers.
//!
//! A module turns a decoded request into a response. What concerns one topic partition is refused there and not for the
//! whole request. None of them knows connections or bytes on the wire.

pub(super) mod api_versions;
pub(super) mod create_partitions;
pub(super) mod create_topics;
pub(super) mod delete_records;
pub(super) mod delete_topics;
pub(super) mod describe_cluster;
pub(super) mod describe_configs;
pub(super) mod fetch;
pub(super) mod find_coordinator;
pub(super) mod init_producer_id;
pub(super) mod list_offsets;
pub(super) mod metadata;
pub(super) mod offset_commit;
pub(super) mod offset_fetch;
pub(super) mod produce;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
