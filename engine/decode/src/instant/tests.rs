use super::*;

fn shanghai() -> TimeZone {
    TimeZone::fixed(jiff::tz::offset(8))
}

fn reader(zone: TimeZone, format: Option<ValueFormat>) -> InstantReader {
    let resolution = Resolution {
        digits: NANOSECOND_DIGITS,
        rounding: None,
    };
    InstantReader::new(zone, format, resolution)
}

fn ms(text: &str) -> Result<i64, RejectReason> {
    reader(shanghai(), None)
        .read(&Value::Text(text))
        .map(|instant| instant.seconds * 1_000 + i64::from(instant.nanoseconds) / 1_000_000)
}

#[test]
fn texts_with_and_without_an_offset() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000Z", 0),
        ("1970-01-01T08:00:00", 0),
        ("1970-01-01 08:00:00.5", 500),
        ("1970-01-01 08:00:00.5000000000000", 500),
        ("1970-01-01", -8 * 3_600_000),
        ("1969-12-31T23:59:59.999Z", -1),
        ("1970-01-01T08:00:00+08:00", 0),
        ("1970-01-01 05:30:00+0530", 0),
        ("1969-12-31T16:00:00-08", 0),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000),
        ("2026-11-22T10:00:00.123Z", 1_795_341_600_123),
        ("0000-01-01T00:00:00Z", SECONDS_MIN * 1_000),
        ("9999-12-31T23:59:59.999Z", SECONDS_MAX * 1_000 + 999),
    ] {
        assert_eq!(ms(text), Ok(expected), "{text}");
    }
}

#[test]
fn the_last_day_has_all_its_hours() {
    let format = ValueFormat::Pattern("%F %T %z".to_owned());
    let pattern = reader(TimeZone::UTC, Some(format));
    let read = |text| {
        pattern
            .read(&Value::Text(text))
            .map(|instant| instant.seconds)
    };
    assert_eq!(read("9999-12-31 23:59:59 +0000"), Ok(SECONDS_MAX));
    assert_eq!(read("0000-01-01 00:00:00 +0000"), Ok(SECONDS_MIN));
    assert_eq!(
        read("9999-12-31 23:59:59 -0100"),
        Err(RejectReason::OutOfRange)
    );
    let shown = pattern.read_wall_clock(&Value::Text("9999-12-31 23:59:59 +0000"));
    assert_eq!(shown.map(|shown| shown.seconds), Ok(SECONDS_MAX));
    let epoch = reader(TimeZone::UTC, Some(ValueFormat::Epoch(TimeUnit::S)));
    let shown = epoch.read_wall_clock(&Value::Int(SECONDS_MAX));
    assert_eq!(shown.map(|shown| shown.seconds), Ok(SECONDS_MAX));
}

#[test]
fn other_texts_are_unreadable() {
    for text in [
        "",
        "20261122",
        "2026-11-22T",
        "2026-11-22T10",
        "2026-11-22T10:00",
        "2026-11-22T10:00:00.",
        "2026-11-22T10:00:00z",
        "2026-11-22T10:00:00Zx",
        "2026-11-22T10:00:00+8",
        "2026-11-22T10:00:00+08:",
        "2026-11-22T10:00:00+24:00",
        "2026-11-22T10:00:00[Asia/Shanghai]",
        "2026-11-22T24:00:00",
        "2026-11-22T23:59:60",
        "2026-02-29",
        "2026-13-01",
        "2026-1-01",
        " 2026-11-22",
        "2026-11-22 ",
        "-2026-11-22",
        "10:00:00",
        "上海",
    ] {
        assert_eq!(ms(text), Err(RejectReason::UnreadableText), "{text:?}");
    }
}

#[test]
fn instants_outside_the_years_are_out_of_range() {
    for text in ["0000-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"] {
        assert_eq!(ms(text), Err(RejectReason::OutOfRange), "{text}");
    }
}

#[test]
fn a_clock_set_forward_skips_and_one_set_back_repeats() {
    let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("a POSIX time zone");
    let reader = reader(zone, None);
    let seconds = |text| {
        reader
            .read(&Value::Text(text))
            .map(|instant| instant.seconds)
    };
    assert_eq!(
        seconds("2026-03-08 02:30:00"),
        Err(RejectReason::UnreadableText)
    );
    assert_eq!(
        seconds("2026-11-01 01:30:00"),
        seconds("2026-11-01 01:30:00-04:00")
    );
}

#[test]
fn numbers_need_a_format() {
    let read = |unit: Option<TimeUnit>, value| {
        reader(TimeZone::UTC, unit.map(ValueFormat::Epoch)).read(&value)
    };
    let instant = |seconds, nanoseconds| {
        Ok(Instant {
            seconds,
            nanoseconds,
        })
    };
    let (s, ms) = (Some(TimeUnit::S), Some(TimeUnit::Ms));
    let (us, ns) = (Some(TimeUnit::Us), Some(TimeUnit::Ns));
    for (format, value, expected) in [
        (None, Value::Int(1), Err(RejectReason::WrongType)),
        (None, Value::Number("1.0"), Err(RejectReason::WrongType)),
        (None, Value::Text("1"), Err(RejectReason::UnreadableText)),
        (s, Value::Unsigned(12), instant(12, 0)),
        (s, Value::Text("12"), instant(12, 0)),
        (s, Value::Text("1970-01-01"), instant(0, 0)),
        (s, Value::Number("1.2e1"), instant(12, 0)),
        (s, Value::Number("1.5"), instant(1, 500_000_000)),
        (s, Value::Number("-1.5"), instant(-2, 500_000_000)),
        (s, Value::Text("1e-9"), instant(0, 1)),
        (s, Value::Text("1e-10"), Err(RejectReason::NeedsRounding)),
        (s, Value::Bool(true), Err(RejectReason::WrongType)),
        (
            s,
            Value::Int(SECONDS_MAX + 1),
            Err(RejectReason::OutOfRange),
        ),
        (s, Value::Unsigned(u64::MAX), Err(RejectReason::OutOfRange)),
        (ms, Value::Int(-1), instant(-1, 999_000_000)),
        (ms, Value::Int(1_001), instant(1, 1_000_000)),
        (us, Value::Int(-1), instant(-1, 999_999_000)),
        (us, Value::Number("1.5"), instant(0, 1_500)),
        (
            ns,
            Value::Unsigned(1_795_341_600_123_456_789),
            instant(1_795_341_600, 123_456_789),
        ),
        (ns, Value::Number("1.5"), Err(RejectReason::NeedsRounding)),
    ] {
        assert_eq!(read(format, value), expected, "{format:?} {value:?}");
    }
}

#[test]
fn finer_digits_are_rounded_by_choice() {
    for (digits, text, half_up, down) in [
        (
            3,
            "1970-01-01T00:00:00.0014999999999Z",
            (0, 1_000_000),
            (0, 1_000_000),
        ),
        (
            3,
            "1970-01-01T00:00:00.0015Z",
            (0, 2_000_000),
            (0, 1_000_000),
        ),
        (3, "1969-12-31T23:59:59.9999Z", (0, 0), (-1, 999_000_000)),
        (9, "1970-01-01T00:00:00.0000000015Z", (0, 2), (0, 1)),
        (
            9,
            "1970-01-01T00:00:00.9999999999Z",
            (1, 0),
            (0, 999_999_999),
        ),
        (0, "1970-01-01T00:00:00.5Z", (1, 0), (0, 0)),
        (3, "0.0005", (0, 1_000_000), (0, 0)),
        (3, "-0.0005", (0, 0), (-1, 999_000_000)),
        (3, "0.00049999999999", (0, 0), (0, 0)),
        (9, "0.00000000051", (0, 1), (0, 0)),
        (9, "-0.00000000051", (-1, 999_999_999), (-1, 999_999_999)),
        // Halfway the later one is taken, however it is spelled.
        (9, "-0.0000000005", (0, 0), (-1, 999_999_999)),
        (
            9,
            "1969-12-31T23:59:59.9999999995Z",
            (0, 0),
            (-1, 999_999_999),
        ),
    ] {
        for (rounding, (seconds, nanoseconds)) in
            [(Rounding::HalfUp, half_up), (Rounding::Down, down)]
        {
            let resolution = Resolution {
                digits,
                rounding: Some(rounding),
            };
            let format = Some(ValueFormat::Epoch(TimeUnit::S));
            let reader = InstantReader::new(TimeZone::UTC, format, resolution);
            let expected = Instant {
                seconds,
                nanoseconds,
            };
            assert_eq!(
                reader.read(&Value::Text(text)),
                Ok(expected),
                "{text} {rounding:?}"
            );
        }
    }
}

#[test]
fn patterns_read_texts_and_numbers() {
    let read = |pattern: &str, value| {
        let reader = reader(shanghai(), Some(ValueFormat::Pattern(pattern.to_owned())));
        let wall = reader.read_wall_clock(&value).map(|shown| shown.seconds);
        (reader.read(&value).map(|instant| instant.seconds), wall)
    };
    let both = |seconds: i64| (Ok(seconds), Ok(seconds + 8 * 3_600));
    let bad = (
        Err(RejectReason::UnreadableText),
        Err(RejectReason::UnreadableText),
    );
    for (pattern, value, expected) in [
        ("%Y%m%d", Value::Unsigned(20_261_122), both(1_795_276_800)),
        ("%Y%m%d", Value::Text("20261122"), both(1_795_276_800)),
        ("%Y%m%d", Value::Text("20261122x"), bad),
        ("%Y-%m-%d %T", Value::Text("2026-11-22 23:59:60"), bad),
        ("%Y%m%d%H%M%S", Value::Text("20261122000060"), bad),
        (
            "%Y%m%d%H%M%S",
            Value::Text("20601122000059"),
            both(2_868_278_459),
        ),
        (
            "%Y-%m-%d %T %Q",
            Value::Text("2026-03-08 02:30:00 America/New_York"),
            bad,
        ),
        ("%Y%m%d", Value::Text("20261322"), bad),
        (
            "%d/%m/%Y %H:%M",
            Value::Text("22/11/2026 18:00"),
            both(1_795_341_600),
        ),
        (
            "%Y-%m-%dT%H:%M:%S%z",
            Value::Text("2026-11-22T10:00:00+0000"),
            both(1_795_341_600),
        ),
        ("%d %b %Y", Value::Text("22 Nov 2026"), both(1_795_276_800)),
    ] {
        assert_eq!(read(pattern, value), expected, "{pattern} {value:?}");
    }
    let wrong = (Err(RejectReason::WrongType), Err(RejectReason::WrongType));
    assert_eq!(read("%Y%m%d", Value::Bool(true)), wrong);
}
