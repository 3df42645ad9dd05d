//! Cells of any column type, to be compared.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::ColumnType;

/// What a cell holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Boolean(bool),
    /// An integer; of a DECIMAL the unscaled one, of days and times the ticks since 1970.
    Whole(i128),
    /// The bits, for a zero has a sign. All NaN are one.
    Float(u32),
    Double(u64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<Cell>),
    /// In order.
    Map(Vec<(Cell, Cell)>),
    Struct(Vec<Cell>),
}

impl Cell {
    pub(crate) fn float(value: f32) -> Self {
        Self::Float(if value.is_nan() { f32::NAN } else { value }.to_bits())
    }

    pub(crate) fn double(value: f64) -> Self {
        Self::Double(if value.is_nan() { f64::NAN } else { value }.to_bits())
    }

    /// The cell of an Arrow array that holds a column of `column_type`.
    pub(crate) fn of(array: &dyn Array, row: usize, column_type: &ColumnType) -> Self {
        if array.is_null(row) {
            return Self::Null;
        }
        let all = |array: &dyn Array, column_type| -> Vec<Self> {
            (0..array.len())
                .map(|row| Self::of(array, row, column_type))
                .collect()
        };
        match column_type {
            ColumnType::TinyInt => whole::<Int8Type>(array, row),
            ColumnType::SmallInt => whole::<Int16Type>(array, row),
            ColumnType::Int => whole::<Int32Type>(array, row),
            ColumnType::BigInt => whole::<Int64Type>(array, row),
            ColumnType::Decimal { .. } => whole::<Decimal128Type>(array, row),
            ColumnType::Date => whole::<Date32Type>(array, row),
            ColumnType::DateTime => whole::<TimestampMillisecondType>(array, row),
            ColumnType::Timestamp | ColumnType::TimestampNtz => {
                whole::<TimestampNanosecondType>(array, row)
            }
            ColumnType::Float => Self::float(array.as_primitive::<Float32Type>().value(row)),
            ColumnType::Double => Self::double(array.as_primitive::<Float64Type>().value(row)),
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Json => Self::Text(array.as_string::<i32>().value(row).to_owned()),
            ColumnType::Binary => Self::Bytes(array.as_binary::<i32>().value(row).to_vec()),
            ColumnType::Boolean => Self::Boolean(array.as_boolean().value(row)),
            ColumnType::Array(element) => {
                Self::Array(all(&array.as_list::<i32>().value(row), element))
            }
            ColumnType::Map(key, value) => {
                let entries = array.as_map().value(row);
                let keys = all(entries.column(0), key);
                Self::Map(
                    keys.into_iter()
                        .zip(all(entries.column(1), value))
                        .collect(),
                )
            }
            ColumnType::Struct(fields) => {
                let columns = array.as_struct().columns();
                let fields = columns.iter().zip(fields);
                let cells = fields.map(|(array, (_, field))| Self::of(array, row, field));
                Self::Struct(cells.collect())
            }
        }
    }
}

fn whole<T: ArrowPrimitiveType<Native: Into<i128>>>(array: &dyn Array, row: usize) -> Cell {
    Cell::Whole(array.as_primitive::<T>().value(row).into())
}
