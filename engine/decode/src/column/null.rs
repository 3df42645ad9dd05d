//! Columns that no message has a say in: NULL, or one constant, in every row.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use engine_model::ColumnType;

/// The Arrow type of a column. Timestamps have no time zone: the upload takes them as instants.
pub(crate) fn data_type(column_type: &ColumnType) -> DataType {
    match column_type {
        ColumnType::TinyInt => DataType::Int8,
        ColumnType::SmallInt => DataType::Int16,
        ColumnType::Int => DataType::Int32,
        ColumnType::BigInt => DataType::Int64,
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, scale.cast_signed())
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            DataType::Utf8
        }
        ColumnType::Binary => DataType::Binary,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::DateTime => DataType::Timestamp(TimeUnit::Millisecond, None),
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            DataType::Timestamp(TimeUnit::Nanosecond, None)
        }
        ColumnType::Array(element) => {
            DataType::List(Arc::new(Field::new("item", data_type(element), true)))
        }
        ColumnType::Map(key, value) => {
            let entry = Fields::from(vec![
                Field::new("key", data_type(key), false),
                Field::new("value", data_type(value), true),
            ]);
            let entries = Field::new("entries", DataType::Struct(entry), false);
            DataType::Map(Arc::new(entries), false)
        }
        ColumnType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| Field::new(name, data_type(field), true));
            DataType::Struct(fields.collect())
        }
    }
}

/// Bytes that a row of this type takes in a batch, text and elements aside; rounded up.
pub(crate) fn row_bytes(data_type: &DataType) -> usize {
    let valid = 1;
    let value = match data_type {
        DataType::Boolean => 1,
        // Each field has a row, also where the struct is NULL.
        DataType::Struct(fields) => fields
            .iter()
            .map(|field| row_bytes(field.data_type()))
            .sum(),
        // Where the row's text or elements start.
        other => other.primitive_width().unwrap_or(size_of::<i32>()),
    };
    valid + value
}

/// `rows` rows of NULL.
pub(crate) fn null_array(data_type: &DataType, rows: usize) -> ArrayRef {
    new_null_array(data_type, rows)
}

/// `rows` rows, each equal to the only one of `row`.
pub(crate) fn repeated_array(row: &ArrayRef, rows: usize) -> ArrayRef {
    let indices = UInt32Array::from(vec![0; rows]);
    take(row, &indices, None)
        .expect("row 0 is there, and text stays below 2 GiB by the batch's size")
}
