//! Offsets by timestamp, and the ends of the log.

use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use crate::broker::LEADER_EPOCH;
use crate::broker::cluster::{Cluster, TopicKey, check_leader_epoch};
use crate::broker::log::{Found, PartitionLog};
use crate::broker::refusal::Refusal;
use crate::broker::topics::unknown_topic;

/// Asks for the high watermark.
const LATEST: i64 = -1;
/// Asks for the log start offset.
const EARLIEST: i64 = -2;
/// Asks for the message with the largest timestamp.
const MAX_TIMESTAMP: i64 = -3;
/// Asks for the first offset on the broker's own disk.
const EARLIEST_LOCAL: i64 = -4;
/// Asks for the last offset in remote storage.
const LATEST_TIERED: i64 = -5;

/// First version that carries a leader epoch.
const LEADER_EPOCH_VERSION: i16 = 4;

/// How "there is none" is spelled, for offset and timestamp both.
const NONE: Found = Found {
    offset: -1,
    timestamp: -1,
};

/// Looks each topic partition's offset up.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &ListOffsetsRequest,
    version: i16,
) -> ListOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let response = ListOffsetsPartitionResponse::default()
                .with_partition_index(partition.partition_index);
            match find(cluster, &topic.name, partition) {
                Ok(found) => response
                    .with_offset(found.offset)
                    .with_timestamp(found.timestamp)
                    .with_leader_epoch(if version < LEADER_EPOCH_VERSION {
                        -1
                    } else {
                        LEADER_EPOCH
                    }),
                Err(refusal) => response.with_error_code(refusal.code()),
            }
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

fn find(cluster: &Cluster, name: &str, partition: &ListOffsetsPartition) -> Result<Found, Refusal> {
    let topic = cluster.topic(TopicKey::Name(name))?;
    let log = topic
        .partition(partition.partition_index)
        .ok_or_else(unknown_topic)?;
    check_leader_epoch(partition.current_leader_epoch)?;
    find_in(log, partition.timestamp)
}

fn find_in(log: &PartitionLog, timestamp: i64) -> Result<Found, Refusal> {
    let end = |offset| Ok(Found { offset, ..NONE });
    let found = match timestamp {
        LATEST => return end(log.bounds().high_watermark),
        EARLIEST | EARLIEST_LOCAL => return end(log.bounds().log_start_offset),
        LATEST_TIERED => return Ok(NONE),
        MAX_TIMESTAMP => log.latest(),
        timestamp => log.first_reaching(timestamp),
    };
    found
        .map(|found| found.unwrap_or(NONE))
        .map_err(|error| Refusal::storage(&error))
}
