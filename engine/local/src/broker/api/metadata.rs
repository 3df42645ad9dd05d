//! Topics, their partitions, and who leads them: always this broker.

use std::sync::Arc;

use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse};

use super::{text, topic_name};
use crate::broker::LEADER_EPOCH;
use crate::broker::cluster::{Cluster, Endpoint, NODE_ID, TopicKey};
use crate::broker::refusal::Refusal;
use crate::broker::topic_config::TopicConfig;
use crate::broker::topics::{Topic, check_name};

/// First version that can leave a topic's name out of the answer.
const NAMELESS_TOPICS_VERSION: i16 = 12;

/// Describes the cluster and the topics asked for, or all.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    endpoint: &Endpoint,
    request: &MetadataRequest,
    version: i16,
) -> MetadataResponse {
    let asked = request
        .topics
        .as_ref()
        // Version 0 cannot send null and means all by an empty list.
        .filter(|topics| version > 0 || !topics.is_empty());
    let topics = match asked {
        None => cluster
            .topics
            .all()
            .iter()
            .map(|topic| describe(topic))
            .collect(),
        Some(asked) => asked
            .iter()
            .map(|wanted| {
                find(cluster, wanted, request.allow_auto_topic_creation).map_or_else(
                    |refusal| refuse(wanted, &refusal, version),
                    |topic| describe(&topic),
                )
            })
            .collect(),
    };
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(NODE_ID))
        .with_host(endpoint.host.clone())
        .with_port(endpoint.port);
    MetadataResponse::default()
        .with_brokers(vec![broker])
        .with_cluster_id(Some(text(cluster.identity.cluster_id())))
        .with_controller_id(BrokerId(NODE_ID))
        .with_topics(topics)
}

fn find(
    cluster: &Cluster,
    wanted: &MetadataRequestTopic,
    allow_creation: bool,
) -> Result<Arc<Topic>, Refusal> {
    let name = match &wanted.name {
        // Java's admin client leaves the name empty next to an id.
        Some(name) if wanted.topic_id.is_nil() => name,
        _ => return cluster.topic(TopicKey::Id(wanted.topic_id)),
    };
    check_name(name)?;
    let found = cluster.topic(TopicKey::Name(name));
    match cluster.auto_create_partitions {
        Some(partitions) if allow_creation && found.is_err() => cluster
            .topics
            .create(name, partitions, TopicConfig::default())
            // Another connection may have been quicker.
            .or_else(|refusal| cluster.topics.by_name(name).ok_or(refusal)),
        _ => found,
    }
}

fn describe(topic: &Topic) -> MetadataResponseTopic {
    let this = BrokerId(NODE_ID);
    let partitions = (0..topic.partition_count()).map(|number| {
        MetadataResponsePartition::default()
            .with_partition_index(number)
            .with_leader_id(this)
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![this])
            .with_isr_nodes(vec![this])
    });
    MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
}

fn refuse(wanted: &MetadataRequestTopic, refusal: &Refusal, version: i16) -> MetadataResponseTopic {
    let name = match &wanted.name {
        None if version < NAMELESS_TOPICS_VERSION => Some(topic_name("")),
        name => name.clone(),
    };
    MetadataResponseTopic::default()
        .with_error_code(refusal.code())
        .with_name(name)
        .with_topic_id(wanted.topic_id)
}
