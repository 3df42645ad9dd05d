use std::sync::Arc;

use engine_model::limits::NAME_BYTES_MAX;
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, Headers, Message, MessageFormat, TableColumns,
    TopicPartition,
};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::{Decoder, Projection, ProjectionSpec};

/// A sample of JSON in UTF-8, with times in UTC.
fn empty() -> PayloadSample {
    PayloadSample::new(&MessageFormat::default(), &TimeZone::UTC)
}

fn sample(payloads: &[&str]) -> PayloadSample {
    let mut sample = empty();
    for payload in payloads {
        sample.observe(payload.as_bytes());
    }
    sample
}

/// `path name TYPE: evidence` of each column.
fn inferred(payloads: &[&str]) -> String {
    let columns = sample(payloads).infer([], 100).columns.into_iter();
    let lines = columns.map(|inferred| {
        let Column {
            name, column_type, ..
        } = &inferred.column;
        format!(
            "{} {name} {column_type}: {}",
            inferred.path, inferred.evidence
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The type for a field with these values.
fn type_of(values: &[&str]) -> String {
    let payloads: Vec<String> = values
        .iter()
        .map(|value| format!("{{\"a\":{value}}}"))
        .collect();
    let payloads: Vec<&str> = payloads.iter().map(String::as_str).collect();
    let columns = sample(&payloads).infer([], 100).columns;
    assert_eq!(columns.len(), 1, "{values:?}");
    columns[0].column.column_type.to_string()
}

#[test]
fn figures_say_what_was_seen() {
    let sample = sample(&[
        r#"{"a":[1,-20,2.50,1e3,12345678901234567890123],"b":"2026-11-22T10:00:00.0001Z"}"#,
        r#"{"a":[],"b":"上海","b":null}"#,
        r#"{"a":null}"#,
        "7",
        "{",
    ]);
    let fields: Vec<SampledField<'_>> = sample.fields().collect();
    let paths: Vec<String> = fields.iter().map(SampledField::path).collect();
    assert_eq!(paths, ["$", "a", "a[]", "b"]);
    let figures: Vec<&FieldFigures> = fields.iter().map(SampledField::figures).collect();
    assert_eq!(figures[0].messages, 4);
    assert_eq!(
        (figures[0].kinds.objects, figures[0].kinds.integers),
        (3, 1)
    );
    assert_eq!((figures[1].messages, figures[1].elements_max), (3, 5));
    let numbers = figures[2];
    assert_eq!(
        (
            numbers.messages,
            numbers.kinds.integers,
            numbers.kinds.fractions
        ),
        (1, 3, 2)
    );
    let document = serde_json::to_value(numbers).unwrap();
    assert_eq!(
        document["integers"],
        serde_json::json!({ "least": -20, "greatest": "12345678901234567890123" })
    );
    assert_eq!(
        (numbers.digits_before_point, numbers.digits_after_point),
        (23, 2)
    );
    assert_eq!(numbers.exponents, 1);
    let strings = figures[3];
    assert_eq!(
        (strings.messages, strings.kinds.strings, strings.kinds.nulls),
        (2, 2, 1)
    );
    assert_eq!(
        (strings.string_bytes_max, strings.string_chars_max),
        (25, 25)
    );
    assert_eq!(
        (strings.strings.instants, strings.strings.beyond_ms),
        (1, 1)
    );
    assert_eq!(
        (sample.payloads(), sample.unreadable(), sample.is_cut()),
        (5, 1, false)
    );
}

#[test]
fn each_kind_of_values_has_its_type() {
    for (values, column_type) in [
        (&["null"][..], "STRING"),
        (&["true", "null", "false"], "BOOLEAN"),
        (&["1", "-5"], "BIGINT"),
        (&["9223372036854775807", "-9223372036854775807"], "BIGINT"),
        (&["-9223372036854775808"], "DECIMAL(38,0)"),
        (&["9223372036854775808"], "DECIMAL(38,0)"),
        (&["99999999999999999999999999999999999999"], "DECIMAL(38,0)"),
        (&["999999999999999999999999999999999999999"], "STRING"),
        (&["1", "2.5"], "DECIMAL(38,18)"),
        (&["99999999999999999999.9999"], "DECIMAL(38,18)"),
        (&["999999999999999999999.9"], "DOUBLE"),
        (&["0.00001"], "DOUBLE"),
        (&["1e3"], "DOUBLE"),
        (&["1e400"], "STRING"),
        (&["\"2026-11-22\"", "null"], "DATE"),
        (&["\"2026-11-22\"", "\"2026-11-22 10:00:00\""], "DATETIME"),
        (&["\"2026-11-22T10:00:00.123+08:00\""], "DATETIME"),
        (&["\"2026-11-22T10:00:00.123456Z\""], "TIMESTAMP"),
        (&["\"3000-01-01T10:00:00.123456Z\""], "STRING"),
        (&["\"3000-01-01T10:00:00.123Z\""], "DATETIME"),
        (&["\"2026-11-22\"", "\"\""], "STRING"),
        (&["\"12\"", "\"007\""], "STRING"),
        (&["1", "\"1\""], "STRING"),
        (&["true", "1"], "STRING"),
        (&["{}", "null"], "STRING"),
        (&["{\"b\":1}", "3"], "STRING"),
        (&["[1,2]"], "STRING"),
    ] {
        assert_eq!(type_of(values), column_type, "{values:?}");
    }
}

#[test]
fn times_without_an_offset_are_those_of_the_zone() {
    for (zone, value, column_type) in [
        (
            "America/New_York",
            "2026-03-08 02:30:00",
            ColumnType::String,
        ),
        (
            "America/New_York",
            "2026-03-08 02:30:00Z",
            ColumnType::DateTime,
        ),
        ("UTC", "2026-03-08 02:30:00", ColumnType::DateTime),
        // A day without a midnight.
        ("America/Sao_Paulo", "2018-11-04", ColumnType::Date),
    ] {
        let zone = TimeZone::get(zone).unwrap();
        let mut sample = PayloadSample::new(&MessageFormat::default(), &zone);
        sample.observe(format!("{{\"a\":\"{value}\"}}").as_bytes());
        let inference = sample.infer([], 1);
        let column = &inference.columns[0].column;
        assert_eq!(column.column_type, column_type, "{value} in {zone:?}");
    }
}

#[test]
fn columns_come_with_their_evidence() {
    insta::assert_snapshot!(inferred(&[
        r#"{"order":{"id":1,"createdAt":1795341600000,"at":"2026-11-22 10:00:00"},"items":[{"sku":"x"}],
            "amount":12.50,"unit.name":"kg","ratio":0.123456,"code":"007","ok":true}"#,
        r#"{"order":{"id":2,"createdAt":1795341600001,"at":"2026-11-22T10:00:00Z"},"note":null,"ttl":1795341600}"#,
    ]), @r"
        order.id order_id BIGINT: all integers
        order.createdAt order_created_at BIGINT: ms since the epoch? then DATETIME with `format: epoch_ms`
        order.at order_at DATETIME: all instants to the ms, read in the job's time zone where there is no offset
        items items STRING: an array, as JSON
        amount amount DECIMAL(38,18): digits before and after the point: 2 and 2
        ['unit.name'] unit_name STRING: strings
        ratio ratio DOUBLE: digits before and after the point: 1 and 6; as the nearest float
        code code STRING: strings that all read as integers
        ok ok BOOLEAN: all booleans
        note note STRING: always null
        ttl ttl BIGINT: seconds since the epoch? then DATETIME with `format: epoch_s`
        ");
}

#[test]
fn payloads_that_are_no_objects_are_one_column() {
    assert_eq!(inferred(&["17", "18"]), "$ payload BIGINT: all integers");
    assert_eq!(
        inferred(&["[{\"a\":1}]"]),
        "$ payload STRING: an array, as JSON"
    );
    assert_eq!(inferred(&["17", "{\"a\":1}"]), "a a BIGINT: all integers");
    assert_eq!(inferred(&["no JSON"]), "");
}

#[test]
fn maps_and_deep_objects_are_one_column() {
    let orders: Vec<String> = (0..100)
        .map(|id| format!("{{\"by_id\":{{\"{id}\":{{\"n\":1}}}}}}"))
        .collect();
    let orders: Vec<&str> = orders.iter().map(String::as_str).collect();
    assert_eq!(
        inferred(&orders),
        "by_id by_id STRING: an object with keys of many kinds, as JSON"
    );
    let deep = r#"{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}"#;
    assert_eq!(
        inferred(&[deep]),
        "a.b.c.d.e a_b_c_d_e STRING: an object far down, as JSON"
    );
    assert_eq!(
        inferred(&["{\"a\":{}}"]),
        "a a STRING: an object without fields, as JSON"
    );
}

#[test]
fn what_has_no_column_is_named() {
    let seen = sample(&[r#"{"a":1,"${x}":2,"b":3,"c":4}"#]);
    let inference = seen.infer(["A"], 2);
    let names: Vec<&str> = inference
        .columns
        .iter()
        .map(|column| column.column.name.as_str())
        .collect();
    assert_eq!(names, ["a_2", "b"]);
    assert_eq!(inference.left_out, ["${x}", "c"]);
}

#[test]
fn a_sample_is_bounded_and_says_where_it_was_cut() {
    let wide: Vec<String> = (0..3_000)
        .map(|number| format!("\"f{number}\":0"))
        .collect();
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let long = format!("{{\"{}\":1}}", "k".repeat(SAMPLE_KEY_BYTES_MAX + 1));
    for (payload, fields) in [
        (format!("{{{}}}", wide.join(",")), SAMPLE_FIELDS_MAX),
        (deep, SAMPLE_DEPTH_MAX + 1),
        (long, 1),
    ] {
        let sample = sample(&[&payload]);
        assert_eq!((sample.fields().count(), sample.is_cut()), (fields, true));
    }
}

/// Any JSON value, some of its strings as columns of other types read them.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        any::<u64>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,45})(\\.[0-9]{1,25})?(e[+-]?[0-9]{1,3})?",
        "\"[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?(Z|[+-][01][0-9]:[0-5][0-9])?)?\"",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    let key = prop_oneof!["[a-c]", "[aA_.$ ]{0,3}", ".{0,5}"];
    scalar.prop_recursive(7, 40, 6, move |inner| {
        let fields = prop::collection::vec((key.clone(), inner.clone()), 0..6).prop_map(|fields| {
            let field = |(key, value): &(String, String)| format!("{}:{value}", serde_json::to_string(key).unwrap());
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(","))
        });
        let elements = prop::collection::vec(inner, 0..5);
        prop_oneof![3 => fields, 1 => elements.prop_map(|elements| format!("[{}]", elements.join(",")))]
    })
}

proptest! {
    #[test]
    fn the_columns_of_a_sample_take_all_of_its_payloads(payloads in prop::collection::vec(json(), 1..8)) {
        let mut sample = empty();
        for payload in &payloads {
            sample.observe(payload.as_bytes());
        }
        prop_assert_eq!(sample.unreadable(), 0);
        let inference = sample.infer(["ds"], 50);
        let mut table = TableColumns::default();
        let mut mappings = Vec::new();
        for InferredColumn { column, path, .. } in inference.columns {
            let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            prop_assert!(column.name.bytes().all(legal) && column.name.len() <= NAME_BYTES_MAX, "{}", column.name);
            prop_assert!(column.name.starts_with(|c: char| c.is_ascii_lowercase()), "{}", column.name);
            let source = ColumnSource::Path(path);
            mappings.push(ColumnMapping::new(&column.name, source));
            table.columns.push(column);
        }
        // Compiling refuses names and paths that are there twice.
        let projection = Projection::compile(&ProjectionSpec::new(&mappings, &table, &MessageFormat::default(), &TimeZone::UTC))
            .map_err(|errors| TestCaseError::fail(errors[0].to_string()))?;
        let mut decoder = Decoder::new(Arc::new(projection));
        for payload in &payloads {
            let message = Message {
                offset: 0,
                timestamp_ms: 0,
                key: None,
                payload: Some(payload.as_bytes()),
                headers: Headers::default(),
            };
            decoder.decode(&message, &TopicPartition::new("orders", 0)).map_err(|rejection| TestCaseError::fail(format!("{rejection} in {payload}")))?;
        }
    }

    #[test]
    fn any_bytes_are_counted(payload in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]\\{\\}:,\"a0e.\\- ]{0,80}".prop_map(String::into_bytes),
    ]) {
        let mut sample = empty();
        sample.observe(&payload);
        let readable = serde_json::from_slice::<serde::de::IgnoredAny>(&payload).is_ok();
        prop_assert_eq!((sample.payloads(), sample.unreadable()), (1, u64::from(!readable)));
        for field in sample.fields() {
            prop_assert!(field.figures().kinds.total() >= field.figures().messages);
        }
        sample.infer([], 10);
    }
}
