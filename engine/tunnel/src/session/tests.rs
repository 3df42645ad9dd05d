use super::*;

fn server(blocks: &[(u32, Option<u64>)]) -> BTreeMap<u32, BlockInfo> {
    blocks
        .iter()
        .map(|(id, rows)| (*id, BlockInfo { rows: *rows }))
        .collect()
}

#[test]
fn equal_lists_do_not_differ() {
    let difference = BlockDifference::new(
        &BTreeMap::from([(0, 5), (7, 2)]),
        &server(&[(7, Some(2)), (0, Some(5))]),
    );
    assert!(difference.is_empty());
    assert!(difference.rows_compared);
    assert!(BlockDifference::new(&BTreeMap::new(), &BTreeMap::new()).is_empty());
}

#[test]
fn differing_blocks_are_named() {
    let difference = BlockDifference::new(
        &BTreeMap::from([(1, 6), (3, 1), (4, 1)]),
        &server(&[(1, Some(5)), (9, Some(1))]),
    );
    assert!(!difference.is_empty());
    assert_eq!(
        difference.to_string(),
        "blocks 3, 4 are missing; block 9 is stray; block 1 has 5 rows instead of 6"
    );
}

#[test]
fn long_lists_are_cut() {
    let expected: BTreeMap<_, _> = (0..300).map(|id| (id, 1)).collect();
    let missing = BlockDifference::new(&expected, &BTreeMap::new()).to_string();
    assert_eq!(
        missing,
        "blocks 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 290 more are missing"
    );
    let twice: Vec<_> = (0..300).map(|id| (id, Some(2))).collect();
    let differing = BlockDifference::new(&expected, &server(&twice)).to_string();
    assert!(
        differing.ends_with("block 9 has 2 rows instead of 1; 290 more differ"),
        "{differing}"
    );
}

#[test]
fn a_server_that_does_not_count_rows_is_compared_by_ids() {
    let expected = BTreeMap::from([(0, 5), (1, 6)]);
    for rows in [None, Some(0)] {
        let difference = BlockDifference::new(&expected, &server(&[(0, rows), (1, rows)]));
        assert!(
            difference.is_empty() && !difference.rows_compared,
            "{rows:?}"
        );
    }
    let difference = BlockDifference::new(&expected, &server(&[(0, Some(0)), (1, Some(6))]));
    assert_eq!(difference.differing, [(0, 5, 0)]);
}

#[test]
fn a_doubtful_commit_is_decided_by_the_status() {
    use CommitStep::{Ask, Done, GiveUp, Wait};
    for (text, before, after) in [
        ("NORMAL", Ask, Ask),
        ("closing", Wait, Wait),
        ("Committing", Wait, Wait),
        ("closed", Done, Done),
        (
            "expired",
            GiveUp(ErrorKind::SessionExpired),
            GiveUp(ErrorKind::CommitUnknown),
        ),
        (
            "canceled",
            GiveUp(ErrorKind::SessionExpired),
            GiveUp(ErrorKind::SessionExpired),
        ),
        (
            "critical",
            GiveUp(ErrorKind::SessionExpired),
            GiveUp(ErrorKind::SessionExpired),
        ),
        ("resting", Wait, Wait),
    ] {
        let status = SessionStatus::from_text(text);
        assert_eq!(commit_step(status, false), before, "{text}");
        assert_eq!(commit_step(status, true), after, "{text}");
    }
}

#[test]
fn words_of_the_server_survive_the_round_trip() {
    for text in [
        "normal",
        "closing",
        "committing",
        "closed",
        "canceled",
        "expired",
        "critical",
    ] {
        assert_eq!(SessionStatus::from_text(text).to_string(), text);
    }
}

#[test]
fn keys_are_kept_and_shown() {
    let mut key = SessionKey {
        table: TableName {
            project: "p".into(),
            schema: None,
            table: "t".into(),
        },
        partition: PartitionSpec(vec![("ds".into(), "1".into())]),
        id: "s1".into(),
    };
    assert_eq!(key.to_string(), "session s1 of p.t/ds=1");
    let text = serde_json::to_string(&key).unwrap();
    assert_eq!(serde_json::from_str::<SessionKey>(&text).unwrap(), key);
    key.partition = PartitionSpec::default();
    assert_eq!(key.to_string(), "session s1 of p.t");
}
