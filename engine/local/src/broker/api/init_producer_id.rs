//! Gives idempotent producers their id.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use crate::broker::cluster::Cluster;
use crate::broker::refusal::Refusal;

/// Gives a new id with epoch 0. Transactional producers are refused.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let id = if request.transactional_id.is_some() {
        Err(Refusal::new(
            // The one error on which clients neither retry nor call it a bug of theirs.
            ResponseError::TransactionalIdAuthorizationFailed,
            "this broker has no transactions",
        ))
    } else {
        cluster.identity.next_producer_id()
    };
    match id {
        Ok(id) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(0),
        Err(refusal) => InitProducerIdResponse::default()
            .with_error_code(refusal.code())
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}
