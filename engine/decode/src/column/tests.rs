//! Column kind × kind of value → what is stored, or why it is refused.

use arrow::util::display::array_value_to_string;

use super::*;
use RejectReason::{NeedsRounding, NullNotAllowed, OutOfRange, TooLong, UnreadableText, WrongType};

fn buffer(column_type: &str, format: Option<TimeFormat>) -> ColumnBuffer {
    let column_type = column_type.parse().unwrap();
    ColumnBuffer::new(&column_type, true, &TimeZone::UTC, format).unwrap()
}

/// What one row of `value` looks like.
fn stored(
    column_type: &str,
    format: Option<TimeFormat>,
    value: Value<'_>,
) -> Result<String, RejectReason> {
    let mut buffer = buffer(column_type, format);
    buffer.append(&value)?;
    Ok(array_value_to_string(&buffer.finish(), 0).unwrap())
}

fn check(
    column_type: &str,
    format: Option<TimeFormat>,
    cases: &[(Value<'_>, Result<&str, RejectReason>)],
) {
    for (value, expected) in cases {
        assert_eq!(
            stored(column_type, format, *value).as_deref(),
            expected.as_ref().copied(),
            "{column_type} {value:?}"
        );
    }
}

#[test]
fn boolean() {
    check(
        "BOOLEAN",
        None,
        &[
            (Value::Bool(true), Ok("true")),
            (Value::Bool(false), Ok("false")),
            (Value::Text("TRUE"), Ok("true")),
            (Value::Text("False"), Ok("false")),
            (Value::Text("1"), Err(UnreadableText)),
            (Value::Text("true "), Err(UnreadableText)),
            (Value::Text(""), Err(UnreadableText)),
            (Value::Unsigned(1), Err(WrongType)),
            (Value::Int(-1), Err(WrongType)),
            (Value::Number("1.0"), Err(WrongType)),
            (Value::Json(b"{}"), Err(WrongType)),
        ],
    );
}

#[test]
fn bigint() {
    check(
        "BIGINT",
        None,
        &[
            (Value::Unsigned(12), Ok("12")),
            (Value::Int(-12), Ok("-12")),
            (Value::Number("-0"), Ok("0")),
            (Value::Number("1.0"), Ok("1")),
            (Value::Number("1e3"), Ok("1000")),
            (Value::Number("1.9"), Err(NeedsRounding)),
            (Value::Number("1e-3"), Err(NeedsRounding)),
            (Value::Number("1e400"), Err(OutOfRange)),
            (Value::Text("12"), Ok("12")),
            (
                Value::Text("-9223372036854775807"),
                Ok("-9223372036854775807"),
            ),
            (Value::Text("-9223372036854775808"), Err(OutOfRange)),
            (Value::Text("9223372036854775808"), Err(OutOfRange)),
            (Value::Text("1.9"), Err(NeedsRounding)),
            (Value::Text(" 12"), Err(UnreadableText)),
            (Value::Text("abc"), Err(UnreadableText)),
            (Value::Text(""), Err(UnreadableText)),
            (
                Value::Unsigned(9_223_372_036_854_775_807),
                Ok("9223372036854775807"),
            ),
            (Value::Unsigned(9_223_372_036_854_775_808), Err(OutOfRange)),
            (Value::Int(i64::MIN + 1), Ok("-9223372036854775807")),
            (Value::Int(i64::MIN), Err(OutOfRange)),
            (Value::Number("12345678901234567890"), Err(OutOfRange)),
            (Value::Bool(true), Err(WrongType)),
            (Value::Json(b"[1]"), Err(WrongType)),
        ],
    );
}

#[test]
fn double() {
    check(
        "DOUBLE",
        None,
        &[
            (Value::Float(0.1), Ok("0.1")),
            (Value::Int(-3), Ok("-3.0")),
            (Value::Number("-0"), Ok("-0.0")),
            // Halfway between two floats; the even one wins.
            (
                Value::Unsigned(9_007_199_254_740_993),
                Ok("9007199254740992.0"),
            ),
            (
                Value::Number("1.7976931348623157e308"),
                Ok("1.7976931348623157e308"),
            ),
            (Value::Number("1e400"), Err(OutOfRange)),
            (Value::Number("1e-400"), Ok("0.0")),
            (Value::Text("1.5e3"), Ok("1500.0")),
            (Value::Text("-1e400"), Err(OutOfRange)),
            (Value::Text("NaN"), Ok("NaN")),
            (Value::Text("Infinity"), Ok("inf")),
            (Value::Text("-Infinity"), Ok("-inf")),
            (Value::Text("nan"), Err(UnreadableText)),
            (Value::Text("inf"), Err(UnreadableText)),
            (Value::Text("+Infinity"), Err(UnreadableText)),
            (Value::Text(""), Err(UnreadableText)),
            (Value::Text("0x10"), Err(UnreadableText)),
            (Value::Bool(false), Err(WrongType)),
            (Value::Json(b"[]"), Err(WrongType)),
        ],
    );
}

#[test]
fn decimal() {
    check(
        "DECIMAL(6,2)",
        None,
        &[
            (Value::Unsigned(9_999), Ok("9999.00")),
            (Value::Unsigned(10_000), Err(OutOfRange)),
            (Value::Unsigned(u64::MAX), Err(OutOfRange)),
            (Value::Int(-9_999), Ok("-9999.00")),
            (Value::Int(i64::MIN), Err(OutOfRange)),
            (Value::Number("0.07"), Ok("0.07")),
            (Value::Number("-0"), Ok("0.00")),
            (Value::Number("1.230"), Ok("1.23")),
            (Value::Number("1.234"), Err(NeedsRounding)),
            (Value::Number("1.2e3"), Ok("1200.00")),
            (Value::Number("1e400"), Err(OutOfRange)),
            (Value::Text("1.25"), Ok("1.25")),
            (Value::Text("1,25"), Err(UnreadableText)),
            (Value::Text("NaN"), Err(UnreadableText)),
            (Value::Bool(true), Err(WrongType)),
            (Value::Json(b"{}"), Err(WrongType)),
        ],
    );
    check(
        "DECIMAL(38,18)",
        None,
        &[
            (
                Value::Number("12345678901234567890.123456789012345678"),
                Ok("12345678901234567890.123456789012345678"),
            ),
            (
                Value::Unsigned(u64::MAX),
                Ok("18446744073709551615.000000000000000000"),
            ),
            (Value::Number("123456789012345678901"), Err(OutOfRange)),
        ],
    );
    check(
        "DECIMAL(38,0)",
        None,
        &[(
            Value::Text("99999999999999999999999999999999999999"),
            Ok("99999999999999999999999999999999999999"),
        )],
    );
}

#[test]
fn string() {
    check(
        "STRING",
        None,
        &[
            (Value::Text("上海"), Ok("上海")),
            (Value::Text(""), Ok("")),
            (Value::Text("a\0b"), Ok("a\0b")),
            (Value::Number("1.0"), Ok("1.0")),
            (Value::Number("-0"), Ok("-0")),
            (Value::Unsigned(u64::MAX), Ok("18446744073709551615")),
            (Value::Int(i64::MIN), Ok("-9223372036854775808")),
            (Value::Bool(true), Ok("true")),
            (Value::Bool(false), Ok("false")),
            (Value::Json(b"{ \"a\" : 1.0 }"), Ok("{ \"a\" : 1.0 }")),
        ],
    );
    let longest = "x".repeat(engine_model::limits::CELL_BYTES_MAX);
    assert!(stored("STRING", None, Value::Text(&longest)).is_ok());
    let longer = longest + "x";
    assert_eq!(stored("STRING", None, Value::Text(&longer)), Err(TooLong));
    assert_eq!(
        stored("STRING", None, Value::Json(longer.as_bytes())),
        Err(TooLong)
    );
}

#[test]
fn datetime() {
    let texts = [
        (
            Value::Text("2026-11-22T10:00:00.123Z"),
            Ok("2026-11-22T10:00:00.123"),
        ),
        (
            Value::Text("2026-11-22T10:00:00+08:00"),
            Ok("2026-11-22T02:00:00"),
        ),
        (
            Value::Text("2026-11-22 10:00:00.123000"),
            Ok("2026-11-22T10:00:00.123"),
        ),
        (Value::Text("2026-11-22"), Ok("2026-11-22T00:00:00")),
        (
            Value::Text("9999-12-31 23:59:59.999"),
            Ok("9999-12-31T23:59:59.999"),
        ),
        (Value::Text("0000-01-01"), Ok("0000-01-01T00:00:00")),
        (Value::Text("2026-11-22 10:00:00.1234"), Err(NeedsRounding)),
        (
            Value::Text("2026-11-22 10:00:00.123000000001"),
            Err(NeedsRounding),
        ),
        (Value::Text("22.11.2026"), Err(UnreadableText)),
        (Value::Bool(true), Err(WrongType)),
        (Value::Json(b"{}"), Err(WrongType)),
    ];
    check("DATETIME", None, &texts);
    check("DATETIME", None, &[(Value::Unsigned(1), Err(WrongType))]);
    check("DATETIME", Some(TimeFormat::EpochMs), &texts);
    check(
        "DATETIME",
        Some(TimeFormat::EpochMs),
        &[
            (
                Value::Unsigned(1_795_341_600_123),
                Ok("2026-11-22T10:00:00.123"),
            ),
            (Value::Text("1795341600123"), Ok("2026-11-22T10:00:00.123")),
            (Value::Int(-1), Ok("1969-12-31T23:59:59.999")),
            (Value::Number("0.5"), Err(NeedsRounding)),
            (
                Value::Unsigned(253_402_300_799_999),
                Ok("9999-12-31T23:59:59.999"),
            ),
            (Value::Unsigned(253_402_300_800_000), Err(OutOfRange)),
            (Value::Number("1e300"), Err(OutOfRange)),
        ],
    );
    check(
        "DATETIME",
        Some(TimeFormat::EpochS),
        &[(Value::Unsigned(1_795_341_600), Ok("2026-11-22T10:00:00"))],
    );
}

#[test]
fn timestamp() {
    check(
        "TIMESTAMP",
        Some(TimeFormat::EpochS),
        &[
            (
                Value::Text("2026-11-22T10:00:00.123456789Z"),
                Ok("2026-11-22T10:00:00.123456789"),
            ),
            (
                Value::Text("2026-11-22T10:00:00.1234567891Z"),
                Err(NeedsRounding),
            ),
            (
                Value::Text("2262-04-11T23:47:16.854775807Z"),
                Ok("2262-04-11T23:47:16.854775807"),
            ),
            (
                Value::Text("2262-04-11T23:47:16.854775808Z"),
                Err(OutOfRange),
            ),
            (
                Value::Text("1677-09-21T00:12:43.145224192Z"),
                Ok("1677-09-21T00:12:43.145224192"),
            ),
            (
                Value::Text("1677-09-21T00:12:43.145224191Z"),
                Err(OutOfRange),
            ),
            (Value::Int(-1), Ok("1969-12-31T23:59:59")),
            (Value::Unsigned(9_223_372_037), Err(OutOfRange)),
            (Value::Bool(true), Err(WrongType)),
        ],
    );
    check("TIMESTAMP", None, &[(Value::Unsigned(1), Err(WrongType))]);
}

const KINDS: [&str; 7] = [
    "BIGINT",
    "BOOLEAN",
    "DATETIME",
    "DECIMAL(10,2)",
    "DOUBLE",
    "STRING",
    "TIMESTAMP",
];

/// A value for every kind of column.
fn sample(kind: &str, row: usize) -> String {
    match kind {
        "BOOLEAN" => (row.is_multiple_of(2)).to_string(),
        "DATETIME" | "TIMESTAMP" => format!("2026-11-22 10:00:{:02}", row % 60),
        _ => row.to_string(),
    }
}

#[test]
fn null_is_stored_or_refused() {
    for kind in KINDS {
        let mut nullable = buffer(kind, None);
        nullable.append_null().unwrap();
        nullable.append(&Value::Text(&sample(kind, 1))).unwrap();
        let array = nullable.finish();
        assert!(array.is_null(0) && array.is_valid(1), "{kind}");

        let column_type = kind.parse().unwrap();
        let mut strict = ColumnBuffer::new(&column_type, false, &TimeZone::UTC, None).unwrap();
        assert_eq!(strict.append_null(), Err(NullNotAllowed), "{kind}");
    }
}

#[test]
fn truncated_rows_leave_no_trace() {
    for kind in KINDS {
        for first_null in [false, true] {
            let (mut plain, mut troubled) = (buffer(kind, None), buffer(kind, None));
            for row in 0..100 {
                troubled.append(&Value::Text(&sample(kind, 7))).unwrap();
                troubled.append_null().unwrap();
                troubled.truncate(row);
                if first_null && row % 3 == 0 {
                    troubled.append_null().unwrap();
                    plain.append_null().unwrap();
                    continue;
                }
                let text = sample(kind, row);
                let bytes = troubled.append(&Value::Text(&text)).unwrap();
                assert_eq!(plain.append(&Value::Text(&text)), Ok(bytes), "{kind}");
                assert_eq!(
                    bytes,
                    if kind == "STRING" { text.len() } else { 0 },
                    "{kind}"
                );
            }
            assert_eq!(&plain.finish(), &troubled.finish(), "{kind}");
        }
    }
}

#[test]
fn a_finished_buffer_starts_again() {
    for kind in KINDS {
        let mut buffer = buffer(kind, None);
        for row in 0..10 {
            buffer.append(&Value::Text(&sample(kind, row))).unwrap();
        }
        let first = buffer.finish();
        assert_eq!(buffer.finish().len(), 0);
        for row in 0..10 {
            buffer.append(&Value::Text(&sample(kind, row))).unwrap();
        }
        assert_eq!(&buffer.finish(), &first, "{kind}");
        assert_eq!(first.data_type(), &data_type(&kind.parse().unwrap()));
    }
}

#[test]
fn every_type_has_columns_of_null_and_other_types_no_buffer() {
    for text in [
        "TINYINT",
        "SMALLINT",
        "INT",
        "FLOAT",
        "VARCHAR(10)",
        "CHAR(3)",
        "BINARY",
        "DATE",
        "TIMESTAMP_NTZ",
        "JSON",
        "ARRAY<BIGINT>",
        "MAP<STRING,DECIMAL(10,2)>",
        "STRUCT<a:BIGINT,b:ARRAY<MAP<BIGINT,STRING>>>",
    ] {
        let column_type: ColumnType = text.parse().unwrap();
        let array = null_array(&data_type(&column_type), 3);
        assert_eq!((array.len(), array.null_count()), (3, 3), "{text}");
        assert!(ColumnBuffer::new(&column_type, true, &TimeZone::UTC, None).is_none());
    }
}

#[test]
fn constants_repeat() {
    for kind in KINDS {
        let mut buffer = buffer(kind, None);
        buffer.append(&Value::Text(&sample(kind, 2))).unwrap();
        let row = buffer.finish();
        for rows in [0, 1, 5] {
            let array = repeated_array(&row, rows);
            assert_eq!(array.len(), rows);
            for index in 0..rows {
                assert_eq!(&array.slice(index, 1), &row, "{kind}");
            }
        }
    }
}
