//! What formats and rounding make of values.

use super::*;

#[test]
fn numbers_are_rounded_by_choice() {
    let half_up = (None, Some(Rounding::HalfUp));
    let down = (None, Some(Rounding::Down));
    check_with(
        "DECIMAL(6,2)",
        &half_up,
        &[
            (Value::Number("1.234"), Ok("1.23")),
            (Value::Number("1.235"), Ok("1.24")),
            (Value::Text("-1.235"), Ok("-1.24")),
            (Value::Number("9999.994"), Ok("9999.99")),
            (Value::Number("9999.995"), Err(OutOfRange)),
            (Value::Unsigned(10_000), Err(OutOfRange)),
            (Value::Text("x"), Err(UnreadableText)),
        ],
    );
    check_with(
        "DECIMAL(6,2)",
        &down,
        &[
            (Value::Number("1.239"), Ok("1.23")),
            (Value::Number("-1.239"), Ok("-1.23")),
            (Value::Number("9999.999"), Ok("9999.99")),
        ],
    );
    check_with(
        "TINYINT",
        &half_up,
        &[
            (Value::Number("1.5"), Ok("2")),
            (Value::Number("-1.5"), Ok("-2")),
            (Value::Number("127.4"), Ok("127")),
            (Value::Number("127.5"), Err(OutOfRange)),
            (Value::Text("0.4"), Ok("0")),
        ],
    );
    check_with(
        "BIGINT",
        &down,
        &[
            (Value::Number("1.9"), Ok("1")),
            (Value::Number("-0.9"), Ok("0")),
            (
                Value::Number("9223372036854775807.9"),
                Ok("9223372036854775807"),
            ),
            (Value::Number("9223372036854775808.1"), Err(OutOfRange)),
        ],
    );
}

#[test]
fn times_are_rounded_by_choice() {
    let micros = Value::Text("2026-11-22T23:59:59.999567Z");
    for (rounding, shown) in [
        (Rounding::HalfUp, "2026-11-23T00:00:00"),
        (Rounding::Down, "2026-11-22T23:59:59.999"),
    ] {
        check_with("DATETIME", &(None, Some(rounding)), &[(micros, Ok(shown))]);
    }
    let finer = Value::Text("2026-11-22 10:00:00.1234567895");
    for (rounding, shown) in [
        (Rounding::HalfUp, "2026-11-22T10:00:00.123456790"),
        (Rounding::Down, "2026-11-22T10:00:00.123456789"),
    ] {
        for column_type in ["TIMESTAMP", "TIMESTAMP_NTZ"] {
            check_with(column_type, &(None, Some(rounding)), &[(finer, Ok(shown))]);
        }
    }
    let day = Value::Text("2026-11-22 23:59:59.999");
    check_with("DATE", &PLAIN, &[(day, Err(NeedsRounding))]);
    let down = (None, Some(Rounding::Down));
    check_with(
        "DATE",
        &down,
        &[
            (day, Ok("2026-11-22")),
            (Value::Text("1969-12-31 00:00:01"), Ok("1969-12-31")),
            (Value::Text("2026-11-22T10:00:00Z"), Err(UnreadableText)),
        ],
    );
}

#[test]
fn dates_are_days_of_the_zone() {
    let ms = Some(ValueFormat::Epoch(TimeUnit::Ms));
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    let mut exact = buffer("DATE", &(ms.clone(), None), &zone);
    // Midnight, 8 hours east of Greenwich.
    exact.append(&Value::Unsigned(1_795_276_800_000)).unwrap();
    assert_eq!(
        exact.append(&Value::Unsigned(1_795_276_800_001)),
        Err(NeedsRounding)
    );
    assert_eq!(
        array_value_to_string(&exact.finish(), 0).unwrap(),
        "2026-11-22"
    );
    let mut down = buffer("DATE", &(ms, Some(Rounding::Down)), &zone);
    down.append(&Value::Unsigned(1_795_276_799_999)).unwrap();
    down.append(&Value::Text("1795276800001")).unwrap();
    let array = down.finish();
    assert_eq!(array_value_to_string(&array, 0).unwrap(), "2026-11-21");
    assert_eq!(array_value_to_string(&array, 1).unwrap(), "2026-11-22");
}

#[test]
fn patterns_say_how_times_are_spelled() {
    let pattern = |pattern: &str| (Some(ValueFormat::Pattern(pattern.to_owned())), None);
    check_with(
        "DATE",
        &pattern("%Y%m%d"),
        &[
            (Value::Text("20261122"), Ok("2026-11-22")),
            (Value::Unsigned(20_261_122), Ok("2026-11-22")),
            (Value::Text("2026-11-22"), Err(UnreadableText)),
            (Value::Bool(true), Err(WrongType)),
        ],
    );
    check_with(
        "DATETIME",
        &pattern("%d.%m.%Y %H:%M:%S%.f"),
        &[
            (
                Value::Text("22.11.2026 10:00:00.123"),
                Ok("2026-11-22T10:00:00.123"),
            ),
            (Value::Text("22.11.2026 10:00:00.1234"), Err(NeedsRounding)),
            (Value::Text("22.11.2026"), Err(UnreadableText)),
        ],
    );
    check_with(
        "TIMESTAMP",
        &pattern("%a %b %d %T %z %Y"),
        &[(
            Value::Text("Sun Nov 22 10:00:00 +0800 2026"),
            Ok("2026-11-22T02:00:00"),
        )],
    );
}

#[test]
fn base64_spells_bytes() {
    let base64 = (Some(ValueFormat::Base64), None);
    check_with(
        "BINARY",
        &base64,
        &[
            (Value::Text("/wA="), Ok("ff00")),
            (Value::Text("/wA"), Ok("ff00")),
            (Value::Text(""), Ok("")),
            (Value::Text("_wA="), Err(UnreadableText)),
            (Value::Text("/w A="), Err(UnreadableText)),
            (Value::Text("/wB="), Err(UnreadableText)),
            (Value::Unsigned(1), Err(WrongType)),
        ],
    );
    for column_type in ["STRING", "VARCHAR(4)"] {
        check_with(
            column_type,
            &base64,
            &[
                (Value::Bytes(b"\xff\x00"), Ok("/wA=")),
                (Value::Bytes(b""), Ok("")),
            ],
        );
    }
    check_with(
        "VARCHAR(4)",
        &base64,
        &[(Value::Bytes(b"four"), Err(TooManyCharacters))],
    );
    let longest = vec![0; engine_model::limits::CELL_BYTES_MAX / 4 * 3];
    assert!(stored("STRING", &base64, Value::Bytes(&longest)).is_ok());
    let longer = [&longest[..], &[0]].concat();
    assert_eq!(
        stored("STRING", &base64, Value::Bytes(&longer)),
        Err(TooLong)
    );
    let spelled = "A".repeat(engine_model::limits::CELL_BYTES_MAX / 3 * 4 + 8);
    assert_eq!(
        stored("BINARY", &base64, Value::Text(&spelled)),
        Err(TooLong)
    );
}
