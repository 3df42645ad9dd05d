//! Values of every MaxCompute type, from `tests/sdk/values.json`, as a producer sends them: a JSON object for each row.
//!
//! The file writes a scalar as text, NULL as null, an array as a list, a map as a list of pairs and a struct as the list of
//! its fields. Instants count from the epoch: milliseconds in a DATETIME, nanoseconds in a TIMESTAMP.

use std::fs;

use engine_model::ColumnType;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cache::root;

/// A column of the file.
#[derive(Clone, Debug)]
pub struct ValueColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub column_type: ColumnType,
    /// The value in each row; all columns have as many.
    pub values: Vec<Value>,
}

/// The file's columns.
///
/// # Panics
///
/// When the file can't be read.
pub fn value_columns() -> Vec<ValueColumn> {
    let text = fs::read_to_string(root().join("tests/sdk/values.json")).expect("the file is there");
    let file: Value = serde_json::from_str(&text).expect("the file is JSON");
    let columns = file["columns"].as_array().expect("it has columns");
    let mut columns: Vec<ValueColumn> = columns
        .iter()
        .map(|column| ValueColumn {
            name: column["name"].as_str().expect("a name").to_owned(),
            column_type: column["type"]
                .as_str()
                .and_then(|text| text.parse().ok())
                .expect("a type"),
            values: column["values"].as_array().expect("values").clone(),
        })
        .collect();
    let rows = columns.iter().map(|column| column.values.len()).max();
    for column in &mut columns {
        column.values.resize(rows.unwrap_or_default(), Value::Null);
    }
    columns
}

impl ValueColumn {
    /// The column's lines below `columns:` of a job file. Bytes that are no text come as the message's key.
    pub fn job_line(&self) -> String {
        let name = &self.name;
        match self.column_type {
            ColumnType::Binary => format!("{name}: __key__"),
            ColumnType::DateTime => format!("{name}: {{ from: {name}, format: epoch_ms }}"),
            _ => format!("{name}: {name}"),
        }
    }
}

/// The key and the payload of row `row`.
///
/// # Panics
///
/// When the file holds something else than it says.
pub fn message(columns: &[ValueColumn], row: usize) -> (Option<Vec<u8>>, String) {
    let mut key = None;
    let mut fields = Vec::new();
    for ValueColumn {
        name,
        column_type,
        values,
    } in columns
    {
        let value = &values[row];
        if *column_type == ColumnType::Binary {
            key = value.as_str().map(bytes);
        } else if *column_type == ColumnType::DateTime && !value.is_null() {
            fields.push(format!("\"{name}\":{}", text(value)));
        } else if !value.is_null() || row.is_multiple_of(2) {
            fields.push(format!("\"{name}\":{}", json(column_type, value)));
        }
    }
    (key, format!("{{{}}}", fields.join(",")))
}

/// A value as JSON.
fn json(column_type: &ColumnType, value: &Value) -> String {
    if value.is_null() {
        return "null".to_owned();
    }
    let instant = |nanoseconds| Timestamp::from_nanosecond(nanoseconds).expect("an instant");
    let number = || text(value).parse::<i128>().expect("a number");
    let list = || value.as_array().expect("a list");
    match column_type {
        ColumnType::Float | ColumnType::Double if text(value).ends_with(['N', 'y']) => {
            quoted(text(value))
        }
        ColumnType::TinyInt
        | ColumnType::SmallInt
        | ColumnType::Int
        | ColumnType::BigInt
        | ColumnType::Float
        | ColumnType::Double
        | ColumnType::Decimal { .. }
        | ColumnType::Boolean
        | ColumnType::Json => text(value).to_owned(),
        ColumnType::String
        | ColumnType::VarChar(_)
        | ColumnType::Char(_)
        | ColumnType::Date
        | ColumnType::Binary => quoted(text(value)),
        ColumnType::DateTime => quoted(&instant(number() * 1_000_000).to_string()),
        ColumnType::Timestamp => quoted(&instant(number()).to_string()),
        ColumnType::TimestampNtz => {
            let wall_clock = TimeZone::UTC.to_datetime(instant(number()));
            quoted(&wall_clock.to_string())
        }
        ColumnType::Array(element) => {
            let elements: Vec<_> = list().iter().map(|value| json(element, value)).collect();
            format!("[{}]", elements.join(","))
        }
        ColumnType::Map(_, value_type) => {
            let entry =
                |pair: &Value| format!("{}:{}", quoted(text(&pair[0])), json(value_type, &pair[1]));
            let entries: Vec<_> = list().iter().map(entry).collect();
            format!("{{{}}}", entries.join(","))
        }
        ColumnType::Struct(fields) => {
            let field = |((name, field), value): (&(String, ColumnType), &Value)| {
                format!("{}:{}", quoted(name), json(field, value))
            };
            let fields: Vec<_> = fields.iter().zip(list()).map(field).collect();
            format!("{{{}}}", fields.join(","))
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The bytes of pairs of hexadecimal digits.
fn bytes(digits: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| {
        let pair = str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    digits.as_bytes().chunks(2).map(pair).collect()
}
