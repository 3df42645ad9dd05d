use super::*;
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
