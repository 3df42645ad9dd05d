//! Values of one column on their way from the wire into an array.

use std::io::{self, Read};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, ListArray, MapArray,
    NullBufferBuilder, StringBuilder, StructArray, TimestampMillisecondBuilder,
    TimestampNanosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use engine_model::ColumnType;

use super::NANOS;
use super::input::{Input, malformed};
use crate::maxcompute::decimal::Decimal;
use crate::maxcompute::types::arrow_type;

/// Values of one type.
pub(super) enum Cells {
    TinyInt(Int8Builder),
    SmallInt(Int16Builder),
    Int(Int32Builder),
    BigInt(Int64Builder),
    Date(Date32Builder),
    DateTime(TimestampMillisecondBuilder),
    /// Both `TIMESTAMP` and `TIMESTAMP_NTZ`.
    Timestamp(TimestampNanosecondBuilder),
    Float(Float32Builder),
    Double(Float64Builder),
    Boolean(BooleanBuilder),
    /// With precision and scale.
    Decimal(Decimal128Builder, u8, u8),
    /// STRING, VARCHAR, CHAR and JSON.
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Array(Elements),
    Map(Elements, Box<Cells>),
    Struct(Fields, Vec<Cells>, NullBufferBuilder),
}

/// The elements of arrays, or the keys of maps, and where those of each row end.
pub(super) struct Elements {
    field: FieldRef,
    cells: Box<Cells>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl Cells {
    /// No values of the type yet.
    pub(super) fn new(column: &ColumnType) -> Self {
        match column {
            ColumnType::TinyInt => Self::TinyInt(Int8Builder::new()),
            ColumnType::SmallInt => Self::SmallInt(Int16Builder::new()),
            ColumnType::Int => Self::Int(Int32Builder::new()),
            ColumnType::BigInt => Self::BigInt(Int64Builder::new()),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::DateTime => Self::DateTime(TimestampMillisecondBuilder::new()),
            ColumnType::Timestamp | ColumnType::TimestampNtz => {
                Self::Timestamp(TimestampNanosecondBuilder::new())
            }
            ColumnType::Float => Self::Float(Float32Builder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Decimal { precision, scale } => {
                let builder = Decimal128Builder::new().with_data_type(arrow_type(column));
                Self::Decimal(builder, *precision, *scale)
            }
            ColumnType::String
            | ColumnType::VarChar(_)
            | ColumnType::Char(_)
            | ColumnType::Json => Self::Text(StringBuilder::new()),
            ColumnType::Binary => Self::Binary(BinaryBuilder::new()),
            ColumnType::Array(element) => Self::Array(Elements::new(column, element)),
            ColumnType::Map(key, value) => {
                Self::Map(Elements::new(column, key), Box::new(Self::new(value)))
            }
            ColumnType::Struct(fields) => {
                let cells = fields.iter().map(|(_name, field)| Self::new(field));
                let fields = match arrow_type(column) {
                    DataType::Struct(fields) => fields,
                    _ => Fields::empty(),
                };
                Self::Struct(fields, cells.collect(), NullBufferBuilder::new(0))
            }
        }
    }

    /// Reads a value that is not null. What goes into the CRC are values only, each as its type has it.
    pub(super) fn read<R: Read>(&mut self, input: &mut Input<R>) -> io::Result<()> {
        match self {
            Self::TinyInt(cells) => cells.append_value(integer(input)?),
            Self::SmallInt(cells) => cells.append_value(integer(input)?),
            Self::Int(cells) => cells.append_value(integer(input)?),
            Self::BigInt(cells) => cells.append_value(integer(input)?),
            Self::Date(cells) => cells.append_value(integer(input)?),
            Self::DateTime(cells) => cells.append_value(integer(input)?),
            Self::Timestamp(cells) => cells.append_value(instant(input)?),
            Self::Float(cells) => {
                let bytes = input.fixed()?;
                input.check(&bytes);
                cells.append_value(f32::from_le_bytes(bytes));
            }
            Self::Double(cells) => {
                let bytes = input.fixed()?;
                input.check(&bytes);
                cells.append_value(f64::from_le_bytes(bytes));
            }
            Self::Boolean(cells) => cells.append_value(boolean(input)?),
            Self::Decimal(cells, precision, scale) => {
                cells.append_value(decimal(input.delimited()?, *precision, *scale)?);
            }
            Self::Text(cells) => {
                let text = std::str::from_utf8(input.delimited()?);
                cells.append_value(text.map_err(|error| malformed(&error.to_string()))?);
            }
            Self::Binary(cells) => cells.append_value(input.delimited()?),
            Self::Array(elements) => {
                let count = elements.read(input, true)?;
                elements.end_row(count)?;
            }
            Self::Map(keys, values) => {
                let count = keys.read(input, false)?;
                let found = input.varint()?;
                if found != count {
                    return Err(malformed(&format!("{count} keys and {found} values")));
                }
                (0..count).try_for_each(|_| values.read_element(input, true))?;
                keys.end_row(count)?;
            }
            Self::Struct(_, fields, nulls) => {
                for field in fields {
                    field.read_element(input, true)?;
                }
                nulls.append_non_null();
            }
        }
        Ok(())
    }

    /// Reads an element of a nested value: a mark that says whether it is null, then the value.
    fn read_element<R: Read>(&mut self, input: &mut Input<R>, nullable: bool) -> io::Result<()> {
        match input.byte()? {
            0 => self.read(input),
            1 if nullable => {
                self.push_null();
                Ok(())
            }
            1 => Err(malformed("the key of a map is null")),
            mark => Err(malformed(&format!(
                "{mark} is no null mark, which is 0 or 1"
            ))),
        }
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::TinyInt(cells) => cells.append_null(),
            Self::SmallInt(cells) => cells.append_null(),
            Self::Int(cells) => cells.append_null(),
            Self::BigInt(cells) => cells.append_null(),
            Self::Date(cells) => cells.append_null(),
            Self::DateTime(cells) => cells.append_null(),
            Self::Timestamp(cells) => cells.append_null(),
            Self::Float(cells) => cells.append_null(),
            Self::Double(cells) => cells.append_null(),
            Self::Boolean(cells) => cells.append_null(),
            Self::Decimal(cells, ..) => cells.append_null(),
            Self::Text(cells) => cells.append_null(),
            Self::Binary(cells) => cells.append_null(),
            Self::Array(elements) | Self::Map(elements, _) => elements.push_null(),
            Self::Struct(_, fields, nulls) => {
                fields.iter_mut().for_each(Self::push_null);
                nulls.append_null();
            }
        }
    }

    /// The values so far as an array; begins anew.
    pub(super) fn finish(&mut self) -> io::Result<ArrayRef> {
        Ok(match self {
            Self::TinyInt(cells) => Arc::new(cells.finish()),
            Self::SmallInt(cells) => Arc::new(cells.finish()),
            Self::Int(cells) => Arc::new(cells.finish()),
            Self::BigInt(cells) => Arc::new(cells.finish()),
            Self::Date(cells) => Arc::new(cells.finish()),
            Self::DateTime(cells) => Arc::new(cells.finish()),
            Self::Timestamp(cells) => Arc::new(cells.finish()),
            Self::Float(cells) => Arc::new(cells.finish()),
            Self::Double(cells) => Arc::new(cells.finish()),
            Self::Boolean(cells) => Arc::new(cells.finish()),
            Self::Decimal(cells, ..) => Arc::new(cells.finish()),
            Self::Text(cells) => Arc::new(cells.finish()),
            Self::Binary(cells) => Arc::new(cells.finish()),
            Self::Array(elements) => {
                let values = elements.cells.finish()?;
                let (offsets, nulls) = elements.finish();
                let field = FieldRef::clone(&elements.field);
                Arc::new(
                    ListArray::try_new(field, offsets, values, nulls).map_err(io::Error::other)?,
                )
            }
            Self::Map(keys, values) => {
                let entries = vec![keys.cells.finish()?, values.finish()?];
                let (offsets, nulls) = keys.finish();
                let fields = match keys.field.data_type() {
                    DataType::Struct(fields) => fields.clone(),
                    _ => Fields::empty(),
                };
                let entries = StructArray::try_new(fields, entries, None);
                let field = FieldRef::clone(&keys.field);
                let map = entries
                    .and_then(|entries| MapArray::try_new(field, offsets, entries, nulls, false));
                Arc::new(map.map_err(io::Error::other)?)
            }
            Self::Struct(fields, cells, nulls) => {
                let arrays = cells.iter_mut().map(Self::finish);
                let arrays = arrays.collect::<io::Result<Vec<_>>>()?;
                let array = StructArray::try_new(fields.clone(), arrays, nulls.finish());
                Arc::new(array.map_err(io::Error::other)?)
            }
        })
    }
}

impl Elements {
    /// `column` is the type of the array or map, `element` that of its elements or keys.
    fn new(column: &ColumnType, element: &ColumnType) -> Self {
        let field = match arrow_type(column) {
            DataType::List(field) | DataType::Map(field, _) => field,
            other => Arc::new(Field::new("item", other, true)),
        };
        Self {
            field,
            cells: Box::new(Cells::new(element)),
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Reads a count and so many elements.
    fn read<R: Read>(&mut self, input: &mut Input<R>, nullable: bool) -> io::Result<u64> {
        let count = input.varint()?;
        (0..count).try_for_each(|_| self.cells.read_element(input, nullable))?;
        Ok(count)
    }

    fn end_row(&mut self, count: u64) -> io::Result<()> {
        let count = i32::try_from(count).map_err(io::Error::other)?;
        self.push_end(count);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.push_end(0);
        self.nulls.append_null();
    }

    fn push_end(&mut self, count: i32) {
        let start = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(start + count);
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let offsets = std::mem::replace(&mut self.offsets, vec![0]);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (offsets, self.nulls.finish())
    }
}

/// A zigzag number; all widths go into the CRC as eight bytes.
fn integer<T: TryFrom<i64>, R: Read>(input: &mut Input<R>) -> io::Result<T> {
    let value = input.zigzag()?;
    input.check(&value.to_le_bytes());
    T::try_from(value).map_err(|_| malformed(&format!("{value} does not fit the type")))
}

/// Seconds and nanoseconds. PyODPS without its compiled modules rounds instants before 1970 toward zero, so that both may
/// be negative.
fn instant<R: Read>(input: &mut Input<R>) -> io::Result<i64> {
    let (seconds, fraction) = (input.zigzag()?, input.zigzag()?);
    let nanos = i32::try_from(fraction)
        .ok()
        .filter(|nanos| i64::from(*nanos).abs() < NANOS)
        .ok_or_else(|| malformed(&format!("{fraction} ns are no fraction of a second")))?;
    input.check(&seconds.to_le_bytes());
    input.check(&nanos.to_le_bytes());
    let total = i128::from(seconds) * i128::from(NANOS) + i128::from(nanos);
    i64::try_from(total).map_err(|_| {
        malformed(&format!(
            "the instant {seconds} s after 1970 is outside of 1677 to 2262, which this server keeps"
        ))
    })
}

fn boolean<R: Read>(input: &mut Input<R>) -> io::Result<bool> {
    let byte = match input.varint()? {
        0 => 0,
        1 => 1,
        other => {
            return Err(malformed(&format!(
                "{other} is no BOOLEAN, which is 0 or 1"
            )));
        }
    };
    input.check(&[byte]);
    Ok(byte == 1)
}

/// Digits with sign, point and exponent; more fraction digits than the scale are rounded.
fn decimal(text: &[u8], precision: u8, scale: u8) -> io::Result<i128> {
    let number = std::str::from_utf8(text).ok().and_then(Decimal::parse);
    let unscaled = number.and_then(|number| number.unscaled(precision, scale));
    unscaled.ok_or_else(|| {
        let text = String::from_utf8_lossy(text);
        malformed(&format!("{text:?} is no DECIMAL({precision},{scale})"))
    })
}
