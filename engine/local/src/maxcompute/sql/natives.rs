//! Functions that SQLite lacks, or computes otherwise than the service.

use std::cmp::Ordering;

use engine_model::ColumnType;
use engine_model::limits::DECIMAL_SCALE_MAX;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};

use super::aggregates;
use super::calendar::{self, Part, Scale};
use super::lower::{Cast, Prepared};
use super::value::{self, NAN, as_f64};
use crate::maxcompute::decimal::{self, Decimal};

/// Any number of arguments: the translation has counted them.
const ARGS: i32 = -1;

/// Registers collation, functions and the casts of a query.
pub(crate) fn register(
    connection: &Connection,
    prepared: &Prepared,
    zone: &TimeZone,
) -> Result<()> {
    connection.create_collation("mc_decimal", decimal::collate)?;
    for (position, Cast { from, to, strict }) in prepared.casts.iter().cloned().enumerate() {
        let zone = zone.clone();
        scalar(connection, &format!("mc_cast_{position}"), move |args| {
            let given = args.get_raw(0);
            let cast = value::cast(given, &from, &to, &zone);
            if strict && cast == Value::Null && given != ValueRef::Null {
                let shown = value::text(given, &from, &zone).unwrap_or_default();
                let text = format!("value {shown:?} cannot be casted from {from} to {to}");
                return Err(Error::UserFunctionError(text.into()));
            }
            Ok(cast)
        })?;
    }
    texts(connection)?;
    numbers(connection)?;
    decimals(connection)?;
    dates(connection, zone)?;
    aggregates::register(connection)
}

fn scalar(
    connection: &Connection,
    name: &str,
    function: impl Fn(&Context<'_>) -> Result<Value> + Send + 'static,
) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, ARGS, flags, move |context| function(context))
}

/// A function of text that is NULL for NULL.
fn of_text(
    connection: &Connection,
    name: &str,
    function: impl Fn(&str) -> Value + Send + 'static,
) -> Result<()> {
    scalar(connection, name, move |args| {
        Ok(text(args, 0).map_or(Value::Null, &function))
    })
}

fn texts(connection: &Connection) -> Result<()> {
    of_text(connection, "mc_length", |text| {
        Value::Integer(i64::try_from(text.chars().count()).unwrap_or(i64::MAX))
    })?;
    of_text(connection, "mc_lower", |text| {
        Value::Text(text.to_lowercase())
    })?;
    of_text(connection, "mc_upper", |text| {
        Value::Text(text.to_uppercase())
    })?;
    of_text(connection, "mc_reverse", |text| {
        Value::Text(text.chars().rev().collect())
    })?;
    of_text(connection, "mc_number", value::number_of)?;
    scalar(connection, "mc_substr", |args| {
        let count = if args.len() > 2 {
            integer(args, 2)
        } else {
            Some(i64::MAX)
        };
        let found = text(args, 0).zip(integer(args, 1)).zip(count);
        let found = found.map(|((text, start), count)| substring(text, start, count));
        Ok(found.map_or(Value::Null, Value::Text))
    })?;
    scalar(connection, "mc_split_part", |args| {
        let found = text(args, 0).zip(text(args, 1)).zip(integer(args, 2));
        Ok(found.map_or(Value::Null, |((text, separator), number)| {
            let index = usize::try_from(number)
                .ok()
                .and_then(|number| number.checked_sub(1));
            let part = index.and_then(|index| text.split(separator).nth(index));
            Value::Text(part.unwrap_or_default().to_owned())
        }))
    })?;
    scalar(connection, "mc_concat_ws", |args| {
        let Some(separator) = text(args, 0) else {
            return Ok(Value::Null);
        };
        let parts: Vec<&str> = (1..args.len())
            .filter_map(|position| text(args, position))
            .collect();
        Ok(Value::Text(parts.join(separator)))
    })?;
    scalar(connection, "mc_like", |args| {
        let pair = text(args, 0).zip(text(args, 1));
        Ok(pair.map_or(Value::Null, |(text, pattern)| {
            let (text, pattern): (Vec<char>, Vec<char>) =
                (text.chars().collect(), pattern.chars().collect());
            Value::Integer(like(&text, &pattern).into())
        }))
    })?;
    scalar(connection, "mc_json", |args| {
        let found = text(args, 0)
            .zip(text(args, 1))
            .and_then(|(json, path)| json_object(json, path));
        Ok(found.map_or(Value::Null, Value::Text))
    })
}

fn numbers(connection: &Connection) -> Result<()> {
    type Operator = fn(f64, f64) -> Option<f64>;
    let operators: [(&str, Operator); 6] = [
        ("mc_add", |a, b| Some(a + b)),
        ("mc_subtract", |a, b| Some(a - b)),
        ("mc_multiply", |a, b| Some(a * b)),
        ("mc_divide", |a, b| (b != 0.0).then(|| a / b)),
        ("mc_remainder", |a, b| (b != 0.0).then(|| a % b)),
        ("mc_pow", |a, b| Some(a.powf(b))),
    ];
    for (name, operator) in operators {
        scalar(connection, name, move |args| {
            let pair = as_f64(args.get_raw(0)).zip(as_f64(args.get_raw(1)));
            Ok(pair
                .and_then(|(a, b)| operator(a, b))
                .map_or(Value::Null, double))
        })?;
    }
    scalar(connection, "mc_sqrt", |args| {
        let root = as_f64(args.get_raw(0))
            .filter(|number| *number >= 0.0)
            .map(f64::sqrt);
        Ok(root.map_or(Value::Null, double))
    })?;
    rounding(connection)
}

fn rounding(connection: &Connection) -> Result<()> {
    type Whole = fn(f64) -> f64;
    let wholes: [(&str, Whole); 2] = [("mc_floor", f64::floor), ("mc_ceil", f64::ceil)];
    for (name, whole) in wholes {
        scalar(connection, name, move |args| {
            Ok(match args.get_raw(0) {
                ValueRef::Integer(number) => Value::Integer(number),
                number => as_f64(number).map_or(Value::Null, |number| bigint(whole(number))),
            })
        })?;
    }
    scalar(connection, "mc_abs", |args| {
        Ok(match (args.get_raw(0), decimal(args, 0)) {
            (ValueRef::Integer(number), _) => {
                number.checked_abs().map_or(Value::Null, Value::Integer)
            }
            (ValueRef::Real(number), _) => Value::Real(number.abs()),
            (_, Some(number)) => {
                let negative = number.compare(Decimal::ZERO).is_some_and(Ordering::is_lt);
                decimal_value(Some(if negative { number.negate() } else { number }))
            }
            (other, None) => value::owned(other),
        })
    })?;
    scalar(connection, "mc_round", |args| {
        let Some(digits) = integer(args, 1) else {
            return Ok(Value::Null);
        };
        Ok(match args.get_raw(0) {
            ValueRef::Text(_) => {
                let digits = u32::try_from(digits.max(0)).unwrap_or(u32::MAX);
                let digits = digits.min(DECIMAL_SCALE_MAX.into());
                decimal_value(decimal(args, 0).and_then(|number| number.rescale(digits)))
            }
            ValueRef::Real(number) => double(round(number, digits)),
            ValueRef::Integer(number) if digits >= 0 => Value::Integer(number),
            other => as_f64(other).map_or(Value::Null, |number| bigint(round(number, digits))),
        })
    })
}

/// A number without fraction as BIGINT; NULL where it doesn't fit.
fn bigint(number: f64) -> Value {
    let (from, to) = (ColumnType::Double, ColumnType::BigInt);
    value::cast(ValueRef::Real(number), &from, &to, &TimeZone::UTC)
}

fn decimals(connection: &Connection) -> Result<()> {
    type Operator = fn(Decimal, Decimal) -> Option<Decimal>;
    let operators: [(&str, Operator); 5] = [
        ("mc_decimal_add", Decimal::add),
        ("mc_decimal_subtract", |a, b| a.add(b.negate())),
        ("mc_decimal_multiply", Decimal::multiply),
        ("mc_decimal_divide", Decimal::divide),
        ("mc_decimal_remainder", Decimal::remainder),
    ];
    for (name, operator) in operators {
        scalar(connection, name, move |args| {
            let pair = decimal(args, 0).zip(decimal(args, 1));
            Ok(decimal_value(pair.and_then(|(a, b)| operator(a, b))))
        })?;
    }
    Ok(())
}

fn dates(connection: &Connection, zone: &TimeZone) -> Result<()> {
    type Function = fn(DateTime, &Context<'_>) -> Option<DateTime>;
    let part = |args: &Context<'_>| text(args, 0).and_then(Part::from_name);
    let in_zone = zone.clone();
    scalar(connection, "mc_part", move |args| {
        let found = part(args).zip(time(args, 1, &in_zone));
        Ok(found.map_or(Value::Null, |(part, reading)| {
            Value::Integer(part.of(reading))
        }))
    })?;
    let moving: [(&str, Function); 2] = [
        ("mc_truncate", |reading, args| {
            text(args, 0).and_then(Part::from_name)?.truncate(reading)
        }),
        ("mc_move", |reading, args| {
            text(args, 0)
                .and_then(Part::from_name)?
                .add(reading, integer(args, 2)?)
        }),
    ];
    for (name, function) in moving {
        let in_zone = zone.clone();
        scalar(connection, name, move |args| {
            let moved = time(args, 1, &in_zone).and_then(|reading| function(reading, args));
            Ok(time_value(moved, &in_zone))
        })?;
    }
    let in_zone = zone.clone();
    scalar(connection, "mc_difference", move |args| {
        let pair = time(args, 1, &in_zone).zip(time(args, 2, &in_zone));
        let found = part(args)
            .zip(pair)
            .and_then(|(part, (a, b))| part.difference(a, b));
        Ok(found.map_or(Value::Null, Value::Integer))
    })?;
    let in_zone = zone.clone();
    scalar(connection, "mc_last_day", move |args| {
        Ok(time_value(
            time(args, 0, &in_zone).and_then(calendar::last_day),
            &in_zone,
        ))
    })?;
    let in_zone = zone.clone();
    scalar(connection, "mc_weekday", move |args| {
        let reading = time(args, 0, &in_zone);
        Ok(reading.map_or(Value::Null, |reading| {
            Value::Integer(reading.weekday().to_monday_zero_offset().into())
        }))
    })?;
    let in_zone = zone.clone();
    scalar(connection, "mc_format", move |args| {
        let found = time(args, 0, &in_zone).zip(text(args, 1));
        Ok(found.map_or(Value::Null, |(reading, format)| {
            Value::Text(calendar::format(reading, format))
        }))
    })?;
    let in_zone = zone.clone();
    scalar(connection, "mc_parse_time", move |args| {
        let found = text(args, 0).zip(text(args, 1));
        let reading = found.and_then(|(text, format)| calendar::parse_format(text, format));
        Ok(time_value(reading, &in_zone))
    })?;
    scalar(connection, "mc_seconds", |args| {
        let seconds = integer(args, 0).map(|ms| ms.div_euclid(1_000));
        Ok(seconds.map_or(Value::Null, Value::Integer))
    })
}

fn text<'a>(args: &'a Context<'_>, position: usize) -> Option<&'a str> {
    args.get_raw(position).as_str().ok()
}

fn integer(args: &Context<'_>, position: usize) -> Option<i64> {
    args.get_raw(position).as_i64().ok()
}

fn decimal(args: &Context<'_>, position: usize) -> Option<Decimal> {
    text(args, position).and_then(Decimal::parse)
}

fn time(args: &Context<'_>, position: usize, zone: &TimeZone) -> Option<DateTime> {
    calendar::civil(integer(args, position)?, Scale::Millis, zone)
}

fn time_value(reading: Option<DateTime>, zone: &TimeZone) -> Value {
    let value = reading.and_then(|reading| calendar::value(reading, Scale::Millis, zone));
    value.map_or(Value::Null, Value::Integer)
}

pub(super) fn decimal_value(number: Option<Decimal>) -> Value {
    let number = number.and_then(Decimal::widest);
    number.map_or(Value::Null, |number| Value::Text(number.to_string()))
}

pub(super) fn double(number: f64) -> Value {
    if number.is_nan() {
        Value::Text(NAN.to_owned())
    } else {
        Value::Real(number)
    }
}

fn round(number: f64, digits: i64) -> f64 {
    let factor = 10_f64.powi(i32::try_from(digits.clamp(-300, 300)).unwrap_or(0));
    let scaled = number * factor;
    if scaled.is_finite() {
        scaled.round() / factor
    } else {
        number
    }
}

/// Characters from `start` on, from 1, or from the end where it is negative.
fn substring(text: &str, start: i64, count: i64) -> String {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let first = if start < 0 {
        length.saturating_add(start)
    } else {
        start.saturating_sub(1).max(0)
    };
    if first < 0 || count <= 0 {
        return String::new();
    }
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    text.chars()
        .skip(first)
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .collect()
}

/// LIKE with `%`, `_` and a backslash before either. Case counts.
fn like(text: &[char], pattern: &[char]) -> bool {
    let (mut t, mut p) = (0, 0);
    // Where to go on from the last `%`: only the last one ever needs another try.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(p) {
            None if t == text.len() => return true,
            Some('%') => {
                retry = Some((t, p + 1));
                p += 1;
                continue;
            }
            Some('\\') if matches!(pattern.get(p + 1), Some('%' | '_' | '\\')) => {
                (text.get(t) == pattern.get(p + 1)).then_some(2)
            }
            Some('_') => text.get(t).map(|_| 1),
            other => (other.is_some() && text.get(t) == other).then_some(1),
        };
        match (step, retry) {
            (Some(step), _) => {
                t += 1;
                p += step;
            }
            (None, Some((from, after))) if from < text.len() => {
                retry = Some((from + 1, after));
                (t, p) = (from + 1, after);
            }
            (None, _) => return false,
        }
    }
}

/// `$.a.b[0]` of a JSON text: strings without quotes, everything else as JSON.
fn json_object(json: &str, path: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(json).ok()?;
    let mut found = &document;
    let mut rest = path.strip_prefix('$')?;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            let quoted = index.trim_matches(['\'', '"']);
            found = match index.parse::<usize>() {
                Ok(index) => found.get(index)?,
                Err(_) => found.get(quoted)?,
            };
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (key, after) = after.split_at(end);
            found = found.get(key)?;
            rest = after;
        }
    }
    match found {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(text: &str, pattern: &str) -> bool {
        like(
            &text.chars().collect::<Vec<_>>(),
            &pattern.chars().collect::<Vec<_>>(),
        )
    }

    #[test]
    fn like_is_maxcomputes() {
        for (text, pattern) in [
            ("abc", "a%"),
            ("abc", "%b%"),
            ("", "%"),
            ("a_c", "a\\_c"),
            ("aXbXc", "a%X_"),
            ("日本", "日_"),
        ] {
            assert!(matches(text, pattern), "{text} {pattern}");
        }
        for (text, pattern) in [
            ("abc", "A%"),
            ("abc", "a\\_c"),
            ("", "_"),
            ("abc", "ab"),
            ("ab", "abc"),
        ] {
            assert!(!matches(text, pattern), "{text} {pattern}");
        }
        assert!(!matches(
            &"a".repeat(5_000),
            &format!("{}b", "%a".repeat(50))
        ));
    }

    #[test]
    fn json_paths() {
        let json = r#"{"a":{"b":[1,{"c":"x"}],"n":null},"d e":1.50}"#;
        assert_eq!(json_object(json, "$.a.b[1].c").as_deref(), Some("x"));
        assert_eq!(
            json_object(json, "$.a.b").as_deref(),
            Some(r#"[1,{"c":"x"}]"#)
        );
        assert_eq!(json_object(json, "$['d e']").as_deref(), Some("1.5"));
        assert_eq!(json_object(json, "$.a.n"), None);
        assert_eq!(json_object(json, "a"), None);
    }

    #[test]
    fn substrings_count_from_one() {
        assert_eq!(substring("日本語", 2, i64::MAX), "本語");
        assert_eq!(substring("abc", -2, 1), "b");
        assert_eq!(substring("abc", 0, 2), "ab");
        assert_eq!(substring("abc", 5, 2), "");
    }
}
