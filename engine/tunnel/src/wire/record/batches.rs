//! From records to record batches.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, ListArray, MapArray, PrimitiveArray,
    RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, SchemaRef, TimestampMillisecondType, TimestampNanosecondType,
};
use bytes::Bytes;
use engine_model::{Column, ColumnType};

use super::super::{BodyError, arrow_schema, arrow_type};
use super::decimal::parse_decimal;
use super::reader::{Progress, RecordReader, Value};
use super::{SECOND, Shape};

/// Rows of a batch, at most.
const BATCH_ROWS_MAX: usize = 8_192;
/// Bytes of records that become a batch: far from where 32-bit offsets end.
const BATCH_BYTES: usize = 8 << 20;

/// Reads a body in record form, some thousand rows at a time.
pub(crate) struct RecordBatchReader {
    body: Bytes,
    columns: Arc<[Column]>,
    schema: SchemaRef,
    shapes: Vec<Shape>,
    progress: Progress,
    rows: u64,
    failed: bool,
}

impl RecordBatchReader {
    pub(crate) fn new(body: Bytes, columns: Arc<[Column]>) -> Self {
        Self {
            body,
            schema: arrow_schema(&columns),
            shapes: columns
                .iter()
                .map(|column| Shape::of(&column.column_type))
                .collect(),
            columns,
            progress: Progress::default(),
            rows: 0,
            failed: false,
        }
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, BodyError> {
        let mut reader = RecordReader::resume(&self.body, &self.shapes, self.progress);
        let start = reader.position();
        let mut records = Vec::new();
        while records.len() < BATCH_ROWS_MAX && reader.position() - start < BATCH_BYTES {
            let Some(record) = reader.next_record()? else {
                break;
            };
            records.push(record);
        }
        self.progress = reader.progress();
        if records.is_empty() {
            return Ok(None);
        }
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (position, column) in self.columns.iter().enumerate() {
            let cells: Vec<_> = records
                .iter()
                .filter_map(|record| record.get(position))
                .collect();
            let array =
                array(&column.column_type, &cells).map_err(|Misfit { index, problem }| {
                    let row = self.rows + index as u64;
                    BodyError::new(format!("column {}, record {row}: {problem}", column.name))
                })?;
            arrays.push(array);
        }
        self.rows += records.len() as u64;
        let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
        RecordBatch::try_new_with_options(SchemaRef::clone(&self.schema), arrays, &options)
            .map(Some)
            .map_err(|error| BodyError::new(error.to_string()))
    }
}

impl Iterator for RecordBatchReader {
    type Item = Result<RecordBatch, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_batch();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// A value that its type can't hold, and its position among the cells.
struct Misfit {
    index: usize,
    problem: String,
}

fn array(column_type: &ColumnType, cells: &[&Value<'_>]) -> Result<ArrayRef, Misfit> {
    let misfits = |value: &dyn std::fmt::Debug| format!("{value:?} doesn't fit {column_type}");
    Ok(match column_type {
        ColumnType::TinyInt => integers::<Int8Type>(cells, misfits)?,
        ColumnType::SmallInt => integers::<Int16Type>(cells, misfits)?,
        ColumnType::Int => integers::<Int32Type>(cells, misfits)?,
        ColumnType::BigInt => integers::<Int64Type>(cells, misfits)?,
        ColumnType::Date => integers::<Date32Type>(cells, misfits)?,
        ColumnType::DateTime => integers::<TimestampMillisecondType>(cells, misfits)?,
        ColumnType::Timestamp | ColumnType::TimestampNtz => {
            primitive::<TimestampNanosecondType>(cells, |value| match value {
                Value::Instant {
                    seconds,
                    nanoseconds,
                } => i64::try_from(
                    i128::from(*seconds) * i128::from(SECOND) + i128::from(*nanoseconds),
                )
                .map_err(|_| format!("second {seconds} is beyond what Arrow's nanoseconds hold")),
                other => Err(misfits(other)),
            })?
        }
        ColumnType::Float => primitive::<Float32Type>(cells, |value| match value {
            Value::Float(value) => Ok(*value),
            other => Err(misfits(other)),
        })?,
        ColumnType::Double => primitive::<Float64Type>(cells, |value| match value {
            Value::Double(value) => Ok(*value),
            other => Err(misfits(other)),
        })?,
        ColumnType::Boolean => {
            let values = each(cells, |value| match value {
                Value::Boolean(value) => Ok(*value),
                other => Err(misfits(other)),
            });
            Arc::new(values.collect::<Result<BooleanArray, _>>()?)
        }
        ColumnType::Decimal { precision, scale } => decimals(*precision, *scale, cells)?,
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_) | ColumnType::Json => {
            let values = each(cells, |value| {
                text(value).and_then(|text| str::from_utf8(text).map_err(|error| error.to_string()))
            });
            Arc::new(values.collect::<Result<StringArray, _>>()?)
        }
        ColumnType::Binary => Arc::new(each(cells, text).collect::<Result<BinaryArray, _>>()?),
        ColumnType::Array(element) => list(column_type, element, cells)?,
        ColumnType::Map(key, value) => map(column_type, [key, value], cells)?,
        ColumnType::Struct(fields) => structs(column_type, fields, cells)?,
    })
}

/// Reads the cells that aren't NULL.
fn each<'c, T>(
    cells: &'c [&'c Value<'c>],
    read: impl Fn(&'c Value<'c>) -> Result<T, String>,
) -> impl Iterator<Item = Result<Option<T>, Misfit>> {
    cells
        .iter()
        .enumerate()
        .map(move |(index, cell)| match cell {
            Value::Null => Ok(None),
            value => read(value)
                .map(Some)
                .map_err(|problem| Misfit { index, problem }),
        })
}

fn primitive<T: ArrowPrimitiveType>(
    cells: &[&Value<'_>],
    read: impl Fn(&Value<'_>) -> Result<T::Native, String>,
) -> Result<ArrayRef, Misfit> {
    let values = each(cells, read).collect::<Result<PrimitiveArray<T>, _>>()?;
    Ok(Arc::new(values))
}

fn integers<T: ArrowPrimitiveType<Native: TryFrom<i64>>>(
    cells: &[&Value<'_>],
    misfits: impl Fn(&dyn std::fmt::Debug) -> String,
) -> Result<ArrayRef, Misfit> {
    primitive::<T>(cells, |value| match value {
        Value::Integer(value) => T::Native::try_from(*value).map_err(|_| misfits(value)),
        other => Err(misfits(other)),
    })
}

fn decimals(precision: u8, scale: u8, cells: &[&Value<'_>]) -> Result<ArrayRef, Misfit> {
    let values = each(cells, |value| {
        let text = text(value)?;
        parse_decimal(text, precision, scale).ok_or_else(|| {
            let text = text.split_at(text.len().min(100)).0.escape_ascii();
            format!("\"{text}\" doesn't fit DECIMAL({precision},{scale})")
        })
    });
    let values = values.collect::<Result<Decimal128Array, _>>()?;
    let scale = i8::try_from(scale).unwrap_or(i8::MAX);
    let values = values.with_precision_and_scale(precision, scale);
    Ok(Arc::new(values.map_err(|error| Misfit {
        index: 0,
        problem: error.to_string(),
    })?))
}

fn text<'c>(value: &'c Value<'c>) -> Result<&'c [u8], String> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(format!("{other:?} is no text")),
    }
}

fn nulls(cells: &[&Value<'_>]) -> Option<NullBuffer> {
    let valid = cells.iter().map(|cell| **cell != Value::Null);
    Some(valid.collect::<NullBuffer>()).filter(|nulls| nulls.null_count() > 0)
}

/// An array's elements, with the cell that each belongs to.
fn parts<'c>(
    cells: &'c [&'c Value<'c>],
    of: impl Fn(&'c Value<'c>) -> &'c [Value<'c>],
) -> (OffsetBuffer<i32>, Vec<&'c Value<'c>>) {
    let lengths = cells.iter().map(|cell| of(cell).len());
    let offsets = OffsetBuffer::from_lengths(lengths);
    (offsets, cells.iter().flat_map(|cell| of(cell)).collect())
}

/// The array of parts; a misfit is one of the cell that holds it.
fn nested(
    column_type: &ColumnType,
    offsets: &OffsetBuffer<i32>,
    parts: &[&Value<'_>],
) -> Result<ArrayRef, Misfit> {
    array(column_type, parts).map_err(|Misfit { index, problem }| {
        let within = |offset: &i32| usize::try_from(*offset).is_ok_and(|offset| offset <= index);
        let index = offsets.partition_point(within).saturating_sub(1);
        Misfit { index, problem }
    })
}

fn list(
    column_type: &ColumnType,
    element: &ColumnType,
    cells: &[&Value<'_>],
) -> Result<ArrayRef, Misfit> {
    let (offsets, elements) = parts(cells, |cell| match cell {
        Value::List(elements) => elements,
        _ => &[],
    });
    let elements = nested(element, &offsets, &elements)?;
    let DataType::List(field) = arrow_type(column_type) else {
        return Err(no_layout(column_type));
    };
    ListArray::try_new(field, offsets, elements, nulls(cells))
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| refused(&error))
}

fn map(
    column_type: &ColumnType,
    [key, value]: [&ColumnType; 2],
    cells: &[&Value<'_>],
) -> Result<ArrayRef, Misfit> {
    let (offsets, keys) = parts(cells, |cell| match cell {
        Value::Map(keys, _) => keys,
        _ => &[],
    });
    let (_, values) = parts(cells, |cell| match cell {
        Value::Map(_, values) => values,
        _ => &[],
    });
    let DataType::Map(entries, sorted) = arrow_type(column_type) else {
        return Err(no_layout(column_type));
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(no_layout(column_type));
    };
    let sides = vec![
        nested(key, &offsets, &keys)?,
        nested(value, &offsets, &values)?,
    ];
    StructArray::try_new(fields.clone(), sides, None)
        .and_then(|sides| MapArray::try_new(entries, offsets, sides, nulls(cells), sorted))
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| refused(&error))
}

fn structs(
    column_type: &ColumnType,
    fields: &[(String, ColumnType)],
    cells: &[&Value<'_>],
) -> Result<ArrayRef, Misfit> {
    let DataType::Struct(layout) = arrow_type(column_type) else {
        return Err(no_layout(column_type));
    };
    let mut arrays = Vec::with_capacity(fields.len());
    for (position, (_, field)) in fields.iter().enumerate() {
        let parts: Vec<_> = cells
            .iter()
            .map(|cell| match cell {
                Value::Struct(fields) => fields.get(position).unwrap_or(&Value::Null),
                _ => &Value::Null,
            })
            .collect();
        arrays.push(array(field, &parts)?);
    }
    StructArray::try_new_with_length(layout, arrays, nulls(cells), cells.len())
        .map(|array| Arc::new(array) as ArrayRef)
        .map_err(|error| refused(&error))
}

fn no_layout(column_type: &ColumnType) -> Misfit {
    let problem = format!("{column_type} has no layout in Arrow");
    Misfit { index: 0, problem }
}

fn refused(error: &arrow::error::ArrowError) -> Misfit {
    let problem = error.to_string();
    Misfit { index: 0, problem }
}
