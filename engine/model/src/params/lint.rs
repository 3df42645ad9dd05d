//! Expressions that are valid, and perhaps not what was meant.

use std::fmt;

use serde::Serialize;

use super::expression::{BuiltIn, Expression, MonthFunction, Part, ScheduledTerm, Term};
use super::format::{Format, FormatItem, Token};
use super::shift;

#[cfg(test)]
mod tests;

/// Digits of a complete bound, `yyyymmddhh24miss`.
const BOUND_DIGITS: usize = 14;

/// Digits up to the minute; a bound's digits behind them are the seconds.
const MINUTE_DIGITS: usize = 12;

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// Where in the expression, in bytes from its start.
    pub position: usize,
    /// What was found and what could be written instead.
    pub text: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoteKind {
    /// `$[yyyymm-1]` counts days, whatever the format.
    DaysNotMonths,
    /// `hh` counts to 12, so two hours of a day look the same.
    TwelveHours,
    /// `mm` beside hours or seconds is still the month.
    MonthAsMinute,
    /// As a bound it would have too many digits, or one too few.
    BoundDigits,
    /// The shift isn't a whole number of seconds.
    Rounded,
    /// A shift behind the bracket, which is plain text there.
    ShiftOutside,
    /// A date format outside brackets, which is plain text there.
    FormatAsText,
    /// Quotes become part of the value.
    Quotes,
    /// DataWorks itself wouldn't read this.
    NotPortable,
    /// The label of a table partition is the end of its window.
    LabelAtEnd,
    /// The label of a table partition is neither the start nor the end of its window, but within it.
    LabelInside,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Looks for what is valid but perhaps not meant. Empty for an expression that is plain and portable.
pub fn lint(expression: &Expression) -> Vec<Note> {
    let mut notes = Vec::new();
    let source = expression.source.as_str();
    if source.len() > 1 && source.starts_with('\'') && source.ends_with('\'') {
        add(
            &mut notes,
            NoteKind::Quotes,
            0,
            "the quotes are part of the value; leave them out",
        );
    }
    let mut behind_date = false;
    for part in &expression.parts {
        let at = part.span.start;
        match &part.term {
            Term::Literal(text) => lint_literal(text, behind_date, expression, part, &mut notes),
            Term::Scheduled(term) => lint_scheduled(term, at, &mut notes),
            Term::Business(term) => lint_format(&term.format, at, &mut notes),
            Term::BuiltIn(_) => {}
            Term::Reference(_) | Term::Environment(_) => {
                let text = format!(
                    "`{}`: DataWorks has no references between parameters",
                    expression.text(part)
                );
                add(&mut notes, NoteKind::NotPortable, at, text);
            }
        }
        behind_date = matches!(part.term, Term::Scheduled(_) | Term::Business(_));
    }
    lint_digits(expression, &mut notes);
    notes
}

/// Compares the label of a table partition with the bounds of its window, all as resolved text.
///
/// `None` if the label is the start's date and time as far as it goes, or has no date at all. Otherwise a note with
/// position 0.
pub fn lint_label(start: &str, end: &str, label: &str) -> Option<Note> {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    let (start_digits, end_digits, own) = (digits(start), digits(end), digits(label));
    let (from, to) = (start_digits.get(..own.len())?, end_digits.get(..own.len())?);
    if own.len() < 4 || own == from {
        return None;
    }
    let (kind, text) = if own == to {
        let text = format!(
            "`{label}` labels the window by its end {end}; a label by its start would be {from}: give it the \
             shift of the start"
        );
        (NoteKind::LabelAtEnd, text)
    } else if from < own.as_str() && own.as_str() < to {
        let text = format!("`{label}` labels all of {start} to {end}, but names only a part of it");
        (NoteKind::LabelInside, text)
    } else {
        return None;
    };
    Some(Note {
        kind,
        position: 0,
        text,
    })
}

fn add(notes: &mut Vec<Note>, kind: NoteKind, position: usize, text: impl Into<String>) {
    notes.push(Note {
        kind,
        position,
        text: text.into(),
    });
}

fn lint_literal(
    text: &str,
    behind_date: bool,
    expression: &Expression,
    part: &Part,
    notes: &mut Vec<Note>,
) {
    let at = part.span.start;
    let written = expression.text(part);
    if written == "$$" {
        add(
            notes,
            NoteKind::NotPortable,
            at,
            "`$$`: DataWorks does not know it",
        );
    }
    if text.contains(|c: char| c.is_whitespace() || c == '=') {
        let note = "DataWorks allows neither spaces nor `=` in a value";
        add(notes, NoteKind::NotPortable, at, note);
    }
    if text.to_ascii_lowercase().contains("yyyy") {
        let note = format!("`{written}` is plain text here; put formats in `$[…]` or `${{…}}`");
        add(notes, NoteKind::FormatAsText, at, note);
    }
    if behind_date && is_shift(text) {
        let note = format!("`{written}` is plain text here; put the shift inside the bracket");
        add(notes, NoteKind::ShiftOutside, at, note);
    }
}

/// `-1` or `-8/24/60`, but not `-01`, which continues a date.
fn is_shift(text: &str) -> bool {
    let Some(product) = text.strip_prefix(['+', '-']) else {
        return false;
    };
    product.split(['*', '/']).all(|number| {
        number.starts_with(|c: char| ('1'..='9').contains(&c))
            && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn lint_scheduled(term: &ScheduledTerm, at: usize, notes: &mut Vec<Note>) {
    lint_format(&term.format, at, notes);
    if let Some(months) = term.months
        && months.function != MonthFunction::AddMonths
    {
        let text = "DataWorks has add_months, but neither first_day nor last_day";
        add(notes, NoteKind::NotPortable, at, text);
    }
    let coarse = !term.format.has(Token::Day) && !term.format.tokens().any(Token::is_time_of_day);
    let days = shift::sum(&term.shifts).map_or(0, |(days, _)| days);
    if coarse && days != 0 && term.months.is_none() {
        let unit = if term.format.has(Token::Month) { 1 } else { 12 };
        let text = format!(
            "the shift of `$[{format}…]` counts days; for months write `$[add_months({format},{months:+})]`",
            format = term.format,
            months = days.saturating_mul(unit),
        );
        add(notes, NoteKind::DaysNotMonths, at, text);
    }
    if term
        .shifts
        .iter()
        .any(|shift| !shift.rest_is_multiple_of(1))
    {
        let text = "the shift is no whole number of seconds; it is rounded half up";
        add(notes, NoteKind::Rounded, at, text);
    } else if term
        .shifts
        .iter()
        .any(|shift| !shift.rest_is_multiple_of(60))
    {
        let text = "DataWorks documents shifts down to minutes, not seconds";
        add(notes, NoteKind::NotPortable, at, text);
    }
}

fn lint_format(format: &Format, at: usize, notes: &mut Vec<Note>) {
    let mut previous = None;
    for item in &format.items {
        let FormatItem::Token(token, spelling) = item else {
            continue;
        };
        if *token == Token::HalfDayHour && spelling.eq_ignore_ascii_case("hh") {
            let text = "`hh` counts to 12: 02:00 and 14:00 look the same; write `hh24`, or `hh12` if it is meant";
            add(notes, NoteKind::TwelveHours, at, text);
        }
        let hour = |token: Option<Token>| matches!(token, Some(Token::Hour | Token::HalfDayHour));
        if (*token == Token::Month && hour(previous))
            || (*token == Token::Second && previous == Some(Token::Month))
        {
            let text = format!("`mm` in `{format}` is the month; minutes are `mi`");
            // Both neighbours can give it away; once is enough.
            if !notes
                .iter()
                .any(|note| note.kind == NoteKind::MonthAsMinute && note.position == at)
            {
                add(notes, NoteKind::MonthAsMinute, at, text);
            }
        }
        previous = Some(*token);
    }
    let capital = |item: &FormatItem| match item {
        FormatItem::Token(_, spelling) => spelling.bytes().any(|b| b.is_ascii_uppercase()),
        FormatItem::Separator(_) => false,
    };
    if format.items.iter().any(capital) {
        let text = format!(
            "DataWorks documents tokens in lower case only: `{}`",
            format.to_string().to_ascii_lowercase()
        );
        add(notes, NoteKind::NotPortable, at, text);
    }
}

/// A date to the hour or finer whose digits don't fit a bound.
fn lint_digits(expression: &Expression, notes: &mut Vec<Note>) {
    let mut digits = 0;
    for part in &expression.parts {
        let Some(own) = digits_of(&part.term) else {
            return;
        };
        digits += own;
    }
    let hours = expression
        .parts
        .first()
        .is_some_and(|part| match &part.term {
            Term::Scheduled(term) => term.format.tokens().take(4).eq([
                Token::Year,
                Token::Month,
                Token::Day,
                Token::Hour,
            ]),
            _ => false,
        });
    if !hours || digits <= MINUTE_DIGITS || digits == BOUND_DIGITS {
        return;
    }
    let text = if digits < BOUND_DIGITS {
        format!("{digits} digits are no bound; write {BOUND_DIGITS}")
    } else {
        format!(
            "{digits} digits: as a bound, all behind the {MINUTE_DIGITS}th are the seconds; write {BOUND_DIGITS}"
        )
    };
    add(notes, NoteKind::BoundDigits, 0, text);
}

/// How many digits a term becomes; `None` if it may become anything else.
fn digits_of(term: &Term) -> Option<usize> {
    let of_format = |format: &Format| {
        let plain = |item: &FormatItem| matches!(item, FormatItem::Token(..));
        format
            .items
            .iter()
            .all(plain)
            .then(|| format.tokens().map(Token::digits).sum())
    };
    match term {
        Term::Literal(text) => text
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then_some(text.len()),
        Term::Scheduled(term) => of_format(&term.format),
        Term::Business(term) => of_format(&term.format),
        Term::BuiltIn(built_in) => Some(match built_in {
            BuiltIn::CycTime => 14,
            BuiltIn::BizDate | BuiltIn::GmtDate => 8,
            BuiltIn::BizMonth => 6,
            BuiltIn::Year => 4,
            BuiltIn::Month | BuiltIn::Day => 2,
        }),
        Term::Reference(_) | Term::Environment(_) => None,
    }
}
