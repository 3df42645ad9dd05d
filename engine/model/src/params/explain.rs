//! An expression in words.

use serde::Serialize;

use super::error::ParamError;
use super::evaluate::write_part;
use super::expression::{
    BuiltIn, BusinessTerm, DateUnit, Expression, MonthFunction, MonthShift, ScheduledTerm, Term,
};
use super::scheduled_time::ScheduledTime;
use super::shift;

/// One part of an expression, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The part as it was written.
    pub text: String,
    /// What it is.
    pub kind: PartKind,
    /// What it stands for, in words.
    pub meaning: String,
    /// What it becomes; `None` for a reference, whose value only the job's parameters together can give.
    pub value: Option<String>,
}

/// What a part of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PartKind {
    /// Text that is copied.
    Literal,
    /// `$[…]`.
    ScheduledTime,
    /// `${…}` with a date format.
    BusinessDate,
    /// `$bizdate` and its like.
    BuiltIn,
    /// `${name}`.
    Reference,
    /// `${env.NAME}`.
    Environment,
}

/// Explains each part of an expression at one scheduled time.
///
/// # Errors
///
/// [`ParamErrorKind::OutOfRange`](super::ParamErrorKind::OutOfRange) if a date leaves the years 1 to 9999.
pub fn explain(expression: &Expression, at: &ScheduledTime) -> Result<Vec<Explained>, ParamError> {
    let mut all = Vec::with_capacity(expression.parts.len());
    for part in &expression.parts {
        let text = expression.text(part).to_owned();
        let (kind, meaning) = describe(&part.term, &text);
        let value = if matches!(kind, PartKind::Reference | PartKind::Environment) {
            None
        } else {
            let mut value = String::new();
            write_part(expression, part, at, &mut value)?;
            Some(value)
        };
        all.push(Explained {
            text,
            kind,
            meaning,
            value,
        });
    }
    Ok(all)
}

fn describe(term: &Term, text: &str) -> (PartKind, String) {
    match term {
        Term::Literal(_) if text == "$$" => (PartKind::Literal, "a dollar sign".to_owned()),
        Term::Literal(_) => (PartKind::Literal, "text".to_owned()),
        Term::Scheduled(term) => (PartKind::ScheduledTime, scheduled(term)),
        Term::Business(term) => (PartKind::BusinessDate, business(term)),
        Term::BuiltIn(built_in) => (PartKind::BuiltIn, self::built_in(*built_in).to_owned()),
        Term::Reference(name) => (
            PartKind::Reference,
            format!("the value of parameter `{name}`"),
        ),
        Term::Environment(name) => (
            PartKind::Environment,
            format!("the environment variable `{name}`"),
        ),
    }
}

fn scheduled(term: &ScheduledTerm) -> String {
    let mut words = vec!["the scheduled time".to_owned()];
    if let Some(MonthShift { function, months }) = term.months {
        if months != 0 {
            words.push(moved(months, "month"));
        }
        match function {
            MonthFunction::AddMonths => {}
            MonthFunction::FirstDay => words.push("on the first day of that month".to_owned()),
            MonthFunction::LastDay => words.push("on the last day of that month".to_owned()),
        }
    }
    // What can't be summed can't be evaluated either, and evaluation says so.
    let (days, seconds) = shift::sum(&term.shifts).unwrap_or_default();
    if days != 0 {
        words.push(moved(days, "day"));
    }
    if seconds != 0 {
        let (size, unit) = [(3600, "hour"), (60, "minute")]
            .into_iter()
            .find(|(size, _)| seconds % size == 0)
            .unwrap_or((1, "second"));
        words.push(moved(seconds / size, unit));
    }
    words.push(format!("as {}", term.format));
    words.join(", ")
}

fn business(term: &BusinessTerm) -> String {
    let unit = match term.unit {
        DateUnit::Year => "year",
        DateUnit::Month => "month",
        DateUnit::Day => "day",
    };
    let mut words = vec!["the business date (the day before the scheduled day)".to_owned()];
    if term.count != 0 {
        words.push(moved(term.count, unit));
    }
    words.push(format!("as {}", term.format));
    words.join(", ")
}

fn built_in(built_in: BuiltIn) -> &'static str {
    match built_in {
        BuiltIn::BizDate => "the business date, as yyyymmdd",
        BuiltIn::BizMonth => {
            "the month of the business date, or the one before if that is the scheduled month, as yyyymm"
        }
        BuiltIn::CycTime => "the scheduled time, as yyyymmddhh24miss",
        BuiltIn::GmtDate => "the scheduled day, as yyyymmdd",
        BuiltIn::Year => "the year of the business date",
        BuiltIn::Month => "the month of the business date",
        BuiltIn::Day => "the day of the business date",
    }
}

fn moved(count: i64, unit: &str) -> String {
    let plural = if count.unsigned_abs() == 1 { "" } else { "s" };
    let direction = if count < 0 { "earlier" } else { "later" };
    format!("{} {unit}{plural} {direction}", count.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::params::parse;

    fn explained(text: &str) -> Vec<(String, PartKind, String, Option<String>)> {
        let at = ScheduledTime::parse("2025-11-01T02:30:45", &TimeZone::UTC).unwrap();
        explain(&parse(text).unwrap(), &at)
            .unwrap()
            .into_iter()
            .map(|part| (part.text, part.kind, part.meaning, part.value))
            .collect()
    }

    #[test]
    fn each_part_is_explained_with_its_value() {
        assert_eq!(
            explained("h$[yyyymmddhh24-1-1/24]00"),
            [
                (
                    "h".to_owned(),
                    PartKind::Literal,
                    "text".to_owned(),
                    Some("h".to_owned())
                ),
                (
                    "$[yyyymmddhh24-1-1/24]".to_owned(),
                    PartKind::ScheduledTime,
                    "the scheduled time, 1 day earlier, 1 hour earlier, as yyyymmddhh24".to_owned(),
                    Some("2025103101".to_owned())
                ),
                (
                    "00".to_owned(),
                    PartKind::Literal,
                    "text".to_owned(),
                    Some("00".to_owned())
                ),
            ]
        );
    }

    #[test]
    fn words_say_unit_and_direction() {
        for (text, meaning) in [
            (
                "$[add_months(yyyymmdd,-2)+90/24/60]",
                "the scheduled time, 2 months earlier, 90 minutes later, as yyyymmdd",
            ),
            (
                "$[last_day(yyyymmdd)]",
                "the scheduled time, on the last day of that month, as yyyymmdd",
            ),
            (
                "$[mi-30/24/60/60]",
                "the scheduled time, 30 seconds earlier, as mi",
            ),
            (
                "${yyyymm+1}",
                "the business date (the day before the scheduled day), 1 month later, as yyyymm",
            ),
            ("$cyctime", "the scheduled time, as yyyymmddhh24miss"),
            ("${other}", "the value of parameter `other`"),
            ("${env.HOME}", "the environment variable `HOME`"),
        ] {
            let parts = explained(text);
            assert_eq!(parts.len(), 1, "{text}");
            assert_eq!(parts[0].2, meaning);
        }
    }

    #[test]
    fn references_have_no_value_of_their_own() {
        assert_eq!(explained("${other}")[0].3, None);
        assert_eq!(explained("${env.HOME}")[0].3, None);
    }
}
