//! What people write: paths, types, parameters, bounds, job files.

use std::sync::LazyLock;

use engine_model::job::{JobSpec, Setting, SourcesSpec, explain_path};
use engine_model::limits::{FIELD_PATH_STEPS_MAX, PARTITION_VALUE_BYTES_MAX};
use engine_model::params::{
    Expression, Parameters, ScheduledTime, evaluate, explain, lint, lint_label, parse, parse_bound,
};
use engine_model::{ColumnType, FieldPath, Findings, PartitionSpec};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What every environment variable holds. Long enough not to turn up by chance.
const ENVIRONMENT_VALUE: &str = "value-of-the-environment";
/// The line between a job file and its sources.
const SOURCES_FOLLOW: &str = "\n%%\n";

/// A zone with gaps and repeated hours.
pub(crate) static ZONE: LazyLock<TimeZone> = LazyLock::new(|| {
    TimeZone::get("America/New_York").expect("the time zone database is compiled in")
});
/// When the runs of the checks are due where the input doesn't say: in the hour that New York has twice.
static SCHEDULED_TIME: LazyLock<ScheduledTime> = LazyLock::new(|| {
    ScheduledTime::parse("2026-11-01T01:30:00", &ZONE).expect("the time is in the calendar")
});

/// A field path that is read is printed as one that reads the same.
pub fn field_path(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<FieldPath>() {
        Ok(path) => {
            assert!((1..=FIELD_PATH_STEPS_MAX).contains(&path.steps().len()));
            assert_eq!(path.to_string().parse(), Ok(path.clone()));
            assert!(!explain_path(&path).is_empty());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A column type that is read is printed as one that reads the same.
pub fn column_type(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match text.parse::<ColumnType>() {
        Ok(column_type) => check_column_type(&column_type),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn check_column_type(column_type: &ColumnType) {
    let text = column_type.to_string();
    assert_eq!(text.parse().as_ref(), Ok(column_type), "{text}");
}

/// Values of a table partition, one a line: those that are accepted can be joined and told apart again.
pub fn partition_value(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let good = text
        .split('\n')
        .filter(|value| PartitionSpec::value_error(value).is_none());
    let pairs: Vec<_> = (0..)
        .map(|n| format!("k{n}"))
        .zip(good.map(str::to_owned))
        .collect();
    let spec = PartitionSpec(pairs).to_string();
    let read = spec.split(',').filter_map(|pair| pair.split_once('='));
    let read: Vec<_> = read
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    for (_, value) in &read {
        assert!(
            value
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        );
        assert!((1..=PARTITION_VALUE_BYTES_MAX).contains(&value.len()));
    }
    assert_eq!(PartitionSpec(read).to_string(), spec);
}

/// An instant that a bound stands for is spelled in UTC as a bound of the same instant.
pub fn bound(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match parse_bound(text, &ZONE) {
        Ok(bound) => {
            let instant = Timestamp::from_millisecond(bound.instant_ms)
                .expect("a bound lies within the calendar");
            let again = parse_bound(&instant.to_string(), &ZONE);
            assert_eq!(
                again.map(|bound| bound.instant_ms),
                Ok(bound.instant_ms),
                "{instant}"
            );
            assert!(
                bound
                    .warnings
                    .iter()
                    .all(|warning| !warning.to_string().is_empty())
            );
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let hidden = error.opaque().to_string();
            assert!(
                text.len() < 3 || !hidden.contains(&format!("{text:?}")),
                "{hidden}"
            );
        }
    }
}

/// The first line is a scheduled time, the others are `name=expression`, or an expression alone.
pub fn parameters(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (first, rest) = text.split_once('\n').unwrap_or(("", text));
    let at = ScheduledTime::parse(first, &ZONE).unwrap_or_else(|_| SCHEDULED_TIME.clone());
    let lines = || {
        rest.split('\n')
            .map(|line| line.split_once('=').unwrap_or(("alone", line)))
    };
    for (_, expression) in lines() {
        check_expression(expression, &at);
    }
    let environment = |_: &str| Some(ENVIRONMENT_VALUE.to_owned());
    let table = Parameters::new(lines());
    match table.and_then(|table| Ok((table.resolve(&at, &[], &environment)?, table))) {
        Ok((values, table)) => {
            assert_eq!(values.iter().count(), table.iter().count());
            for (name, expression) in table.iter() {
                let value = values.get(name).expect("every parameter has a value");
                if let Ok(alone) = evaluate(expression, &at) {
                    assert_eq!(value.text(), alone, "{name}");
                    assert!(!value.from_environment(), "{name}");
                }
                if expression.to_string().contains("${env.") && value.from_environment() {
                    assert!(!format!("{value:?}").contains(ENVIRONMENT_VALUE), "{name}");
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn check_expression(text: &str, at: &ScheduledTime) {
    let expression: Expression = match parse(text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(error.position() <= text.len(), "{error}");
            assert_eq!(error.expression(), Some(text), "{error}");
            return;
        }
    };
    assert_eq!(expression.to_string(), text);
    assert!(expression.references().all(|name| text.contains(name)));
    for note in lint(&expression) {
        assert!(text.is_char_boundary(note.position), "{note}");
    }
    let value = evaluate(&expression, at);
    let explained = match explain(&expression, at) {
        Ok(explained) => explained,
        // Both stop at the same date; a reference may have stopped evaluation before.
        Err(error) => {
            assert!(value.is_err(), "{error}");
            return;
        }
    };
    let texts: String = explained.iter().map(|part| part.text.as_str()).collect();
    assert_eq!(texts, text);
    let values: Option<String> = explained.into_iter().map(|part| part.value).collect();
    assert_eq!(value.ok(), values, "{text}");
    if let Some(value) = values {
        drop(lint_label(&value, text, &value));
    }
}

/// A job file, and behind a line `%%` its sources: checked without a panic, twice the same, and no finding shows what
/// the environment holds.
pub fn job_file(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (job, sources) = match text.split_once(SOURCES_FOLLOW) {
        Some((job, sources)) => (job, Some(sources)),
        None => (text, None),
    };
    let sources = match sources
        .map(|sources| SourcesSpec::parse("sources.yaml", sources))
        .transpose()
    {
        Ok(sources) => sources,
        Err(findings) => return check_findings(&findings, text),
    };
    let spec = match JobSpec::parse("job.yaml", job) {
        Ok(spec) => spec,
        Err(findings) => return check_findings(&findings, text),
    };
    let zone = spec.time_zone(&ZONE);
    let setting = Setting {
        scheduled_time: &SCHEDULED_TIME,
        environment: None,
        sources: sources.as_ref(),
        overrides: &[],
        env: &|_| Some(ENVIRONMENT_VALUE.to_owned()),
        default_time_zone: &ZONE,
    };
    let checked = spec.check(&setting);
    assert_eq!(spec.check(&setting), checked);
    match checked {
        Ok(checked) => {
            assert!(zone.is_ok());
            let window = checked.job.window;
            assert!(window.start_ms < window.end_ms, "{window}");
            assert_eq!(checked.job.identity(), checked.job.identity());
            let warnings = Findings::new(checked.warnings);
            assert!(!warnings.has_errors());
            check_lines(&warnings, text);
        }
        Err(findings) => check_findings(&findings, text),
    }
}

fn check_findings(findings: &Findings, text: &str) {
    assert!(findings.has_errors());
    check_lines(findings, text);
}

fn check_lines(findings: &Findings, text: &str) {
    for finding in findings.iter() {
        let line = finding.to_string();
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let is_secret = !text.contains(ENVIRONMENT_VALUE);
        assert!(!(is_secret && line.contains(ENVIRONMENT_VALUE)), "{line:?}");
    }
}
