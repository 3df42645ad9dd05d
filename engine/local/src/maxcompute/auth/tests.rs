use std::fs;
use std::path::PathBuf;

use axum::http::Request;
use serde_json::Value;

use super::*;

/// Every recorded request of a file of fixtures.
fn requests(file: &str) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tunnel/tests/fixtures");
    let file: Value = serde_json::from_slice(&fs::read(folder.join(file)).unwrap()).unwrap();
    match (&file["requests"], &file["request"]) {
        (Value::Array(requests), _) => requests.clone(),
        (Value::Object(groups), _) => groups
            .values()
            .flat_map(|group| group.as_array().unwrap().clone())
            .collect(),
        (_, request) => vec![request.clone()],
    }
}

fn parts(request: &Value) -> Parts {
    let mut line = request["request_line"].as_str().unwrap().split(' ');
    let mut builder = Request::builder()
        .method(line.next().unwrap())
        .uri(line.next().unwrap());
    for header in request["headers"].as_array().unwrap() {
        builder = builder.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    builder.body(()).unwrap().into_parts().0
}

fn credential(secret: &str) -> Credential {
    Credential {
        access_id: "DummyAccessId0001".to_owned(),
        secret: secret.to_owned(),
        security_token: None,
    }
}

fn known() -> Vec<Credential> {
    vec![credential("DummyAccessSecret0123456789abcd")]
}

fn time_of(request: &Parts) -> Timestamp {
    let date = request.headers["date"].to_str().unwrap();
    rfc2822::DateTimeParser::new()
        .parse_timestamp(date)
        .unwrap()
}

#[test]
fn recorded_signatures_of_both_clients_verify() {
    let mut seen = 0;
    for file in [
        "requests.json",
        "requests_java.json",
        "rec_partition_special.json",
        "arrow_all_types.json",
    ] {
        for request in requests(file) {
            let parts = parts(&request);
            let now = time_of(&parts);
            verify(&parts, &known(), now).unwrap_or_else(|error| panic!("{file}: {error}"));
            let wrong = verify(&parts, &[credential("another")], now).unwrap_err();
            assert_eq!(wrong.code, Code::SignatureNotMatch);
            seen += 1;
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn version_4_verifies() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tunnel/tests/fixtures");
    let file: Value =
        serde_json::from_slice(&fs::read(folder.join("requests.json")).unwrap()).unwrap();
    for example in file["signature_v4"].as_array().unwrap() {
        let request = Request::builder()
            .uri("/api/tenants?curr_project=wire_prj")
            .header("date", "Mon, 02 Mar 2026 03:04:05 GMT")
            .header("x-odps-user-agent", "pyodps/0.13.2")
            .header("authorization", example["authorization"].as_str().unwrap());
        let (parts, ()) = request.body(()).unwrap().into_parts();
        verify(&parts, &known(), time_of(&parts)).unwrap();
        let wrong = verify(&parts, &[credential("another")], time_of(&parts)).unwrap_err();
        assert_eq!(wrong.code, Code::SignatureNotMatch);
    }
}

#[test]
fn what_is_not_signed_here_and_now_is_refused() {
    let request = &requests("requests.json")[0];
    let parts = parts(request);
    let now = time_of(&parts);
    let code = |parts: &Parts, now| verify(parts, &known(), now).map_err(|error| error.code);
    assert_eq!(code(&parts, now + SignedDuration::from_mins(15)), Ok(()));
    for skew in [16, -16] {
        let skewed = code(&parts, now + SignedDuration::from_mins(skew));
        assert_eq!(skewed, Err(Code::RequestTimeTooSkewed));
    }
    let mut unsigned = parts.clone();
    unsigned.headers.remove("authorization");
    assert_eq!(code(&unsigned, now), Err(Code::Unauthorized));
    let mut changed = parts.clone();
    changed.uri = "/api/projects/other?curr_project=wire_prj".parse().unwrap();
    assert_eq!(code(&changed, now), Err(Code::SignatureNotMatch));
    let mut stranger = parts;
    stranger.headers.insert(
        "authorization",
        "ODPS Somebody:gl3TxCahxv7sgInPAFTx0nYvXp0="
            .parse()
            .unwrap(),
    );
    assert_eq!(code(&stranger, now), Err(Code::Unauthorized));
    assert!(
        verify(&stranger, &[], now).is_ok(),
        "without credentials everybody may"
    );
}

#[test]
fn a_temporary_key_needs_its_token_and_no_other_has_one() {
    let mut parts = parts(&requests("requests.json")[0]);
    let now = time_of(&parts);
    let lasting = known();
    let temporary = [Credential {
        security_token: Some("t0ken".to_owned()),
        ..lasting[0].clone()
    }];
    let code =
        |parts: &Parts, known: &[Credential]| verify(parts, known, now).map_err(|error| error.code);
    assert_eq!(code(&parts, &temporary), Err(Code::Unauthorized));
    for (token, answer) in [("t0ken", Ok(())), ("another", Err(Code::Unauthorized))] {
        parts
            .headers
            .insert("authorization-sts-token", token.parse().unwrap());
        assert_eq!(code(&parts, &temporary), answer);
        assert_eq!(code(&parts, &lasting), Err(Code::Unauthorized));
    }
}

#[test]
fn debug_output_hides_the_secret() {
    let credential = Credential {
        security_token: Some("hush too".to_owned()),
        ..credential("hush")
    };
    assert!(!format!("{credential:?}").contains("hush"));
}
