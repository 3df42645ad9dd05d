use jiff::civil::datetime;
use proptest::prelude::*;

use super::*;

fn shanghai() -> TimeZone {
    TimeZone::get("Asia/Shanghai").unwrap()
}

fn instant(text: &str) -> String {
    let bound = parse_bound(text, &shanghai()).unwrap();
    Timestamp::from_millisecond(bound.instant_ms)
        .unwrap()
        .to_string()
}

#[test]
fn digits_and_iso_name_the_same_instants() {
    for (text, expected) in [
        ("20221122070000", "2022-11-21T23:00:00Z"),
        ("20221122070059", "2022-11-21T23:00:59Z"),
        ("202211220700000", "2022-11-21T23:00:00Z"),
        ("2022112207000000000059", "2022-11-21T23:00:59Z"),
        ("202211220700", "2022-11-21T23:00:00Z"),
        ("2022112207", "2022-11-21T23:00:00Z"),
        ("20221122", "2022-11-21T16:00:00Z"),
        ("2022-11-22", "2022-11-21T16:00:00Z"),
        ("2022-11-22T07:00", "2022-11-21T23:00:00Z"),
        ("2022-11-22 07:00:00", "2022-11-21T23:00:00Z"),
        ("2022-11-22T07:00:00.250", "2022-11-21T23:00:00.25Z"),
        ("2022-11-22T07:00:00Z", "2022-11-22T07:00:00Z"),
        ("2022-11-22T07:00:00+09:00", "2022-11-21T22:00:00Z"),
        ("2022-11-22T07:00:00[Asia/Tokyo]", "2022-11-21T22:00:00Z"),
        (
            "2022-11-22T07:00:00+09:00[Asia/Tokyo]",
            "2022-11-21T22:00:00Z",
        ),
        ("20240229000000", "2024-02-28T16:00:00Z"),
    ] {
        assert_eq!(instant(text), expected, "{text}");
    }
}

#[test]
fn what_is_not_plain_is_warned_of() {
    let read_as = datetime(2022, 11, 22, 7, 0, 0, 0);
    let warnings = |text| parse_bound(text, &shanghai()).unwrap().warnings;
    assert_eq!(warnings("20221122070000"), []);
    assert_eq!(warnings("2022-11-22T07:00"), []);
    assert_eq!(
        warnings("2022112207"),
        [BoundWarning::Completed {
            digits: 10,
            read_as
        }]
    );
    let surplus = warnings("202211220700000");
    assert_eq!(
        surplus,
        [BoundWarning::SurplusDigits {
            digits: 15,
            read_as
        }]
    );
    assert_eq!(
        surplus[0].to_string(),
        "15 digits were read as 2022-11-22T07:00:00; write the 14 of `yyyymmddhh24miss`"
    );
}

#[test]
fn changes_of_clocks() {
    let zone = TimeZone::get("America/New_York").unwrap();
    let local = |text: &str, day, hour| {
        let bound = parse_bound(text, &zone).unwrap();
        let at = Timestamp::from_millisecond(bound.instant_ms)
            .unwrap()
            .to_string();
        (
            at,
            bound.warnings,
            datetime(2024, day, if day == 3 { 10 } else { 3 }, hour, 30, 0, 0),
        )
    };
    let (at, warnings, written) = local("20240310023000", 3, 2);
    assert_eq!(at, "2024-03-10T07:30:00Z", "03:30 in summer time");
    assert_eq!(warnings, [BoundWarning::Skipped { local: written }]);
    let (at, warnings, written) = local("2024-11-03T01:30:00", 11, 1);
    assert_eq!(at, "2024-11-03T05:30:00Z", "still summer time");
    assert_eq!(warnings, [BoundWarning::Repeated { local: written }]);
    let (at, warnings, _) = local("2024-11-03T01:30:00-05:00", 11, 1);
    assert_eq!((at.as_str(), warnings.len()), ("2024-11-03T06:30:00Z", 0));
}

#[test]
fn what_is_refused() {
    use BoundErrorKind as K;
    for (text, kind) in [
        ("", K::Unrecognized),
        ("earliest", K::Unrecognized),
        ("2022112207000x", K::Unrecognized),
        ("20221122T070000", K::Unrecognized),
        ("2022-11-22T070000", K::Unrecognized),
        ("2022-11-22T07", K::Unrecognized),
        ("2022-13-22T07:00:00", K::Unrecognized),
        (" 20221122070000", K::Unrecognized),
        ("-20221122070000", K::Unrecognized),
        ("２０２２１１２２０７００００", K::Unrecognized),
        ("202", K::DigitCount),
        ("202211", K::DigitCount),
        ("202211220", K::DigitCount),
        ("20221122070", K::DigitCount),
        ("1669071600000", K::DigitCount),
        ("1669071600", K::BeforeEpoch),
        ("1669071600000000", K::BeforeEpoch),
        ("20221322070000", K::Month),
        ("20220022070000", K::Month),
        ("20220230070000", K::Day),
        ("20220200070000", K::Day),
        ("20221122240000", K::Hour),
        ("20221122076000", K::Minute),
        ("20221122070099", K::Second),
        ("20221122070060", K::Second),
        ("202211220700123", K::Second),
        (
            "202211220700000000000000000000000000000000000060",
            K::Second,
        ),
        ("2022-11-22T07:00:60", K::Second),
        ("2022-11-22T07:00:00.0001", K::SubMillisecond),
        ("2022-11-22T07:00:00[Nowhere/At_All]", K::TimeZone),
        ("2022-11-22T07:00:00+05:00[Asia/Tokyo]", K::TimeZone),
        ("9999-12-31T23:59:59-12:00", K::OutOfRange),
    ] {
        let error = parse_bound(text, &shanghai()).expect_err(text);
        assert_eq!(error.kind(), kind, "{text}: {error}");
    }
}

#[test]
fn errors_show_the_text_unless_it_is_opaque() {
    let error = parse_bound("20221322070000", &shanghai()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`20221322070000` has a month outside 01 to 12; check the order of the digits"
    );
    let error = parse_bound("secret-token", &shanghai())
        .unwrap_err()
        .opaque();
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
}

proptest! {
    #[test]
    fn digits_never_panic(text in "[0-9]{0,24}") {
        if let Ok(bound) = parse_bound(&text, &TimeZone::UTC) {
            let at = Timestamp::from_millisecond(bound.instant_ms).unwrap();
            let local = at.to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%d%H%M%S").to_string();
            prop_assert!(local.starts_with(text.get(..12.min(text.len())).unwrap()), "{} as {}", text, local);
        }
    }

    #[test]
    fn text_never_panics(text in "\\PC{0,40}|[0-9TZ:+\\-\\[\\]a-z/. ]{0,40}") {
        // Only that it returns.
        let _result = parse_bound(&text, &TimeZone::UTC);
    }
}
