use proptest::prelude::*;

use super::*;
use crate::params::{ScheduledTime, evaluate, explain, lint, parse_bound};

/// Kind, byte position and text of the error.
fn error(text: &str) -> (ParamErrorKind, usize, String) {
    let error = parse(text).expect_err(text);
    assert_eq!(error.expression(), Some(text));
    (error.kind(), error.position(), error.found().to_owned())
}

#[test]
fn errors_say_where_and_what() {
    use ParamErrorKind as K;
    for (text, kind, position, found) in [
        ("$[yyyymmdd", K::Unclosed, 0, "$[yyyymmdd"),
        ("a${yyyymmdd", K::Unclosed, 1, "${yyyymmdd"),
        ("$[]", K::NoFormat, 0, "$[]"),
        ("a${}", K::NoFormat, 1, "${}"),
        ("$[-1/24]", K::NoFormat, 2, "-1/24"),
        ("$[-]", K::NoFormat, 2, "-"),
        ("$[add_months(]", K::NoFormat, 13, "]"),
        ("$[add_months()]", K::NoFormat, 13, ")"),
        ("$[yyyymmdd-N]", K::Unexpected, 11, "N"),
        ("$[yyyymmdd000000]", K::Unexpected, 10, "000000"),
        ("年$[yyyy年]", K::Unexpected, 9, "年"),
        ("$[yyyymmdd-1hh24]", K::Unexpected, 12, "hh24"),
        ("$[yyyymmdd-1.5]", K::Unexpected, 12, "."),
        ("$[yyyymmdd)]", K::Unexpected, 10, ")"),
        ("$[yyyy$[mm]]", K::Unexpected, 6, "$"),
        ("$[months(yyyymmdd,1)]", K::Unexpected, 2, "months"),
        ("$[add_months(yyyymmdd)]", K::Unexpected, 21, ")"),
        ("$[add_months(yyyymmdd,)]", K::Unexpected, 22, ")"),
        ("$[add_months(yyyymmdd,-1]", K::Unexpected, 24, "]"),
        ("$[add_months(yyyymmdd,-1)hh24]", K::Unexpected, 25, "hh24"),
        ("$[add_months(yyyymmdd,1/2)]", K::Shift, 22, "1/2"),
        ("$[yyyyMMddHHmmss]", K::JavaFormat, 2, "yyyyMMddHHmmss"),
        ("$[yyyy-MM-dd-1]", K::JavaFormat, 2, "yyyy-MM-dd"),
        ("$[HH]", K::JavaFormat, 2, "HH"),
        ("${yyyyMMdd}", K::JavaFormat, 2, "yyyyMMdd"),
        ("$[yyyymmdd -1]", K::SpaceOrEquals, 10, " "),
        ("$[add_months(yyyymmdd, -1)]", K::SpaceOrEquals, 22, " "),
        ("$[dt=yyyymmdd]", K::Unexpected, 2, "dt"),
        ("$[yyyymmdd=1]", K::SpaceOrEquals, 10, "="),
        ("${yyyymmdd -1}", K::SpaceOrEquals, 10, " "),
        ("${hh24}", K::TimeInBusinessDate, 2, "hh24"),
        (
            "${yyyymmddhh24-1}",
            K::TimeInBusinessDate,
            2,
            "yyyymmddhh24",
        ),
        ("${yyyymmdd-1/24}", K::FractionInBusinessDate, 11, "1/24"),
        ("${yyyymmdd-1-1}", K::Unexpected, 12, "-"),
        ("${1a}", K::Unexpected, 2, "1a"),
        ("${env.}", K::Unexpected, 6, "}"),
        ("${env.A-B}", K::Unexpected, 6, "A-B"),
        ("$[yyyymmdd-1/0]", K::Shift, 11, "1/0"),
        ("$[yyyymmdd-1/]", K::Unexpected, 13, "]"),
        (
            "$[yyyymmdd-99999999999999999999]",
            K::Shift,
            11,
            "99999999999999999999",
        ),
        (
            "$[yyyymmdd-9223372036854775807*2]",
            K::Shift,
            10,
            "-9223372036854775807*2",
        ),
        ("$bizdat", K::UnknownBuiltIn, 0, "$bizdat"),
        ("$bizdates", K::UnknownBuiltIn, 0, "$bizdates"),
        ("$BIZDATE", K::UnknownBuiltIn, 0, "$BIZDATE"),
        ("5$", K::UnknownBuiltIn, 1, "$"),
        ("$yyyymm", K::UnknownBuiltIn, 0, "$yyyymm"),
        ("$jobid", K::ServiceBuiltIn, 0, "$jobid"),
    ] {
        assert_eq!(error(text), (kind, position, found.to_owned()), "{text}");
    }
}

#[test]
fn errors_read_well() {
    for (text, expected) in [
        (
            "$[yyyyMMddHHmmss]",
            "`$[yyyyMMddHHmmss]`, byte 2: `yyyyMMddHHmmss` is not how a format is spelled here; \
             write `yyyymmddhh24miss`",
        ),
        (
            "$[yyyymmdd000000]",
            "`$[yyyymmdd000000]`, byte 10: `000000` is not expected here; plain text goes behind the \
             bracket, as in `$[yyyymmdd]000000`",
        ),
        (
            "${yyyymmdd-1/24}",
            "`${yyyymmdd-1/24}`, byte 11: `1/24` is a fraction, and `${…}` counts whole units; use \
             `$[…]` for hours and minutes",
        ),
        (
            "$[yyyymmdd",
            "`$[yyyymmdd`, byte 0: `$[yyyymmdd` has no closing bracket; close it with `]`, or write \
             `$$` for a dollar sign",
        ),
        (
            "$yyyymm",
            "`$yyyymm`, byte 0: `$yyyymm` is no built-in parameter; write `${yyyymm}` for the business \
             date or `$[yyyymm]` for the scheduled time",
        ),
    ] {
        assert_eq!(parse(text).expect_err(text).to_string(), expected);
    }
}

#[test]
fn braces_are_dates_only_if_all_of_it_is() {
    let term = |text: &str| parse(text).unwrap().parts.remove(0).term;
    for date in [
        "${yyyymmdd}",
        "${yyyy-mm-dd}",
        "${mm_dd}",
        "${yyyymmdd-7*2}",
        "${YYYY}",
    ] {
        assert!(matches!(term(date), Term::Business(_)), "{date}");
    }
    for name in [
        "startTime",
        "yyyymmddx",
        "day",
        "workflow.name",
        "T-1",
        "日期",
        "_",
    ] {
        assert_eq!(
            term(&format!("${{{name}}}")),
            Term::Reference(name.to_owned())
        );
    }
    assert_eq!(
        term("${env.HOME_2}"),
        Term::Environment("HOME_2".to_owned())
    );
    assert_eq!(
        parse("${a}-${b}${a}")
            .unwrap()
            .references()
            .collect::<Vec<_>>(),
        ["a", "b", "a"]
    );
}

#[test]
fn spans_cover_the_source() {
    let text = "a$$b$[yyyy]$bizdate1${x}é";
    let expression = parse(text).unwrap();
    let parts: Vec<&str> = expression
        .parts
        .iter()
        .map(|part| expression.text(part))
        .collect();
    assert_eq!(
        parts,
        ["a", "$$", "b", "$[yyyy]", "$bizdate", "1", "${x}", "é"]
    );
}

/// Valid expressions.
fn expressions() -> impl Strategy<Value = String> {
    let format =
        "(yyyy|yy|mm|dd|hh24|hh12|hh|mi|ss)([-:/_.T]?(yyyy|yy|mm|dd|hh24|hh12|hh|mi|ss)){0,5}";
    let dates = "(yyyy|yy|mm|dd)([-:/_.T]?(yyyy|yy|mm|dd)){0,3}";
    let shifts = "([+-][0-9]{1,4}([*/][1-9][0-9]?){0,3}){0,3}";
    let scheduled = format!("\\$\\[{format}{shifts}\\]");
    let months = format!(
        "\\$\\[(add_months|last_day|first_day)\\({format},[+-]?[0-9]{{1,3}}(\\*[0-9])?\\){shifts}\\]"
    );
    let business = format!("\\$\\{{{dates}([+-][0-9]{{1,3}}(\\*[0-9])?)?\\}}");
    let rest = "[a-zA-Z0-9 =\\-_/年]{0,9}|\\$\\$|\\$(bizdate|cyctime|bizmonth|gmtdate|mm|dd)_";
    let part = format!("{scheduled}|{months}|{business}|{rest}");
    proptest::string::string_regex(&format!("({part}){{0,4}}")).unwrap()
}

/// Any text, and text made of pieces of the grammar.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = "([$\\[\\]{}(),+*/=0-9 年\\-]|\\$\\[|\\$\\{|yyyy|MM|mm|dd|hh24|add_months\\(|env[.]|bizdate)";
    proptest::string::string_regex(&format!("\\PC{{0,60}}|{pieces}{{0,25}}")).unwrap()
}

proptest! {
    #[test]
    fn display_gives_back_what_was_read(text in expressions()) {
        let expression = parse(&text).unwrap();
        prop_assert_eq!(expression.to_string(), text.clone());
        prop_assert_eq!(parse(&expression.to_string()).unwrap(), expression.clone());
        let at = ScheduledTime::parse("2024-02-29T14:05:09", &jiff::tz::TimeZone::UTC).unwrap();
        let value = evaluate(&expression, &at);
        let parts = explain(&expression, &at);
        match (value, parts) {
            (Ok(value), Ok(parts)) => {
                let joined: String = parts.into_iter().filter_map(|part| part.value).collect();
                prop_assert_eq!(value, joined);
            }
            (Err(left), Err(right)) => prop_assert_eq!(left, right),
            (left, right) => prop_assert!(false, "{:?} but {:?}", left, right),
        }
    }

    #[test]
    fn nothing_panics(text in hostile()) {
        let zone = jiff::tz::TimeZone::UTC;
        let at = ScheduledTime::parse("2024-02-29T14:05:09", &zone).unwrap();
        match parse(&text) {
            Ok(expression) => {
                lint(&expression);
                let _explained = explain(&expression, &at);
                if let Ok(value) = evaluate(&expression, &at) {
                    let _bound = parse_bound(&value, &zone);
                }
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.position()), "{}", error);
                prop_assert!(!error.found().is_empty(), "{}", error);
            }
        }
    }
}
