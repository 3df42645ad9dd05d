//! An expression as the other modules see it: parsed, with the place of each part.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::ParamError;
use super::format::Format;
use super::shift::Shift;

/// A parsed parameter: text with scheduled times, business dates, built-ins and references in it.
///
/// It is written ([`Display`](fmt::Display)) as it was read.
///
/// ```
/// use engine_model::params::{Expression, ScheduledTime, evaluate};
/// use jiff::tz::TimeZone;
///
/// let at = ScheduledTime::parse("2022-11-22T10:05:00", &TimeZone::UTC)?;
/// let start: Expression = "$[yyyymmddhh24-1/24]0000".parse()?;
/// assert_eq!(evaluate(&start, &at)?, "20221122090000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub(super) source: String,
    pub(super) parts: Vec<Part>,
}

/// A part and where it stands, in bytes. The spans of an expression's parts cover it from end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) span: Range<usize>,
    pub(super) term: Term,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// Text to copy.
    Literal(String),
    /// `$[…]`.
    Scheduled(ScheduledTerm),
    /// `${…}` with a format.
    Business(BusinessTerm),
    BuiltIn(BuiltIn),
    /// `${name}`.
    Reference(String),
    /// `${env.NAME}`.
    Environment(String),
}

/// The scheduled time, first moved by months, then by the shifts, then written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScheduledTerm {
    pub(super) months: Option<MonthShift>,
    pub(super) format: Format,
    pub(super) shifts: Vec<Shift>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MonthShift {
    pub(super) function: MonthFunction,
    pub(super) months: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MonthFunction {
    AddMonths,
    FirstDay,
    LastDay,
}

impl MonthFunction {
    pub(super) const ALL: [(&'static str, Self); 3] = [
        ("add_months", Self::AddMonths),
        ("first_day", Self::FirstDay),
        ("last_day", Self::LastDay),
    ];
}

/// The business date, moved by `count` of the format's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BusinessTerm {
    pub(super) format: Format,
    pub(super) count: i64,
    pub(super) unit: DateUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateUnit {
    Year,
    Month,
    Day,
}

/// A parameter that is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    BizDate,
    BizMonth,
    CycTime,
    GmtDate,
    Year,
    Month,
    Day,
}

impl BuiltIn {
    /// Names without the `$`; longer ones before those that they begin with.
    pub(super) const NAMES: [(&'static str, Self); 8] = [
        ("bizmonth", Self::BizMonth),
        ("yyyymmdd", Self::BizDate),
        ("bizdate", Self::BizDate),
        ("cyctime", Self::CycTime),
        ("gmtdate", Self::GmtDate),
        ("yyyy", Self::Year),
        ("mm", Self::Month),
        ("dd", Self::Day),
    ];
}

impl Expression {
    /// The names of the parameters that it refers to, in order, repeated ones too.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match &part.term {
            Term::Reference(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The part as it was read.
    pub(super) fn text(&self, part: &Part) -> &str {
        self.source.get(part.span.clone()).unwrap_or_default()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for Expression {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        super::parse(text)
    }
}
