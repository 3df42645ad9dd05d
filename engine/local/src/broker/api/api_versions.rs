//! Which requests and versions the broker answers.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use crate::broker::dispatch::APIS;

/// The list of all requests.
pub(in crate::broker) fn answer() -> ApiVersionsResponse {
    let keys = APIS.iter().map(|api| {
        ApiVersion::default()
            .with_api_key(api.key as i16)
            .with_min_version(api.advertised_min)
            .with_max_version(api.max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}

/// The answer to a version of this request that is too new, encoded as version 0, which every client reads: it asks
/// again with a version of the list.
pub(in crate::broker) fn answer_unknown_version() -> ApiVersionsResponse {
    answer().with_error_code(ResponseError::UnsupportedVersion.code())
}
