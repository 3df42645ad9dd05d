//! ARRAY, MAP and STRUCT.

use arrow::array::Array;
use engine_model::limits::CELL_BYTES_MAX;

use super::*;

#[test]
fn array() {
    check(
        "ARRAY<BIGINT>",
        None,
        &[
            (Value::Json("[1, -2, \"3\", 4.0]"), Ok("[1, -2, 3, 4]")),
            (Value::Json("[null]"), Ok("[]")),
            (Value::Json("[]"), Ok("[]")),
            (Value::Text("[1]"), Ok("[1]")),
            (Value::Json("[1.5]"), Err(NeedsRounding)),
            (Value::Json("[1, \"x\"]"), Err(UnreadableText)),
            (Value::Json("[[1]]"), Err(WrongType)),
            (Value::Json("{\"a\":1}"), Err(WrongType)),
            (Value::Text("x"), Err(UnreadableText)),
            (Value::Text("\"[1]\""), Err(WrongType)),
            (Value::Text("null"), Err(WrongType)),
            (Value::Text(" 1 "), Err(WrongType)),
            (Value::Unsigned(1), Err(WrongType)),
            (Value::Bool(true), Err(WrongType)),
        ],
    );
    check(
        "ARRAY<STRING>",
        None,
        &[(
            Value::Json("[1.50, \"a\\u00e9\", {\"b\" : 1}, [ ], true]"),
            Ok("[1.50, a\u{e9}, {\"b\" : 1}, [ ], true]"),
        )],
    );
    check(
        "ARRAY<DECIMAL(38,18)>",
        None,
        &[(
            Value::Json("[12345678901234567890.123456789012345678]"),
            Ok("[12345678901234567890.123456789012345678]"),
        )],
    );
    check(
        "ARRAY<JSON>",
        None,
        &[(Value::Json("[\"x\", 1.50]"), Ok("[\"x\", 1.50]"))],
    );
}

#[test]
fn map() {
    check(
        "MAP<STRING,BIGINT>",
        None,
        &[
            (
                Value::Json(r#"{"a":1,"b":null,"\u0063":"3"}"#),
                Ok("{a: 1, b: , c: 3}"),
            ),
            (Value::Json("{}"), Ok("{}")),
            // The last one counts, in the place of the first.
            (Value::Json(r#"{"a":1,"b":2,"a":3}"#), Ok("{a: 3, b: 2}")),
            (Value::Json(r#"{"a":{}}"#), Err(WrongType)),
            (Value::Json("[]"), Err(WrongType)),
        ],
    );
    check(
        "MAP<BIGINT,ARRAY<STRING>>",
        None,
        &[
            (
                Value::Json(r#"{"1":["x"],"-2":[]}"#),
                Ok("{1: [x], -2: []}"),
            ),
            (Value::Json(r#"{"x":[]}"#), Err(UnreadableText)),
            (Value::Json(r#"{"1":[],"1":["x"]}"#), Ok("{1: [x]}")),
            (Value::Json(r#"{"1":[],"2":[],"01":[]}"#), Err(RepeatedKey)),
            (Value::Json(r#"{"0":[],"-0":[]}"#), Err(RepeatedKey)),
            (Value::Json(r#"{"1":[],"1.0":[]}"#), Err(RepeatedKey)),
            (Value::Json(r#"{"-5":[],"5":[]}"#), Ok("{-5: [], 5: []}")),
            (Value::Json(r#"{"1":[],"x":[]}"#), Err(UnreadableText)),
            (Value::Json(r#"{"1":[],"2":[]}"#), Ok("{1: [], 2: []}")),
        ],
    );
    check(
        "MAP<DATETIME,BIGINT>",
        None,
        &[
            (
                Value::Json(r#"{"2026-11-22 00:00:00Z":1,"2026-11-22T08:00:00+08:00":2}"#),
                Err(RepeatedKey),
            ),
            (
                Value::Json(r#"{"2026-11-22 00:00:00Z":1,"2026-11-22 00:00:01Z":2}"#),
                Ok("{2026-11-22T00:00:00: 1, 2026-11-22T00:00:01: 2}"),
            ),
        ],
    );
    check(
        "MAP<CHAR(2),BIGINT>",
        None,
        &[(Value::Json(r#"{"1":1,"01":2}"#), Ok("{1: 1, 01: 2}"))],
    );
}

#[test]
fn a_struct_takes_its_fields_by_name() {
    check(
        "STRUCT<a:BIGINT,b:ARRAY<STRUCT<c:STRING>>>",
        None,
        &[
            (
                Value::Json(r#"{"z":[1,{"a":9}],"b":[{"c":"x"},null,{}],"A":1}"#),
                Ok("{a: 1, b: [{c: x}, , {c: }]}"),
            ),
            (Value::Json(r#"{"a":1,"a":2}"#), Ok("{a: 2, b: }")),
            (Value::Json(r#"{"A":1,"A":2}"#), Ok("{a: 2, b: }")),
            (Value::Json(r#"{"a":1,"A":null}"#), Err(RepeatedKey)),
            (Value::Json(r#"{"a":1,"A":2,"a":3}"#), Err(RepeatedKey)),
            (Value::Json("{}"), Ok("{a: , b: }")),
            (Value::Json(r#"{"a":"x"}"#), Err(UnreadableText)),
            (Value::Json(r#"{"b":[1]}"#), Err(WrongType)),
            (Value::Json("[]"), Err(WrongType)),
        ],
    );
}

/// Each field that an object leaves out takes as much as a value.
#[test]
fn a_cell_is_as_long_as_what_it_becomes() {
    let fields: Vec<String> = (0..100)
        .map(|field| format!("f{field}:DECIMAL(38,18)"))
        .collect();
    let column_type = format!("ARRAY<STRUCT<{}>>", fields.join(","));
    let cell = |elements: usize| format!("[{}{{}}]", "{},".repeat(elements - 1));
    let mut column = buffer(&column_type, &PLAIN, &TimeZone::UTC);
    let bytes = column.append(&Value::Json(&cell(1_000))).unwrap();
    assert!((1_600_000..2_000_000).contains(&bytes), "{bytes}");
    let memory = column.finish().get_buffer_memory_size();
    assert!((bytes / 2..=bytes).contains(&memory), "{memory} of {bytes}");
    let longest = 8 * CELL_BYTES_MAX / 1_701;
    assert!(column.append(&Value::Json(&cell(longest - 10))).is_ok());
    assert_eq!(
        column.append(&Value::Json(&cell(longest + 500))),
        Err(TooLong)
    );
    column.truncate(1);
    assert_eq!(column.finish().len(), 1);
}
