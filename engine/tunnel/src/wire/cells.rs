//! What the service doesn't take in a cell, looked for before any of it is sent.
//!
//! Decoding rejects such values message by message, where a run can go on without them; what gets here is a mistake
//! somewhere, and one error about it is better than a refused block. So a batch is first passed over in columns, which
//! costs next to nothing, and only where something looks wrong row by row.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowNativeType, Date32Type, Decimal128Type, Int64Type, TimestampMillisecondType,
};
use engine_model::{Column, ColumnType};

use super::BatchError;
use super::record::decimal_text;

/// Days of 0000-01-01 and 9999-12-31.
const DAYS: (i32, i32) = (-719_528, 2_932_896);
/// Milliseconds of 0000-01-01T00:00:00 and 9999-12-31T23:59:59.999, both UTC.
const MILLISECONDS: (i64, i64) = (-62_167_219_200_000, 253_402_300_799_999);
/// The service keeps -2^63 for itself.
const BIGINTS: (i64, i64) = (-i64::MAX, i64::MAX);

/// Checks the cells of a batch that fits the columns otherwise, behind `rows_before` rows of its block.
pub(super) fn check_cells(
    columns: &[Column],
    batch: &RecordBatch,
    cell_bytes_max: usize,
    rows_before: u64,
) -> Result<(), BatchError> {
    for (column, array) in columns.iter().zip(batch.columns()) {
        let needs_value = !column.nullable && array.null_count() > 0;
        let limits = Limits { cell_bytes_max };
        if !needs_value && !limits.suspicious(&column.column_type, array) {
            continue;
        }
        for row in 0..array.len() {
            let problem = if array.is_valid(row) {
                limits.problem(&column.column_type, array, row)
            } else {
                (!column.nullable).then(|| "NULL where the column is NOT NULL".to_owned())
            };
            if let Some(problem) = problem {
                let (name, row) = (&column.name, rows_before + row as u64);
                return Err(BatchError::new(format!(
                    "column {name}, row {row} of the block, counted from 0: found {problem}"
                )));
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Limits {
    /// Bytes of a text, binary or JSON value.
    cell_bytes_max: usize,
}

impl Limits {
    /// Whether there may be a problem. Values under NULLs and beyond the ends of a slice are looked at as well.
    fn suspicious(self, column_type: &ColumnType, array: &ArrayRef) -> bool {
        match column_type {
            ColumnType::TinyInt
            | ColumnType::SmallInt
            | ColumnType::Int
            | ColumnType::Float
            | ColumnType::Double
            | ColumnType::Boolean
            // 64 bits of nanoseconds reach from 1677 to 2262.
            | ColumnType::Timestamp
            | ColumnType::TimestampNtz => false,
            ColumnType::BigInt => beyond::<Int64Type>(array, BIGINTS),
            ColumnType::Date => beyond::<Date32Type>(array, DAYS),
            ColumnType::DateTime => beyond::<TimestampMillisecondType>(array, MILLISECONDS),
            ColumnType::Decimal { precision, .. } => {
                beyond::<Decimal128Type>(array, decimals(*precision))
            }
            ColumnType::String | ColumnType::Json => {
                longer_than(array.as_string::<i32>().value_offsets(), self.cell_bytes_max)
            }
            ColumnType::Binary => {
                longer_than(array.as_binary::<i32>().value_offsets(), self.cell_bytes_max)
            }
            ColumnType::VarChar(chars) | ColumnType::Char(chars) => {
                longer_than(array.as_string::<i32>().value_offsets(), chars.as_usize())
            }
            ColumnType::Array(element) => {
                self.suspicious(element, array.as_list::<i32>().values())
            }
            ColumnType::Map(key, value) => {
                let map = array.as_map();
                map.keys().null_count() > 0
                    || self.suspicious(key, map.keys())
                    || self.suspicious(value, map.values())
            }
            ColumnType::Struct(fields) => fields
                .iter()
                .zip(array.as_struct().columns())
                .any(|((_, field), array)| self.suspicious(field, array)),
        }
    }

    /// What is wrong with the value at `row`, which isn't NULL.
    fn problem(self, column_type: &ColumnType, array: &ArrayRef, row: usize) -> Option<String> {
        let within = |bytes: usize| {
            let max = self.cell_bytes_max;
            (bytes > max)
                .then(|| format!("{bytes} bytes, and a cell of the table has at most {max}"))
        };
        match column_type {
            ColumnType::BigInt => {
                let problem = outside(array.as_primitive::<Int64Type>().value(row), BIGINTS);
                problem.map(|value| format!("{value}, which BIGINT keeps for itself"))
            }
            ColumnType::Date => outside(array.as_primitive::<Date32Type>().value(row), DAYS)
                .map(|days| format!("day {days} since 1970-01-01, outside the years 0 to 9999")),
            ColumnType::DateTime => {
                let instant = array.as_primitive::<TimestampMillisecondType>().value(row);
                outside(instant, MILLISECONDS)
                    .map(|ms| format!("{ms} ms since 1970-01-01, outside the years 0 to 9999"))
            }
            ColumnType::Decimal { precision, scale } => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                outside(value, decimals(*precision)).map(|value| {
                    let value = decimal_text(value, *scale);
                    format!("{value}, which has too many digits for {column_type}")
                })
            }
            ColumnType::String | ColumnType::Json => {
                within(array.as_string::<i32>().value(row).len())
            }
            ColumnType::Binary => within(array.as_binary::<i32>().value(row).len()),
            ColumnType::VarChar(max) | ColumnType::Char(max) => {
                let chars = array.as_string::<i32>().value(row).chars().count();
                (chars > max.as_usize())
                    .then(|| format!("{chars} characters, too many for {column_type}"))
            }
            ColumnType::Array(element) => {
                self.problem_among(element, &array.as_list::<i32>().value(row), "")
            }
            ColumnType::Map(key, value) => {
                let entries = array.as_map().value(row);
                let (keys, values) = (entries.column(0), entries.column(1));
                if keys.null_count() > 0 {
                    return Some("NULL as the key of a map".to_owned());
                }
                self.problem_among(key, keys, "key of a map: ")
                    .or_else(|| self.problem_among(value, values, ""))
            }
            ColumnType::Struct(fields) => fields
                .iter()
                .zip(array.as_struct().columns())
                .filter(|(_, array)| array.is_valid(row))
                .find_map(|((name, field), array)| {
                    let problem = self.problem(field, array, row)?;
                    Some(format!("field {name}: {problem}"))
                }),
            _ => None,
        }
    }

    fn problem_among(
        self,
        column_type: &ColumnType,
        array: &ArrayRef,
        what: &str,
    ) -> Option<String> {
        (0..array.len())
            .filter(|row| array.is_valid(*row))
            .find_map(|row| self.problem(column_type, array, row))
            .map(|problem| format!("{what}{problem}"))
    }
}

fn beyond<T: ArrowPrimitiveType>(array: &ArrayRef, (least, most): (T::Native, T::Native)) -> bool {
    let values = array.as_primitive::<T>().values();
    // Counted rather than searched: without an early end the loop is one of the processor's wide instructions.
    let outside = values
        .iter()
        .map(|value| usize::from(*value < least) + usize::from(*value > most));
    outside.sum::<usize>() > 0
}

fn outside<V: PartialOrd>(value: V, (least, most): (V, V)) -> Option<V> {
    (value < least || value > most).then_some(value)
}

/// The least and the greatest number of `precision` digits.
fn decimals(precision: u8) -> (i128, i128) {
    let most = 10_i128
        .checked_pow(precision.into())
        .map_or(i128::MAX, |bound| bound - 1);
    (-most, most)
}

fn longer_than(offsets: &[i32], bytes_max: usize) -> bool {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return false;
    };
    // Together they are short enough for each.
    if last.as_usize() - first.as_usize() <= bytes_max {
        return false;
    }
    let max = i32::try_from(bytes_max).unwrap_or(i32::MAX);
    let longer = |ends: &[i32]| matches!(ends, [start, end] if end - start > max);
    offsets.windows(2).any(longer)
}

#[cfg(test)]
mod tests;
