//! Deletes topics, with their messages and group offsets.

use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};

use crate::broker::cluster::{Cluster, TopicKey};
use crate::broker::refusal::Refusal;

/// First version that names topics by id too, in another field.
const TOPIC_ID_VERSION: i16 = 6;

/// Deletes each topic, or says why not.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: DeleteTopicsRequest,
    version: i16,
) -> DeleteTopicsResponse {
    let wanted = if version >= TOPIC_ID_VERSION {
        request.topics
    } else {
        let by_name = |name| DeleteTopicState::default().with_name(Some(name));
        request.topic_names.into_iter().map(by_name).collect()
    };
    let results = wanted.into_iter().map(|topic| {
        let result = DeletableTopicResult::default()
            .with_name(topic.name.clone())
            .with_topic_id(topic.topic_id);
        match delete(cluster, &topic) {
            Ok((name, id)) => result.with_name(Some(name)).with_topic_id(id),
            Err(refusal) => result
                .with_error_code(refusal.code())
                .with_error_message(Some(refusal.message())),
        }
    });
    let response = DeleteTopicsResponse::default().with_responses(results.collect());
    cluster.changed();
    response
}

fn delete(
    cluster: &Cluster,
    wanted: &DeleteTopicState,
) -> Result<(TopicName, uuid::Uuid), Refusal> {
    let key = match &wanted.name {
        Some(name) => TopicKey::Name(name),
        None => TopicKey::Id(wanted.topic_id),
    };
    let topic = cluster.topic(key)?;
    cluster.topics.delete(&topic)?;
    cluster.groups.forget_topic(&topic.name)?;
    Ok((super::topic_name(&topic.name), topic.id))
}
