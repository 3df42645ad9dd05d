//! Rows in Arrow form: which Arrow type each column travels in, and the messages that hold record batches.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::writer::{IpcWriteOptions, StreamEncoder};
use engine_model::{Column, ColumnType};

mod reader;

pub(crate) use self::reader::MessageReader;

/// The schema of batches with rows of `columns`.
pub fn arrow_schema(columns: &[Column]) -> Arc<Schema> {
    let field = |column: &Column| {
        let data_type = arrow_type(&column.column_type);
        Field::new(&column.name, data_type, column.nullable)
    };
    Arc::new(Schema::new(columns.iter().map(field).collect::<Fields>()))
}

/// The Arrow type in which a column of `column_type` travels.
pub fn arrow_type(column_type: &ColumnType) -> DataType {
    let child = |name: &str, column_type: &ColumnType, nullable| {
        Field::new(name, arrow_type(column_type), nullable)
    };
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
        ColumnType::Array(element) => DataType::List(Arc::new(child("item", element, true))),
        ColumnType::Map(key, value) => {
            let entries = Fields::from(vec![child("key", key, false), child("value", value, true)]);
            let entries = Field::new("entries", DataType::Struct(entries), false);
            DataType::Map(Arc::new(entries), false)
        }
        ColumnType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|(name, field)| child(name, field, true))
                .collect(),
        ),
    }
}

/// Rows that don't fit the table's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchError(String);

impl BatchError {
    pub(super) fn new(message: String) -> Self {
        Self(message)
    }
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BatchError {}

/// Checks that `schema` has the table's `columns`, in their order and in the types in which they travel.
///
/// Names of nested fields and time zones don't count: they aren't on the wire, and an instant is the same in any zone.
pub fn check_batch_schema(schema: &Schema, columns: &[Column]) -> Result<(), BatchError> {
    if schema.fields().len() != columns.len() {
        let (found, expected) = (schema.fields().len(), columns.len());
        let text = format!("the rows have {found} columns, the table has {expected}");
        return Err(BatchError(text));
    }
    for (position, (field, column)) in schema.fields().iter().zip(columns).enumerate() {
        let Column {
            name, column_type, ..
        } = column;
        if !field.name().eq_ignore_ascii_case(name) {
            let found = field.name();
            let text = format!("column {position} of the rows is {found}, of the table {name}");
            return Err(BatchError(text));
        }
        let expected = arrow_type(column_type);
        let zone_is_wrong = *column_type == ColumnType::TimestampNtz
            && matches!(field.data_type(), DataType::Timestamp(_, Some(_)));
        if zone_is_wrong || !same_layout(field.data_type(), &expected) {
            let found = field.data_type();
            return Err(BatchError(format!(
                "column {name} is {column_type} and travels as Arrow's {expected}; the rows have {found}"
            )));
        }
    }
    Ok(())
}

fn same_layout(found: &DataType, expected: &DataType) -> bool {
    let same =
        |found: &Field, expected: &Field| same_layout(found.data_type(), expected.data_type());
    match (found, expected) {
        (DataType::Timestamp(found, _), DataType::Timestamp(expected, _)) => found == expected,
        (DataType::List(found), DataType::List(expected))
        | (DataType::Map(found, _), DataType::Map(expected, _)) => same(found, expected),
        (DataType::Struct(found), DataType::Struct(expected)) => {
            found.len() == expected.len()
                && found
                    .iter()
                    .zip(expected)
                    .all(|(found, expected)| same(found, expected))
        }
        _ => found == expected,
    }
}

/// Turns record batches into the messages of a block: record batch messages of metadata version 5, aligned to 8 bytes,
/// uncompressed; no schema message, no end of stream.
#[derive(Default)]
pub(crate) struct BatchEncoder {
    /// The schema that was last seen, which all batches of a block usually share, and its encoder.
    last: Option<(Arc<Schema>, StreamEncoder)>,
}

impl BatchEncoder {
    /// The bytes of one batch's message, in order. They share the memory of the batch, whose schema was checked.
    ///
    /// # Errors
    /// Arrow can't encode the batch.
    pub(crate) fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<Buffer>, BatchError> {
        let schema = batch.schema_ref();
        let last = match self.last.take() {
            Some((known, encoder)) if Arc::ptr_eq(&known, schema) => (known, encoder),
            _ => (
                Arc::clone(schema),
                encoder(schema).map_err(|error| wrong(&error))?,
            ),
        };
        let (_, encoder) = self.last.insert(last);
        encoder.encode(batch).map_err(|error| wrong(&error))
    }
}

fn encoder(schema: &Arc<Schema>) -> Result<StreamEncoder, ArrowError> {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5)?;
    let mut encoder = StreamEncoder::try_new_with_options(schema, options)?;
    // The first batch brings the schema message, which the tunnel doesn't want: the session says what the columns are.
    encoder.encode(&RecordBatch::new_empty(Arc::clone(schema)))?;
    Ok(encoder)
}

fn wrong(error: &ArrowError) -> BatchError {
    BatchError(format!("the rows can't be encoded: {error}"))
}

#[cfg(test)]
mod tests;
