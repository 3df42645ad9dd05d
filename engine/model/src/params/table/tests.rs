use jiff::tz::TimeZone;

use super::*;

fn at() -> ScheduledTime {
    ScheduledTime::parse("2022-11-22T00:05:00", &TimeZone::UTC).unwrap()
}

fn nothing(_: &str) -> Option<String> {
    None
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn texts(values: &Values) -> Vec<(&str, &str)> {
    values
        .iter()
        .map(|(name, value)| (name, value.text()))
        .collect()
}

fn refused(parameters: &[(&str, &str)]) -> ParamError {
    Parameters::new(parameters.iter().copied()).unwrap_err()
}

#[test]
fn references_go_forward_and_back() {
    let parameters = Parameters::new([
        ("label", "dt=${day}"),
        ("start", "${day}000000"),
        ("day", "$[yyyymmdd-1]"),
        ("both", "${start}/${day}/${day}"),
    ])
    .unwrap();
    let values = parameters.resolve(&at(), &[], &nothing).unwrap();
    assert_eq!(
        texts(&values),
        [
            ("label", "dt=20221121"),
            ("start", "20221121000000"),
            ("day", "20221121"),
            ("both", "20221121000000/20221121/20221121"),
        ]
    );
    assert!(values.iter().all(|(_, value)| !value.from_environment()));
    assert_eq!(values.get("dya"), None);
}

#[test]
fn values_that_are_set_win_and_are_not_parsed() {
    let parameters = Parameters::new([("day", "${env.DAY}"), ("start", "${day}00")]).unwrap();
    let set = pairs(&[("day", "x"), ("day", "$[yyyymmdd]")]);
    let values = parameters.resolve(&at(), &set, &nothing).unwrap();
    assert_eq!(
        texts(&values),
        [("day", "$[yyyymmdd]"), ("start", "$[yyyymmdd]00")]
    );

    let error = parameters
        .resolve(&at(), &pairs(&[("Start", "1")]), &nothing)
        .unwrap_err();
    assert_eq!(error.kind(), ParamErrorKind::UnknownParameter);
    assert_eq!(
        error.to_string(),
        "`Start` is no declared parameter; did you mean `start`"
    );
}

#[test]
fn the_environment_stays_opaque() {
    let parameters = Parameters::new([
        ("secret", "x${env.TOKEN}"),
        ("user", "a${secret}b"),
        ("plain", "c"),
    ])
    .unwrap();
    let environment = |name: &str| (name == "TOKEN").then(|| "hunter2".to_owned());
    let values = parameters.resolve(&at(), &[], &environment).unwrap();
    assert_eq!(
        texts(&values),
        [
            ("secret", "xhunter2"),
            ("user", "axhunter2b"),
            ("plain", "c")
        ]
    );
    let opaque: Vec<bool> = values
        .iter()
        .map(|(_, value)| value.from_environment())
        .collect();
    assert_eq!(opaque, [true, true, false]);
    assert!(!format!("{values:?}").contains("hunter2"));

    let error = parameters.resolve(&at(), &[], &nothing).unwrap_err();
    assert_eq!(error.kind(), ParamErrorKind::EnvironmentUnset);
    assert_eq!(
        error.to_string(),
        "parameter \"secret\": `x${env.TOKEN}`, byte 1: `TOKEN` is not set in the environment; \
         set the variable for this process"
    );
}

#[test]
fn circles_are_named() {
    let error = refused(&[
        ("x", "${a}"),
        ("a", "1${b}"),
        ("b", "${c}"),
        ("c", "${ok}${a}"),
        ("ok", ""),
    ]);
    assert_eq!(error.kind(), ParamErrorKind::Cycle);
    assert_eq!((error.parameter(), error.position()), (Some("a"), 1));
    assert!(
        error
            .to_string()
            .ends_with("break the circle a → b → c → a"),
        "{error}"
    );
    assert_eq!(refused(&[("a", "${a}")]).kind(), ParamErrorKind::Cycle);
}

#[test]
fn names_are_checked() {
    for name in [
        "yyyymmdd",
        "mm",
        "dd-1",
        "YYYY",
        "miss",
        "env.HOME",
        "bdp.system.bizdate",
        "",
        "1a",
        "a b",
        "a=b",
        "$a",
    ] {
        let error = refused(&[(name, "1")]);
        assert_eq!((error.kind(), error.found()), (ParamErrorKind::Name, name));
    }
    for name in ["startTime", "day", "T", "bizdate", "日期", "a-b.c_1"] {
        assert!(Parameters::new([(name, "1")]).is_ok(), "{name}");
    }
    assert_eq!(
        refused(&[("a", "1"), ("a", "2")]).kind(),
        ParamErrorKind::Duplicate
    );
}

#[test]
fn unknown_references_are_found_before_any_run() {
    let error = refused(&[("startTime", "1"), ("label", "ds${starTime}")]);
    assert_eq!(
        error.to_string(),
        "parameter \"label\": `ds${starTime}`, byte 2: `starTime` is no declared parameter; \
         did you mean `startTime`"
    );
    let error = refused(&[("label", "${bizdate}")]);
    let advice = "write `$bizdate` for the built-in, or declare it";
    assert!(error.to_string().ends_with(advice), "{error}");
    let error = refused(&[("label", "${other}")]);
    assert!(
        error.to_string().ends_with("declare it under `parameters`"),
        "{error}"
    );
}

#[test]
fn expressions_are_checked_with_their_name() {
    let error = refused(&[("start", "$[yyyyMMdd]")]);
    assert_eq!(
        (error.kind(), error.parameter()),
        (ParamErrorKind::JavaFormat, Some("start"))
    );
    let parameters = Parameters::new([("start", "${yyyy+8000}")]).unwrap();
    let error = parameters.resolve(&at(), &[], &nothing).unwrap_err();
    assert_eq!(
        (error.kind(), error.parameter()),
        (ParamErrorKind::OutOfRange, Some("start"))
    );
}

#[test]
fn values_that_double_each_other_end() {
    let names: Vec<String> = (0..40).map(|n| format!("p{n}")).collect();
    let parameters = names.iter().enumerate().map(|(n, name)| {
        let text = if n == 0 {
            "x".to_owned()
        } else {
            format!("${{p{0}}}${{p{0}}}", n - 1)
        };
        (name.clone(), text)
    });
    let parameters = Parameters::new(parameters).unwrap();
    let error = parameters.resolve(&at(), &[], &nothing).unwrap_err();
    assert_eq!(
        (error.kind(), error.parameter()),
        (ParamErrorKind::TooLong, Some("p17"))
    );
}

#[test]
fn long_chains_need_no_stack() {
    let count = 20_000;
    let parameters = (0..count).map(|n| {
        let text = if n + 1 == count {
            "end".to_owned()
        } else {
            format!("${{p{}}}", n + 1)
        };
        (format!("p{n}"), text)
    });
    let parameters = Parameters::new(parameters).unwrap();
    let values = parameters.resolve(&at(), &[], &nothing).unwrap();
    assert_eq!(values.get("p0").map(Value::text), Some("end"));
}
