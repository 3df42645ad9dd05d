//! From the bytes of a request to the bytes of its response.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, ProduceRequest, RequestHeader, ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion};

use super::api;
use super::cluster::{Cluster, Endpoint};
use super::error::{Error, ErrorKind};
use super::limits::REQUEST_BYTES_MIN;
use super::shape;
use super::stop::Stop;

/// A kind of request that the broker answers.
#[derive(Debug)]
pub(super) struct Api {
    /// Which.
    pub(super) key: ApiKey,
    /// Oldest version that is answered.
    pub(super) min: i16,
    /// Newest version that is answered.
    pub(super) max: i16,
    /// Oldest version that clients are told.
    pub(super) advertised_min: i16,
}

/// All requests that the broker answers, by key.
pub(super) const APIS: &[Api] = &[
    // Kafka 4 has no produce versions below 3 either and advertises them all the same: librdkafka before 2.8 takes
    // version 0 for the sign that a broker knows compression.
    Api {
        advertised_min: 0,
        ..Api::new(ApiKey::Produce, 3, 13)
    },
    Api::new(ApiKey::Fetch, 4, 17),
    Api::new(ApiKey::ListOffsets, 1, 9),
    Api::new(ApiKey::Metadata, 0, 13),
    Api::new(ApiKey::OffsetCommit, 2, 9),
    Api::new(ApiKey::OffsetFetch, 1, 9),
    Api::new(ApiKey::FindCoordinator, 0, 5),
    Api::new(ApiKey::ApiVersions, 0, 4),
    Api::new(ApiKey::CreateTopics, 2, 7),
    Api::new(ApiKey::DeleteTopics, 1, 6),
    Api::new(ApiKey::DeleteRecords, 0, 2),
    Api::new(ApiKey::InitProducerId, 0, 5),
    Api::new(ApiKey::DescribeConfigs, 1, 4),
    Api::new(ApiKey::CreatePartitions, 0, 3),
    Api::new(ApiKey::DescribeCluster, 0, 1),
];

impl Api {
    const fn new(key: ApiKey, min: i16, max: i16) -> Self {
        Self {
            key,
            min,
            max,
            advertised_min: min,
        }
    }
}

/// A request whose header was read.
#[derive(Debug)]
pub(super) struct Request {
    key: ApiKey,
    version: i16,
    correlation_id: i32,
    body: Bytes,
    /// False for a version of `ApiVersions` that only the client knows; its body cannot be read.
    is_known: bool,
}

impl Request {
    /// Reads the header of a request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`]: not a request, or of a kind or version that the broker doesn't advertise.
    pub(super) fn read(mut frame: Bytes) -> Result<Self, Error> {
        if frame.len() < REQUEST_BYTES_MIN as usize {
            return Err(Error::malformed(format!(
                "a request of {} bytes has no header",
                frame.len()
            )));
        }
        let mut front = frame.slice(..REQUEST_BYTES_MIN as usize);
        let (key, version, correlation_id) = (front.get_i16(), front.get_i16(), front.get_i32());
        let api = APIS
            .iter()
            .find(|api| api.key as i16 == key)
            .ok_or_else(|| Error::malformed(format!("API key {key} is not advertised")))?;
        let is_known = (api.min..=api.max).contains(&version);
        if is_known {
            RequestHeader::decode(&mut frame, api.key.request_header_version(version))
                .map_err(|error| unreadable(api.key, version, error))?;
        } else if api.key != ApiKey::ApiVersions {
            return Err(Error::malformed(format!(
                "{:?} version {version} is not between {} and {}",
                api.key, api.min, api.max
            )));
        }
        Ok(Self {
            key: api.key,
            version,
            correlation_id,
            body: frame,
            is_known,
        })
    }

    fn decode<R: Decodable>(&self) -> Result<R, Error> {
        shape::check(self.key, self.version, self.body.clone()).map_err(|fault| {
            Error::malformed(format!(
                "a {:?} request, version {}, {fault}",
                self.key, self.version
            ))
        })?;
        let mut body = self.body.clone();
        R::decode(&mut body, self.version)
            .map_err(|error| unreadable(self.key, self.version, error))
    }

    /// The response with its length in front, ready to be sent.
    fn encode<R: Encodable + HeaderVersion>(
        &self,
        response: &R,
        version: i16,
    ) -> Result<BytesMut, Error> {
        let header = ResponseHeader::default().with_correlation_id(self.correlation_id);
        let header_version = R::header_version(version);
        let failed = |error| {
            Error::new(
                ErrorKind::Malformed,
                format!(
                    "the response to {:?} version {version} cannot be encoded",
                    self.key
                ),
            )
            .with_source(error)
        };
        let bytes = header.compute_size(header_version).map_err(failed)?
            + response.compute_size(version).map_err(failed)?;
        let length = i32::try_from(bytes).map_err(|error| failed(error.into()))?;
        let mut frame = BytesMut::with_capacity(bytes + size_of_val(&length));
        frame.put_i32(length);
        header.encode(&mut frame, header_version).map_err(failed)?;
        response.encode(&mut frame, version).map_err(failed)?;
        Ok(frame)
    }
}

/// Answers a request; `None` where the client wants no response.
///
/// # Errors
///
/// [`ErrorKind::Malformed`]: the connection has to be closed.
pub(super) async fn answer(
    cluster: &Arc<Cluster>,
    endpoint: &Endpoint,
    request: Request,
    stop: &mut Stop,
) -> Result<Option<BytesMut>, Error> {
    let cluster = Arc::clone(cluster);
    let answered = if request.key == ApiKey::Fetch {
        let fetch: FetchRequest = request.decode()?;
        api::fetch::wait(&cluster, &fetch, request.version, stop).await;
        tokio::task::spawn_blocking(move || {
            let response = api::fetch::answer(&cluster, &fetch, request.version);
            request.encode(&response, request.version).map(Some)
        })
        .await
    } else {
        let endpoint = endpoint.clone();
        tokio::task::spawn_blocking(move || answer_now(&cluster, &endpoint, &request)).await
    };
    answered.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Malformed, "a request could not be handled").with_source(error))
    })
}

/// Answers a request that waits for nothing but the disk.
fn answer_now(
    cluster: &Cluster,
    endpoint: &Endpoint,
    request: &Request,
) -> Result<Option<BytesMut>, Error> {
    let version = request.version;
    match request.key {
        ApiKey::ApiVersions if !request.is_known => {
            request.encode(&api::api_versions::answer_unknown_version(), 0)
        }
        ApiKey::ApiVersions => request.encode(&api::api_versions::answer(), version),
        ApiKey::Metadata => {
            let response = api::metadata::answer(cluster, endpoint, &request.decode()?, version);
            request.encode(&response, version)
        }
        ApiKey::Produce => return produce(cluster, request),
        ApiKey::ListOffsets => {
            let response = api::list_offsets::answer(cluster, &request.decode()?, version);
            request.encode(&response, version)
        }
        ApiKey::InitProducerId => {
            let response = api::init_producer_id::answer(cluster, &request.decode()?);
            request.encode(&response, version)
        }
        ApiKey::FindCoordinator => {
            let response = api::find_coordinator::answer(endpoint, request.decode()?, version);
            request.encode(&response, version)
        }
        ApiKey::OffsetCommit => {
            let response = api::offset_commit::answer(cluster, &request.decode()?);
            request.encode(&response, version)
        }
        ApiKey::OffsetFetch => {
            let response = api::offset_fetch::answer(cluster, &request.decode()?, version);
            request.encode(&response, version)
        }
        _ => answer_admin(cluster, endpoint, request),
    }
    .map(Some)
}

fn answer_admin(
    cluster: &Cluster,
    endpoint: &Endpoint,
    request: &Request,
) -> Result<BytesMut, Error> {
    let version = request.version;
    match request.key {
        ApiKey::CreateTopics => {
            let response = api::create_topics::answer(cluster, &request.decode()?);
            request.encode(&response, version)
        }
        ApiKey::DeleteTopics => {
            let response = api::delete_topics::answer(cluster, request.decode()?, version);
            request.encode(&response, version)
        }
        ApiKey::CreatePartitions => {
            let response = api::create_partitions::answer(cluster, &request.decode()?);
            request.encode(&response, version)
        }
        ApiKey::DeleteRecords => {
            let response = api::delete_records::answer(cluster, &request.decode()?);
            request.encode(&response, version)
        }
        ApiKey::DescribeConfigs => {
            let response = api::describe_configs::answer(cluster, &request.decode()?);
            request.encode(&response, version)
        }
        ApiKey::DescribeCluster => {
            let response = api::describe_cluster::answer(cluster, endpoint, &request.decode()?);
            request.encode(&response, version)
        }
        key => Err(Error::malformed(format!("{key:?} is not answered"))),
    }
}

fn produce(cluster: &Cluster, request: &Request) -> Result<Option<BytesMut>, Error> {
    let produce: ProduceRequest = request.decode()?;
    let response = api::produce::answer(cluster, &produce, request.version);
    if produce.acks != 0 {
        return request.encode(&response, request.version).map(Some);
    }
    // Who wants no response learns of a refusal by the closed connection, as from Kafka.
    match api::produce::first_refusal(&response) {
        None => Ok(None),
        Some(refusal) => Err(Error::malformed(format!(
            "produced without acknowledgement and refused: {refusal}"
        ))),
    }
}

fn unreadable(
    key: ApiKey,
    version: i16,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::malformed(format!(
        "a {key:?} request, version {version}, cannot be read"
    ))
    .with_source(error)
}
