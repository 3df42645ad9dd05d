use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::*;
use crate::broker::dispatch::APIS;

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn name() -> TopicName {
    TopicName(text("orders"))
}

/// Two of everything, so that a wrong step lands in the wrong place.
fn two<T: Clone>(value: T) -> Vec<T> {
    vec![value.clone(), value]
}

/// A request of that kind with all its lists filled, encoded.
fn encoded(key: ApiKey, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    let result = match key {
        ApiKey::Produce => ProduceRequest::default()
            .with_topic_data(two(TopicProduceData::default()
                .with_name(name())
                .with_partition_data(two(PartitionProduceData::default()
                    .with_index(7)
                    .with_records(Some(Bytes::from_static(b"any bytes at all")))))))
            .encode(&mut body, version),
        ApiKey::Fetch => FetchRequest::default()
            .with_session_epoch(if version < 7 { -1 } else { 3 })
            .with_topics(two(FetchTopic::default()
                .with_topic(name())
                .with_partitions(two(
                    FetchPartition::default().with_fetch_offset(1 << 40)
                ))))
            .with_forgotten_topics_data(if version < 7 {
                vec![]
            } else {
                two(ForgottenTopic::default()
                    .with_topic(name())
                    .with_partitions(vec![1, 2, 3]))
            })
            .encode(&mut body, version),
        ApiKey::ListOffsets => ListOffsetsRequest::default()
            .with_topics(two(ListOffsetsTopic::default()
                .with_name(name())
                .with_partitions(two(
                    ListOffsetsPartition::default().with_timestamp(-1)
                ))))
            .encode(&mut body, version),
        ApiKey::Metadata => MetadataRequest::default()
            .with_topics(Some(two(
                MetadataRequestTopic::default().with_name(Some(name()))
            )))
            .encode(&mut body, version),
        ApiKey::OffsetCommit => OffsetCommitRequest::default()
            .with_group_id(GroupId(text("group")))
            .with_topics(two(OffsetCommitRequestTopic::default()
                .with_name(name())
                .with_partitions(two(OffsetCommitRequestPartition::default()
                    .with_committed_metadata(Some(text("mine")))))))
            .encode(&mut body, version),
        ApiKey::OffsetFetch if version < 8 => OffsetFetchRequest::default()
            .with_group_id(GroupId(text("group")))
            .with_topics(Some(two(OffsetFetchRequestTopic::default()
                .with_name(name())
                .with_partition_indexes(vec![1, 2, 3]))))
            .encode(&mut body, version),
        ApiKey::OffsetFetch => OffsetFetchRequest::default()
            .with_groups(two(OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(text("group")))
                .with_topics(Some(two(OffsetFetchRequestTopics::default()
                    .with_name(name())
                    .with_partition_indexes(vec![1, 2, 3]))))))
            .encode(&mut body, version),
        ApiKey::FindCoordinator if version < 4 => FindCoordinatorRequest::default()
            .with_key(text("group"))
            .encode(&mut body, version),
        ApiKey::FindCoordinator => FindCoordinatorRequest::default()
            .with_coordinator_keys(two(text("group")))
            .encode(&mut body, version),
        _ => return encoded_admin(key, version),
    };
    result.unwrap();
    body.freeze()
}

/// The same for the requests of admin clients; empty for requests without lists.
fn encoded_admin(key: ApiKey, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    let result = match key {
        ApiKey::CreateTopics => CreateTopicsRequest::default()
            .with_topics(two(CreatableTopic::default()
                .with_name(name())
                .with_assignments(two(CreatableReplicaAssignment::default()
                    .with_broker_ids(vec![BrokerId(1), BrokerId(2)])))
                .with_configs(two(CreatableTopicConfig::default()
                    .with_name(text("retention.ms"))
                    .with_value(Some(text("1")))))))
            .encode(&mut body, version),
        ApiKey::DeleteTopics if version < 6 => DeleteTopicsRequest::default()
            .with_topic_names(two(name()))
            .encode(&mut body, version),
        ApiKey::DeleteTopics => DeleteTopicsRequest::default()
            .with_topics(two(DeleteTopicState::default().with_name(Some(name()))))
            .encode(&mut body, version),
        ApiKey::DeleteRecords => DeleteRecordsRequest::default()
            .with_topics(two(DeleteRecordsTopic::default()
                .with_name(name())
                .with_partitions(two(DeleteRecordsPartition::default()))))
            .encode(&mut body, version),
        ApiKey::DescribeConfigs => DescribeConfigsRequest::default()
            .with_resources(two(DescribeConfigsResource::default()
                .with_resource_name(text("orders"))
                .with_configuration_keys(Some(two(text("retention.ms"))))))
            .encode(&mut body, version),
        ApiKey::CreatePartitions => CreatePartitionsRequest::default()
            .with_topics(two(CreatePartitionsTopic::default()
                .with_name(name())
                .with_assignments(Some(two(CreatePartitionsAssignment::default()
                    .with_broker_ids(vec![BrokerId(1), BrokerId(2)]))))))
            .encode(&mut body, version),
        _ => Ok(()),
    };
    result.unwrap();
    body.freeze()
}

/// What the codec makes of the same bytes.
fn decodes(key: ApiKey, version: i16, mut body: Bytes) -> bool {
    let body = &mut body;
    match key {
        ApiKey::Produce => ProduceRequest::decode(body, version).is_ok(),
        ApiKey::Fetch => FetchRequest::decode(body, version).is_ok(),
        ApiKey::ListOffsets => ListOffsetsRequest::decode(body, version).is_ok(),
        ApiKey::Metadata => MetadataRequest::decode(body, version).is_ok(),
        ApiKey::OffsetCommit => OffsetCommitRequest::decode(body, version).is_ok(),
        ApiKey::OffsetFetch => OffsetFetchRequest::decode(body, version).is_ok(),
        ApiKey::FindCoordinator => FindCoordinatorRequest::decode(body, version).is_ok(),
        ApiKey::CreateTopics => CreateTopicsRequest::decode(body, version).is_ok(),
        ApiKey::DeleteTopics => DeleteTopicsRequest::decode(body, version).is_ok(),
        ApiKey::DeleteRecords => DeleteRecordsRequest::decode(body, version).is_ok(),
        ApiKey::DescribeConfigs => DescribeConfigsRequest::decode(body, version).is_ok(),
        ApiKey::CreatePartitions => CreatePartitionsRequest::decode(body, version).is_ok(),
        _ => true,
    }
}

#[test]
fn every_advertised_version_is_walked_as_the_codec_writes_it() {
    for api in APIS {
        for version in api.min..=api.max {
            let body = encoded(api.key, version);
            assert_eq!(
                check(api.key, version, body.clone()),
                Ok(()),
                "{:?} version {version}",
                api.key
            );
            assert!(decodes(api.key, version, body));
        }
    }
}

#[test]
fn what_passes_is_safe_to_decode_wherever_a_byte_is_changed() {
    for api in APIS {
        for version in [api.min, api.max] {
            let body = encoded(api.key, version);
            for at in 0..body.len() {
                for with in [0x00, 0x7f, 0x80, 0xff] {
                    let mut changed = body.to_vec();
                    changed[at] = with;
                    let changed = Bytes::from(changed);
                    // A list that claimed too much would end the test's process here.
                    if check(api.key, version, changed.clone()).is_ok() {
                        decodes(api.key, version, changed);
                    }
                }
                if check(api.key, version, body.slice(..at)).is_ok() {
                    decodes(api.key, version, body.slice(..at));
                }
            }
        }
    }
}

#[test]
fn a_list_that_claims_two_billion_elements_is_refused() {
    let mut plain = BytesMut::new();
    plain.put_i32(i32::MAX);
    assert!(check(ApiKey::Metadata, 0, plain.freeze()).is_err());
    let compact = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0x07, 0, 0, 0]);
    assert!(check(ApiKey::Metadata, 12, compact).is_err());
}
