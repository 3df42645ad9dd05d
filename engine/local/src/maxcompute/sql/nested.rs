//! ARRAY, MAP and STRUCT as JSON text, which is what SQLite sees of them.

use arrow::array::{Array, ArrayRef, AsArray as _};
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow_json::ReaderBuilder;
use engine_model::ColumnType;
use jiff::tz::TimeZone;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::value;

/// Appends the JSON of one value.
pub(crate) fn write(json: &mut String, array: &dyn Array, row: usize, column: &ColumnType) {
    if array.is_null(row) {
        json.push_str("null");
        return;
    }
    match column {
        ColumnType::Array(element) => {
            let elements = array.as_list::<i32>().value(row);
            write_all(json, ['[', ']'], elements.len(), |json, position| {
                write(json, elements.as_ref(), position, element);
            });
        }
        ColumnType::Map(key_type, value_type) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            write_all(json, ['{', '}'], entries.len(), |json, position| {
                let key = scalar_text(keys.as_ref(), position, key_type);
                json.push_str(&quoted(&key.unwrap_or_default()));
                json.push(':');
                write(json, values.as_ref(), position, value_type);
            });
        }
        ColumnType::Struct(fields) => {
            let children = array.as_struct().columns();
            write_all(json, ['{', '}'], fields.len(), |json, position| {
                if let (Some((name, field)), Some(child)) =
                    (fields.get(position), children.get(position))
                {
                    json.push_str(&quoted(name));
                    json.push(':');
                    write(json, child.as_ref(), row, field);
                }
            });
        }
        scalar => write_scalar(json, array, row, scalar),
    }
}

/// Reads JSON values, one a row and `null` for NULL, back into an array.
///
/// # Errors
/// For JSON that isn't of the field's type.
pub(crate) fn read(field: &FieldRef, rows: &[Option<String>]) -> Result<ArrayRef, ArrowError> {
    let mut decoder = ReaderBuilder::new_with_field(FieldRef::clone(field))
        .with_batch_size(rows.len().max(1))
        .build_decoder()?;
    for row in rows {
        let json = row.as_deref().unwrap_or("null");
        let mut bytes = json.as_bytes();
        while !bytes.is_empty() {
            let read = decoder.decode(bytes)?;
            if read == 0 {
                return Err(ArrowError::JsonError("more values than rows".to_owned()));
            }
            bytes = bytes.split_at(read).1;
        }
        decoder.decode(b"\n")?;
    }
    let batch = decoder.flush()?;
    let column = batch.and_then(|batch| batch.columns().first().cloned());
    column.map_or_else(|| Ok(arrow::array::new_empty_array(field.data_type())), Ok)
}

fn write_all(
    json: &mut String,
    [open, close]: [char; 2],
    count: usize,
    mut entry: impl FnMut(&mut String, usize),
) {
    json.push(open);
    for position in 0..count {
        if position > 0 {
            json.push(',');
        }
        entry(json, position);
    }
    json.push(close);
}

fn write_scalar(json: &mut String, array: &dyn Array, row: usize, column: &ColumnType) {
    let Some(text) = scalar_text(array, row, column) else {
        json.push_str("null");
        return;
    };
    let bare = match column {
        ColumnType::Float | ColumnType::Double => text.parse::<f64>().is_ok_and(f64::is_finite),
        ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::Boolean
        | ColumnType::Decimal { .. } => true,
        _ => false,
    };
    if bare {
        json.push_str(&text);
    } else {
        json.push_str(&quoted(&text));
    }
}

/// The text of a value; bytes in hexadecimal.
fn scalar_text(array: &dyn Array, row: usize, column: &ColumnType) -> Option<String> {
    let cell = value::cell(array, row, column);
    let cell = match &cell {
        ToSqlOutput::Borrowed(cell) => *cell,
        ToSqlOutput::Owned(cell) => ValueRef::from(cell),
        _ => return None,
    };
    match cell {
        ValueRef::Blob(bytes) => Some(value::hex(bytes)),
        cell => value::text(cell, column, &TimeZone::UTC),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The JSON text of a SQLite value of a nested type.
pub(crate) fn json_of(value: &Value) -> Option<String> {
    match value {
        Value::Text(json) => Some(json.clone()),
        _ => None,
    }
}
