use super::*;
use crate::testing::{CLOSED, Cluster, TOPIC};

#[test]
fn each_address_is_tried_by_itself() {
    let cluster = Cluster::new();
    let good = cluster.mock.bootstrap_servers();
    let options = [] as [(&str, &str); 0];
    let settings = Settings::new([CLOSED, &good], options).unwrap();
    let checks = check_brokers(&settings, TOPIC);
    assert_eq!(checks.len(), 2);
    assert_eq!(checks[0].address, CLOSED);
    let error = checks[0].result.as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(
        error
            .to_string()
            .contains("127.0.0.1:1: connection refused"),
        "{error}"
    );
    assert_eq!(checks[1].address, good);
    let release = checks[1].result.as_ref().unwrap();
    assert!(release.is_some(), "the mock cluster tells its versions");
}
