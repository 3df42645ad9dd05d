//! Moves log start offsets, as retention would.

use kafka_protocol::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsTopicResult,
};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use crate::broker::cluster::{Cluster, TopicKey};
use crate::broker::refusal::Refusal;
use crate::broker::topics::unknown_topic;

/// Deletes the messages before each offset, or says why not.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let result = DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index);
            match delete(
                cluster,
                &topic.name,
                partition.partition_index,
                partition.offset,
            ) {
                Ok(log_start_offset) => result.with_low_watermark(log_start_offset),
                Err(refusal) => result
                    .with_low_watermark(-1)
                    .with_error_code(refusal.code()),
            }
        });
        DeleteRecordsTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

fn delete(cluster: &Cluster, name: &str, number: i32, offset: i64) -> Result<i64, Refusal> {
    let topic = cluster.topic(TopicKey::Name(name))?;
    let log = topic.partition(number).ok_or_else(unknown_topic)?;
    log.delete_before(offset)
}
