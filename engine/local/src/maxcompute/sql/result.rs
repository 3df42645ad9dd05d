//! Rows of a query on their way from SQLite into a Parquet file, and out again as CSV.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Decimal128Array, PrimitiveBuilder, RecordBatch,
    StringBuilder,
};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, FieldRef, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, SchemaRef, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::{Column, ColumnType};
use jiff::tz::TimeZone;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};

use super::error::{SqlError, run_error};
use super::{nested, value};
use crate::maxcompute::catalog::{Catalog, ResultSet};
use crate::maxcompute::decimal::Decimal;
use crate::maxcompute::error::ServiceError;
use crate::maxcompute::storage::{FileWriter, StoredFile};
use crate::maxcompute::types::arrow_schema;

/// Rows that are gathered before they go to the file.
const GATHERED_ROWS: usize = 4_096;
/// Rows of a result as CSV; the service's own bound. The instance tunnel has none.
const CSV_ROWS_MAX: usize = 10_000;

/// A file that rows of SQLite values go to. Dropped unfinished, it leaves nothing behind.
pub(crate) struct RowFile {
    gatherer: Gatherer,
    writer: FileWriter,
}

impl RowFile {
    /// Starts the file `id`, whose columns are the first ones of the rows.
    pub(crate) fn create(
        catalog: &Catalog,
        id: &str,
        columns: &[Column],
    ) -> Result<Self, ServiceError> {
        let gatherer = Gatherer::new(columns);
        let writer = catalog
            .files()
            .create(id, SchemaRef::clone(&gatherer.schema))?;
        Ok(Self { gatherer, writer })
    }

    /// Takes one row.
    pub(crate) fn push(&mut self, row: &rusqlite::Row<'_>) -> Result<(), SqlError> {
        self.gatherer.push(row).map_err(run_error)?;
        if self.gatherer.rows >= GATHERED_ROWS {
            self.write()?;
        }
        Ok(())
    }

    /// Completes the file; `None` without rows.
    pub(crate) fn finish(mut self) -> Result<Option<StoredFile>, SqlError> {
        self.write()?;
        Ok(self.writer.finish().map_err(ServiceError::from)?)
    }

    fn write(&mut self) -> Result<(), SqlError> {
        let batch = self.gatherer.take()?;
        Ok(self.writer.write(&batch).map_err(ServiceError::from)?)
    }
}

/// Gathers rows of SQLite values and makes batches of them.
struct Gatherer {
    schema: SchemaRef,
    columns: Vec<(Column, Vec<Value>)>,
    rows: usize,
}

impl Gatherer {
    fn new(columns: &[Column]) -> Self {
        let columns: Vec<(Column, Vec<Value>)> = columns
            .iter()
            .map(|column| (column.clone(), Vec::new()))
            .collect();
        let schema = arrow_schema(columns.iter().map(|(column, _)| column));
        Self {
            schema,
            columns,
            rows: 0,
        }
    }

    /// Takes one row.
    fn push(&mut self, row: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        for (position, (_, values)) in self.columns.iter_mut().enumerate() {
            values.push(value::owned(row.get_ref(position)?));
        }
        self.rows += 1;
        Ok(())
    }

    /// The gathered rows as a batch; begins anew.
    fn take(&mut self) -> Result<RecordBatch, SqlError> {
        let mut arrays = Vec::new();
        for ((column, values), field) in self.columns.iter_mut().zip(self.schema.fields()) {
            arrays.push(array(column, field, values)?);
            values.clear();
        }
        self.rows = 0;
        RecordBatch::try_new(SchemaRef::clone(&self.schema), arrays).map_err(SqlError::run)
    }
}

/// Values of one column as an array.
fn array(column: &Column, field: &FieldRef, values: &[Value]) -> Result<ArrayRef, SqlError> {
    let wrong = |value: &Value| {
        let text = format!(
            "column {}: {value:?} is no {}",
            column.name, column.column_type
        );
        SqlError::run(text)
    };
    Ok(match &column.column_type {
        ColumnType::TinyInt => primitive::<Int8Type>(values, |n| n.try_into().ok(), wrong)?,
        ColumnType::SmallInt => primitive::<Int16Type>(values, |n| n.try_into().ok(), wrong)?,
        ColumnType::Int => primitive::<Int32Type>(values, |n| n.try_into().ok(), wrong)?,
        ColumnType::Date => primitive::<Date32Type>(values, |n| n.try_into().ok(), wrong)?,
        ColumnType::BigInt => primitive::<Int64Type>(values, Some, wrong)?,
        ColumnType::DateTime => primitive::<TimestampMillisecondType>(values, Some, wrong)?,
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            primitive::<TimestampNanosecondType>(values, Some, wrong)?
        }
        #[expect(clippy::cast_possible_truncation, reason = "FLOAT keeps what it can")]
        ColumnType::Float => reals::<Float32Type>(values, |number| number as f32, wrong)?,
        ColumnType::Double => reals::<Float64Type>(values, |number| number, wrong)?,
        ColumnType::Boolean => {
            let flags = values.iter().map(|value| match value {
                Value::Null => Ok(None),
                Value::Integer(flag) => Ok(Some(*flag != 0)),
                other => Err(wrong(other)),
            });
            Arc::new(flags.collect::<Result<BooleanArray, _>>()?)
        }
        ColumnType::Decimal { precision, scale } => {
            let numbers = values.iter().map(|value| match value {
                Value::Null => Ok(None),
                Value::Text(text) => {
                    let number = Decimal::parse(text);
                    let unscaled = number.and_then(|number| number.unscaled(*precision, *scale));
                    unscaled.map(Some).ok_or_else(|| wrong(value))
                }
                other => Err(wrong(other)),
            });
            let numbers: Decimal128Array = numbers.collect::<Result<_, _>>()?;
            Arc::new(numbers.with_data_type(field.data_type().clone()))
        }
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            let mut builder = StringBuilder::new();
            for value in values {
                builder.append_option(match value {
                    Value::Null => None,
                    Value::Text(text) => Some(text),
                    other => return Err(wrong(other)),
                });
            }
            Arc::new(builder.finish())
        }
        ColumnType::Binary => {
            let mut builder = BinaryBuilder::new();
            for value in values {
                builder.append_option(match value {
                    Value::Null => None,
                    Value::Blob(bytes) => Some(bytes),
                    other => return Err(wrong(other)),
                });
            }
            Arc::new(builder.finish())
        }
        ColumnType::Array(_) | ColumnType::Map(..) | ColumnType::Struct(_) => {
            let rows: Vec<Option<String>> = values.iter().map(nested::json_of).collect();
            nested::read(field, &rows).map_err(SqlError::run)?
        }
    })
}

fn primitive<T: ArrowPrimitiveType>(
    values: &[Value],
    narrow: impl Fn(i64) -> Option<T::Native>,
    wrong: impl Fn(&Value) -> SqlError,
) -> Result<ArrayRef, SqlError> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(values.len());
    for value in values {
        builder.append_option(match value {
            Value::Null => None,
            Value::Integer(number) => Some(narrow(*number).ok_or_else(|| wrong(value))?),
            other => return Err(wrong(other)),
        });
    }
    Ok(Arc::new(builder.finish()))
}

fn reals<T: ArrowPrimitiveType>(
    values: &[Value],
    narrow: impl Fn(f64) -> T::Native,
    wrong: impl Fn(&Value) -> SqlError,
) -> Result<ArrayRef, SqlError> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(values.len());
    for value in values {
        builder.append_option(match value {
            Value::Null => None,
            other => Some(narrow(
                value::as_f64(other.into()).ok_or_else(|| wrong(other))?,
            )),
        });
    }
    Ok(Arc::new(builder.finish()))
}

/// The first rows of a result as CSV: a line of names, strings in quotes, `\N` for NULL.
pub(crate) fn csv(
    catalog: &Catalog,
    result: &ResultSet,
    zone: &TimeZone,
) -> Result<String, ServiceError> {
    let names: Vec<String> = result
        .columns
        .iter()
        .map(|column| quoted(&column.name))
        .collect();
    let mut csv = names.join(",");
    csv.push('\n');
    let Some(file) = &result.file else {
        return Ok(csv);
    };
    let columns: Vec<usize> = (0..result.columns.len()).collect();
    for batch in catalog
        .files()
        .read(&file.name, &columns, 0, CSV_ROWS_MAX)?
    {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            for (position, (array, column)) in
                batch.columns().iter().zip(&result.columns).enumerate()
            {
                if position > 0 {
                    csv.push(',');
                }
                let cell = value::cell(array.as_ref(), row, &column.column_type);
                let cell = match &cell {
                    ToSqlOutput::Borrowed(cell) => *cell,
                    ToSqlOutput::Owned(cell) => ValueRef::from(cell),
                    _ => ValueRef::Null,
                };
                match value::text(cell, &column.column_type, zone) {
                    Some(text) => csv.push_str(&quoted(&text)),
                    None => csv.push_str("\\N"),
                }
            }
            csv.push('\n');
        }
    }
    Ok(csv)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}
