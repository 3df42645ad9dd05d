//! The bytes of official clients, and their rows as the typed JSON that stands beside them.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray as _, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::{Column, ColumnType};
use serde_json::{Value, json};

use crate::maxcompute::types::arrow_type;

pub(super) fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tunnel/tests/fixtures");
    fs::read(folder.join(name)).unwrap()
}

pub(super) fn description(name: &str) -> Value {
    serde_json::from_slice(&fixture(&format!("{name}.json"))).unwrap()
}

pub(super) fn columns(description: &Value) -> Vec<Column> {
    let column = |column: &Value| {
        let column_type = column["type"].as_str().unwrap().parse().unwrap();
        Column::new(column["name"].as_str().unwrap(), column_type)
    };
    description["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(column)
        .collect()
}

/// A value in the fixtures' typed JSON.
pub(super) fn typed(array: &dyn Array, row: usize, column: &ColumnType) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let elements = |array: ArrayRef, element: &ColumnType| -> Vec<Value> {
        (0..array.len())
            .map(|row| typed(array.as_ref(), row, element))
            .collect()
    };
    match column {
        ColumnType::TinyInt => json!(array.as_primitive::<Int8Type>().value(row)),
        ColumnType::SmallInt => json!(array.as_primitive::<Int16Type>().value(row)),
        ColumnType::Int => json!(array.as_primitive::<Int32Type>().value(row)),
        ColumnType::BigInt => json!(array.as_primitive::<Int64Type>().value(row)),
        ColumnType::Boolean => json!(array.as_boolean().value(row)),
        ColumnType::Float => {
            let bits = array.as_primitive::<Float32Type>().value(row).to_bits();
            json!({ "f32_bits": format!("{bits:08x}") })
        }
        ColumnType::Double => {
            let bits = array.as_primitive::<Float64Type>().value(row).to_bits();
            json!({ "f64_bits": format!("{bits:016x}") })
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            json!(array.as_string::<i32>().value(row))
        }
        ColumnType::Binary => {
            let bytes = array.as_binary::<i32>().value(row);
            json!({ "hex": bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat() })
        }
        ColumnType::Decimal { .. } => {
            json!({ "dec": array.as_primitive::<Decimal128Type>().value_as_string(row) })
        }
        ColumnType::Date => json!({ "days": array.as_primitive::<Date32Type>().value(row) }),
        ColumnType::DateTime => {
            json!({ "ms": array.as_primitive::<TimestampMillisecondType>().value(row) })
        }
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().value(row);
            let (sec, nanos) = (
                nanos.div_euclid(1_000_000_000),
                nanos.rem_euclid(1_000_000_000),
            );
            json!({ "sec": sec, "nanos": nanos })
        }
        ColumnType::Array(element) => json!(elements(array.as_list::<i32>().value(row), element)),
        ColumnType::Map(key, value) => {
            let entries = array.as_map().value(row);
            let keys = elements(Arc::clone(entries.column(0)), key);
            let values = elements(Arc::clone(entries.column(1)), value);
            json!({ "map": keys.into_iter().zip(values).map(|(k, v)| json!([k, v])).collect::<Vec<_>>() })
        }
        ColumnType::Struct(fields) => {
            let children = array.as_struct().columns().iter().zip(fields);
            let values: Vec<Value> = children
                .map(|(child, (_, field))| typed(child.as_ref(), row, field))
                .collect();
            json!({ "struct": values })
        }
    }
}

pub(super) fn typed_rows(batch: &RecordBatch, columns: &[Column]) -> Value {
    let row = |row: usize| {
        let cells = batch.columns().iter().zip(columns);
        cells
            .map(|(array, column)| typed(array.as_ref(), row, &column.column_type))
            .collect()
    };
    Value::Array((0..batch.num_rows()).map(row).collect())
}

/// The fixtures' typed JSON as an array.
#[expect(clippy::too_many_lines, reason = "one arm a type")]
pub(super) fn array(values: &[Value], column: &ColumnType) -> ArrayRef {
    let nulls = || {
        Some(
            values
                .iter()
                .map(|value| !value.is_null())
                .collect::<NullBuffer>(),
        )
    };
    let lengths = |list: fn(&Value) -> usize| OffsetBuffer::from_lengths(values.iter().map(list));
    let field = |index: usize| -> Vec<Value> {
        values
            .iter()
            .map(|value| value["struct"].get(index).cloned().unwrap_or_default())
            .collect()
    };
    match column {
        ColumnType::TinyInt => numbers::<Int8Type>(values, |v| v.as_i64()?.try_into().ok()),
        ColumnType::SmallInt => numbers::<Int16Type>(values, |v| v.as_i64()?.try_into().ok()),
        ColumnType::Int => numbers::<Int32Type>(values, |v| v.as_i64()?.try_into().ok()),
        ColumnType::BigInt => numbers::<Int64Type>(values, Value::as_i64),
        ColumnType::Date => numbers::<Date32Type>(values, |v| v["days"].as_i64()?.try_into().ok()),
        ColumnType::DateTime => numbers::<TimestampMillisecondType>(values, |v| v["ms"].as_i64()),
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            numbers::<TimestampNanosecondType>(values, |v| {
                Some(v["sec"].as_i64()? * 1_000_000_000 + v["nanos"].as_i64()?)
            })
        }
        ColumnType::Float => numbers::<Float32Type>(values, |v| {
            u32::from_str_radix(v["f32_bits"].as_str()?, 16)
                .ok()
                .map(f32::from_bits)
        }),
        ColumnType::Double => numbers::<Float64Type>(values, |v| {
            u64::from_str_radix(v["f64_bits"].as_str()?, 16)
                .ok()
                .map(f64::from_bits)
        }),
        ColumnType::Boolean => {
            Arc::new(values.iter().map(Value::as_bool).collect::<BooleanArray>())
        }
        ColumnType::Decimal { precision, scale } => {
            let unscaled = values
                .iter()
                .map(|v| Some(v["dec"].as_str()?.replace('.', "").parse().unwrap()));
            let array = unscaled.collect::<Decimal128Array>();
            Arc::new(
                array
                    .with_precision_and_scale(*precision, i8::try_from(*scale).unwrap())
                    .unwrap(),
            )
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            Arc::new(values.iter().map(Value::as_str).collect::<StringArray>())
        }
        ColumnType::Binary => {
            let bytes = |v: &Value| -> Option<Vec<u8>> {
                let hex = v["hex"].as_str()?.as_bytes();
                let byte = |pair: &[u8]| {
                    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
                };
                Some(hex.chunks(2).map(byte).collect())
            };
            Arc::new(values.iter().map(bytes).collect::<BinaryArray>())
        }
        ColumnType::Array(element) => {
            let flat: Vec<Value> = values
                .iter()
                .filter_map(Value::as_array)
                .flatten()
                .cloned()
                .collect();
            let DataType::List(item) = arrow_type(column) else {
                panic!("no list")
            };
            let offsets = lengths(|value| value.as_array().map_or(0, Vec::len));
            Arc::new(ListArray::new(
                item,
                offsets,
                array(&flat, element),
                nulls(),
            ))
        }
        ColumnType::Map(key, value) => {
            let pairs: Vec<&Value> = values
                .iter()
                .filter_map(|v| v["map"].as_array())
                .flatten()
                .collect();
            let side = |index: usize| {
                pairs
                    .iter()
                    .map(|pair| pair[index].clone())
                    .collect::<Vec<_>>()
            };
            let DataType::Map(entries, _) = arrow_type(column) else {
                panic!("no map")
            };
            let DataType::Struct(fields) = entries.data_type() else {
                panic!("no struct")
            };
            let children = vec![array(&side(0), key), array(&side(1), value)];
            let offsets = lengths(|value| value["map"].as_array().map_or(0, Vec::len));
            let structs = StructArray::new(fields.clone(), children, None);
            Arc::new(MapArray::new(entries, offsets, structs, nulls(), false))
        }
        ColumnType::Struct(members) => {
            let DataType::Struct(fields) = arrow_type(column) else {
                panic!("no struct")
            };
            let children = members
                .iter()
                .enumerate()
                .map(|(index, (_, member))| array(&field(index), member));
            Arc::new(StructArray::new(fields, children.collect(), nulls()))
        }
    }
}

fn numbers<T: ArrowPrimitiveType>(
    values: &[Value],
    read: impl Fn(&Value) -> Option<T::Native>,
) -> ArrayRef {
    Arc::new(values.iter().map(read).collect::<PrimitiveArray<T>>())
}
