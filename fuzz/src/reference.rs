//! How a payload is to be read, slowly and plainly, on top of `serde_json`.

use std::collections::HashMap;
use std::fmt;

use engine_decode::DEPTH_MAX;
use engine_model::{FieldPath, Step};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What a column gets: NULL, a value, or a reason to reject the message.
pub(crate) type Cell<T> = Result<Option<T>, ()>;

/// The payload as one JSON text, or nothing where it is to be rejected as a whole.
pub(crate) fn document(payload: &[u8]) -> Option<&RawValue> {
    let document: &RawValue = serde_json::from_slice(payload).ok()?;
    let mut depths = vec![(document, 0)];
    // `serde_json` leaves strings unread in a raw value, and with them escapes that are no text.
    while let Some((value, depth)) = depths.pop() {
        match value.get().as_bytes().first() {
            Some(b'"') => drop(text(value)?),
            Some(b'{') => depths.extend(
                fields(value)?
                    .into_iter()
                    .map(|(_, field)| (field, depth + 1)),
            ),
            Some(b'[') => depths.extend(
                elements(value)?
                    .into_iter()
                    .map(|element| (element, depth + 1)),
            ),
            _ => continue,
        }
        let nests = !value.get().starts_with('"');
        if nests && depth + 1 > DEPTH_MAX {
            return None;
        }
    }
    Some(document)
}

/// What `path` leads to; nothing where it leads nowhere or to null.
pub(crate) fn find<'a>(document: &'a RawValue, path: &FieldPath) -> Option<&'a RawValue> {
    let mut value = document;
    for step in path.steps() {
        value = match step {
            Step::Key(key) if value.get().starts_with('{') => {
                // The last of duplicate keys wins.
                let object: HashMap<String, &RawValue> = fields(value)?.into_iter().collect();
                object.get(key).copied()?
            }
            Step::Index(index) if value.get().starts_with('[') => {
                elements(value)?.get(*index).copied()?
            }
            _ => return None,
        };
    }
    (value.get() != "null").then_some(value)
}

/// STRING: a string's text, anything else as it is spelled.
pub(crate) fn string(value: &RawValue) -> String {
    text(value).unwrap_or_else(|| value.get().to_owned())
}

/// BOOLEAN: the two words, as a string in any case.
pub(crate) fn boolean(value: &RawValue) -> Cell<bool> {
    let word = text(value).map(|text| text.to_ascii_lowercase());
    match word.as_deref().unwrap_or(value.get()) {
        "true" => Ok(Some(true)),
        "false" => Ok(Some(false)),
        _ => Err(()),
    }
}

/// DOUBLE: the nearest float of a number or a numeric string, and three words.
pub(crate) fn double(value: &RawValue) -> Cell<f64> {
    let text = text(value);
    match text.as_deref() {
        Some("NaN") => return Ok(Some(f64::NAN)),
        Some("Infinity") => return Ok(Some(f64::INFINITY)),
        Some("-Infinity") => return Ok(Some(f64::NEG_INFINITY)),
        _ => {}
    }
    let number = text.as_deref().unwrap_or(value.get());
    parts(number).ok_or(())?;
    let nearest: f64 = number.parse().map_err(|_| ())?;
    if nearest.is_finite() {
        Ok(Some(nearest))
    } else {
        Err(())
    }
}

/// BIGINT: a number or a numeric string that is an integer of 64 bits other than the least.
pub(crate) fn bigint(value: &RawValue) -> Cell<i64> {
    let whole = i64::try_from(decimal(value, 19, 0)?.ok_or(())?).map_err(|_| ())?;
    if whole == i64::MIN {
        Err(())
    } else {
        Ok(Some(whole))
    }
}

/// DECIMAL: a number or a numeric string, times 10 to the power of `scale`, exactly.
pub(crate) fn decimal(value: &RawValue, precision: usize, scale: i64) -> Cell<i128> {
    let text = text(value);
    let (negative, digits, power) = parts(text.as_deref().unwrap_or(value.get())).ok_or(())?;
    let trimmed = digits.trim_end_matches('0');
    if trimmed.is_empty() {
        return Ok(Some(0));
    }
    let dropped = i64::try_from(digits.len() - trimmed.len()).map_err(|_| ())?;
    let zeros = power.saturating_add(dropped).saturating_add(scale);
    let significant = trimmed.trim_start_matches('0');
    let zeros = usize::try_from(zeros).map_err(|_| ())?;
    if significant.len().saturating_add(zeros) > precision {
        return Err(());
    }
    let unscaled: i128 = format!("{significant}{}", "0".repeat(zeros))
        .parse()
        .map_err(|_| ())?;
    Ok(Some(if negative { -unscaled } else { unscaled }))
}

/// The sign, the digits without the point, and the power of ten that they are times; nothing for what is no number.
fn parts(number: &str) -> Option<(bool, String, i64)> {
    let unsigned = number.strip_prefix(['-', '+']).unwrap_or(number);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (integer, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = format!("{integer}{fraction}");
    if digits.is_empty()
        || exponent_digits.is_empty()
        || ![&digits, exponent_digits].into_iter().all(is_digits)
    {
        return None;
    }
    let far = if exponent.starts_with('-') {
        i64::MIN / 2
    } else {
        i64::MAX / 2
    };
    let exponent = exponent
        .parse()
        .unwrap_or(far)
        .clamp(i64::MIN / 2, i64::MAX / 2);
    let power = exponent - i64::try_from(fraction.len()).ok()?;
    Some((number.starts_with('-'), digits, power))
}

/// The text of a string; nothing for other values, and for strings that are no text.
fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn elements(array: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(array.get()).ok()
}

/// All fields in order, those with the same key too.
fn fields(object: &RawValue) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Fields<'_>>(object.get())
        .ok()
        .map(|fields| fields.0)
}

/// An object as a list, for a map would drop the duplicates.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}
