use engine_tunnel::BlockInfo;

use super::*;

fn table(schema: Option<&str>) -> TableName {
    TableName {
        project: "Shop".into(),
        schema: schema.map(str::to_owned),
        table: "Orders".into(),
    }
}

fn session(status: SessionStatus) -> UploadSession {
    UploadSession {
        key: SessionKey {
            table: table(None),
            partition: PartitionSpec::default(),
            id: "s1".into(),
        },
        status,
        columns: TableColumns {
            columns: Vec::new(),
            partition_keys: Vec::new(),
        },
        blocks: BTreeMap::from([
            (3, BlockInfo { rows: Some(7) }),
            (9, BlockInfo { rows: None }),
        ]),
        cell_bytes_max: 1024,
    }
}

#[test]
fn one_table_has_one_name() {
    let name = |schema, table| folded_name("http://host:8090/api", schema, &table);
    assert_eq!(name(None, table(None)), "shop.orders at host:8090");
    assert_eq!(name(Some("Default"), table(None)), name(None, table(None)));
    for endpoint in [
        "http://Host/api",
        "https://host/api",
        "https://host:443/api",
        "http://host:80",
    ] {
        let name = folded_name(endpoint, None, &table(None));
        assert_eq!(name, "shop.orders at host");
    }
    let with_schema = "shop.eu.orders at host:8090";
    assert_eq!(name(None, table(Some("EU"))), with_schema);
    assert_eq!(name(Some("eu"), table(None)), with_schema);
    assert_eq!(name(Some("us"), table(Some("eu"))), with_schema);
}

#[test]
fn blocks_without_a_row_count_are_there() {
    let blocks = BTreeMap::from([(3, 7), (9, 0)]);
    let open = session(SessionStatus::Normal);
    assert_eq!(state(&open), SessionState::Open(blocks));
}

#[test]
fn a_session_that_is_being_committed_is_not_open() {
    for status in [
        SessionStatus::Closing,
        SessionStatus::Committing,
        SessionStatus::Unknown,
    ] {
        assert_eq!(state(&session(status)), SessionState::Committing);
    }
}

#[test]
fn a_session_that_ended_is_committed_or_gone() {
    assert_eq!(
        state(&session(SessionStatus::Closed)),
        SessionState::Committed
    );
    for status in [
        SessionStatus::Canceled,
        SessionStatus::Expired,
        SessionStatus::Critical,
    ] {
        assert_eq!(state(&session(status)), SessionState::Gone);
    }
}

#[test]
fn a_block_that_was_sent_short_is_an_error() {
    let key = session(SessionStatus::Normal).key;
    assert!(check_rows(&key, 4, 12, 12).is_ok());
    let error = check_rows(&key, 4, 12, 11).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Staging);
    assert_eq!(
        error.to_string(),
        "block 4 of session s1 of Shop.Orders: 12 rows were staged and 11 were sent; nothing was committed; run the \
         same command again: it checks the staged files and reads again what is wrong"
    );
}
