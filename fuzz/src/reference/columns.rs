//! What each type of column takes, as the documents have it.

use std::ops::RangeInclusive;

use engine_model::limits::CELL_BYTES_MAX;
use engine_model::{ColumnType, TimeUnit};
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use super::numbers::{decimal, double, float, is_number, whole};
use super::times::{day, in_range, instant, shown_at, wall_clock};
use super::{Refused, document, elements, fields, text};
use crate::cell::Cell;

const NANOSECONDS_PER_DAY: i128 = 86_400_000_000_000;

/// How times are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock<'a> {
    /// Of texts without an offset.
    pub(crate) zone: &'a TimeZone,
    /// What numbers count.
    pub(crate) unit: Option<TimeUnit>,
}

/// What a column of `column_type` makes of a value.
pub(crate) fn cell(
    value: &RawValue,
    column_type: &ColumnType,
    clock: Clock<'_>,
) -> Result<Cell, Refused> {
    if value.get() == "null" {
        return Ok(Cell::Null);
    }
    let text = text(value);
    let is_string = text.is_some();
    // A string's text, anything else as it is spelled.
    let spelled = text.unwrap_or_else(|| value.get().to_owned());
    let integer = |range| whole(&spelled, range).map(|whole| Cell::Whole(whole.into()));
    match column_type {
        ColumnType::String => sized(spelled).map(Cell::Text),
        ColumnType::VarChar(max) | ColumnType::Char(max) => {
            if spelled.chars().count() > usize::try_from(*max).map_err(|_| Refused)? {
                return Err(Refused);
            }
            sized(spelled).map(Cell::Text)
        }
        ColumnType::Json => sized(value.get().to_owned()).map(Cell::Text),
        ColumnType::Binary if is_string => {
            sized(spelled).map(|text| Cell::Bytes(text.into_bytes()))
        }
        ColumnType::TinyInt => integer(range(i8::MIN, i8::MAX)),
        ColumnType::SmallInt => integer(range(i16::MIN, i16::MAX)),
        ColumnType::Int => integer(range(i32::MIN, i32::MAX)),
        // The service keeps the least one for itself.
        ColumnType::BigInt => integer(range(i64::MIN + 1, i64::MAX)),
        ColumnType::Decimal { precision, scale } => {
            let unscaled = decimal(&spelled, (*precision).into(), (*scale).into());
            unscaled.map(Cell::Whole)
        }
        ColumnType::Float => match word(&spelled, is_string) {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "NaN and infinities stay what they are"
            )]
            Some(word) => Ok(Cell::float(word as f32)),
            None => float(&spelled).map(Cell::float),
        },
        ColumnType::Double => match word(&spelled, is_string) {
            Some(word) => Ok(Cell::double(word)),
            None => double(&spelled).map(Cell::double),
        },
        ColumnType::Boolean => match (is_string, spelled.to_ascii_lowercase().as_str()) {
            (_, "true") => Ok(Cell::Boolean(true)),
            (_, "false") => Ok(Cell::Boolean(false)),
            _ => Err(Refused),
        },
        ColumnType::Date if clock.unit.is_some() && is_number(&spelled) => {
            // To the nanosecond, as a clock in the zone shows it.
            let shown = nanoseconds(&spelled, is_string, true, clock)?;
            if shown % NANOSECONDS_PER_DAY == 0 {
                Ok(Cell::Whole(shown / NANOSECONDS_PER_DAY))
            } else {
                Err(Refused)
            }
        }
        ColumnType::Date if is_string => day(&spelled).map(Cell::Whole),
        ColumnType::DateTime | ColumnType::Timestamp | ColumnType::TimestampNtz => {
            time(&spelled, is_string, column_type, clock).map(Cell::Whole)
        }
        ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_) => {
            // Within it, numbers are no instants, whatever they count elsewhere.
            let clock = Clock {
                unit: None,
                ..clock
            };
            let spelled = sized(spelled)?;
            if is_string {
                nested(document(spelled.as_bytes())?, column_type, clock)
            } else {
                nested(value, column_type, clock)
            }
        }
        ColumnType::Binary | ColumnType::Date => Err(Refused),
    }
}

/// ARRAY, MAP and STRUCT from an array or an object.
fn nested(value: &RawValue, column_type: &ColumnType, clock: Clock<'_>) -> Result<Cell, Refused> {
    let within = |value: &RawValue, column_type: &ColumnType| match column_type {
        // A string within is not read again.
        ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_)
            if value.get() != "null" =>
        {
            nested(value, column_type, clock)
        }
        _ => cell(value, column_type, clock),
    };
    match column_type {
        ColumnType::Array(element) => {
            let elements = elements(value).ok_or(Refused)?.into_iter();
            let cells = elements.map(|value| within(value, element));
            cells.collect::<Result<_, _>>().map(Cell::Array)
        }
        ColumnType::Map(key, column_type) => {
            let mut last: Vec<(String, &RawValue)> = Vec::new();
            for (name, value) in fields(value).ok_or(Refused)? {
                match last.iter_mut().find(|(known, _)| *known == name) {
                    Some(known) => known.1 = value,
                    None => last.push((name, value)),
                }
            }
            let entries = last.into_iter().map(|(name, value)| {
                let name = serde_json::value::to_raw_value(&name).map_err(|_| Refused)?;
                Ok((cell(&name, key, clock)?, within(value, column_type)?))
            });
            let entries: Vec<(Cell, Cell)> = entries.collect::<Result<_, _>>()?;
            let mut keys = entries.iter().enumerate();
            // Different texts may be the same key.
            if keys
                .any(|(number, (key, _))| entries[..number].iter().any(|(known, _)| known == key))
            {
                return Err(Refused);
            }
            Ok(Cell::Map(entries))
        }
        ColumnType::Struct(columns) => {
            let fields = fields(value).ok_or(Refused)?;
            let cells = columns.iter().map(|(name, column_type)| {
                let named = |(key, _): &&(String, _)| key.eq_ignore_ascii_case(name);
                let last = fields.iter().rfind(named);
                let mut spellings = fields.iter().filter(named).map(|(key, _)| key);
                if spellings.any(|key| last.is_some_and(|(last, _)| key != last)) {
                    return Err(Refused);
                }
                last.map_or(Ok(Cell::Null), |(_, value)| within(value, column_type))
            });
            cells.collect::<Result<_, _>>().map(Cell::Struct)
        }
        _ => Err(Refused),
    }
}

/// DATETIME in milliseconds, TIMESTAMP and `TIMESTAMP_NTZ` in nanoseconds.
fn time(
    spelled: &str,
    is_string: bool,
    column_type: &ColumnType,
    clock: Clock<'_>,
) -> Result<i128, Refused> {
    let of_clock = *column_type == ColumnType::TimestampNtz;
    let nanoseconds = nanoseconds(spelled, is_string, of_clock, clock)?;
    if *column_type != ColumnType::DateTime {
        return i64::try_from(nanoseconds).map_or(Err(Refused), |fits| Ok(fits.into()));
    }
    if nanoseconds % 1_000_000 == 0 {
        Ok(nanoseconds / 1_000_000)
    } else {
        Err(Refused)
    }
}

/// An instant, or what a clock shows at it.
fn nanoseconds(
    spelled: &str,
    is_string: bool,
    of_clock: bool,
    Clock { zone, unit }: Clock<'_>,
) -> Result<i128, Refused> {
    match unit {
        Some(unit) if is_number(spelled) => {
            let digits = match unit {
                TimeUnit::S => 9,
                TimeUnit::Ms => 6,
                TimeUnit::Us => 3,
                TimeUnit::Ns => 0,
            };
            let instant = in_range(decimal(spelled, 38, digits)?)?;
            if of_clock {
                shown_at(instant, zone)
            } else {
                Ok(instant)
            }
        }
        _ if !is_string => Err(Refused),
        _ if of_clock => wall_clock(spelled),
        _ => instant(spelled, zone),
    }
}

/// The three words that are floats.
fn word(text: &str, is_string: bool) -> Option<f64> {
    match text {
        "NaN" if is_string => Some(f64::NAN),
        "Infinity" if is_string => Some(f64::INFINITY),
        "-Infinity" if is_string => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// The text, unless a cell can't hold it.
fn sized(text: String) -> Result<String, Refused> {
    if text.len() > CELL_BYTES_MAX {
        return Err(Refused);
    }
    Ok(text)
}

fn range<T: Into<i64>>(least: T, greatest: T) -> RangeInclusive<i64> {
    least.into()..=greatest.into()
}
