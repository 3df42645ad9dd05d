use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;
use crate::call::FIRST_CONTACT;
use crate::clock;
use crate::testing::{CLOSED, Cluster, partition, settings_for};

fn positions(entries: &[(i32, i64)]) -> BTreeMap<TopicPartition, i64> {
    let entries = entries.iter();
    entries
        .map(|&(number, offset)| (partition(number), offset))
        .collect()
}

#[test]
fn a_group_moves_forward_and_never_back() {
    let cluster = Cluster::with_messages(50);
    let settings = cluster.settings();
    let set = |entries: &[(i32, i64)]| {
        set_group_position(&settings, "lag", &positions(entries), "ours").unwrap()
    };
    let first = set(&[(0, 20), (1, 0)]);
    assert_eq!(first.moved, positions(&[(0, 20), (1, 0)]));
    assert!(first.kept.is_empty());

    let back = set(&[(0, 10), (1, 5)]);
    assert_eq!(back.kept, positions(&[(0, 20)]));
    assert_eq!(back.moved, positions(&[(1, 5)]));

    let same = set(&[(0, 20), (1, 5)]);
    assert_eq!(same.kept, positions(&[(0, 20), (1, 5)]));
    assert_eq!(set(&[]), GroupPosition::default());
}

#[test]
fn who_moved_a_group_is_kept_beside_its_position() {
    let cluster = Cluster::with_messages(50);
    let settings = cluster.settings();
    let all = [0, 1].map(partition);
    let setters = || group_setters(&settings, "lag", &all).unwrap();
    assert_eq!(setters(), BTreeMap::new());
    for (setter, entries) in [("ours", [(0, 20), (1, 5)]), ("theirs", [(0, 10), (1, 6)])] {
        set_group_position(&settings, "lag", &positions(&entries), setter).unwrap();
    }
    let expected = [(partition(0), "ours"), (partition(1), "theirs")];
    let expected = expected.map(|(partition, setter)| (partition, setter.to_owned()));
    assert_eq!(setters(), BTreeMap::from(expected));
}

#[test]
fn a_failure_is_an_error_and_no_more() {
    let wanted = positions(&[(0, 1)]);
    let error = set_group_position(&settings_for(CLOSED), "lag", &wanted, "ours").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error}");
    let error = set_group_position(&settings_for(CLOSED), "", &wanted, "ours").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidOption);
}

#[test]
fn a_group_that_the_log_in_may_not_use_is_told_at_once() {
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    // Brokers refuse either to name the group's coordinator, or what is asked of that.
    for request in [RDKafkaApiKey::FindCoordinator, RDKafkaApiKey::OffsetFetch] {
        let cluster = Cluster::with_messages(1);
        cluster.mock.request_errors(request, &[error; 100]);
        let settings = cluster.settings();
        let started = clock::now();
        let partitions = [partition(0)];
        for refused in [
            group_offsets(&settings, "lag", &partitions).unwrap_err(),
            group_setters(&settings, "lag", &partitions).unwrap_err(),
            set_group_position(&settings, "lag", &positions(&[(0, 1)]), "ours").unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Authorization, "{refused}");
            let text = refused.to_string();
            assert!(
                text.starts_with("the log-in may not use group \"lag\" on"),
                "{text}"
            );
        }
        assert!(started.elapsed() < FIRST_CONTACT);
    }
}

#[test]
fn a_position_that_may_not_be_set_is_told_with_the_permission_to_ask_for() {
    let cluster = Cluster::with_messages(1);
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    let request = RDKafkaApiKey::OffsetCommit;
    cluster.mock.request_errors(request, &[error; 100]);
    let wanted = positions(&[(0, 1)]);
    let refused = set_group_position(&cluster.settings(), "lag", &wanted, "ours").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Authorization, "{refused}");
    let advice = "ask for the permission to describe and read the group";
    assert!(refused.to_string().ends_with(advice), "{refused}");
}
