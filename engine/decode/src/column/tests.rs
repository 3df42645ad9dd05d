//! Column kind × kind of value → what is stored, or why it is refused.

mod nested;
mod settings;

use arrow::util::display::array_value_to_string;

use engine_model::TimeUnit;

use super::*;
use RejectReason::{
    NeedsRounding, NullNotAllowed, OutOfRange, RepeatedKey, TooLong, TooManyCharacters,
    UnreadableText, WrongType,
};

/// Format and rounding of a column.
type Settings = (Option<ValueFormat>, Option<Rounding>);

/// None of both.
const PLAIN: Settings = (None, None);

fn buffer(column_type: &str, settings: &Settings, zone: &TimeZone) -> ColumnBuffer {
    let column_type = column_type.parse().unwrap();
    let buffer = ColumnBuffer::new(&ColumnSpec {
        format: settings.0.as_ref(),
        rounding: settings.1,
        ..ColumnSpec::plain(&column_type, zone)
    });
    buffer.unwrap()
}

/// What one row of `value` looks like.
fn stored(
    column_type: &str,
    settings: &Settings,
    value: Value<'_>,
) -> Result<String, RejectReason> {
    let mut buffer = buffer(column_type, settings, &TimeZone::UTC);
    buffer.append(&value)?;
    Ok(array_value_to_string(&buffer.finish(), 0).unwrap())
}

fn check(
    column_type: &str,
    unit: Option<TimeUnit>,
    cases: &[(Value<'_>, Result<&str, RejectReason>)],
) {
    check_with(column_type, &(unit.map(ValueFormat::Epoch), None), cases);
}

fn check_with(
    column_type: &str,
    settings: &Settings,
    cases: &[(Value<'_>, Result<&str, RejectReason>)],
) {
    for (value, expected) in cases {
        assert_eq!(
            stored(column_type, settings, *value).as_deref(),
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
            (Value::Json("{}"), Err(WrongType)),
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
            (Value::Json("[1]"), Err(WrongType)),
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
            (Value::Json("[]"), Err(WrongType)),
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
            (Value::Json("{}"), Err(WrongType)),
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
            (Value::Json("{ \"a\" : 1.0 }"), Ok("{ \"a\" : 1.0 }")),
        ],
    );
    let longest = "x".repeat(engine_model::limits::CELL_BYTES_MAX);
    assert!(stored("STRING", &PLAIN, Value::Text(&longest)).is_ok());
    let longer = longest + "x";
    assert_eq!(stored("STRING", &PLAIN, Value::Text(&longer)), Err(TooLong));
    assert_eq!(stored("STRING", &PLAIN, Value::Json(&longer)), Err(TooLong));
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
        (Value::Json("{}"), Err(WrongType)),
    ];
    check("DATETIME", None, &texts);
    check("DATETIME", None, &[(Value::Unsigned(1), Err(WrongType))]);
    check("DATETIME", Some(TimeUnit::Ms), &texts);
    check(
        "DATETIME",
        Some(TimeUnit::Ms),
        &[
            (
                Value::Unsigned(1_795_341_600_123),
                Ok("2026-11-22T10:00:00.123"),
            ),
            (Value::Text("1795341600123"), Ok("2026-11-22T10:00:00.123")),
            (Value::Int(-1), Ok("1969-12-31T23:59:59.999")),
            (Value::Number("0.5"), Err(NeedsRounding)),
            (Value::Number("1.0"), Ok("1970-01-01T00:00:00.001")),
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
        Some(TimeUnit::S),
        &[(Value::Unsigned(1_795_341_600), Ok("2026-11-22T10:00:00"))],
    );
}

#[test]
fn timestamp() {
    check(
        "TIMESTAMP",
        Some(TimeUnit::S),
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

#[test]
fn the_smaller_integers_end_where_they_end() {
    for (column_type, least, greatest) in [
        ("TINYINT", i64::from(i8::MIN), i64::from(i8::MAX)),
        ("SMALLINT", i64::from(i16::MIN), i64::from(i16::MAX)),
        ("INT", i64::from(i32::MIN), i64::from(i32::MAX)),
    ] {
        for fits in [least, -1, 0, greatest] {
            let text = fits.to_string();
            for value in [Value::Int(fits), Value::Text(&text), Value::Number(&text)] {
                check(column_type, None, &[(value, Ok(&text))]);
            }
        }
        for beyond in [least - 1, greatest + 1, i64::MIN, i64::MAX] {
            let text = beyond.to_string();
            for value in [Value::Int(beyond), Value::Text(&text), Value::Number(&text)] {
                check(column_type, None, &[(value, Err(OutOfRange))]);
            }
        }
        check(
            column_type,
            None,
            &[
                (Value::Number("1.20e1"), Ok("12")),
                (Value::Number("1.5"), Err(NeedsRounding)),
                (Value::Text("x"), Err(UnreadableText)),
                (Value::Bool(true), Err(WrongType)),
                (Value::Json("[1]"), Err(WrongType)),
            ],
        );
    }
}

#[test]
fn float() {
    check(
        "FLOAT",
        None,
        &[
            (Value::Number("0.1"), Ok("0.1")),
            (Value::Int(-3), Ok("-3.0")),
            (Value::Number("-0"), Ok("-0.0")),
            // Halfway between two floats; the even one wins.
            (Value::Unsigned(16_777_217), Ok("16777216.0")),
            // By way of a 64-bit float it would be rounded to that halfway, and then down.
            (Value::Number("16777217.0000000001"), Ok("16777218.0")),
            (Value::Number("3.4028235e38"), Ok("3.4028235e38")),
            (Value::Number("3.4028236e38"), Err(OutOfRange)),
            (Value::Text("-1e39"), Err(OutOfRange)),
            (Value::Number("1e-50"), Ok("0.0")),
            (Value::Text("NaN"), Ok("NaN")),
            (Value::Text("-Infinity"), Ok("-inf")),
            (Value::Text("inf"), Err(UnreadableText)),
            (Value::Bool(false), Err(WrongType)),
            (Value::Json("[]"), Err(WrongType)),
        ],
    );
}

#[test]
fn varchar_and_char() {
    for column_type in ["VARCHAR(3)", "CHAR(3)"] {
        check(
            column_type,
            None,
            &[
                (Value::Text(""), Ok("")),
                (Value::Text("abc"), Ok("abc")),
                (Value::Text("上海市"), Ok("上海市")),
                (Value::Text("abcd"), Err(TooManyCharacters)),
                (Value::Text("上海市x"), Err(TooManyCharacters)),
                (Value::Text("abc "), Err(TooManyCharacters)),
                (Value::Unsigned(999), Ok("999")),
                (Value::Int(-999), Err(TooManyCharacters)),
                (Value::Bool(true), Err(TooManyCharacters)),
                (Value::Json("{}"), Ok("{}")),
            ],
        );
    }
}

#[test]
fn binary() {
    check(
        "BINARY",
        None,
        &[
            (Value::Text("上"), Ok("e4b88a")),
            (Value::Text(""), Ok("")),
            (Value::Bytes(b"\xff\x00"), Ok("ff00")),
            (Value::Number("1.0"), Err(WrongType)),
            (Value::Unsigned(1), Err(WrongType)),
            (Value::Bool(true), Err(WrongType)),
            (Value::Json("{}"), Err(WrongType)),
        ],
    );
}

#[test]
fn date() {
    check(
        "DATE",
        None,
        &[
            (Value::Text("2026-11-22"), Ok("2026-11-22")),
            (Value::Text("1969-12-31"), Ok("1969-12-31")),
            (Value::Text("2024-02-29 00:00:00"), Ok("2024-02-29")),
            (Value::Text("2024-02-29T00:00:00.000"), Ok("2024-02-29")),
            (Value::Text("0000-01-01"), Ok("0000-01-01")),
            (Value::Text("9999-12-31"), Ok("9999-12-31")),
            (Value::Text("2024-02-29 00:00:01"), Err(NeedsRounding)),
            (Value::Text("2024-02-29 00:00:00.5"), Err(NeedsRounding)),
            (Value::Text("2024-02-29T00:00:00Z"), Err(UnreadableText)),
            (Value::Text("2023-02-29"), Err(UnreadableText)),
            (Value::Text("20240229"), Err(UnreadableText)),
            (Value::Unsigned(20_240_229), Err(WrongType)),
            (Value::Bool(true), Err(WrongType)),
            (Value::Json("{}"), Err(WrongType)),
        ],
    );
}

#[test]
fn timestamp_ntz() {
    check(
        "TIMESTAMP_NTZ",
        None,
        &[
            (
                Value::Text("2026-11-22T10:00:00.123456789"),
                Ok("2026-11-22T10:00:00.123456789"),
            ),
            (Value::Text("2026-11-22"), Ok("2026-11-22T00:00:00")),
            (Value::Text("2026-11-22T10:00:00Z"), Err(UnreadableText)),
            (
                Value::Text("2026-11-22T10:00:00+08:00"),
                Err(UnreadableText),
            ),
            (
                Value::Text("2262-04-11T23:47:16.854775808"),
                Err(OutOfRange),
            ),
            (Value::Unsigned(1), Err(WrongType)),
        ],
    );
    // An instant is what the zone's clock shows then.
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    let settings = (Some(ValueFormat::Epoch(TimeUnit::Ms)), None);
    let mut buffer = buffer("TIMESTAMP_NTZ", &settings, &zone);
    buffer.append(&Value::Unsigned(1_795_341_600_123)).unwrap();
    buffer.append(&Value::Text("1795341600123")).unwrap();
    buffer
        .append(&Value::Text("2026-11-22 18:00:00.123"))
        .unwrap();
    let array = buffer.finish();
    for row in 0..3 {
        let shown = array_value_to_string(&array, row).unwrap();
        assert_eq!(shown, "2026-11-22T18:00:00.123");
    }
}

#[test]
fn json() {
    check(
        "JSON",
        None,
        &[
            (Value::Json("{ \"a\" : 1.0 }"), Ok("{ \"a\" : 1.0 }")),
            (Value::Json("\"x\""), Ok("\"x\"")),
            (Value::Number("1.50"), Ok("1.50")),
            (Value::Unsigned(7), Ok("7")),
            (Value::Int(-7), Ok("-7")),
            (Value::Bool(true), Ok("true")),
            (Value::Bool(false), Ok("false")),
            // Constants, keys and headers are texts that have to be JSON.
            (Value::Text(" [1, \"x\"]\n"), Ok("[1, \"x\"]")),
            (Value::Text("x"), Err(UnreadableText)),
            (Value::Text(""), Err(UnreadableText)),
        ],
    );
}

const KINDS: [&str; 20] = [
    "ARRAY<ARRAY<STRING>>",
    "BIGINT",
    "BINARY",
    "BOOLEAN",
    "CHAR(30)",
    "DATE",
    "DATETIME",
    "DECIMAL(10,2)",
    "DOUBLE",
    "FLOAT",
    "INT",
    "JSON",
    "MAP<STRING,DOUBLE>",
    "SMALLINT",
    "STRING",
    "STRUCT<a:STRING,b:MAP<BIGINT,DATE>>",
    "TIMESTAMP",
    "TIMESTAMP_NTZ",
    "TINYINT",
    "VARCHAR(30)",
];

/// Kinds whose values take their own bytes.
const TEXTS: [&str; 5] = ["BINARY", "CHAR(30)", "JSON", "STRING", "VARCHAR(30)"];

/// A value for every kind of column.
fn sample(kind: &str, row: usize) -> String {
    match kind {
        "BOOLEAN" => (row.is_multiple_of(2)).to_string(),
        "DATE" => format!("2026-11-{:02}", row % 30 + 1),
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP_NTZ" => format!("2026-11-22 10:00:{:02}", row % 60),
        "ARRAY<ARRAY<STRING>>" => format!("[[], [\"{row}\", null], null]"),
        "MAP<STRING,DOUBLE>" => format!("{{\"a\": {row}, \"b\": null}}"),
        "STRUCT<a:STRING,b:MAP<BIGINT,DATE>>" => {
            format!("{{\"a\": \"{row}\", \"b\": {{\"{row}\": \"2026-11-22\"}}}}")
        }
        _ => row.to_string(),
    }
}

#[test]
fn null_is_stored_or_refused() {
    for kind in KINDS {
        let mut nullable = buffer(kind, &PLAIN, &TimeZone::UTC);
        nullable.append_null().unwrap();
        nullable.append(&Value::Text(&sample(kind, 1))).unwrap();
        let array = nullable.finish();
        assert!(array.is_null(0) && array.is_valid(1), "{kind}");

        let column_type = kind.parse().unwrap();
        let strict = ColumnBuffer::new(&ColumnSpec {
            nullable: false,
            ..ColumnSpec::plain(&column_type, &TimeZone::UTC)
        });
        let mut strict = strict.unwrap();
        assert_eq!(strict.append_null(), Err(NullNotAllowed), "{kind}");
    }
}

#[test]
fn truncated_rows_leave_no_trace() {
    for kind in KINDS {
        for first_null in [false, true] {
            let (mut plain, mut troubled) = (
                buffer(kind, &PLAIN, &TimeZone::UTC),
                buffer(kind, &PLAIN, &TimeZone::UTC),
            );
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
                if kind.contains('<') {
                    assert!(bytes > 0, "{kind}");
                } else {
                    let is_text = TEXTS.contains(&kind);
                    assert_eq!(bytes, if is_text { text.len() } else { 0 }, "{kind}");
                }
            }
            assert_eq!(&plain.finish(), &troubled.finish(), "{kind}");
        }
    }
}

#[test]
fn a_finished_buffer_starts_again() {
    for kind in KINDS {
        let mut buffer = buffer(kind, &PLAIN, &TimeZone::UTC);
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
fn every_type_has_columns_of_null() {
    for text in [
        "ARRAY<BIGINT>",
        "MAP<STRING,DECIMAL(10,2)>",
        "STRUCT<a:BIGINT,b:ARRAY<MAP<BIGINT,STRING>>>",
    ] {
        let column_type: ColumnType = text.parse().unwrap();
        let array = null_array(&data_type(&column_type), 3);
        assert_eq!((array.len(), array.null_count()), (3, 3), "{text}");
    }
}

#[test]
fn constants_repeat() {
    for kind in KINDS {
        let mut buffer = buffer(kind, &PLAIN, &TimeZone::UTC);
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
