//! How values of MaxCompute types look in SQLite, and conversions between the types.
//!
//! | MaxCompute | SQLite |
//! |---|---|
//! | TINYINT, SMALLINT, INT, BIGINT | integer |
//! | BOOLEAN | integer 0 or 1 |
//! | FLOAT, DOUBLE | real; NaN, which SQLite lacks, is the text `NaN` and sorts after all numbers |
//! | DECIMAL | text at the column's scale, collated by value |
//! | STRING, VARCHAR, CHAR, JSON | text |
//! | BINARY | blob |
//! | DATE, DATETIME, TIMESTAMP | integer: days, milliseconds, nanoseconds |
//! | ARRAY, MAP, STRUCT | text: JSON |

use arrow::array::{Array, AsArray as _};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::ColumnType;
use jiff::tz::TimeZone;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::calendar::{self, Scale};
use super::nested;
use crate::maxcompute::decimal::Decimal;

/// What NaN is to SQLite.
pub(crate) const NAN: &str = "NaN";

/// One cell of a stored column.
pub(crate) fn cell<'a>(array: &'a dyn Array, row: usize, column: &ColumnType) -> ToSqlOutput<'a> {
    if array.is_null(row) {
        return ToSqlOutput::Owned(Value::Null);
    }
    let integer = |number: i64| ToSqlOutput::Owned(Value::Integer(number));
    match column {
        ColumnType::TinyInt => integer(array.as_primitive::<Int8Type>().value(row).into()),
        ColumnType::SmallInt => integer(array.as_primitive::<Int16Type>().value(row).into()),
        ColumnType::Int => integer(array.as_primitive::<Int32Type>().value(row).into()),
        ColumnType::BigInt => integer(array.as_primitive::<Int64Type>().value(row)),
        ColumnType::Boolean => integer(array.as_boolean().value(row).into()),
        ColumnType::Date => integer(array.as_primitive::<Date32Type>().value(row).into()),
        ColumnType::DateTime => {
            integer(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            integer(array.as_primitive::<TimestampNanosecondType>().value(row))
        }
        ColumnType::Float => real(array.as_primitive::<Float32Type>().value(row).into()),
        ColumnType::Double => real(array.as_primitive::<Float64Type>().value(row)),
        ColumnType::Decimal { .. } => {
            let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
            ToSqlOutput::Owned(Value::Text(text))
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            let text = array.as_string::<i32>().value(row);
            ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes()))
        }
        ColumnType::Binary => {
            ToSqlOutput::Borrowed(ValueRef::Blob(array.as_binary::<i32>().value(row)))
        }
        ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_) => {
            let mut json = String::new();
            nested::write(&mut json, array, row, column);
            ToSqlOutput::Owned(Value::Text(json))
        }
    }
}

/// A real number as SQLite takes it.
pub(crate) fn real(number: f64) -> ToSqlOutput<'static> {
    ToSqlOutput::Owned(if number.is_nan() {
        Value::Text(NAN.to_owned())
    } else {
        Value::Real(number)
    })
}

/// A copy of a value; bytes that are no UTF-8 are replaced.
pub(crate) fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The number of a real value; NaN for its text.
pub(crate) fn as_f64(value: ValueRef<'_>) -> Option<f64> {
    match value {
        #[expect(
            clippy::cast_precision_loss,
            reason = "SQL's own conversion to DOUBLE rounds"
        )]
        ValueRef::Integer(number) => Some(number as f64),
        ValueRef::Real(number) => Some(number),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// What the integers of a date type count.
pub(crate) fn scale_of(column: &ColumnType) -> Option<Scale> {
    Some(match column {
        ColumnType::Date => Scale::Days,
        ColumnType::DateTime => Scale::Millis,
        ColumnType::Timestamp => Scale::Nanos,
        ColumnType::TimestampNtz => Scale::WallNanos,
        _ => return None,
    })
}

/// Least and greatest value of an integer type.
pub(crate) fn integer_range(column: &ColumnType) -> Option<(i64, i64)> {
    Some(match column {
        ColumnType::TinyInt => (i8::MIN.into(), i8::MAX.into()),
        ColumnType::SmallInt => (i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int => (i32::MIN.into(), i32::MAX.into()),
        ColumnType::BigInt => (i64::MIN, i64::MAX),
        _ => return None,
    })
}

/// CAST: the value of type `from` as one of type `to`. NULL for what has no such value, as the service has it.
pub(crate) fn cast(
    value: ValueRef<'_>,
    from: &ColumnType,
    to: &ColumnType,
    zone: &TimeZone,
) -> Value {
    if matches!(value, ValueRef::Null) {
        return Value::Null;
    }
    let cast = match to {
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            text(value, from, zone).map(|text| Value::Text(shorten(text, to)))
        }
        ColumnType::Binary => text(value, from, zone).map(|text| Value::Blob(text.into_bytes())),
        ColumnType::Boolean => boolean(value, from).map(|flag| Value::Integer(flag.into())),
        ColumnType::Float | ColumnType::Double => as_f64(value).map(|number| {
            #[expect(clippy::cast_possible_truncation, reason = "CAST to FLOAT rounds")]
            let number = if *to == ColumnType::Float {
                f64::from(number as f32)
            } else {
                number
            };
            if number.is_nan() {
                Value::Text(NAN.to_owned())
            } else {
                Value::Real(number)
            }
        }),
        ColumnType::Decimal { precision, scale } => {
            let number = text(value, from, zone).and_then(|text| Decimal::parse(&text));
            let fitted = number.and_then(|number| number.fit(*precision, *scale));
            fitted.map(|number| Value::Text(number.to_string()))
        }
        to if integer_range(to).is_some() => integer(value, from, to).map(Value::Integer),
        to => match scale_of(to) {
            Some(scale) => instant(value, from, scale, zone).map(Value::Integer),
            None => None,
        },
    };
    cast.unwrap_or(Value::Null)
}

/// The text of a value, as CAST to STRING and results in CSV show it.
pub(crate) fn text(value: ValueRef<'_>, from: &ColumnType, zone: &TimeZone) -> Option<String> {
    match (from, value) {
        (_, ValueRef::Null) => None,
        (ColumnType::Boolean, ValueRef::Integer(flag)) => Some((flag != 0).to_string()),
        (ColumnType::Float, ValueRef::Real(number)) => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the value came from a FLOAT"
            )]
            let number = number as f32;
            Some(float_text(f64::from(number), &format!("{number:?}")))
        }
        (_, ValueRef::Real(number)) => Some(float_text(number, &format!("{number:?}"))),
        (from, ValueRef::Integer(number)) => match scale_of(from) {
            Some(scale) => calendar::text(number, scale, zone),
            None => Some(number.to_string()),
        },
        (_, ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }
}

/// Digits as Java writes them, which the service is built on: `1.0`, `1.0E10`, `Infinity`.
fn float_text(number: f64, debug: &str) -> String {
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let magnitude = number.abs();
    let plain = magnitude == 0.0 || (1e-3..1e7).contains(&magnitude);
    if plain && !debug.contains('e') {
        return debug.to_owned();
    }
    let scientific = match debug.parse::<f64>() {
        Ok(parsed) => format!("{parsed:e}"),
        Err(_) => return debug.to_owned(),
    };
    match scientific.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => format!("{mantissa}E{exponent}"),
        Some((mantissa, exponent)) => format!("{mantissa}.0E{exponent}"),
        None => scientific,
    }
}

fn shorten(text: String, to: &ColumnType) -> String {
    let chars = match to {
        ColumnType::VarChar(chars) | ColumnType::Char(chars) => usize::try_from(*chars).ok(),
        _ => None,
    };
    match chars {
        Some(chars) => text.chars().take(chars).collect(),
        None => text,
    }
}

fn boolean(value: ValueRef<'_>, from: &ColumnType) -> Option<bool> {
    match value {
        ValueRef::Integer(number) => Some(number != 0),
        ValueRef::Real(number) => Some(number != 0.0),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?;
            if matches!(from, ColumnType::Decimal { .. }) {
                return Some(!text.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-')));
            }
            match text.to_ascii_lowercase().as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            }
        }
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// A whole number; fractions are cut off.
fn integer(value: ValueRef<'_>, from: &ColumnType, to: &ColumnType) -> Option<i64> {
    let (min, max) = integer_range(to)?;
    let number = match value {
        // Instants count in seconds when they become numbers.
        ValueRef::Integer(number) => match scale_of(from) {
            Some(Scale::Millis) => number.div_euclid(1_000),
            Some(Scale::Nanos | Scale::WallNanos) => number.div_euclid(1_000_000_000),
            Some(Scale::Days) | None => number,
        },
        ValueRef::Real(number) => whole(number)?,
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?.trim();
            match text.parse() {
                Ok(number) => number,
                Err(_) => match text.split_once('.') {
                    Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => {
                        whole.parse().ok()?
                    }
                    _ => whole(text.parse().ok()?)?,
                },
            }
        }
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    (min..=max).contains(&number).then_some(number)
}

fn whole(number: f64) -> Option<i64> {
    // Both bounds are exact: -2^63 is in, 2^63 is out.
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range was checked, the fraction is cut"
    )]
    let whole = number.trunc() as i64;
    fits.then_some(whole)
}

fn instant(value: ValueRef<'_>, from: &ColumnType, to: Scale, zone: &TimeZone) -> Option<i64> {
    match value {
        ValueRef::Integer(number) => match scale_of(from) {
            Some(scale) if scale == to => Some(number),
            Some(Scale::Millis) if to == Scale::Nanos => number.checked_mul(calendar::NANOS_PER_MS),
            Some(Scale::Nanos) if to == Scale::Millis => {
                Some(number.div_euclid(calendar::NANOS_PER_MS))
            }
            Some(scale) => calendar::value(calendar::civil(number, scale, zone)?, to, zone),
            // A number is a count of seconds.
            None if to == Scale::Millis => number.checked_mul(1_000),
            None if to == Scale::Nanos => number.checked_mul(1_000_000_000),
            None => None,
        },
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).ok()?;
            calendar::value(calendar::parse(text)?, to, zone)
        }
        _ => None,
    }
}

/// Text as a number for comparisons between the two: exact for integers, NULL for other text.
pub(crate) fn number_of(text: &str) -> Value {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(number) => Value::Integer(number),
        Err(_) => match text.parse::<f64>() {
            Ok(number) if !number.is_nan() => Value::Real(number),
            _ => Value::Null,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_text(number: f64) -> String {
        text(ValueRef::Real(number), &ColumnType::Double, &TimeZone::UTC).unwrap()
    }

    #[test]
    fn doubles_read_as_javas() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e10, "1.0E10"),
            (1.25e-5, "1.25E-5"),
            (123_456.789, "123456.789"),
            (0.0, "0.0"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(as_text(number), expected);
        }
    }

    #[test]
    fn casts_of_text() {
        let from = |given: &str, to: &str| {
            let value = ValueRef::Text(given.as_bytes());
            cast(
                value,
                &ColumnType::String,
                &to.parse().unwrap(),
                &TimeZone::UTC,
            )
        };
        assert_eq!(from("012", "bigint"), Value::Integer(12));
        assert_eq!(from("1.9", "int"), Value::Integer(1));
        assert_eq!(from("300", "tinyint"), Value::Null);
        assert_eq!(from("1e2", "bigint"), Value::Integer(100));
        assert_eq!(from("x", "double"), Value::Null);
        assert_eq!(from("1.005", "decimal(10,2)"), Value::Text("1.01".into()));
        assert_eq!(from("true", "boolean"), Value::Integer(1));
        assert_eq!(
            from("2026-03-02", "datetime"),
            Value::Integer(1_772_409_600_000)
        );
        assert_eq!(from("abcdef", "varchar(3)"), Value::Text("abc".into()));
    }
}
