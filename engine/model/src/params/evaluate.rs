//! From an expression and a scheduled time to text.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span};

use super::error::{ParamError, ParamErrorKind};
use super::expression::{
    BuiltIn, BusinessTerm, DateUnit, Expression, MonthFunction, MonthShift, Part, ScheduledTerm,
    Term,
};
use super::scheduled_time::ScheduledTime;
use super::shift;

#[cfg(test)]
mod tests;

/// Computes an expression that stands alone.
///
/// Months are moved first, and end on the last day of a shorter month. Whole days are counted on the calendar, so noon
/// stays noon across a change of clocks. The rest of a day is counted in elapsed time, exactly and rounded half up to
/// the second, so an hour before 03:00 is 01:00 where the clocks skip 02:00. The result is cut off to what the format
/// shows.
///
/// # Errors
///
/// [`ParamErrorKind::OutOfRange`] if a date leaves the years 1 to 9999; [`ParamErrorKind::ReferenceAlone`] if the
/// expression refers to another parameter or to the environment: [`Parameters`](super::Parameters) resolves those.
pub fn evaluate(expression: &Expression, at: &ScheduledTime) -> Result<String, ParamError> {
    let mut text = String::new();
    for part in &expression.parts {
        write_part(expression, part, at, &mut text)?;
    }
    Ok(text)
}

/// Appends the value of a part that needs nothing but the scheduled time.
pub(super) fn write_part(
    expression: &Expression,
    part: &Part,
    at: &ScheduledTime,
    text: &mut String,
) -> Result<(), ParamError> {
    let written = match &part.term {
        Term::Literal(literal) => {
            text.push_str(literal);
            Some(())
        }
        Term::Scheduled(term) => scheduled(term, at).map(|moved| term.format.write(moved, text)),
        Term::Business(term) => business(term, at)
            .map(|moved| term.format.write(moved.to_datetime(Time::midnight()), text)),
        Term::BuiltIn(built_in) => write_built_in(*built_in, at, text),
        Term::Reference(_) | Term::Environment(_) => {
            let error = ParamError::new(
                ParamErrorKind::ReferenceAlone,
                part.span.start,
                expression.text(part),
                "evaluate it as one of the job's parameters",
            );
            return Err(error.in_expression(&expression.source));
        }
    };
    written.ok_or_else(|| {
        let error = ParamError::new(
            ParamErrorKind::OutOfRange,
            part.span.start,
            expression.text(part),
            "use a smaller shift or another scheduled time",
        );
        error.in_expression(&expression.source)
    })
}

/// `None` where the calendar ends.
fn scheduled(term: &ScheduledTerm, at: &ScheduledTime) -> Option<DateTime> {
    let (days, seconds) = shift::sum(&term.shifts)?;
    let base = at.at().datetime();
    let date = match term.months {
        Some(months) => move_months(base.date(), months)?,
        None => base.date(),
    };
    let date = move_days(date, days)?;
    let moved = date.to_datetime(base.time());
    if seconds == 0 {
        return in_range(moved);
    }
    // An untouched date keeps its instant: of two 01:30s the scheduled one counts.
    let instant = if moved == base {
        at.at().timestamp()
    } else {
        // The rule for window bounds too: in a gap shifted forward, of two the earlier.
        let zone = at.at().time_zone();
        zone.to_ambiguous_timestamp(moved).compatible().ok()?
    };
    let instant = instant
        .checked_add(SignedDuration::from_secs(seconds))
        .ok()?;
    in_range(at.at().time_zone().to_datetime(instant))
}

fn business(term: &BusinessTerm, at: &ScheduledTime) -> Option<Date> {
    let date = at.business_date()?;
    let span = match term.unit {
        DateUnit::Year => Span::new().try_years(term.count),
        DateUnit::Month => Span::new().try_months(term.count),
        DateUnit::Day => Span::new().try_days(term.count),
    };
    let moved = date.checked_add(span.ok()?).ok()?;
    (moved.year() >= 1).then_some(moved)
}

fn write_built_in(built_in: BuiltIn, at: &ScheduledTime, text: &mut String) -> Option<()> {
    use std::fmt::Write as _;

    let scheduled = in_range(at.at().datetime())?;
    let date = at.business_date().filter(|date| date.year() >= 1)?;
    let day = |date: Date| format!("{:04}{:02}{:02}", date.year(), date.month(), date.day());
    let written = match built_in {
        BuiltIn::BizDate => write!(text, "{}", day(date)),
        BuiltIn::GmtDate => write!(text, "{}", day(scheduled.date())),
        BuiltIn::CycTime => write!(
            text,
            "{}{:02}{:02}{:02}",
            day(scheduled.date()),
            scheduled.hour(),
            scheduled.minute(),
            scheduled.second()
        ),
        BuiltIn::BizMonth => {
            // "Current month" is the scheduled day's, so that a rerun next month says the same.
            let same = date.first_of_month() == scheduled.date().first_of_month();
            let month = date.checked_sub(Span::new().months(i64::from(same))).ok()?;
            let month = (month.year() >= 1).then_some(month)?;
            write!(text, "{:04}{:02}", month.year(), month.month())
        }
        BuiltIn::Year => write!(text, "{:04}", date.year()),
        BuiltIn::Month => write!(text, "{:02}", date.month()),
        BuiltIn::Day => write!(text, "{:02}", date.day()),
    };
    written.ok()
}

fn move_months(date: Date, shift: MonthShift) -> Option<Date> {
    let span = Span::new().try_months(shift.months).ok()?;
    let moved = date.checked_add(span).ok()?;
    Some(match shift.function {
        MonthFunction::AddMonths => moved,
        MonthFunction::FirstDay => moved.first_of_month(),
        MonthFunction::LastDay => moved.last_of_month(),
    })
}

fn move_days(date: Date, days: i64) -> Option<Date> {
    date.checked_add(Span::new().try_days(days).ok()?).ok()
}

fn in_range(at: DateTime) -> Option<DateTime> {
    (at.year() >= 1).then_some(at)
}
