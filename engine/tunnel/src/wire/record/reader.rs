//! From a body in record form to values.

use std::ops::Range;

use crc32c::crc32c_append;

use super::super::BodyError;
use super::crc::Crc;
use super::{
    DELIMITED, END_METRICS, END_RECORD, META_CHECKSUM, META_COUNT, SECOND, Shape, VARINT, unzigzag,
};

/// A cell, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// NULL.
    Null,
    /// Of [`Shape::Integer`].
    Integer(i64),
    /// Of [`Shape::Boolean`].
    Boolean(bool),
    /// Of [`Shape::Float`].
    Float(f32),
    /// Of [`Shape::Double`].
    Double(f64),
    /// Of [`Shape::Text`].
    Text(&'a [u8]),
    /// Of [`Shape::Instant`].
    Instant {
        /// Seconds since the epoch, rounded down.
        seconds: i64,
        /// 0 to 999,999,999.
        nanoseconds: i32,
    },
    /// Of [`Shape::List`] and [`Shape::Vector`].
    List(Vec<Self>),
    /// Of [`Shape::Map`]: keys, and as many values.
    Map(Vec<Self>, Vec<Self>),
    /// Of [`Shape::Struct`].
    Struct(Vec<Self>),
}

/// How far a body was read and checked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    position: usize,
    records: u64,
    crc_of_crcs: u32,
    ended: bool,
}

/// Reads a body record by record and checks every checksum, and at its end their number.
#[derive(Debug)]
pub struct RecordReader<'a> {
    body: &'a [u8],
    shapes: &'a [Shape],
    progress: Progress,
}

impl<'a> RecordReader<'a> {
    /// Reads `body`, whose columns have `shapes` in order.
    pub fn new(body: &'a [u8], shapes: &'a [Shape]) -> Self {
        Self::resume(body, shapes, Progress::default())
    }

    pub(super) fn resume(body: &'a [u8], shapes: &'a [Shape], progress: Progress) -> Self {
        Self {
            body,
            shapes,
            progress,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress
    }

    /// Bytes read so far: after a record, its end.
    pub fn position(&self) -> usize {
        self.progress.position
    }

    /// The next record's cells, one for each column; nothing after the last, once the end was checked.
    ///
    /// # Errors
    /// A checksum or the number of records is wrong, the body ends early or goes on behind its end, or a value isn't of its
    /// column's shape. Nothing can be read after that.
    pub fn next_record(&mut self) -> Result<Option<Vec<Value<'a>>>, BodyError> {
        if self.progress.ended {
            return Ok(None);
        }
        let mut input = Input {
            body: self.body,
            position: self.progress.position,
            crc: Crc::new(),
        };
        let read = self.record(&mut input);
        match read {
            Ok(record) => {
                self.progress.position = input.position;
                Ok(record)
            }
            Err(problem) => {
                self.progress.ended = true;
                let Progress { records, .. } = self.progress;
                let Input { position, .. } = input;
                Err(BodyError::new(format!(
                    "record {records}, position {position} of the body: {problem}"
                )))
            }
        }
    }

    fn record(&mut self, input: &mut Input<'a>) -> Result<Option<Vec<Value<'a>>>, String> {
        let mut cells = vec![Value::Null; self.shapes.len()];
        let mut begun = false;
        loop {
            let (number, wire_type) = input.tag()?;
            let (position, shape) = match number {
                END_RECORD if wire_type == VARINT => {
                    self.end_record(input)?;
                    return Ok(Some(cells));
                }
                META_COUNT if wire_type == VARINT && !begun => {
                    self.end(input)?;
                    return Ok(None);
                }
                _ => self.column(number)?,
            };
            if wire_type != shape.wire_type() {
                return Err(format!(
                    "column {number} is tagged with wire type {wire_type}, its values have {}",
                    shape.wire_type()
                ));
            }
            begun = true;
            input.crc.fixed(number.to_le_bytes());
            let value = input.value(shape)?;
            match cells.get_mut(position) {
                Some(cell @ Value::Null) => *cell = value,
                _ => return Err(format!("column {number} is there twice")),
            }
        }
    }

    fn column(&self, number: u32) -> Result<(usize, &'a Shape), String> {
        let position = usize::try_from(number).unwrap_or_default().checked_sub(1);
        position
            .and_then(|position| Some((position, self.shapes.get(position)?)))
            .ok_or_else(|| format!("there is no column {number} of {}", self.shapes.len()))
    }

    fn end_record(&mut self, input: &mut Input<'_>) -> Result<(), String> {
        let found = input.crc.take();
        expect_crc("of the record", found, input.varint()?)?;
        let Progress {
            records,
            crc_of_crcs,
            ..
        } = &mut self.progress;
        *records += 1;
        *crc_of_crcs = crc32c_append(*crc_of_crcs, &found.to_le_bytes());
        Ok(())
    }

    /// Reads what stands behind the last record, from the number of records on.
    fn end(&mut self, input: &mut Input<'_>) -> Result<(), String> {
        let records = unzigzag(input.varint()?);
        if u64::try_from(records) != Ok(self.progress.records) {
            return Err(format!("the end counts {records} records"));
        }
        let mut next = input.tag()?;
        if next == (1, DELIMITED) {
            input.crc.fixed(1_u32.to_le_bytes());
            let text = input.text()?;
            input.crc.text(text);
            if input.tag()? != (END_METRICS, VARINT) {
                return Err("the metrics have no end".to_owned());
            }
            let found = input.crc.take();
            expect_crc("of the metrics", found, input.varint()?)?;
            next = input.tag()?;
        }
        if next != (META_CHECKSUM, VARINT) {
            return Err("the checksum of all records is missing".to_owned());
        }
        expect_crc("of all records", self.progress.crc_of_crcs, input.varint()?)?;
        if input.position < self.body.len() {
            let more = self.body.len() - input.position;
            return Err(format!("{more} bytes follow the end"));
        }
        self.progress.ended = true;
        Ok(())
    }
}

/// The compiled writer of PyODPS extends the sign of a checksum to 64 bits; only the low 32 count.
fn expect_crc(what: &str, found: u32, written: u64) -> Result<(), String> {
    let high = written >> 32;
    if written & 0xffff_ffff == u64::from(found) && (high == 0 || high == 0xffff_ffff) {
        return Ok(());
    }
    Err(format!(
        "the checksum {what} is {written:#x}, its bytes have {found:#x}"
    ))
}

struct Input<'a> {
    body: &'a [u8],
    position: usize,
    crc: Crc,
}

impl<'a> Input<'a> {
    fn take(&mut self, range: Range<usize>) -> Result<&'a [u8], String> {
        let end = range.end;
        let bytes = self
            .body
            .get(range)
            .ok_or_else(|| "the body ends within a record, or without its end".to_owned())?;
        self.position = end;
        Ok(bytes)
    }

    fn fixed<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], String> {
        let bytes = self.take(self.position..self.position + BYTES)?;
        let mut fixed = [0; BYTES];
        fixed.copy_from_slice(bytes);
        Ok(fixed)
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                break;
            }
            value |= group << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number has more than 64 bits".to_owned())
    }

    fn tag(&mut self) -> Result<(u32, u32), String> {
        let tag = self.varint()?;
        let tag = u32::try_from(tag).map_err(|_| format!("{tag:#x} is no tag"))?;
        Ok((tag >> 3, tag & 7))
    }

    fn text(&mut self) -> Result<&'a [u8], String> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        self.take(self.position..self.position.saturating_add(length))
    }

    fn value(&mut self, shape: &Shape) -> Result<Value<'a>, String> {
        Ok(match shape {
            Shape::Integer => {
                let value = unzigzag(self.varint()?);
                self.crc.fixed(value.to_le_bytes());
                Value::Integer(value)
            }
            Shape::Boolean => {
                let value = self.varint()?;
                let byte = u8::try_from(value)
                    .ok()
                    .filter(|byte| *byte < 2)
                    .ok_or_else(|| format!("{value} is neither true nor false"))?;
                self.crc.fixed([byte]);
                Value::Boolean(byte == 1)
            }
            Shape::Float => {
                let bytes = self.fixed()?;
                self.crc.fixed(bytes);
                Value::Float(f32::from_le_bytes(bytes))
            }
            Shape::Double => {
                let bytes = self.fixed()?;
                self.crc.fixed(bytes);
                Value::Double(f64::from_le_bytes(bytes))
            }
            Shape::Text => {
                let text = self.text()?;
                self.crc.text(text);
                Value::Text(text)
            }
            Shape::Instant => self.instant()?,
            Shape::List(element) => Value::List(self.list(element)?),
            Shape::Map(key, value) => {
                let keys = self.list(key)?;
                let values = self.list(value)?;
                if keys.len() != values.len() {
                    let (keys, values) = (keys.len(), values.len());
                    return Err(format!("a map has {keys} keys and {values} values"));
                }
                Value::Map(keys, values)
            }
            Shape::Struct(fields) => {
                let cells = fields.iter().map(|field| self.element(field));
                Value::Struct(cells.collect::<Result<_, _>>()?)
            }
            Shape::Vector(element) => {
                let count = self.count()?;
                let elements = (0..count).map(|_| self.value(element));
                Value::List(elements.collect::<Result<_, _>>()?)
            }
        })
    }

    fn instant(&mut self) -> Result<Value<'a>, String> {
        let seconds = unzigzag(self.varint()?);
        let found = unzigzag(self.varint()?);
        let nanoseconds = i32::try_from(found)
            .ok()
            .filter(|nanoseconds| (0..SECOND).contains(&i64::from(*nanoseconds)))
            .ok_or_else(|| format!("an instant has {found} nanoseconds"))?;
        self.crc.fixed(seconds.to_le_bytes());
        self.crc.fixed(nanoseconds.to_le_bytes());
        Ok(Value::Instant {
            seconds,
            nanoseconds,
        })
    }

    fn list(&mut self, element: &Shape) -> Result<Vec<Value<'a>>, String> {
        let count = self.count()?;
        (0..count).map(|_| self.element(element)).collect()
    }

    /// The elements of a list: each has a byte at least, so that no count reserves more memory than the body has bytes.
    fn count(&mut self) -> Result<usize, String> {
        let count = self.varint()?;
        let left = self.body.len() - self.position;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= left)
            .ok_or_else(|| format!("a list of {count} elements has {left} bytes left"))
    }

    fn element(&mut self, shape: &Shape) -> Result<Value<'a>, String> {
        match self.fixed()? {
            [0] => self.value(shape),
            [1] => Ok(Value::Null),
            [mark] => Err(format!("{mark} is no NULL mark")),
        }
    }
}
