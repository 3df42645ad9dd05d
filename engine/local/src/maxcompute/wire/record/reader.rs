//! Decodes records into batches.

use std::io::{self, Read};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use engine_model::Column;

use super::cells::Cells;
use super::input::{Input, malformed};
use super::{END_RECORD, META_CHECKSUM, META_COUNT, VARINT, wire_type};
use crate::maxcompute::types::arrow_schema;

/// Rows of a batch, at most.
const BATCH_ROWS: usize = 8_192;
/// Cells of a batch, at most: a null costs memory, but no byte on the wire.
const BATCH_CELLS: usize = 2 << 20;
/// Encoded bytes at which a batch is handed on.
const BATCH_BYTES: usize = 8 << 20;

/// Yields the rows of a record stream and checks every CRC on the way. In memory are one batch and the longest record.
///
/// Nothing read from here counts until the reader has reported the end: only then has the footer been seen, with nothing
/// behind it.
pub(crate) struct RecordReader<R> {
    input: Input<R>,
    columns: Vec<Field>,
    schema: SchemaRef,
    records: i64,
    crc_of_crcs: u32,
    ended: bool,
}

/// A column of the session.
struct Field {
    column: Column,
    cells: Cells,
    /// Whether the record that is being read has it.
    present: bool,
}

impl<R: Read> RecordReader<R> {
    /// A reader of the given columns; column numbers on the wire are positions in this list, from 1.
    pub(crate) fn new(inner: R, columns: &[Column]) -> Self {
        let field = |column: &Column| Field {
            column: column.clone(),
            cells: Cells::new(&column.column_type),
            present: false,
        };
        Self {
            input: Input::new(inner),
            columns: columns.iter().map(field).collect(),
            schema: arrow_schema(columns),
            records: 0,
            crc_of_crcs: 0,
            ended: false,
        }
    }

    /// The next batch, or `None` after the last.
    ///
    /// # Errors
    /// `InvalidData` or `UnexpectedEof` for bytes that are no record stream of these columns.
    pub(crate) fn next_batch(&mut self) -> io::Result<Option<RecordBatch>> {
        let rows_max = (BATCH_CELLS / self.columns.len().max(1)).clamp(1, BATCH_ROWS);
        let (mut rows, mut bytes) = (0, 0);
        while !self.ended && rows < rows_max && bytes < BATCH_BYTES {
            self.input.bytes = 0;
            let record = self.record().map_err(|error| {
                let text = format!("record {}: {error}", self.records + 1);
                io::Error::new(error.kind(), text)
            })?;
            if record {
                rows += 1;
                bytes += self.input.bytes;
            } else {
                self.ended = true;
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let arrays = self.columns.iter_mut().map(|field| field.cells.finish());
        let arrays = arrays.collect::<io::Result<_>>()?;
        let batch = RecordBatch::try_new(SchemaRef::clone(&self.schema), arrays);
        batch
            .map(Some)
            .map_err(|error| malformed(&error.to_string()))
    }

    /// Reads one record. `false` for the footer in its place.
    fn record(&mut self) -> io::Result<bool> {
        self.input.crc = 0;
        let mut fields = 0;
        loop {
            let (number, wire_type) = self.tag()?;
            match number {
                END_RECORD if wire_type == VARINT => {
                    self.end_record()?;
                    return Ok(true);
                }
                META_COUNT if wire_type == VARINT && fields == 0 => {
                    self.footer()?;
                    return Ok(false);
                }
                number => self.field(number, wire_type)?,
            }
            fields += 1;
        }
    }

    fn tag(&mut self) -> io::Result<(u32, u32)> {
        let tag = self.input.varint()?;
        let tag = u32::try_from(tag).map_err(|_| malformed(&format!("{tag} is no tag")))?;
        Ok((tag >> 3, tag & 7))
    }

    fn field(&mut self, number: u32, found: u32) -> io::Result<()> {
        let columns = self.columns.len();
        let field = usize::try_from(number)
            .ok()
            .and_then(|number| self.columns.get_mut(number.checked_sub(1)?))
            .ok_or_else(|| {
                malformed(&format!(
                    "column number {number}; the session has {columns} columns"
                ))
            })?;
        let name = &field.column.name;
        let expected = wire_type(&field.column.column_type);
        if found != expected {
            let text = format!("column {name:?} has wire type {found}, expected {expected}");
            return Err(malformed(&text));
        }
        if std::mem::replace(&mut field.present, true) {
            return Err(malformed(&format!("column {name:?} is there twice")));
        }
        self.input.check(&number.to_le_bytes());
        field
            .cells
            .read(&mut self.input)
            .map_err(|error| io::Error::new(error.kind(), format!("column {name:?}: {error}")))
    }

    /// Checks the record's CRC, and makes the columns without a field null.
    fn end_record(&mut self) -> io::Result<()> {
        let (found, expected) = (self.input.crc, self.input.crc_varint()?);
        if found != expected {
            return Err(wrong_crc(expected, found));
        }
        self.crc_of_crcs = crc32c::crc32c_append(self.crc_of_crcs, &found.to_le_bytes());
        for field in &mut self.columns {
            if std::mem::replace(&mut field.present, false) {
                continue;
            }
            if !field.column.nullable {
                let name = &field.column.name;
                return Err(malformed(&format!(
                    "column {name:?} is NOT NULL and has no value"
                )));
            }
            field.cells.push_null();
        }
        self.records += 1;
        Ok(())
    }

    /// Checks what follows `META_COUNT`.
    fn footer(&mut self) -> io::Result<()> {
        let records = self.input.zigzag()?;
        if records != self.records {
            let text = format!("the footer counts {records} records, {} came", self.records);
            return Err(malformed(&text));
        }
        if self.tag()? != (META_CHECKSUM, VARINT) {
            return Err(malformed("the footer has no CRC behind its count"));
        }
        let expected = self.input.crc_varint()?;
        if expected != self.crc_of_crcs {
            return Err(wrong_crc(expected, self.crc_of_crcs));
        }
        if self.input.at_end()? {
            Ok(())
        } else {
            Err(malformed("bytes follow the footer"))
        }
    }
}

fn wrong_crc(expected: u32, found: u32) -> io::Error {
    malformed(&format!(
        "the CRC says {expected:08x}, the values give {found:08x}"
    ))
}
