//! From record batches to records.

use std::io;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, RecordBatch};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowNativeType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use bytes::Bytes;
use crc32c::crc32c_append;
use engine_model::{Column, ColumnType};

use super::crc::Crc;
use super::decimal::DecimalText;
use super::{END_RECORD, META_CHECKSUM, META_COUNT, SECOND, Shape, VARINT, zigzag};

/// Bytes that are handed on together.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// A longer text goes out in parts, so that no piece grows with it.
const LONG_TEXT_BYTES: usize = PIECE_BYTES / 4;

type Take<'t> = dyn FnMut(Bytes) -> io::Result<()> + 't;

/// Writes the records of a block and, at last, what stands behind them.
pub(crate) struct RecordWriter {
    records: i64,
    crc_of_crcs: u32,
    out: Vec<u8>,
}

impl RecordWriter {
    pub(crate) fn new() -> Self {
        Self {
            records: 0,
            crc_of_crcs: 0,
            out: Vec::new(),
        }
    }

    /// Writes every row of `batch`, which must have the `columns` in the types in which they travel. Full pieces go to
    /// `take`.
    pub(crate) fn write(
        &mut self,
        columns: &[Column],
        batch: &RecordBatch,
        take: &mut Take<'_>,
    ) -> io::Result<()> {
        let columns: Vec<_> = (1_u32..)
            .zip(columns.iter().zip(batch.columns()))
            .map(|(number, (column, array))| Field::new(number, &column.column_type, array))
            .collect();
        let mut record = Record {
            crc: Crc::new(),
            out: &mut self.out,
            take,
        };
        for row in 0..batch.num_rows() {
            for field in &columns {
                if field.cells.is_valid(row) {
                    record.out.extend_from_slice(&field.tag);
                    record.crc.fixed(field.number);
                    record.value(&field.cells, row)?;
                }
            }
            let crc = record.crc.take();
            record.out.extend_from_slice(&END_RECORD_TAG);
            varint(record.out, crc.into());
            self.crc_of_crcs = crc32c_append(self.crc_of_crcs, &crc.to_le_bytes());
            if record.out.len() >= PIECE_BYTES {
                record.hand_on()?;
            }
        }
        self.records += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
        Ok(())
    }

    /// The number of records and the checksum over theirs.
    pub(crate) fn finish(self) -> Bytes {
        let mut out = self.out;
        tag(&mut out, META_COUNT, VARINT);
        varint(&mut out, zigzag(self.records));
        tag(&mut out, META_CHECKSUM, VARINT);
        varint(&mut out, self.crc_of_crcs.into());
        out.into()
    }
}

/// `END_RECORD` as a tag.
const END_RECORD_TAG: [u8; 4] = [0x80, 0xc0, 0xff, 0x7f];
const _: () = assert!(END_RECORD << 3 == 0x7f << 21 | 0x7f << 14 | 0x40 << 7);

/// A column of a batch.
struct Field<'a> {
    tag: Vec<u8>,
    number: [u8; 4],
    cells: Cells<'a>,
}

impl<'a> Field<'a> {
    fn new(number: u32, column_type: &ColumnType, array: &'a ArrayRef) -> Self {
        let mut bytes = Vec::new();
        tag(&mut bytes, number, Shape::of(column_type).wire_type());
        Self {
            tag: bytes,
            number: number.to_le_bytes(),
            cells: Cells::new(column_type, array),
        }
    }
}

/// The cells of a column, or of a part of one.
struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// The same without the NULLs.
enum Values<'a> {
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    Boolean(&'a BooleanBuffer),
    Float(&'a [f32]),
    Double(&'a [f64]),
    Text(&'a [i32], &'a [u8]),
    Decimal(&'a [i128], u8),
    Nanoseconds(&'a [i64]),
    List(&'a [i32], Box<Cells<'a>>),
    Map(&'a [i32], Box<[Cells<'a>; 2]>),
    Struct(Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn new(column_type: &ColumnType, array: &'a ArrayRef) -> Self {
        let values = match column_type {
            ColumnType::TinyInt => Values::Int8(primitive::<Int8Type>(array)),
            ColumnType::SmallInt => Values::Int16(primitive::<Int16Type>(array)),
            ColumnType::Int => Values::Int32(primitive::<Int32Type>(array)),
            ColumnType::BigInt => Values::Int64(primitive::<Int64Type>(array)),
            ColumnType::Date => Values::Int32(primitive::<Date32Type>(array)),
            ColumnType::DateTime => Values::Int64(primitive::<TimestampMillisecondType>(array)),
            ColumnType::Float => Values::Float(primitive::<Float32Type>(array)),
            ColumnType::Double => Values::Double(primitive::<Float64Type>(array)),
            ColumnType::Boolean => Values::Boolean(array.as_boolean().values()),
            ColumnType::Decimal { scale, .. } => {
                Values::Decimal(primitive::<Decimal128Type>(array), *scale)
            }
            ColumnType::Timestamp | ColumnType::TimestampNtz => {
                Values::Nanoseconds(primitive::<TimestampNanosecondType>(array))
            }
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Json => {
                let texts = array.as_string::<i32>();
                Values::Text(texts.value_offsets(), texts.value_data())
            }
            ColumnType::Binary => {
                let bytes = array.as_binary::<i32>();
                Values::Text(bytes.value_offsets(), bytes.value_data())
            }
            ColumnType::Array(element) => {
                let list = array.as_list::<i32>();
                let elements = Self::new(element, list.values());
                Values::List(list.value_offsets(), Box::new(elements))
            }
            ColumnType::Map(key, value) => {
                let map = array.as_map();
                let sides = [Self::new(key, map.keys()), Self::new(value, map.values())];
                Values::Map(map.value_offsets(), Box::new(sides))
            }
            ColumnType::Struct(fields) => {
                let fields = fields.iter().zip(array.as_struct().columns());
                let cells = fields.map(|((_, field), array)| Self::new(field, array));
                Values::Struct(cells.collect())
            }
        };
        Self {
            nulls: array.nulls(),
            values,
        }
    }

    fn is_valid(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &ArrayRef) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

/// A record in progress.
struct Record<'a, 't> {
    crc: Crc,
    out: &'a mut Vec<u8>,
    take: &'a mut Take<'t>,
}

impl Record<'_, '_> {
    /// Writes the value at `row`, which isn't NULL.
    fn value(&mut self, cells: &Cells<'_>, row: usize) -> io::Result<()> {
        match &cells.values {
            Values::Int8(values) => self.integer(values[row].into()),
            Values::Int16(values) => self.integer(values[row].into()),
            Values::Int32(values) => self.integer(values[row].into()),
            Values::Int64(values) => self.integer(values[row]),
            Values::Boolean(values) => {
                let byte = u8::from(values.value(row));
                self.out.push(byte);
                self.crc.fixed([byte]);
            }
            Values::Float(values) => self.fixed(values[row].to_le_bytes()),
            Values::Double(values) => self.fixed(values[row].to_le_bytes()),
            Values::Text(offsets, data) => {
                return self.text(&data[offsets[row].as_usize()..offsets[row + 1].as_usize()]);
            }
            Values::Decimal(values, scale) => {
                return self.text(DecimalText::new(values[row], *scale).as_bytes());
            }
            Values::Nanoseconds(values) => self.instant(values[row]),
            Values::List(offsets, elements) => {
                return self.list(elements, offsets[row], offsets[row + 1]);
            }
            Values::Map(offsets, sides) => {
                for side in &**sides {
                    self.list(side, offsets[row], offsets[row + 1])?;
                }
            }
            Values::Struct(fields) => {
                for field in fields {
                    self.element(field, row)?;
                }
            }
        }
        Ok(())
    }

    fn integer(&mut self, value: i64) {
        varint(self.out, zigzag(value));
        self.crc.fixed(value.to_le_bytes());
    }

    fn fixed<const BYTES: usize>(&mut self, bytes: [u8; BYTES]) {
        self.out.extend_from_slice(&bytes);
        self.crc.fixed(bytes);
    }

    /// Seconds, rounded down, and the nanoseconds behind them.
    fn instant(&mut self, nanoseconds: i64) {
        let seconds = nanoseconds.div_euclid(SECOND);
        let nanoseconds = nanoseconds.rem_euclid(SECOND);
        varint(self.out, zigzag(seconds));
        varint(self.out, zigzag(nanoseconds));
        self.crc.fixed(seconds.to_le_bytes());
        let nanoseconds = i32::try_from(nanoseconds).unwrap_or_default();
        self.crc.fixed(nanoseconds.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        varint(self.out, text.len() as u64);
        self.crc.text(text);
        if text.len() < LONG_TEXT_BYTES {
            self.out.extend_from_slice(text);
            return Ok(());
        }
        for part in text.chunks(LONG_TEXT_BYTES) {
            if self.out.len() >= PIECE_BYTES {
                self.hand_on()?;
            }
            self.out.extend_from_slice(part);
        }
        Ok(())
    }

    fn list(&mut self, cells: &Cells<'_>, start: i32, end: i32) -> io::Result<()> {
        let (start, end) = (start.as_usize(), end.as_usize());
        varint(self.out, (end - start) as u64);
        (start..end).try_for_each(|row| self.element(cells, row))
    }

    fn element(&mut self, cells: &Cells<'_>, row: usize) -> io::Result<()> {
        let valid = cells.is_valid(row);
        self.out.push(u8::from(!valid));
        if valid {
            self.value(cells, row)?;
        }
        Ok(())
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let next = Vec::with_capacity(PIECE_BYTES + LONG_TEXT_BYTES);
        (self.take)(std::mem::replace(self.out, next).into())
    }
}

fn tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    varint(out, (number << 3 | wire_type).into());
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seven bits, and the mark that more follow"
)]
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
