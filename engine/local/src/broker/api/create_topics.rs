//! Creates topics.

use std::collections::HashSet;

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest, CreateTopicsResponse, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::describe_configs::{SOURCE_DEFAULT, SOURCE_TOPIC};
use super::text;
use crate::broker::cluster::{Cluster, NODE_ID};
use crate::broker::limits::PARTITIONS_DEFAULT;
use crate::broker::refusal::Refusal;
use crate::broker::topic_config::{SETTINGS, TopicConfig};

/// Creates each topic, or says why not.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut seen = HashSet::new();
    let repeated: HashSet<&TopicName> = request
        .topics
        .iter()
        .map(|topic| &topic.name)
        .filter(|name| !seen.insert(*name))
        .collect();
    let results = request.topics.iter().map(|topic| {
        let result = if repeated.contains(&topic.name) {
            Err(Refusal::new(
                ResponseError::InvalidRequest,
                format!("topic {} is in the request more than once", topic.name.0),
            ))
        } else {
            create(cluster, topic, request.validate_only)
        };
        result
            .unwrap_or_else(|refusal| {
                CreatableTopicResult::default()
                    .with_error_code(refusal.code())
                    .with_error_message(Some(refusal.message()))
            })
            .with_name(topic.name.clone())
    });
    CreateTopicsResponse::default().with_topics(results.collect())
}

fn create(
    cluster: &Cluster,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<CreatableTopicResult, Refusal> {
    let partitions = partition_count(topic)?;
    let given = topic.configs.iter().map(|config| {
        let value = config.value.as_ref().map_or("", StrBytes::as_str);
        (config.name.to_string(), value.to_owned())
    });
    let config = TopicConfig::new(given)?;
    let result = CreatableTopicResult::default()
        .with_error_message(None)
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(Some(describe(&config)));
    if validate_only {
        cluster.topics.check_new(&topic.name, partitions)?;
        return Ok(result);
    }
    let created = cluster.topics.create(&topic.name, partitions, config)?;
    Ok(result.with_topic_id(created.id))
}

/// Number of topic partitions that the request asks for, directly or by placing each.
fn partition_count(topic: &CreatableTopic) -> Result<i32, Refusal> {
    if !topic.assignments.is_empty() {
        let mut numbers: Vec<i32> = topic
            .assignments
            .iter()
            .filter(|assignment| assignment.broker_ids == [BrokerId(NODE_ID)])
            .map(|assignment| assignment.partition_index)
            .collect();
        numbers.sort_unstable();
        let complete = numbers.len() == topic.assignments.len()
            && (0..)
                .zip(&numbers)
                .all(|(expected, &number)| expected == number);
        if !complete || topic.num_partitions > 0 {
            return Err(Refusal::new(
                ResponseError::InvalidReplicaAssignment,
                format!(
                    "topic partitions are placed on broker {NODE_ID} alone and numbered from 0"
                ),
            ));
        }
        return i32::try_from(numbers.len()).map_err(|_| {
            Refusal::new(
                ResponseError::InvalidPartitions,
                "too many topic partitions",
            )
        });
    }
    if !matches!(topic.replication_factor, -1 | 1) {
        return Err(Refusal::new(
            ResponseError::InvalidReplicationFactor,
            format!(
                "replication factor {} needs as many brokers; there is one",
                topic.replication_factor
            ),
        ));
    }
    Ok(match topic.num_partitions {
        -1 => PARTITIONS_DEFAULT,
        partitions => partitions,
    })
}

fn describe(config: &TopicConfig) -> Vec<CreatableTopicConfigs> {
    SETTINGS
        .iter()
        .map(|setting| {
            let (value, given) = config.value(setting);
            CreatableTopicConfigs::default()
                .with_name(StrBytes::from_static_str(setting.name))
                .with_value(Some(text(value)))
                .with_config_source(if given { SOURCE_TOPIC } else { SOURCE_DEFAULT })
        })
        .collect()
}
