//! Cells of record batches in the notation of the recorded rows.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::{Column, ColumnType};
use serde_json::{Value, json};

pub(crate) fn rows(columns: &[Column], batch: &RecordBatch) -> Value {
    let row = |row| {
        columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| cell(&column.column_type, array, row))
            .collect::<Value>()
    };
    (0..batch.num_rows()).map(row).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> Value {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "hex": hex.concat() })
}

/// A decimal without exponent and without zeros at the end of its fraction.
pub(crate) fn plain_decimal(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let exponent: isize = exponent.parse().unwrap();
    let (sign, mantissa) = mantissa
        .strip_prefix('-')
        .map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = "0".repeat(exponent.unsigned_abs());
    let digits = format!("{zeros}{whole}{fraction}{zeros}");
    let point = (zeros.len() + whole.len()).checked_add_signed(exponent);
    let (whole, fraction) = digits.split_at(point.unwrap());
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    match fraction.trim_end_matches('0') {
        "" if whole == "0" => "0".to_owned(),
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

fn cell(column_type: &ColumnType, array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let cells = |column_type: &ColumnType, array: &ArrayRef| -> Vec<Value> {
        (0..array.len())
            .map(|row| cell(column_type, array, row))
            .collect()
    };
    match column_type {
        ColumnType::TinyInt => json!(array.as_primitive::<Int8Type>().value(row)),
        ColumnType::SmallInt => json!(array.as_primitive::<Int16Type>().value(row)),
        ColumnType::Int => json!(array.as_primitive::<Int32Type>().value(row)),
        ColumnType::BigInt => json!(array.as_primitive::<Int64Type>().value(row)),
        ColumnType::Float => {
            let bits = array.as_primitive::<Float32Type>().value(row).to_bits();
            json!({ "f32_bits": format!("{bits:08x}") })
        }
        ColumnType::Double => {
            let bits = array.as_primitive::<Float64Type>().value(row).to_bits();
            json!({ "f64_bits": format!("{bits:016x}") })
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) => {
            json!(array.as_string::<i32>().value(row))
        }
        ColumnType::Json => json!({ "json": array.as_string::<i32>().value(row) }),
        ColumnType::Binary => hex(array.as_binary::<i32>().value(row)),
        ColumnType::Boolean => json!(array.as_boolean().value(row)),
        ColumnType::Decimal { .. } => {
            json!({ "dec": array.as_primitive::<Decimal128Type>().value_as_string(row) })
        }
        ColumnType::Date => json!({ "days": array.as_primitive::<Date32Type>().value(row) }),
        ColumnType::DateTime => {
            json!({ "ms": array.as_primitive::<TimestampMillisecondType>().value(row) })
        }
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            let ns = array.as_primitive::<TimestampNanosecondType>().value(row);
            let (sec, nanos) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
            json!({ "sec": sec, "nanos": nanos })
        }
        ColumnType::Array(element) => cells(element, &array.as_list::<i32>().value(row)).into(),
        ColumnType::Map(key, value) => {
            let entries = array.as_map().value(row);
            let keys = cells(key, entries.column(0)).into_iter();
            let pairs = keys.zip(cells(value, entries.column(1)));
            json!({ "map": pairs.map(|(key, value)| json!([key, value])).collect::<Value>() })
        }
        ColumnType::Struct(fields) => {
            let columns = array.as_struct().columns().iter();
            let cells = columns
                .zip(fields)
                .map(|(array, (_, field))| cell(field, array, row));
            json!({ "struct": cells.collect::<Value>() })
        }
    }
}
