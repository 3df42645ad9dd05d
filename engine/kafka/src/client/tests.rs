use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::call::FIRST_CONTACT;
use crate::clock;
use crate::offsets::LogEnds;
use crate::testing::{CLOSED, Cluster, TOPIC, partition, settings_for};

#[test]
fn a_topic_is_described() {
    let cluster = Cluster::new();
    let client = Client::new(&cluster.settings()).unwrap();
    let topic = client.topic(TOPIC).unwrap();
    let numbers: Vec<_> = topic.partitions.iter().map(|one| one.partition).collect();
    assert_eq!((topic.topic.as_str(), numbers), (TOPIC, vec![0, 1]));
    assert_eq!(topic.partitions[0].leader, Some(1));
    assert_eq!(topic.brokers.len(), 1);
    assert_eq!(topic.brokers[0].address, cluster.mock.bootstrap_servers());
    assert!(topic.cluster_id.is_some());
}

#[test]
fn an_unknown_topic_is_an_error_and_is_not_made() {
    let cluster = Cluster::new();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.mock.topic_error("missing", error).unwrap();
    let client = Client::new(&cluster.settings()).unwrap();
    let error = client.topic("missing").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownTopic);
    assert!(
        error
            .to_string()
            .starts_with("topic \"missing\" does not exist on kafka brokers 127.0.0.1:"),
        "{error}"
    );
    for name in ["", "a b", "a\0", "é", &"x".repeat(250)] {
        assert_eq!(
            client.topic(name).unwrap_err().kind(),
            ErrorKind::UnknownTopic
        );
    }
}

#[test]
fn a_topic_that_may_not_be_read_is_an_error() {
    let cluster = Cluster::new();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.mock.topic_error(TOPIC, error).unwrap();
    let client = Client::new(&cluster.settings()).unwrap();
    let error = client.topic(TOPIC).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authorization);
    assert!(
        error.to_string().contains("may not read topic \"orders\""),
        "{error}"
    );
}

#[test]
fn the_ends_of_many_logs_are_found() {
    let cluster = Cluster::with_messages(37);
    let client = Client::new(&cluster.settings()).unwrap();
    let both = [partition(1), partition(0)];
    let ends = |log_start, high_watermark| LogEnds {
        log_start,
        high_watermark,
    };
    assert_eq!(client.log_ends(&both).unwrap(), [ends(0, 0), ends(0, 37)]);
    assert_eq!(client.log_ends(&[]).unwrap(), []);
    let all = Client::read_uncommitted(&cluster.settings()).unwrap();
    assert_eq!(all.log_ends(&both).unwrap(), [ends(0, 0), ends(0, 37)]);
}

#[test]
fn a_look_up_is_repeated_while_a_leader_moves() {
    let cluster = Cluster::with_messages(3);
    let errors = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 2];
    cluster
        .mock
        .request_errors(RDKafkaApiKey::ListOffsets, &errors);
    let client = Client::new(&cluster.settings()).unwrap();
    assert_eq!(
        client.log_ends(&[partition(0)]).unwrap()[0].high_watermark,
        3
    );
}

#[test]
fn a_topic_partition_that_does_not_exist_is_an_error() {
    let cluster = Cluster::new();
    let client = Client::new(&cluster.settings()).unwrap();
    let error = client.log_ends(&[partition(9)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownPartition, "{error}");
    assert_eq!(error.topic_partition(), Some(&partition(9)));
}

#[test]
fn a_wrong_address_is_named_within_the_time_of_a_first_contact() {
    let started = clock::now();
    let client = Client::new(&settings_for(CLOSED)).unwrap();
    let error = client.topic(TOPIC).unwrap_err();
    assert!(started.elapsed() < FIRST_CONTACT);
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(
        error.to_string(),
        "cannot reach broker 127.0.0.1:1: connection refused; check the address, the network and `security.protocol`"
    );
}

#[test]
fn a_broker_that_does_not_encrypt_is_named_with_the_protocol_to_check() {
    let cluster = Cluster::new();
    let address = cluster.mock.bootstrap_servers();
    let settings = Settings::new([&address], [("security.protocol", "ssl")]).unwrap();
    let error = Client::new(&settings).unwrap().topic(TOPIC).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&address)
            && text.contains("check the address, the network and `security.protocol`"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_missing_is_an_option_error() {
    let options = [
        ("security.protocol", "ssl"),
        ("ssl.ca.location", "/no/such.pem"),
    ];
    let settings = Settings::new(["127.0.0.1:1"], options).unwrap();
    let error = Client::new(&settings).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
    assert!(error.to_string().contains("ssl.ca.location"), "{error}");
}
