//! Who keeps a group's offsets: always this broker.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use crate::broker::cluster::{Endpoint, NODE_ID};

/// Asks for a group's coordinator; 1 asks for a transaction's.
const KEY_GROUP: i8 = 0;

/// First version that asks for many coordinators at once, in other fields.
const BATCHED_VERSION: i16 = 4;

const NO_TRANSACTIONS: &str = "this broker has no transactions and no share groups";

/// Names this broker for every group.
pub(in crate::broker) fn answer(
    endpoint: &Endpoint,
    request: FindCoordinatorRequest,
    version: i16,
) -> FindCoordinatorResponse {
    let is_group = request.key_type == KEY_GROUP;
    let error_code = if is_group {
        0
    } else {
        ResponseError::InvalidRequest.code()
    };
    let message = (!is_group).then(|| StrBytes::from_static_str(NO_TRANSACTIONS));
    if version < BATCHED_VERSION {
        return FindCoordinatorResponse::default()
            .with_error_code(error_code)
            .with_error_message(message)
            .with_node_id(BrokerId(NODE_ID))
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| {
        Coordinator::default()
            .with_key(key)
            .with_node_id(BrokerId(NODE_ID))
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port)
            .with_error_code(error_code)
            .with_error_message(message.clone())
    });
    FindCoordinatorResponse::default().with_coordinators(coordinators.collect())
}
