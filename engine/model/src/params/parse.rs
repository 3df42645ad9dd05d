//! From text to an [`Expression`].
//!
//! ```text
//! expression := ( literal | '$$' | scheduled | business | '$' built-in | '${' name '}' | '${env.' name '}' )*
//! scheduled  := '$[' ( function '(' format [ ',' [sign] product ] ')' | format ) ( sign product )* ']'
//! business   := '${' format [ sign whole-product ] '}'
//! function   := 'add_months' | 'first_day' | 'last_day'
//! format     := ( token | separator )+                      with at least one token
//! product    := digits ( ( '*' | '/' ) digits )*            a whole-product has no '/'
//! ```

use self::cursor::Cursor;
use super::error::{ParamError, ParamErrorKind};
use super::expression::{
    BuiltIn, BusinessTerm, DateUnit, Expression, MonthFunction, MonthShift, Part, ScheduledTerm,
    Term,
};
use super::format::{Format, FormatItem, Token, is_separator, respelled};
use super::shift::{Ratio, Shift};

mod cursor;
#[cfg(test)]
mod tests;

const TOKENS: &str = "the tokens are yyyy yy mm dd hh24 hh12 hh mi ss";
const SHIFTS: &str =
    "a shift is a sign and whole numbers with `*` and `/`, such as `-1` or `-15/24/60`";

/// Names that the service fills with numbers of its own.
const SERVICE_BUILT_INS: [&str; 3] = ["jobid", "nodeid", "taskid"];

/// Reads a parameter's expression.
///
/// # Errors
///
/// A [`ParamError`] with the byte position of the first thing that is not part of the grammar.
pub fn parse(text: &str) -> Result<Expression, ParamError> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (term, end) = term(text, at).map_err(|error| error.in_expression(text))?;
        let span = at..end;
        at = end;
        parts.push(Part { span, term });
    }
    Ok(Expression {
        source: text.to_owned(),
        parts,
    })
}

/// Whether `text` consists of format tokens, separators and shifts, and so is a date where it stands in `${…}`.
pub(super) fn looks_like_format(text: &str) -> bool {
    let mut cursor = Cursor::new(text, 0, text.len());
    let mut tokens = 0;
    while let Some(c) = cursor.peek() {
        if let Some((_, length)) = Token::at_start(cursor.rest()) {
            tokens += 1;
            cursor.at += length;
        } else if cursor.is_at_shift() {
            cursor.bump();
            cursor.take_while(|c| c.is_ascii_digit() || c == '*' || c == '/');
        } else if is_separator(c) {
            cursor.bump();
        } else {
            return false;
        }
    }
    tokens > 0
}

/// Whether `text` has the shape of a parameter's name: a letter or `_`, then letters, digits, `_`, `.` and `-`.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// The term at `at`, and where it ends.
fn term(source: &str, at: usize) -> Result<(Term, usize), ParamError> {
    let rest = source.get(at..).unwrap_or_default();
    if rest.starts_with("$[") {
        let (content, end) = bracketed(source, at, "$[", ']')?;
        return Ok((Term::Scheduled(scheduled(content)?), end));
    }
    if rest.starts_with("${") {
        let (content, end) = bracketed(source, at, "${", '}')?;
        return Ok((braced(content)?, end));
    }
    if rest.starts_with("$$") {
        return Ok((Term::Literal("$".to_owned()), at + 2));
    }
    if let Some(word) = rest.strip_prefix('$') {
        let (built_in, length) = built_in(word, at)?;
        return Ok((Term::BuiltIn(built_in), at + 1 + length));
    }
    let length = rest.find('$').unwrap_or(rest.len());
    let literal = rest.get(..length).unwrap_or_default();
    Ok((Term::Literal(literal.to_owned()), at + length))
}

/// A cursor over what stands between the brackets, and where the part ends.
fn bracketed<'t>(
    source: &'t str,
    at: usize,
    open: &str,
    close: char,
) -> Result<(Cursor<'t>, usize), ParamError> {
    let start = at + open.len();
    let length = source.get(start..).and_then(|rest| rest.find(close));
    let Some(length) = length else {
        let advice = format!("close it with `{close}`, or write `$$` for a dollar sign");
        return Err(ParamError::new(
            ParamErrorKind::Unclosed,
            at,
            source.get(at..).unwrap_or(open),
            advice,
        ));
    };
    let end = start + length;
    if length == 0 {
        let found = format!("{open}{close}");
        return Err(ParamError::new(ParamErrorKind::NoFormat, at, found, TOKENS));
    }
    Ok((Cursor::new(source, start, end), end + close.len_utf8()))
}

fn scheduled(mut cursor: Cursor<'_>) -> Result<ScheduledTerm, ParamError> {
    let (months, format) = if let Some(function) = cursor.function()? {
        let (months, format) = cursor.arguments(function)?;
        (Some(months), format)
    } else {
        (None, cursor.format()?)
    };
    let mut shifts = Vec::new();
    while !cursor.rest().is_empty() {
        shifts.push(cursor.shift()?);
    }
    Ok(ScheduledTerm {
        months,
        format,
        shifts,
    })
}

/// What stands in `${…}`: a date, a built-in, or a reference.
fn braced(mut cursor: Cursor<'_>) -> Result<Term, ParamError> {
    let content = cursor.rest();
    if let Some(name) = content.strip_prefix("env.") {
        cursor.at += "env.".len();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return Err(cursor.unexpected(
                name,
                "write `${env.NAME}` with letters, digits and `_` in the name",
            ));
        }
        return Ok(Term::Environment(name.to_owned()));
    }
    match content {
        "bdp.system.bizdate" => return Ok(Term::BuiltIn(BuiltIn::BizDate)),
        "bdp.system.cyctime" => return Ok(Term::BuiltIn(BuiltIn::CycTime)),
        _ => {}
    }
    if is_name(content) && !looks_like_format(content) {
        return Ok(Term::Reference(content.to_owned()));
    }
    Ok(Term::Business(cursor.business()?))
}

fn built_in(word: &str, at: usize) -> Result<(BuiltIn, usize), ParamError> {
    // A letter behind the name would make it another word; digits and the rest are literal text.
    let ends = |length: usize| {
        !word
            .get(length..)
            .unwrap_or_default()
            .starts_with(|c: char| c.is_ascii_alphabetic())
    };
    for (name, built_in) in BuiltIn::NAMES {
        if word.starts_with(name) && ends(name.len()) {
            return Ok((built_in, name.len()));
        }
    }
    let length = word
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(word.len());
    let name = word.get(..length).unwrap_or_default();
    let (kind, advice) = if SERVICE_BUILT_INS.contains(&name) {
        (
            ParamErrorKind::ServiceBuiltIn,
            "write a constant, or set it with an environment variable".to_owned(),
        )
    } else if looks_like_format(name) {
        let advice = format!(
            "write `${{{name}}}` for the business date or `$[{name}]` for the scheduled time"
        );
        (ParamErrorKind::UnknownBuiltIn, advice)
    } else {
        let advice = "the built-ins are $bizdate $bizmonth $cyctime $gmtdate $yyyymmdd $yyyy $mm $dd; \
                      write `$$` for a dollar sign";
        (ParamErrorKind::UnknownBuiltIn, advice.to_owned())
    };
    Err(ParamError::new(kind, at, format!("${name}"), advice))
}

impl Cursor<'_> {
    /// The function that a name and `(` call, if they stand here.
    fn function(&mut self) -> Result<Option<MonthFunction>, ParamError> {
        let start = self.at;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        if name.is_empty() || !self.eat('(') {
            self.at = start;
            return Ok(None);
        }
        MonthFunction::ALL
            .iter()
            .find(|(spelling, _)| spelling.eq_ignore_ascii_case(name))
            .map(|(_, function)| Some(*function))
            .ok_or_else(|| {
                let advice = "the functions are add_months, first_day and last_day";
                ParamError::new(ParamErrorKind::Unexpected, start, name, advice)
            })
    }

    /// A function's format and months, and the `)`.
    fn arguments(&mut self, function: MonthFunction) -> Result<(MonthShift, Format), ParamError> {
        let format = self.format()?;
        let months = if self.eat(',') {
            let start = self.at;
            self.signed_product(true)?.to_whole().ok_or_else(|| {
                let found = self.source.get(start..self.at).unwrap_or_default();
                ParamError::new(
                    ParamErrorKind::Shift,
                    start,
                    found,
                    "months are counted whole",
                )
            })?
        } else if function == MonthFunction::AddMonths {
            return Err(self.unexpected(
                "",
                "add_months takes a format and months: `add_months(yyyymmdd,-1)`",
            ));
        } else {
            0
        };
        if !self.eat(')') {
            return Err(self.unexpected("", "close the function with `)`, then come shifts"));
        }
        Ok((MonthShift { function, months }, format))
    }

    /// Tokens and separators, up to a shift, the end of an argument, or the closing bracket.
    fn format(&mut self) -> Result<Format, ParamError> {
        let start = self.at;
        let mut items = Vec::new();
        while let Some(c) = self.peek() {
            if matches!(c, ',' | ')') || self.is_at_shift() {
                break;
            }
            if let Some((token, length)) = Token::at_start(self.rest()) {
                let spelling = self.rest().get(..length).unwrap_or_default();
                items.push(FormatItem::Token(token, spelling.to_owned()));
                self.at += length;
            } else if is_separator(c) {
                items.push(FormatItem::Separator(c));
                self.bump();
            } else if c.is_ascii_digit() {
                let advice = "plain text goes behind the bracket, as in `$[yyyymmdd]000000`";
                return Err(self.unexpected("", advice));
            } else {
                return Err(self.unexpected("", TOKENS));
            }
        }
        let format = Format { items };
        let found = self.source.get(start..self.at).unwrap_or_default();
        if format.tokens().next().is_none() {
            let rest = self.source.get(start..self.end).unwrap_or_default();
            // Where nothing is left, the bracket stands in the format's place.
            let bracket = self.source.get(start..=self.end).unwrap_or_default();
            let found = if rest.is_empty() { bracket } else { rest };
            return Err(ParamError::new(
                ParamErrorKind::NoFormat,
                start,
                found,
                TOKENS,
            ));
        }
        if is_java_or_mixed(&format) {
            let advice = format!("write `{}`", respelled(found));
            return Err(ParamError::new(
                ParamErrorKind::JavaFormat,
                start,
                found,
                advice,
            ));
        }
        Ok(format)
    }

    fn shift(&mut self) -> Result<Shift, ParamError> {
        let start = self.at;
        if !self.is_at_shift() {
            let advice =
                "after the format only shifts may follow; put other text behind the bracket";
            return Err(self.unexpected("", advice));
        }
        Shift::new(self.signed_product(true)?).ok_or_else(|| {
            let found = self.source.get(start..self.at).unwrap_or_default();
            ParamError::new(ParamErrorKind::Shift, start, found, "it is too large")
        })
    }

    /// A product with or without a sign.
    fn signed_product(&mut self, fractions: bool) -> Result<Ratio, ParamError> {
        let negative = self.eat('-');
        if !negative {
            self.eat('+');
        }
        let product = self.product(fractions)?;
        Ok(if negative { product.negated() } else { product })
    }

    /// Digits, multiplied and divided from left to right; all of it exact, so the order doesn't matter.
    fn product(&mut self, fractions: bool) -> Result<Ratio, ParamError> {
        let start = self.at;
        let mut product = Ratio::whole(self.whole()?);
        while let Some(operator @ ('*' | '/')) = self.peek() {
            self.bump();
            let operand = self.whole()?;
            let found = self.source.get(start..self.at).unwrap_or_default();
            if operator == '/' && !fractions {
                let advice = "use `$[…]` for hours and minutes";
                let kind = ParamErrorKind::FractionInBusinessDate;
                return Err(ParamError::new(kind, start, found, advice));
            }
            let next = if operator == '*' {
                product.times(operand)
            } else {
                product.divided_by(operand)
            };
            let advice = if operator == '/' && operand == 0 {
                "divide by a number above 0"
            } else {
                "use smaller numbers"
            };
            product =
                next.ok_or_else(|| ParamError::new(ParamErrorKind::Shift, start, found, advice))?;
        }
        Ok(product)
    }

    fn whole(&mut self) -> Result<i64, ParamError> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Err(self.unexpected("", SHIFTS));
        }
        digits.parse().map_err(|_| {
            ParamError::new(ParamErrorKind::Shift, start, digits, "use a smaller number")
        })
    }

    /// A format of the date only, with one shift in its smallest unit.
    fn business(&mut self) -> Result<BusinessTerm, ParamError> {
        let start = self.at;
        if let Some(place) = self.rest().find(|c: char| c.is_whitespace() || c == '=') {
            self.at += place;
            return Err(self.unexpected("", ""));
        }
        if !looks_like_format(self.rest()) {
            let advice = "write a date such as `${yyyymmdd-1}` or a parameter's name";
            return Err(self.unexpected(self.rest(), advice));
        }
        let format = self.format()?;
        if format.tokens().any(Token::is_time_of_day) {
            let found = self.source.get(start..self.at).unwrap_or_default();
            let advice = format!("write `$[{found}]` for the scheduled time");
            let kind = ParamErrorKind::TimeInBusinessDate;
            return Err(ParamError::new(kind, start, found, advice));
        }
        let mut count = 0;
        if self.is_at_shift() {
            let sign = self.at;
            count = self.signed_product(false)?.to_whole().ok_or_else(|| {
                let found = self.source.get(sign..self.at).unwrap_or_default();
                ParamError::new(ParamErrorKind::Shift, sign, found, "it is too large")
            })?;
        }
        if !self.rest().is_empty() {
            return Err(self.unexpected("", "`${…}` ends after one shift; add several up"));
        }
        let unit = if format.has(Token::Day) {
            DateUnit::Day
        } else if format.has(Token::Month) {
            DateUnit::Month
        } else {
            DateUnit::Year
        };
        Ok(BusinessTerm {
            format,
            count,
            unit,
        })
    }
}

/// Java's `MM` is the month and its `mm` the minute, its `HH` counts to 23. Lower-casing such a format would turn
/// minutes into months, so only all-lower and all-upper formats pass, and no bare `HH`.
fn is_java_or_mixed(format: &Format) -> bool {
    let spellings = || {
        format.items.iter().filter_map(|item| match item {
            FormatItem::Token(_, spelling) => Some(spelling.as_str()),
            FormatItem::Separator(_) => None,
        })
    };
    let any = |is: fn(&u8) -> bool| spellings().any(|spelling| spelling.bytes().any(|b| is(&b)));
    let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase);
    mixed || spellings().any(|spelling| spelling == "HH")
}
