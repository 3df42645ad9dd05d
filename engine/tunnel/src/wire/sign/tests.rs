use serde_json::Value;

use super::*;
use crate::wire::Request;
use engine_model::job::Secret;

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Everything that looks like a recorded request, wherever it is.
fn collect<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(map) if map.contains_key("signing") => found.push(value),
        Value::Object(map) => map.values().for_each(|value| collect(value, found)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
        _ => {}
    }
}

fn credentials(signing: &Value) -> Credentials {
    Credentials {
        access_id: text(&signing["access_id"]).to_owned(),
        secret: Secret::new(text(&signing["access_secret"])),
        security_token: None,
    }
}

/// The recorded target as a request of ours.
fn request(method: Method, path: &str) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .unwrap()
            .into_owned()
    };
    let segments: Vec<_> = path
        .trim_start_matches('/')
        .split('/')
        .map(decode)
        .collect();
    let mut request = Request::new(method, segments.iter().map(String::as_str));
    for parameter in query.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        request = request.param(decode(name).leak(), decode(value));
    }
    request
}

#[test]
fn recorded_heads_of_both_official_clients_are_signed_alike() {
    let fixtures = [
        "requests",
        "requests_java",
        "arrow_one_row",
        "arrow_partitioned",
        "arrow_all_types",
        "java_arrow_all",
    ]
    .map(fixture);
    let mut recorded = Vec::new();
    for fixture in &fixtures {
        collect(fixture, &mut recorded);
    }
    assert!(recorded.len() > 30, "{}", recorded.len());
    for head in recorded {
        let signing = &head["signing"];
        let line: Vec<_> = text(&head["request_line"]).split(' ').collect();
        let method = match line[0] {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            other => panic!("{other}"),
        };
        let prefix = text(&signing["signed_path_excludes_endpoint_prefix"]);
        let request = request(method, line[1].strip_prefix(prefix).unwrap());
        let headers: Vec<_> = head["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| (text(&header[0]), text(&header[1])))
            .collect();
        let canonical = canonical_string(method, &headers, &request.resource());
        assert_eq!(canonical, text(&signing["canonical_string"]));
        let signature = authorization(
            &credentials(signing),
            None,
            Timestamp::UNIX_EPOCH,
            &canonical,
        );
        assert_eq!(signature, text(&signing["authorization"]));
    }
}

#[test]
fn version_4_signs_for_the_region_and_the_day() {
    let fixture = fixture("requests");
    let cases = fixture["signature_v4"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let signature = authorization(
            &credentials(case),
            Some(text(&case["region"])),
            "2026-03-02T23:59:59Z".parse().unwrap(),
            text(&case["canonical_string"]),
        );
        assert_eq!(signature, text(&case["authorization"]));
    }
}
