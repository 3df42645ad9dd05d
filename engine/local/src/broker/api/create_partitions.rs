//! Adds topic partitions to topics.

use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use crate::broker::cluster::{Cluster, TopicKey};
use crate::broker::refusal::Refusal;

/// Grows each topic, or says why not. Where the new topic partitions are to be placed is ignored: there is one broker.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let results = request.topics.iter().map(|topic| {
        let result = CreatePartitionsTopicResult::default()
            .with_name(topic.name.clone())
            .with_error_message(None);
        match grow(cluster, topic, request.validate_only) {
            Ok(()) => result,
            Err(refusal) => result
                .with_error_code(refusal.code())
                .with_error_message(Some(refusal.message())),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn grow(
    cluster: &Cluster,
    topic: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refusal> {
    if validate_only {
        return cluster.topic(TopicKey::Name(&topic.name)).map(drop);
    }
    cluster.topics.grow(&topic.name, topic.count)
}
