//! The cluster for admin clients.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::broker::cluster::{Cluster, Endpoint, NODE_ID};

/// Asks for brokers; 2 asks for the controllers of another listener.
const ENDPOINT_BROKERS: i8 = 1;

/// Describes the cluster's one broker.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    endpoint: &Endpoint,
    request: &DescribeClusterRequest,
) -> DescribeClusterResponse {
    let response = DescribeClusterResponse::default()
        .with_cluster_id(text(cluster.identity.cluster_id()))
        .with_controller_id(BrokerId(NODE_ID));
    if request.endpoint_type != ENDPOINT_BROKERS {
        return response
            .with_error_code(ResponseError::MismatchedEndpointType.code())
            .with_error_message(Some(StrBytes::from_static_str(
                "this is a broker and has no controller listener",
            )));
    }
    let broker = DescribeClusterBroker::default()
        .with_broker_id(BrokerId(NODE_ID))
        .with_host(endpoint.host.clone())
        .with_port(endpoint.port);
    response.with_brokers(vec![broker])
}
