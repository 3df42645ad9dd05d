//! Tells group offsets.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use kafka_protocol::protocol::StrBytes;

use super::{text, topic_name};
use crate::broker::cluster::Cluster;
use crate::broker::groups::{GroupOffset, TopicOffsets};

/// First version that asks for many groups at once, in other fields.
const BATCHED_VERSION: i16 = 8;

/// Tells the offsets asked for, or all of a group.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &OffsetFetchRequest,
    version: i16,
) -> OffsetFetchResponse {
    if version < BATCHED_VERSION {
        let wanted = request.topics.as_ref().map(|topics| {
            let pairs = topics
                .iter()
                .map(|topic| (topic.name.to_string(), topic.partition_indexes.as_slice()));
            pairs.collect()
        });
        let topics =
            select(cluster, &request.group_id, wanted)
                .into_iter()
                .map(|(name, offsets)| {
                    OffsetFetchResponseTopic::default()
                        .with_name(topic_name(&name))
                        .with_partitions(offsets.into_iter().map(single).collect())
                });
        return OffsetFetchResponse::default().with_topics(topics.collect());
    }
    let groups = request.groups.iter().map(|group| {
        let wanted = group.topics.as_ref().map(|topics| {
            let pairs = topics
                .iter()
                .map(|topic| (topic.name.to_string(), topic.partition_indexes.as_slice()));
            pairs.collect()
        });
        let topics = select(cluster, &group.group_id, wanted)
            .into_iter()
            .map(|(name, offsets)| {
                OffsetFetchResponseTopics::default()
                    .with_name(topic_name(&name))
                    .with_partitions(offsets.into_iter().map(batched).collect())
            });
        OffsetFetchResponseGroup::default()
            .with_group_id(group.group_id.clone())
            .with_topics(topics.collect())
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

/// The group's offsets of the wanted topic partitions; -1 where there is none.
fn select(
    cluster: &Cluster,
    group: &str,
    wanted: Option<Vec<(String, &[i32])>>,
) -> BTreeMap<String, TopicOffsets> {
    let kept = cluster.groups.of(group);
    let Some(wanted) = wanted else {
        return kept;
    };
    let mut selected = BTreeMap::<String, TopicOffsets>::new();
    for (name, partitions) in wanted {
        let of_topic = kept.get(&name);
        selected
            .entry(name)
            .or_default()
            .extend(partitions.iter().map(|&number| {
                let offset = of_topic.and_then(|offsets| offsets.get(&number)).cloned();
                (number, offset.unwrap_or_else(none))
            }));
    }
    selected
}

fn none() -> GroupOffset {
    GroupOffset {
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
    }
}

fn single((number, offset): (i32, GroupOffset)) -> OffsetFetchResponsePartition {
    OffsetFetchResponsePartition::default()
        .with_partition_index(number)
        .with_committed_offset(offset.offset)
        .with_committed_leader_epoch(offset.leader_epoch)
        .with_metadata(Some(StrBytes::from_string(offset.metadata)))
}

fn batched((number, offset): (i32, GroupOffset)) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(number)
        .with_committed_offset(offset.offset)
        .with_committed_leader_epoch(offset.leader_epoch)
        .with_metadata(Some(text(&offset.metadata)))
}
