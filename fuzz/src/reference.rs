//! How a payload is to be read, slowly and plainly, on top of `serde_json`.

mod columns;
mod numbers;
mod times;

use std::collections::HashMap;
use std::fmt;

use engine_decode::DEPTH_MAX;
use engine_model::{FieldPath, Step};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use columns::{Clock, cell};

/// A value that a column doesn't take, or a payload that is no JSON text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Refused;

/// What is behind a byte order mark, which is no part of a payload; a second one is.
pub(crate) fn unmarked(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload)
}

/// The payload as one JSON text.
pub(crate) fn document(payload: &[u8]) -> Result<&RawValue, Refused> {
    let document: &RawValue = serde_json::from_slice(payload).map_err(|_| Refused)?;
    let mut depths = vec![(document, 0)];
    // `serde_json` leaves strings unread in a raw value, and with them escapes that are no text.
    while let Some((value, depth)) = depths.pop() {
        match value.get().as_bytes().first() {
            Some(b'"') => drop(text(value).ok_or(Refused)?),
            Some(b'{') => depths.extend(
                fields(value)
                    .ok_or(Refused)?
                    .into_iter()
                    .map(|(_, field)| (field, depth + 1)),
            ),
            Some(b'[') => depths.extend(
                elements(value)
                    .ok_or(Refused)?
                    .into_iter()
                    .map(|element| (element, depth + 1)),
            ),
            _ => continue,
        }
        let nests = !value.get().starts_with('"');
        if nests && depth + 1 > DEPTH_MAX {
            return Err(Refused);
        }
    }
    Ok(document)
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

/// The text of a string; nothing for other values, and for strings that are no text.
fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The elements of an array; nothing for other values.
fn elements(array: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(array.get()).ok()
}

/// All fields of an object in order, those with the same key too; nothing for other values.
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
