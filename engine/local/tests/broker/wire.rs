use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, CreateTopicsRequest, FetchRequest,
    FetchResponse, FindCoordinatorRequest, InitProducerIdRequest, ListOffsetsRequest,
    MetadataRequest, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::running::Running;

/// A connection that speaks the protocol by hand.
struct Client(TcpStream);

impl Client {
    fn connect(running: &Running) -> Self {
        Self(TcpStream::connect(running.broker().address()).unwrap())
    }

    fn frame<R: Request>(correlation_id: i32, version: i16, request: &R) -> BytesMut {
        let mut body = BytesMut::new();
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("by hand")));
        encode_request_header_into_buffer(&mut body, &header).unwrap();
        request.encode(&mut body, version).unwrap();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&length[..], &body[..]].concat().as_slice().into()
    }

    fn send<R: Request>(&mut self, correlation_id: i32, version: i16, request: &R) {
        self.0
            .write_all(&Self::frame(correlation_id, version, request))
            .unwrap();
    }

    /// The next response, and whose it is.
    fn receive<R: Decodable + HeaderVersion>(&mut self, version: i16) -> (i32, R) {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut body).unwrap();
        let mut body = Bytes::from(body);
        let header = ResponseHeader::decode(&mut body, R::header_version(version)).unwrap();
        let response = R::decode(&mut body, version).unwrap();
        assert!(!body.has_remaining(), "bytes follow the response");
        (header.correlation_id, response)
    }

    fn call<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        self.send(5, version, request);
        let (correlation_id, response) = self.receive(version);
        assert_eq!(correlation_id, 5);
        response
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

fn name() -> TopicName {
    TopicName(StrBytes::from_static_str("orders"))
}

fn create(client: &mut Client, partitions: i32) {
    let topic = CreatableTopic::default()
        .with_name(name())
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![topic]));
    assert_eq!(response.topics[0].error_code, 0);
}

/// A batch of messages with these create times, from a producer with that first sequence number.
fn batch(timestamps: &[i64], producer: Option<(i64, i32)>) -> Vec<u8> {
    let (producer_id, base_sequence) = producer.unwrap_or((-1, -1));
    let records: Vec<Record> = (0..)
        .zip(timestamps)
        .map(|(at, &timestamp)| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id,
            producer_epoch: if producer.is_some() { 0 } else { -1 },
            timestamp_type: TimestampType::Creation,
            offset: i64::from(at),
            sequence: base_sequence + at,
            timestamp,
            key: None,
            value: Some(Bytes::from(vec![b'x'; 100])),
            headers: [].into_iter().collect(),
        })
        .collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    bytes.to_vec()
}

fn produce(acks: i16, partition: i32, records: Vec<u8>) -> ProduceRequest {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(records.into()));
    let topic = TopicProduceData::default()
        .with_name(name())
        .with_partition_data(vec![data]);
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(1_000)
        .with_topic_data(vec![topic])
}

/// Error code and base offset of the one topic partition.
fn outcome(response: &ProduceResponse) -> (i16, i64) {
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

fn fetch(partitions: &[i32], partition_bytes: i32, bytes: i32) -> FetchRequest {
    let partitions = partitions.iter().map(|&number| {
        FetchPartition::default()
            .with_partition(number)
            .with_partition_max_bytes(partition_bytes)
    });
    let topic = FetchTopic::default()
        .with_topic(name())
        .with_partitions(partitions.collect());
    FetchRequest::default()
        .with_min_bytes(1)
        .with_max_bytes(bytes)
        .with_topics(vec![topic])
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    // The body of a version that nobody knows yet.
    let mut frame = vec![0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 77];
    frame.extend([1, 2, 3, 4]);
    client.0.write_all(&frame).unwrap();
    let (correlation_id, response) = client.receive::<ApiVersionsResponse>(0);
    assert_eq!(correlation_id, 77);
    assert_eq!(
        response.error_code,
        ResponseError::UnsupportedVersion.code()
    );
    let own = response
        .api_keys
        .iter()
        .find(|api| api.api_key == 18)
        .unwrap();
    assert_eq!((own.min_version, own.max_version), (0, 4));
    // The connection goes on with a version that the list has.
    for version in 0..=4 {
        let response = client.call(version, &ApiVersionsRequest::default());
        assert_eq!((response.error_code, response.api_keys.len()), (0, 15));
        assert!(response.api_keys.is_sorted_by_key(|api| api.api_key));
    }
    running.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    create(&mut client, 1);
    let mut frames = BytesMut::new();
    for correlation_id in 0..50 {
        let request = produce(-1, 0, batch(&[i64::from(correlation_id)], None));
        frames.extend(Client::frame(correlation_id, 9, &request));
    }
    client.0.write_all(&frames).unwrap();
    for expected in 0..50 {
        let (correlation_id, response) = client.receive::<ProduceResponse>(9);
        assert_eq!(correlation_id, expected);
        assert_eq!(outcome(&response), (0, i64::from(expected)));
    }
    running.stop();
}

#[test]
fn what_is_no_request_closes_the_connection_and_only_that() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut bystander = Client::connect(&running);
    let frames: [(&[u8], &str); 7] = [
        (b"GET / HTTP/1.1\r\n\r\n", "states 1195725856 bytes"),
        (&[0xff, 0xff, 0xff, 0xff], "states -1 bytes"),
        (&[0, 0, 0, 7, 0, 0, 0], "states 7 bytes"),
        // JoinGroup.
        (
            &[0, 0, 0, 8, 0, 11, 0, 0, 0, 0, 0, 1],
            "API key 11 is not advertised",
        ),
        // Metadata of a version to come.
        (
            &[0, 0, 0, 8, 0, 3, 0, 99, 0, 0, 0, 1],
            "Metadata version 99",
        ),
        // Metadata, version 1, with two billion topics.
        (
            &[
                0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff,
            ],
            "list elements",
        ),
        // A client id that ends behind the request.
        (
            &[0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0, 9],
            "cannot be read",
        ),
    ];
    for (frame, reason) in frames {
        let mut client = Client::connect(&running);
        client.0.write_all(frame).unwrap();
        assert!(client.is_closed(), "{reason}");
        // The reason is told after the connection is closed.
        let told = (0..1_000).any(|_| {
            std::thread::yield_now();
            let refusal = running.broker().last_refusal();
            refusal.is_some_and(|refusal| refusal.contains(reason))
        });
        assert!(told, "{reason}: {:?}", running.broker().last_refusal());
    }
    let response = bystander.call(4, &ApiVersionsRequest::default());
    assert_eq!(response.error_code, 0);
}

#[test]
fn corrupt_batches_are_refused_and_retries_stored_once() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    create(&mut client, 1);
    let mut corrupt = batch(&[1, 2], None);
    *corrupt.last_mut().unwrap() ^= 1;
    let response = client.call(9, &produce(1, 0, corrupt));
    assert_eq!(
        outcome(&response),
        (ResponseError::CorruptMessage.code(), -1)
    );

    let request = InitProducerIdRequest::default().with_transactional_id(None);
    let first = client.call(4, &request);
    let second = client.call(4, &request);
    assert_ne!(first.producer_id, second.producer_id);
    let id = first.producer_id.0;
    for _ in 0..2 {
        let response = client.call(9, &produce(-1, 0, batch(&[1, 2], Some((id, 0)))));
        assert_eq!(outcome(&response), (0, 0));
    }
    let response = client.call(9, &produce(-1, 0, batch(&[3], Some((id, 2)))));
    assert_eq!(outcome(&response), (0, 2));
    let response = client.call(9, &produce(-1, 0, batch(&[9], Some((id, 9)))));
    assert_eq!(
        outcome(&response),
        (ResponseError::OutOfOrderSequenceNumber.code(), -1)
    );
    let response = client.call(9, &produce(2, 0, batch(&[9], None)));
    assert_eq!(
        outcome(&response).0,
        ResponseError::InvalidRequiredAcks.code()
    );
    let response = client.call(9, &produce(1, 7, batch(&[9], None)));
    assert_eq!(
        outcome(&response).0,
        ResponseError::UnknownTopicOrPartition.code()
    );
    running.stop();
}

#[test]
fn without_acknowledgement_there_is_no_response() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    create(&mut client, 1);
    client.send(1, 9, &produce(0, 0, batch(&[1, 2, 3], None)));
    let response = client.call(9, &produce(1, 0, batch(&[4], None)));
    assert_eq!(outcome(&response), (0, 3), "the first three are there");
    // A refusal can only be shown by closing the connection.
    client.send(2, 9, &produce(0, 7, batch(&[1], None)));
    assert!(client.is_closed());
}

#[test]
fn fetches_keep_to_their_limits_but_bring_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    create(&mut client, 3);
    let one = batch(&[1], None).len();
    for partition in 0..2 {
        for _ in 0..4 {
            let response = client.call(9, &produce(1, partition, batch(&[1], None)));
            assert_eq!(outcome(&response).0, 0);
        }
    }
    let mut sizes = |partition_batches: usize, batches: usize| {
        let bytes = |batches| i32::try_from(batches * one).unwrap();
        let request = fetch(&[0, 1, 2], bytes(partition_batches), bytes(batches));
        let response = client.call(12, &request);
        assert_eq!((response.error_code, response.session_id), (0, 0));
        let partitions = response.responses[0].partitions.iter();
        partitions
            .map(|partition| {
                assert_eq!(partition.error_code, 0);
                assert_eq!(partition.last_stable_offset, partition.high_watermark);
                partition.records.as_ref().unwrap().len() / one
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(10, 100), [4, 4, 0]);
    assert_eq!(sizes(2, 100), [2, 2, 0]);
    assert_eq!(sizes(3, 5), [3, 2, 0]);
    assert_eq!(sizes(0, 100), [1, 0, 0]);
    assert_eq!(sizes(10, 0), [1, 0, 0]);
    running.stop();
}

#[test]
fn a_fetch_waits_for_an_append_and_no_longer_than_asked() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut reader = Client::connect(&running);
    create(&mut reader, 2);
    let bytes = |response: FetchResponse| {
        let partition = &response.responses[0].partitions[0];
        assert_eq!(partition.error_code, 0);
        partition.records.as_ref().map_or(0, Bytes::len)
    };
    let request = fetch(&[0], 1 << 20, 1 << 20).with_max_wait_ms(20);
    assert_eq!(bytes(reader.call(12, &request)), 0);

    // Longer than the test would wait.
    let timeout = Duration::from_secs(20);
    reader.0.set_read_timeout(Some(timeout)).unwrap();
    reader.send(1, 12, &request.with_max_wait_ms(60_000));
    let mut writer = Client::connect(&running);
    for partition in [1, 0] {
        let response = writer.call(9, &produce(1, partition, batch(&[1], None)));
        assert_eq!(outcome(&response), (0, 0));
    }
    assert!(bytes(reader.receive(12).1) > 0);

    // Errors don't wait.
    let request = fetch(&[7], 1 << 20, 1 << 20).with_max_wait_ms(60_000);
    let response = reader.call(12, &request);
    assert_eq!(
        response.responses[0].partitions[0].error_code,
        ResponseError::UnknownTopicOrPartition.code()
    );
    // Neither does a broker that stops.
    let request = fetch(&[1], 1 << 20, 1 << 20);
    let mut request = request.with_max_wait_ms(60_000);
    request.topics[0].partitions[0].fetch_offset = 1;
    reader.send(1, 12, &request);
    running.stop();
}

#[test]
fn every_version_of_the_readers_requests_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    create(&mut client, 1);
    let response = client.call(9, &produce(1, 0, batch(&[10, 30, 20], None)));
    assert_eq!(outcome(&response), (0, 0));
    let metadata = client.call(13, &MetadataRequest::default().with_topics(None));
    let topic_id = metadata.topics[0].topic_id;
    for version in 0..=13 {
        let metadata = client.call(
            version,
            &MetadataRequest::default().with_topics(if version == 0 { Some(vec![]) } else { None }),
        );
        assert_eq!(metadata.topics[0].name, Some(name()));
        assert_eq!(
            metadata.brokers[0].port,
            i32::from(running.broker().address().port())
        );
        assert_eq!(metadata.topics[0].partitions[0].leader_id, BrokerId(1));
    }
    for version in 4..=17 {
        let mut request = fetch(&[0], 1 << 20, 1 << 20);
        request.topics[0].topic_id = topic_id;
        let response = client.call(version, &request);
        let partition = &response.responses[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.high_watermark),
            (0, 3),
            "fetch {version}"
        );
        assert!(!partition.records.as_ref().unwrap().is_empty());
    }
    for version in 0..=5 {
        let key = StrBytes::from_static_str("group");
        let request = if version < 4 {
            FindCoordinatorRequest::default().with_key(key)
        } else {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![key])
        };
        let response = client.call(version, &request);
        let port = response
            .coordinators
            .first()
            .map_or(response.port, |found| found.port);
        assert_eq!(port, i32::from(running.broker().address().port()));
    }
    running.stop();
}

#[test]
fn every_version_of_list_offsets_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path());
    let mut client = Client::connect(&running);
    create(&mut client, 1);
    let response = client.call(9, &produce(1, 0, batch(&[10, 30, 20], None)));
    assert_eq!(outcome(&response), (0, 0));
    for version in 1..=9 {
        // Timestamp asked for; offset and timestamp answered.
        let cases = [
            (11, 1, 30, 1),
            (31, -1, -1, 1),
            (-1, 3, -1, 1),
            (-2, 0, -1, 1),
            (-3, 1, 30, 7),
            (-4, 0, -1, 8),
            (-5, -1, -1, 9),
        ];
        for (timestamp, offset, found, since) in cases {
            if version < since {
                continue;
            }
            let partition = ListOffsetsPartition::default().with_timestamp(timestamp);
            let topic = ListOffsetsTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            let request = ListOffsetsRequest::default()
                .with_replica_id(BrokerId(-1))
                .with_topics(vec![topic]);
            let response = client.call(version, &request);
            let partition = &response.topics[0].partitions[0];
            assert_eq!(
                (partition.error_code, partition.offset, partition.timestamp),
                (0, offset, found),
                "list offsets {version} at {timestamp}"
            );
        }
    }
    running.stop();
}
