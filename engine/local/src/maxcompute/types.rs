//! How MaxCompute's column types look in Arrow: in blocks on the wire and in the stored Parquet files alike.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use engine_model::{Column, ColumnType};

/// The Arrow type of a column type. DATETIME counts milliseconds, both TIMESTAMPs nanoseconds, none has a zone.
pub(crate) fn arrow_type(column_type: &ColumnType) -> DataType {
    match column_type {
        ColumnType::TinyInt => DataType::Int8,
        ColumnType::SmallInt => DataType::Int16,
        ColumnType::Int => DataType::Int32,
        ColumnType::BigInt => DataType::Int64,
        ColumnType::Float => DataType::Float32,
        ColumnType::Double => DataType::Float64,
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
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
            DataType::List(Arc::new(Field::new("item", arrow_type(element), true)))
        }
        ColumnType::Map(key, value) => {
            let entries = Fields::from(vec![
                Field::new("key", arrow_type(key), false),
                Field::new("value", arrow_type(value), true),
            ]);
            let entries = Field::new("entries", DataType::Struct(entries), false);
            DataType::Map(Arc::new(entries), false)
        }
        ColumnType::Struct(fields) => {
            let field =
                |(name, field): &(String, ColumnType)| Field::new(name, arrow_type(field), true);
            DataType::Struct(fields.iter().map(field).collect())
        }
    }
}

/// The type as the service writes it: keywords in lower case, names of fields as they are.
pub(crate) fn type_text(column_type: &ColumnType) -> String {
    match column_type {
        ColumnType::Array(element) => format!("array<{}>", type_text(element)),
        ColumnType::Map(key, value) => format!("map<{},{}>", type_text(key), type_text(value)),
        ColumnType::Struct(fields) => {
            let field =
                |(name, field): &(String, ColumnType)| format!("{name}:{}", type_text(field));
            format!(
                "struct<{}>",
                fields.iter().map(field).collect::<Vec<_>>().join(",")
            )
        }
        simple => simple.to_string().to_lowercase(),
    }
}

/// The Arrow schema of a table's columns, in table order; partition keys are no part of it.
pub(crate) fn arrow_schema<'a>(columns: impl IntoIterator<Item = &'a Column>) -> SchemaRef {
    let field = |column: &Column| {
        Field::new(
            &column.name,
            arrow_type(&column.column_type),
            column.nullable,
        )
    };
    Arc::new(Schema::new(
        columns.into_iter().map(field).collect::<Fields>(),
    ))
}
