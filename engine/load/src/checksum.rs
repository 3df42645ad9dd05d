//! A checksum of rows that depends neither on their order nor on how they are divided into slices and batches.
//!
//! Each row is hashed cell by cell, in the order of the columns; the hashes of all rows are added up. Cells of strings
//! and bytes go through XXH3, whose results are the same on every machine and in every version; the rest are numbers
//! already. Columns are gone through one at a time, which keeps each loop free of types.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, RecordBatch};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{ArrowNativeType, BinaryType, ByteArrayType, DataType, GenericStringType};
use engine_model::Checksum;
use twox_hash::XxHash3_64;

use crate::{Error, ErrorKind};

/// The hash of a row before its first cell.
const BEGIN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd, so that a multiplication by it loses nothing, and with bits spread evenly, so that small numbers reach all of the
/// hash: primes of XXH64.
const CELL: u64 = 0x9e37_79b1_85eb_ca87;
/// As [`CELL`], for a cell that is NULL.
const NULL: u64 = 0xc2b2_ae3d_27d4_eb4f;
/// As [`CELL`], for what a NULL counts as.
const NULL_CELL: u64 = 0x1656_67b1_9e37_79f9;

/// The checksum of rows that come in batches of the same columns.
#[derive(Debug, Default)]
pub struct RowChecksum {
    sum: Checksum,
    /// The hashes of the rows of a batch; kept for its memory.
    hashes: Vec<u64>,
}

impl RowChecksum {
    /// Adds the rows of `batch`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] for a column of a type that rows are never decoded to.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.hashes.clear();
        self.hashes.resize(batch.num_rows(), BEGIN);
        for column in batch.columns() {
            fold_column(&mut self.hashes, column)?;
        }
        for hash in &self.hashes {
            self.sum += Checksum(mixed(*hash));
        }
        Ok(())
    }

    /// The checksum of all rows that were added; that of none at first.
    pub fn sum(&self) -> Checksum {
        self.sum
    }
}

/// Spreads what the last cells changed over all bits, as XXH3 ends: without it, sums of rows that share cells could cancel
/// each other out.
fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 37)).wrapping_mul(0x1656_6791_9e37_79f9);
    hash ^ (hash >> 32)
}

/// Takes a cell into the hash of its row. No two cells make the same of one hash.
fn fold(hash: u64, cell: u64) -> u64 {
    (hash.rotate_left(29) ^ cell).wrapping_mul(CELL)
}

fn fold_null(hash: u64) -> u64 {
    (hash.rotate_left(29) ^ NULL_CELL).wrapping_mul(NULL)
}

/// Takes a cell of each row, or NULL, into the row's hash.
fn fold_cells(hashes: &mut [u64], nulls: Option<&NullBuffer>, cell: impl Fn(usize) -> u64) {
    let rows = hashes.iter_mut().enumerate();
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => rows.for_each(|(row, hash)| *hash = fold(*hash, cell(row))),
        Some(nulls) => rows.for_each(|(row, hash)| {
            *hash = if nulls.is_valid(row) {
                fold(*hash, cell(row))
            } else {
                fold_null(*hash)
            };
        }),
    }
}

/// Takes a column into the hashes of its rows.
fn fold_column(hashes: &mut [u64], column: &ArrayRef) -> Result<(), Error> {
    let nulls = column.nulls();
    match column.data_type() {
        DataType::Boolean => {
            let cells = column.as_boolean().values();
            fold_cells(hashes, nulls, |row| u64::from(cells.value(row)));
        }
        DataType::Utf8 => fold_bytes::<GenericStringType<i32>>(hashes, column.as_bytes()),
        DataType::Binary => fold_bytes::<BinaryType>(hashes, column.as_bytes()),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            fold_lists(hashes, nulls, list.offsets(), list.values())?;
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            fold_lists(hashes, nulls, map.offsets(), &entries)?;
        }
        DataType::Struct(_) => {
            let mut cells = vec![BEGIN; column.len()];
            for field in column.as_struct().columns() {
                fold_column(&mut cells, field)?;
            }
            fold_cells(hashes, nulls, |row| cells[row]);
        }
        number => match number.primitive_width() {
            Some(1) => fold_numbers(hashes, column, |cell: u8| cell.into()),
            Some(2) => fold_numbers(hashes, column, |cell: u16| cell.into()),
            Some(4) => fold_numbers(hashes, column, |cell: u32| cell.into()),
            Some(8) => fold_numbers(hashes, column, |cell: u64| cell),
            Some(16) => fold_numbers(hashes, column, half_of),
            _ => {
                let message = format!("rows of a column of Arrow type {number} have no checksum");
                return Err(Error::new(ErrorKind::Internal, message));
            }
        },
    }
    Ok(())
}

/// Takes numbers as their bits.
fn fold_numbers<T: ArrowNativeType>(
    hashes: &mut [u64],
    column: &ArrayRef,
    bits: impl Fn(T) -> u64,
) {
    let data = column.to_data();
    let cells = &data.buffer::<T>(0)[..data.len()];
    fold_cells(hashes, data.nulls(), |row| bits(cells[row]));
}

/// 64 bits of 128, all of them where the number needs no more.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the halves of the number's bits"
)]
fn half_of(number: i128) -> u64 {
    let (low, high) = (number as u64, (number >> 64) as u64);
    low.wrapping_mul(NULL) ^ high
}

fn fold_bytes<T: ByteArrayType>(hashes: &mut [u64], column: &GenericByteArray<T>)
where
    T::Native: AsRef<[u8]>,
{
    fold_cells(hashes, column.nulls(), |row| {
        XxHash3_64::oneshot(column.value(row).as_ref())
    });
}

/// Takes each list as its length and its elements.
fn fold_lists(
    hashes: &mut [u64],
    nulls: Option<&NullBuffer>,
    offsets: &OffsetBuffer<i32>,
    elements: &ArrayRef,
) -> Result<(), Error> {
    let at = |row: usize| offsets[row].as_usize();
    let (first, last) = (at(0), at(hashes.len()));
    let mut cells = vec![BEGIN; last - first];
    fold_column(&mut cells, &elements.slice(first, last - first))?;
    fold_cells(hashes, nulls, |row| {
        let own = &cells[at(row) - first..at(row + 1) - first];
        own.iter()
            .fold(own.len() as u64, |hash, cell| fold(hash, *cell))
    });
    Ok(())
}

#[cfg(test)]
mod tests;
