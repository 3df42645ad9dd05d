//! Keeps group offsets.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use kafka_protocol::protocol::StrBytes;

use crate::broker::cluster::{Cluster, TopicKey};
use crate::broker::groups::{GroupOffset, GroupOffsets};
use crate::broker::limits::OFFSET_METADATA_BYTES_MAX;
use crate::broker::refusal::Refusal;
use crate::broker::topics::unknown_topic;

/// Keeps the offsets of the topic partitions that exist, in one write.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &OffsetCommitRequest,
) -> OffsetCommitResponse {
    let whole = check_group(request);
    let mut accepted = GroupOffsets::new();
    let mut topics: Vec<OffsetCommitResponseTopic> = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let checked = whole
                .clone()
                .and_then(|()| check(cluster, &topic.name, partition));
            let error_code = match checked {
                Ok(offset) => {
                    accepted
                        .entry(topic.name.to_string())
                        .or_default()
                        .insert(partition.partition_index, offset);
                    0
                }
                Err(refusal) => refusal.code(),
            };
            partitions.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(partition.partition_index)
                    .with_error_code(error_code),
            );
        }
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    if let Err(refusal) = cluster.groups.commit(&request.group_id, accepted) {
        let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
        for partition in partitions.filter(|partition| partition.error_code == 0) {
            partition.error_code = refusal.code();
        }
    }
    OffsetCommitResponse::default().with_topics(topics)
}

/// Refuses the commits of group members: no group has any.
fn check_group(request: &OffsetCommitRequest) -> Result<(), Refusal> {
    if request.group_id.is_empty() {
        return Err(Refusal::new(
            ResponseError::InvalidGroupId,
            "the group has no name",
        ));
    }
    if request.generation_id_or_member_epoch >= 0 || !request.member_id.is_empty() {
        return Err(Refusal::new(
            ResponseError::UnknownMemberId,
            "groups have no members here; assign topic partitions instead of subscribing",
        ));
    }
    Ok(())
}

fn check(
    cluster: &Cluster,
    name: &str,
    partition: &OffsetCommitRequestPartition,
) -> Result<GroupOffset, Refusal> {
    let topic = cluster.topic(TopicKey::Name(name))?;
    topic
        .partition(partition.partition_index)
        .ok_or_else(unknown_topic)?;
    let metadata = partition
        .committed_metadata
        .as_ref()
        .map_or("", StrBytes::as_str);
    if metadata.len() > OFFSET_METADATA_BYTES_MAX {
        return Err(Refusal::new(
            ResponseError::OffsetMetadataTooLarge,
            format!("the metadata of an offset has at most {OFFSET_METADATA_BYTES_MAX} bytes"),
        ));
    }
    Ok(GroupOffset {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: metadata.to_owned(),
    })
}
