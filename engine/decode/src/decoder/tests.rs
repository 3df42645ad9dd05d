//! Messages through the whole of the crate.

mod formats;
mod grammar;
mod reference;
mod validation;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use engine_model::job::Validation;
use engine_model::{MessageBlock, MessageFormat, PayloadType, PrimitiveType};
use proptest::prelude::*;

use super::*;
use crate::fixture::{
    decode, formatted_projection, message, partition, projection, row, validated,
};

fn texts(cells: &[Option<String>]) -> Vec<&str> {
    cells
        .iter()
        .map(|cell| cell.as_deref().unwrap_or("NULL"))
        .collect()
}

/// What one column of `column_type` makes of the field `a`.
fn cell(column_type: &str, payload: &str) -> Result<String, RejectReason> {
    let decoded = decode(&[(column_type, "a")], payload);
    decoded
        .map(|cells| texts(&cells)[0].to_owned())
        .map_err(|rejection| rejection.reason())
}

#[test]
fn decoders_move_to_their_threads() {
    fn is_send<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    is_send::<Decoder>();
    is_send::<Rejection>();
    is_shared::<Projection>();
}

#[test]
fn the_example() {
    let payload = r#"{"a":{"a1":"hello"},"b":"world","c":["xxxxxxx","yyyyyyy"],
        "d":[{"AA":"this","BB":"is_data"},{"AA":"that","BB":"is_also_data"}],"a.b":"unreachable"}"#;
    let columns = ["a.a1", "b", "c[1]", "d[0].AA", "d[1].BB", "a.b"].map(|path| ("STRING", path));
    assert_eq!(
        texts(&decode(&columns, payload).unwrap()),
        ["hello", "world", "yyyyyyy", "this", "is_also_data", "NULL"]
    );
}

#[test]
fn keys_with_dots_and_the_whole_payload_are_reached() {
    let payload = r#"{"a.b":{"it's [0]":1.50},"a":{"b":2}}"#;
    let columns =
        ["['a.b']", r"['a.b']['it\'s [0]']", "a.b", "$.a['b']"].map(|path| ("STRING", path));
    assert_eq!(
        texts(&decode(&columns, payload).unwrap()),
        [r#"{"it's [0]":1.50}"#, "1.50", "2", "2"]
    );
    let padded = format!(" {payload}\n");
    let whole = decode(&[("STRING", "$"), ("JSON", "$.a")], &padded).unwrap();
    assert_eq!(texts(&whole), [payload, r#"{"b":2}"#]);
    for (scalar, text) in [
        ("7", "7"),
        ("\"x\"", "x"),
        ("1.50", "1.50"),
        ("null", "NULL"),
    ] {
        assert_eq!(texts(&decode(&[("STRING", "$")], scalar).unwrap()), [text]);
    }
}

#[test]
fn json_columns_take_every_value_as_it_is_spelled() {
    for value in [
        r#""x\u00e9\"\\""#,
        r#""""#,
        "1.50",
        "-0",
        "12345678901234567890",
        "true",
        r#"{ "b" : [1, "]"] }"#,
        "[]",
    ] {
        let payload = format!(r#"{{"z":["a"],"a" : {value} , "y":1.0}}"#);
        assert_eq!(cell("JSON", &payload).as_deref(), Ok(value), "{payload}");
    }
    assert_eq!(cell("JSON", r#"{"a":null}"#).as_deref(), Ok("NULL"));
    // The same string for a column that takes its text, in the same message.
    let both = decode(&[("JSON", "a"), ("STRING", "a")], r#"{"a":"\u0041"}"#);
    assert_eq!(texts(&both.unwrap()), [r#""\u0041""#, "A"]);
}

/// Whether or not a field beside it is mapped, and the payload parsed for that.
#[test]
fn json_columns_take_whole_payloads_without_the_space_around() {
    let columns = [
        ("JSON", "__value__"),
        ("STRING", "__value__"),
        ("STRING", "a"),
    ];
    let payload = " {\"a\" : 1}\n";
    let beside = decode(&columns, payload).unwrap();
    assert_eq!(texts(&beside), [payload.trim(), payload, "1"]);
    let alone = decode(&columns[..2], payload).unwrap();
    assert_eq!(texts(&alone), [payload.trim(), payload]);
}

#[test]
fn binary_columns_take_keys_and_payloads_as_they_are() {
    let columns = [("BINARY", "__key__"), ("BINARY", "__value__")];
    let mut decoder = Decoder::new(projection(&columns));
    let bytes = Message {
        key: Some(b"\xff\x01"),
        ..message(b"\x00\xfe")
    };
    decoder.decode(&bytes, &partition()).unwrap();
    assert_eq!(texts(&row(&decoder.flush(), 0)), ["ff01", "00fe"]);
}

#[test]
fn what_leads_nowhere_is_null() {
    for payload in [
        r#"{"a":null}"#,
        "{}",
        r#"{"b":1}"#,
        "[]",
        "[1]",
        "\"a\"",
        "17",
        "null",
    ] {
        assert_eq!(cell("STRING", payload).as_deref(), Ok("NULL"), "{payload}");
    }
    for (path, payload) in [
        ("a.b", r#"{"a":1}"#),
        ("a.b", r#"{"a":"b"}"#),
        ("a.b", r#"{"a":[{"b":1}]}"#),
        ("a[0]", r#"{"a":{"0":1}}"#),
        ("a[1]", r#"{"a":[1]}"#),
        ("a[99999999]", r#"{"a":[1]}"#),
        ("[0]", r#"{"a":1}"#),
        ("a.b", r#"{"a":{"b":1},"a":{}}"#),
        ("a[1]", r#"{"a":[1,2],"a":[1]}"#),
    ] {
        let decoded = decode(&[("STRING", path)], payload).unwrap();
        assert_eq!(decoded, [None], "{path} {payload}");
    }
}

#[test]
fn texts_are_byte_for_byte() {
    for (value, expected) in [
        ("1.0", "1.0"),
        ("1e5", "1e5"),
        ("1E+05", "1E+05"),
        ("-0", "-0"),
        ("-0.0", "-0.0"),
        ("0", "0"),
        ("7", "7"),
        ("-12", "-12"),
        ("12345678901234567890", "12345678901234567890"),
        ("18446744073709551616", "18446744073709551616"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775809"),
        (
            "12345678901234567890123456789012345678",
            "12345678901234567890123456789012345678",
        ),
        (
            "0.10000000000000000000000001",
            "0.10000000000000000000000001",
        ),
        ("1e400", "1e400"),
        ("-1e400", "-1e400"),
        ("true", "true"),
        ("false", "false"),
        ("\"a\\u00e9\\n\\\"\\uD83D\\uDE00\"", "aé\n\"😀"),
        ("{ \"x\" :\t1.0 }", "{ \"x\" :\t1.0 }"),
        ("[ ]", "[ ]"),
        (
            "[\"\\u00e9]\",{\"}\":\"\\\\\"}]",
            "[\"\\u00e9]\",{\"}\":\"\\\\\"}]",
        ),
    ] {
        for payload in [
            format!("{{\"a\":{value}}}"),
            format!(" {{ \"z\" : [1e400] , \"a\" :\n {value} \r\n, \"y\":{{}} }} "),
            format!("{{\"a\":1.5,\"\\u0061\":{value}}}"),
        ] {
            assert_eq!(
                cell("STRING", &payload).as_deref(),
                Ok(expected),
                "{payload}"
            );
        }
    }
}

#[test]
fn kinds_of_json_by_kinds_of_column() {
    let values = [
        "null", "1", "-1", "1.0", "1.5", "1e400", "\"1\"", "\"x\"", "true", "{}", "[1]",
    ];
    let grid = [
        "STRING",
        "BIGINT",
        "DOUBLE",
        "DECIMAL(5,1)",
        "BOOLEAN",
        "DATETIME",
        "TIMESTAMP",
    ]
    .map(|column_type| {
        let cells = values.map(|value| {
            let cell = cell(column_type, &format!("{{\"a\":{value}}}"));
            cell.unwrap_or_else(|reason| reason.name().to_owned())
        });
        format!("{column_type}: {}", cells.join(" | "))
    });
    insta::assert_snapshot!(grid.join("\n"), @"
    STRING: NULL | 1 | -1 | 1.0 | 1.5 | 1e400 | 1 | x | true | {} | [1]
    BIGINT: NULL | 1 | -1 | 1 | needs_rounding | out_of_range | 1 | unreadable_text | wrong_type | wrong_type | wrong_type
    DOUBLE: NULL | 1.0 | -1.0 | 1.0 | 1.5 | out_of_range | 1.0 | unreadable_text | wrong_type | wrong_type | wrong_type
    DECIMAL(5,1): NULL | 1.0 | -1.0 | 1.0 | 1.5 | out_of_range | 1.0 | unreadable_text | wrong_type | wrong_type | wrong_type
    BOOLEAN: NULL | wrong_type | wrong_type | wrong_type | wrong_type | wrong_type | unreadable_text | unreadable_text | true | wrong_type | wrong_type
    DATETIME: NULL | wrong_type | wrong_type | wrong_type | wrong_type | wrong_type | unreadable_text | unreadable_text | wrong_type | wrong_type | wrong_type
    TIMESTAMP: NULL | wrong_type | wrong_type | wrong_type | wrong_type | wrong_type | unreadable_text | unreadable_text | wrong_type | wrong_type | wrong_type
    ");
}

#[test]
fn numbers_at_the_edge_of_floats() {
    for (number, expected) in [
        ("1e308", Ok(1e308)),
        ("-1e308", Ok(-1e308)),
        ("1.7976931348623157e308", Ok(f64::MAX)),
        ("-1.7976931348623157e308", Ok(f64::MIN)),
        ("1.7976931348623159e308", Err(RejectReason::OutOfRange)),
        ("-1e309", Err(RejectReason::OutOfRange)),
        ("5e-324", Ok(5e-324)),
        ("1e-400", Ok(0.0)),
        ("0.1", Ok(0.1)),
        ("-0", Ok(-0.0)),
        ("9007199254740993", Ok(9_007_199_254_740_992.0)),
    ] {
        let expected = expected.map(|float| format!("{float:?}"));
        assert_eq!(
            cell("DOUBLE", &format!("{{\"a\":{number}}}")),
            expected,
            "{number}"
        );
    }
}

#[test]
fn rejections_name_column_place_and_find() {
    let rejection =
        |columns: &[(&str, &str)], payload: &str| decode(columns, payload).unwrap_err().to_string();
    let long = format!("{{\"a\":\"{}\"}}", "上".repeat(200));
    let texts = [
        rejection(&[("BIGINT", "payment.paid")], r#"{"payment":{"paid":1.9}}"#),
        rejection(&[("BIGINT NOT NULL", "a")], "{}"),
        rejection(&[("BIGINT", "a[0]")], r#"{"a":[99999999999999999999]}"#),
        rejection(&[("DECIMAL(5,2)", "a")], r#"{"a":0.125}"#),
        rejection(&[("BOOLEAN", "a")], r#"{"a":"yes\n"}"#),
        rejection(&[("DOUBLE", "a")], r#"{"a":""}"#),
        rejection(&[("DOUBLE", "a")], r#"{"a":{"b": 1}}"#),
        rejection(&[("DATETIME", "a")], r#"{"a":[true]}"#),
        rejection(&[("DATETIME", "a")], r#"{"a":17}"#),
        rejection(&[("BIGINT", "a")], &long),
        rejection(&[("BIGINT", "a")], r#"{"a":1"#),
        rejection(&[("BIGINT", "a")], ""),
        rejection(&[("BIGINT", "a")], &"[".repeat(2_000)),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r#"
    column "c0" (payment.paid): expected BIGINT, found the number 1.9, which it holds only rounded; `round` allows that
    column "c0" (a): expected BIGINT NOT NULL, found NULL
    column "c0" (a[0]): expected BIGINT, found the number 99999999999999999999, which is out of range
    column "c0" (a): expected DECIMAL(5,2), found the number 0.125, which it holds only rounded; `round` allows that
    column "c0" (a): expected BOOLEAN, found the string "yes\n"
    column "c0" (a): expected DOUBLE, found the string "", which is NULL with `empty_as_null: true`
    column "c0" (a): expected DOUBLE, found the object {"b": 1}
    column "c0" (a): expected DATETIME as a string, found the array [true]
    column "c0" (a): expected DATETIME as a string, found the number 17
    column "c0" (a): expected BIGINT, found the string "上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上上…
    payload: expected a JSON text, found EOF while parsing an object at line 1 column 6, in "{\"a\":1"
    payload: expected a JSON text, found EOF while parsing a value at line 1 column 0, in ""
    payload: expected at most 1024 objects and arrays within each other, found "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
    "#);
}

#[test]
fn one_path_may_feed_several_columns() {
    let columns = [
        ("STRING", "a"),
        ("DOUBLE", "a"),
        ("DECIMAL(10,5)", "a"),
        ("STRING", "a"),
        ("STRING", "b"),
        ("STRING", "b.c"),
    ];
    assert_eq!(
        texts(&decode(&columns, r#"{"b":{"c":[1.50, 2]},"a":2.50}"#).unwrap()),
        [
            "2.50",
            "2.5",
            "2.50000",
            "2.50",
            "{\"c\":[1.50, 2]}",
            "[1.50, 2]"
        ]
    );
}

#[test]
fn unmapped_and_constant_columns_fill_up() {
    let projection = projection(&[
        ("STRING", "a"),
        ("ARRAY<MAP<STRING,BIGINT>>", ""),
        ("STRING", "'web'"),
        ("DECIMAL(5,2)", "'1.5'"),
        ("BINARY", ""),
    ]);
    let mut decoder = Decoder::new(projection);
    decoder
        .decode(&message(b"{\"a\":\"x\"}"), &partition())
        .unwrap();
    decoder.decode(&message(b"{}"), &partition()).unwrap();
    let batch = decoder.flush();
    assert_eq!(texts(&row(&batch, 0)), ["x", "NULL", "web", "1.50", "NULL"]);
    assert_eq!(
        texts(&row(&batch, 1)),
        ["NULL", "NULL", "web", "1.50", "NULL"]
    );
    assert_eq!(decoder.flush().num_rows(), 0);
}

#[test]
fn a_rejected_row_leaves_no_trace() {
    let columns = [
        ("STRING", "a"),
        ("BOOLEAN", "b"),
        ("DECIMAL(5,2)", "c"),
        ("STRING", "__key__"),
        ("STRING", "__value__"),
        ("STRING", "d"),
        ("BIGINT", "last"),
    ];
    let good: &[u8] = br#"{"a":"x","b":true,"c":1.25,"d":[1.0],"last":1}"#;
    let bad: &[u8] = br#"{"a":"yyyyy","b":false,"c":2.25,"d":{"e":1},"last":1.5}"#;
    let mut plain = Decoder::new(projection(&columns));
    let mut troubled = Decoder::new(projection(&columns));
    for payload in [good, b"{}", good] {
        assert!(troubled.decode(&message(bad), &partition()).is_err());
        assert!(troubled.decode(&message(b"{"), &partition()).is_err());
        let not_text = Message {
            key: Some(b"\xff"),
            ..message(good)
        };
        assert!(troubled.decode(&not_text, &partition()).is_err());
        troubled.decode(&message(payload), &partition()).unwrap();
        plain.decode(&message(payload), &partition()).unwrap();
        assert_eq!(
            (troubled.rows(), troubled.size()),
            (plain.rows(), plain.size())
        );
    }
    assert!(troubled.decode(&message(bad), &partition()).is_err());
    assert_eq!(troubled.flush(), plain.flush());
}

#[test]
fn a_flush_starts_the_next_batch() {
    let mut decoder = Decoder::new(projection(&[("STRING", "a"), ("BIGINT", "b"), ("INT", "")]));
    assert_eq!(decoder.size(), 0);
    let fill = |decoder: &mut Decoder| {
        for row in 0..10 {
            let payload = format!("{{\"a\":\"{row}\",\"b\":{row}}}");
            decoder
                .decode(&message(payload.as_bytes()), &partition())
                .unwrap();
        }
        assert_eq!(decoder.rows(), 10);
        // Texts of one byte; 4 + 8 + 4 bytes of fixed width and one for each cell's validity.
        assert_eq!(decoder.size(), 10 * (1 + 4 + 8 + 4 + 3));
        decoder.flush()
    };
    let first = fill(&mut decoder);
    assert_eq!((decoder.rows(), decoder.size()), (0, 0));
    assert_eq!(fill(&mut decoder), first);
    assert_eq!(first.num_rows(), 10);
    assert_eq!(first.schema(), decoder.projection.schema());
}

#[test]
fn tombstones_are_rows_of_null() {
    let columns = [
        ("STRING", "a"),
        ("STRING", "__value__"),
        ("STRING", "__key__"),
    ];
    let tombstone = Message {
        payload: None,
        key: Some(b"k"),
        ..message(b"")
    };
    let mut decoder = Decoder::new(projection(&columns));
    decoder.decode(&tombstone, &partition()).unwrap();
    assert_eq!(texts(&row(&decoder.flush(), 0)), ["NULL", "NULL", "k"]);

    let mut strict = Decoder::new(projection(&[("STRING NOT NULL", "a")]));
    let rejection = strict.decode(&tombstone, &partition()).unwrap_err();
    assert_eq!(rejection.reason(), RejectReason::NullNotAllowed);
}

#[test]
fn payloads_are_parsed_only_for_paths() {
    let mut decoder = Decoder::new(projection(&[("STRING", "__value__")]));
    decoder.decode(&message(b"no {json"), &partition()).unwrap();
    assert_eq!(texts(&row(&decoder.flush(), 0)), ["no {json"]);
    let rejection = decoder
        .decode(&message(b"a\xff"), &partition())
        .unwrap_err();
    assert_eq!(rejection.reason(), RejectReason::InvalidText);
    assert_eq!(
        rejection.to_string(),
        "payload: expected UTF-8 text, found 2 bytes, which from position 1 on are not UTF-8"
    );

    let mut decoder = Decoder::new(projection(&[("STRING", "__value__"), ("STRING", "a")]));
    let payload = " {\"a\" : \"\\u00e9\" }\n";
    decoder
        .decode(&message(payload.as_bytes()), &partition())
        .unwrap();
    assert_eq!(texts(&row(&decoder.flush(), 0)), [payload, "é"]);
    assert!(decoder.decode(&message(b"no {json"), &partition()).is_err());
}

#[test]
fn metadata_goes_where_it_is_mapped() {
    let columns = [
        ("STRING", "__key__"),
        ("BIGINT", "__partition__"),
        ("STRING", "__partition__"),
        ("BIGINT", "__offset__"),
        ("STRING", "__offset__"),
        ("BIGINT", "__timestamp__"),
        ("STRING", "__timestamp__"),
        ("DATETIME", "__timestamp__"),
        ("TIMESTAMP", "__timestamp__"),
        ("STRING", "__headers__"),
        ("STRING", "__topic__"),
    ];
    let mut block = MessageBlock::default();
    let headers: [(&[u8], Option<&[u8]>); 2] = [(b"k", Some(b"v")), (b"k", None)];
    block.push(42, 1_795_341_600_123, None, None, headers.into_iter());
    let mut decoder = Decoder::new(projection(&columns));
    decoder
        .decode(&block.get(0).unwrap(), &partition())
        .unwrap();
    decoder.decode(&message(b"not json"), &partition()).unwrap();
    let batch = decoder.flush();
    assert_eq!(
        texts(&row(&batch, 0)),
        [
            "NULL",
            "3",
            "3",
            "42",
            "42",
            "1795341600123",
            "1795341600123",
            "2026-11-22T10:00:00.123",
            "2026-11-22T10:00:00.123",
            r#"[{"key":"k","value":"v"},{"key":"k","value":null}]"#,
            "orders"
        ]
    );
    assert_eq!(texts(&row(&batch, 1))[9], "[]");
}

#[test]
fn keys_and_payloads_are_read_by_their_type() {
    use PrimitiveType::{Bytes, Double, Float, Integer, Long, Short, String};
    let cell = |source, primitive, column_type, bytes: &[u8]| {
        let format = MessageFormat {
            key: primitive,
            payload: PayloadType::Primitive(primitive),
            ..MessageFormat::default()
        };
        let mut decoder = Decoder::new(formatted_projection(&[(column_type, source)], &format));
        let message = Message {
            key: Some(bytes),
            ..message(bytes)
        };
        decoder
            .decode(&message, &partition())
            .map(|()| texts(&row(&decoder.flush(), 0))[0].to_owned())
            .map_err(|rejection| rejection.reason().name())
    };
    for (primitive, column_type, bytes, expected) in [
        (String, "STRING", &b"k1"[..], Ok("k1")),
        (String, "BINARY", b"k1", Ok("6b31")),
        (String, "BIGINT", b"12", Ok("12")),
        (String, "BIGINT", b"k1", Err("unreadable_text")),
        (Bytes, "STRING", b"\xff", Err("invalid_text")),
        (Bytes, "BINARY", b"\xff", Ok("ff")),
        (Long, "BIGINT", &5_i64.to_be_bytes(), Ok("5")),
        (Long, "STRING", &(-5_i64).to_be_bytes(), Ok("-5")),
        (Long, "BIGINT", &i64::MIN.to_be_bytes(), Err("out_of_range")),
        (Long, "BIGINT", b"12", Err("wrong_length")),
        (Integer, "INT", &(-2_i32).to_be_bytes(), Ok("-2")),
        (Short, "DECIMAL(5,0)", &[1, 0], Ok("256")),
        (Double, "DOUBLE", &1.5_f64.to_be_bytes(), Ok("1.5")),
        (Double, "STRING", &1.0_f64.to_be_bytes(), Ok("1.0")),
        (Float, "DOUBLE", &0.5_f32.to_be_bytes(), Ok("0.5")),
        (Float, "STRING", &0.1_f32.to_be_bytes(), Ok("0.1")),
        (Float, "FLOAT", &f32::NAN.to_be_bytes(), Ok("NaN")),
        (Float, "FLOAT", &f32::INFINITY.to_be_bytes(), Ok("inf")),
    ] {
        for source in ["__key__", "__value__"] {
            let found = cell(source, primitive, column_type, bytes);
            let found = found.as_deref().map_err(|name| *name);
            assert_eq!(found, expected, "{source} {primitive} {column_type}");
        }
    }
}

#[test]
fn constants_bound_the_rows_of_a_batch() {
    let constant = format!("'{}'", "x".repeat(1 << 20));
    let mut decoder = Decoder::new(projection(&[("STRING", &constant)]));
    assert!(decoder.rows_max < 2_048);
    decoder.rows = decoder.rows_max - 1;
    decoder.decode(&message(b""), &partition()).unwrap();
    let rejection = decoder.decode(&message(b""), &partition()).unwrap_err();
    assert_eq!(rejection.reason(), RejectReason::BatchFull);
    assert!(decoder.size() > 1 << 30);
}

#[test]
fn tables_without_columns_still_count_rows() {
    let mut decoder = Decoder::new(projection(&[]));
    decoder.decode(&message(b"x"), &partition()).unwrap();
    assert_eq!(decoder.flush().num_rows(), 1);
}

#[test]
fn wide_projections() {
    let paths: Vec<String> = (0..1_200).map(|n| format!("k{n}.v[{}]", n % 3)).collect();
    let columns: Vec<(&str, &str)> = paths.iter().map(|path| ("BIGINT", path.as_str())).collect();
    let fields: Vec<String> = (0..1_200)
        .rev()
        .map(|n| format!("\"k{n}\":{{\"w\":0,\"v\":[{n},{n},{n}.0]}}"))
        .collect();
    let payload = format!("{{{}}}", fields.join(","));
    let mut decoder = Decoder::new(projection(&columns));
    decoder
        .decode(&message(payload.as_bytes()), &partition())
        .unwrap();
    let batch = decoder.flush();
    for (n, column) in (0..).zip(batch.columns()) {
        assert_eq!(column.as_primitive::<Int64Type>().value(0), n);
    }
}
