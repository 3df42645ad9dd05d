//! Encodes rows as records.

use std::io::{self, Write};

use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMillisecondType, TimestampNanosecondType,
};
use engine_model::ColumnType;

use super::{END_RECORD, META_CHECKSUM, META_COUNT, NANOS, VARINT, wire_type};

/// Encodes rows and their CRCs. Call [`finish`](Self::finish): a stream without footer reads as truncated.
pub(crate) struct RecordWriter<W> {
    sink: W,
    columns: Vec<ColumnType>,
    records: i64,
    crc_of_crcs: u32,
    bytes: Vec<u8>,
}

impl<W: Write> RecordWriter<W> {
    /// A writer of the given columns; column numbers on the wire are positions in this list, from 1.
    pub(crate) fn new(sink: W, columns: Vec<ColumnType>) -> Self {
        Self {
            sink,
            columns,
            records: 0,
            crc_of_crcs: 0,
            bytes: Vec::new(),
        }
    }

    /// Writes every row of `batch`, whose columns are those of the writer.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        for row in 0..batch.num_rows() {
            let mut record = Record {
                bytes: &mut self.bytes,
                crc: 0,
            };
            for (number, (array, column)) in (1u32..).zip(batch.columns().iter().zip(&self.columns))
            {
                if array.is_valid(row) {
                    record.field(number, array.as_ref(), row, column)?;
                }
            }
            let crc = record.crc;
            tag(&mut self.bytes, END_RECORD, VARINT);
            varint(&mut self.bytes, u64::from(crc));
            self.crc_of_crcs = crc32c::crc32c_append(self.crc_of_crcs, &crc.to_le_bytes());
            self.sink.write_all(&self.bytes)?;
            self.bytes.clear();
        }
        self.records += i64::try_from(batch.num_rows()).map_err(io::Error::other)?;
        Ok(())
    }

    /// Writes the footer and returns the sink.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        tag(&mut self.bytes, META_COUNT, VARINT);
        varint(&mut self.bytes, zigzag(self.records));
        tag(&mut self.bytes, META_CHECKSUM, VARINT);
        varint(&mut self.bytes, u64::from(self.crc_of_crcs));
        self.sink.write_all(&self.bytes)?;
        Ok(self.sink)
    }
}

struct Record<'a> {
    bytes: &'a mut Vec<u8>,
    crc: u32,
}

impl Record<'_> {
    fn field(
        &mut self,
        number: u32,
        array: &dyn Array,
        row: usize,
        column: &ColumnType,
    ) -> io::Result<()> {
        tag(self.bytes, number, wire_type(column));
        self.check(&number.to_le_bytes());
        self.value(array, row, column)
    }

    /// Writes a value that is not null. Counts, null marks and lengths stay outside the CRC.
    fn value(&mut self, array: &dyn Array, row: usize, column: &ColumnType) -> io::Result<()> {
        match column {
            ColumnType::TinyInt => self.integer(array.as_primitive::<Int8Type>().value(row).into()),
            ColumnType::SmallInt => {
                self.integer(array.as_primitive::<Int16Type>().value(row).into());
            }
            ColumnType::Int => self.integer(array.as_primitive::<Int32Type>().value(row).into()),
            ColumnType::BigInt => self.integer(array.as_primitive::<Int64Type>().value(row)),
            ColumnType::Date => self.integer(array.as_primitive::<Date32Type>().value(row).into()),
            ColumnType::DateTime => {
                self.integer(array.as_primitive::<TimestampMillisecondType>().value(row));
            }
            ColumnType::Boolean => {
                let byte = u8::from(array.as_boolean().value(row));
                self.bytes.push(byte);
                self.check(&[byte]);
            }
            ColumnType::Float => {
                self.fixed(&array.as_primitive::<Float32Type>().value(row).to_le_bytes());
            }
            ColumnType::Double => {
                self.fixed(&array.as_primitive::<Float64Type>().value(row).to_le_bytes());
            }
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Json => self.text(array.as_string::<i32>().value(row).as_bytes()),
            ColumnType::Binary => self.text(array.as_binary::<i32>().value(row)),
            ColumnType::Decimal { .. } => {
                let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
                self.text(text.as_bytes());
            }
            ColumnType::Timestamp | ColumnType::TimestampNtz => {
                self.instant(array.as_primitive::<TimestampNanosecondType>().value(row))?;
            }
            ColumnType::Array(element) => {
                self.elements(array.as_list::<i32>().value(row).as_ref(), element)?;
            }
            ColumnType::Map(key, value) => {
                let entries = array.as_map().value(row);
                self.elements(entries.column(0).as_ref(), key)?;
                self.elements(entries.column(1).as_ref(), value)?;
            }
            ColumnType::Struct(fields) => {
                for (child, (_name, field)) in array.as_struct().columns().iter().zip(fields) {
                    self.element(child.as_ref(), row, field)?;
                }
            }
        }
        Ok(())
    }

    fn elements(&mut self, array: &dyn Array, element: &ColumnType) -> io::Result<()> {
        varint(
            self.bytes,
            u64::try_from(array.len()).map_err(io::Error::other)?,
        );
        (0..array.len()).try_for_each(|row| self.element(array, row, element))
    }

    fn element(&mut self, array: &dyn Array, row: usize, element: &ColumnType) -> io::Result<()> {
        let null = array.is_null(row);
        self.bytes.push(u8::from(null));
        if null {
            Ok(())
        } else {
            self.value(array, row, element)
        }
    }

    fn integer(&mut self, value: i64) {
        varint(self.bytes, zigzag(value));
        self.check(&value.to_le_bytes());
    }

    /// Seconds, rounded down, and nanoseconds.
    fn instant(&mut self, nanos: i64) -> io::Result<()> {
        let seconds = nanos.div_euclid(NANOS);
        let fraction = i32::try_from(nanos.rem_euclid(NANOS)).map_err(io::Error::other)?;
        varint(self.bytes, zigzag(seconds));
        varint(self.bytes, zigzag(fraction.into()));
        self.check(&seconds.to_le_bytes());
        self.check(&fraction.to_le_bytes());
        Ok(())
    }

    fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.check(bytes);
    }

    fn text(&mut self, bytes: &[u8]) {
        varint(self.bytes, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.bytes.extend_from_slice(bytes);
        self.check(bytes);
    }

    fn check(&mut self, bytes: &[u8]) {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
    }
}

fn tag(bytes: &mut Vec<u8>, number: u32, wire_type: u32) {
    varint(bytes, u64::from((number << 3) | wire_type));
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    loop {
        let group = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(group);
            return;
        }
        bytes.push(group | 0x80);
    }
}
