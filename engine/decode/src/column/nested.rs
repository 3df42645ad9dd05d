//! ARRAY, MAP and STRUCT: arrays and objects by their types, and strings that hold one as JSON.
//!
//! An array's elements, a map's values and a struct's fields are converted as columns of their types convert; `null` is
//! NULL. A map's keys are strings converted to the key's type, and never NULL. Of keys that an object has twice the last
//! counts, but different keys that the conversion or a struct's names make the same are refused. A struct takes its fields by
//! name, without regard to the case of ASCII letters; those that are missing are NULL, others are left.
//! A string within one is no array or object again, and neither is the string `null`.

mod keys;

use std::cell::Cell;
use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use engine_model::ColumnType;
use engine_model::limits::CELL_BYTES_MAX;
use jiff::tz::TimeZone;
use simd_json::Node;

use super::{ColumnBuffer, ColumnSpec, data_type, row_bytes};
use crate::locate::{text_of, tokens_of_nodes};
use crate::node::{extent, value_of, value_of_text};
use crate::parser::{Document, Parser, TOKENS_KEPT};
use crate::reject::RejectReason;
use crate::value::Value;
use keys::KeyCheck;

/// Bytes that the values within one cell take, as the columns of their types that they become: its JSON may be short, for
/// each field that it leaves out is a NULL that takes as much as a value.
const VALUES_BYTES_MAX: usize = 8 * CELL_BYTES_MAX;

#[derive(Debug)]
pub(super) struct NestedColumn {
    cells: Cells,
    parser: Parser,
    /// For each node of the value under way the token that it starts with; kept for its memory.
    tokens: Vec<u32>,
}

impl NestedColumn {
    /// A column of a nested type, or nothing where it is none.
    pub(super) fn new(column_type: &ColumnType, zone: &TimeZone) -> Option<Self> {
        match Cells::new(column_type, zone)? {
            Cells::Scalar(_) => None,
            cells => Some(Self {
                cells,
                parser: Parser::default(),
                tokens: Vec::new(),
            }),
        }
    }

    /// Tells the bytes of the values within.
    pub(super) fn append(&mut self, value: &Value<'_>) -> Result<usize, RejectReason> {
        let (Value::Json(text) | Value::Text(text)) = *value else {
            return Err(RejectReason::WrongType);
        };
        if text.len() > CELL_BYTES_MAX {
            return Err(RejectReason::TooLong);
        }
        let Self {
            cells,
            parser,
            tokens,
        } = self;
        let read = parser.read(text.as_bytes(), |document| {
            // Neither a string in a string nor `null` is an array or an object.
            match document.tape.first() {
                Some(Node::Object { .. } | Node::Array { .. }) => {}
                _ => return Err(RejectReason::WrongType),
            }
            tokens_of_nodes(document, tokens);
            let room = Cell::new(VALUES_BYTES_MAX);
            let source = Source {
                document,
                tokens,
                room: &room,
            };
            cells.append(source, 0)?;
            Ok(VALUES_BYTES_MAX - room.get())
        });
        read.map_err(RejectReason::of_nested_json)?
    }

    pub(super) fn append_nulls(&mut self, count: usize) {
        self.cells.append_nulls(count);
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        self.cells.truncate(rows);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        self.parser.shrink();
        self.tokens.clear();
        self.tokens.shrink_to(TOKENS_KEPT);
        self.cells.finish()
    }
}

/// A parsed value, where the text of its nodes is, and how many bytes may still be made of it.
#[derive(Clone, Copy)]
struct Source<'a> {
    document: Document<'a>,
    tokens: &'a [u32],
    room: &'a Cell<usize>,
}

impl Source<'_> {
    /// Takes `bytes` of the room that is left.
    fn take(self, bytes: usize) -> Result<(), RejectReason> {
        let left = self.room.get().checked_sub(bytes);
        self.room.set(left.ok_or(RejectReason::TooLong)?);
        Ok(())
    }
}

/// Cells of one type, and those within them.
#[derive(Debug)]
enum Cells {
    Scalar(Box<ColumnBuffer>),
    Array(Box<ArrayCells>),
    Map(Box<MapCells>),
    Struct(StructCells),
}

/// Where each row's elements end, and which rows are there.
#[derive(Debug)]
struct Rows {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

#[derive(Debug)]
struct ArrayCells {
    rows: Rows,
    elements: Cells,
    element: Arc<Field>,
    /// See [`row_bytes`].
    element_bytes: usize,
}

#[derive(Debug)]
struct MapCells {
    rows: Rows,
    keys: ColumnBuffer,
    /// Nothing where different texts are different keys.
    key_check: Option<KeyCheck>,
    values: Cells,
    /// A key and its value.
    entry: Arc<Field>,
    /// See [`row_bytes`].
    entry_bytes: usize,
}

#[derive(Debug)]
struct StructCells {
    nulls: NullBufferBuilder,
    names: Vec<String>,
    cells: Vec<Cells>,
    fields: Fields,
    /// Where the key of each field is in the object under way; kept for its memory.
    found: Vec<Option<u32>>,
}

impl Rows {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Elements of all rows.
    fn end(&self) -> i32 {
        self.offsets.last().copied().unwrap_or_default()
    }

    fn push(&mut self, elements: usize) -> Result<(), RejectReason> {
        let elements = i32::try_from(elements).map_err(|_| RejectReason::BatchFull)?;
        let end = self.end().checked_add(elements);
        self.offsets.push(end.ok_or(RejectReason::BatchFull)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_nulls(&mut self, count: usize) {
        self.offsets.resize(self.offsets.len() + count, self.end());
        self.nulls.append_n_nulls(count);
    }

    /// Forgets later rows, and tells how many elements are left.
    fn truncate(&mut self, rows: usize) -> usize {
        self.offsets.truncate(rows + 1);
        self.nulls.truncate(rows);
        usize::try_from(self.end()).unwrap_or_default()
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let mut full = mem::replace(self, Self::new());
        (OffsetBuffer::new(full.offsets.into()), full.nulls.finish())
    }
}

impl Cells {
    fn new(column_type: &ColumnType, zone: &TimeZone) -> Option<Self> {
        let inner = |column_type| Self::new(column_type, zone);
        Some(match column_type {
            ColumnType::Array(element_type) => {
                let DataType::List(element) = data_type(column_type) else {
                    return None;
                };
                Self::Array(Box::new(ArrayCells {
                    rows: Rows::new(),
                    elements: inner(element_type)?,
                    element_bytes: row_bytes(element.data_type()),
                    element,
                }))
            }
            ColumnType::Map(key, value) => {
                let DataType::Map(entry, _) = data_type(column_type) else {
                    return None;
                };
                let Self::Scalar(keys) = inner(key)? else {
                    return None;
                };
                Self::Map(Box::new(MapCells {
                    rows: Rows::new(),
                    keys: *keys,
                    key_check: if key.is_text() || **key == ColumnType::Binary {
                        None
                    } else {
                        Some(KeyCheck::new(&ColumnSpec::plain(key, zone))?)
                    },
                    values: inner(value)?,
                    entry_bytes: row_bytes(entry.data_type()),
                    entry,
                }))
            }
            ColumnType::Struct(fields) => {
                let DataType::Struct(layout) = data_type(column_type) else {
                    return None;
                };
                let cells = fields.iter().map(|(_, field)| inner(field));
                Self::Struct(StructCells {
                    nulls: NullBufferBuilder::new(0),
                    names: fields.iter().map(|(name, _)| name.clone()).collect(),
                    cells: cells.collect::<Option<_>>()?,
                    fields: layout,
                    found: Vec::new(),
                })
            }
            scalar => {
                let spec = ColumnSpec::plain(scalar, zone);
                Self::Scalar(Box::new(ColumnBuffer::new(&spec)?))
            }
        })
    }

    /// Appends the value at `node`. After an error the cells must be truncated to those that they had.
    fn append(&mut self, source: Source<'_>, node: u32) -> Result<(), RejectReason> {
        let tape = source.document.tape;
        let here = tape.get(node as usize).ok_or(RejectReason::InvalidJson)?;
        match (self, here) {
            (Self::Scalar(buffer), _) => scalar(buffer, source, node),
            (cells, Node::Static(simd_json::StaticNode::Null)) => {
                cells.append_nulls(1);
                Ok(())
            }
            (Self::Array(cells), Node::Array { len, .. }) => cells.append(source, node, *len),
            (Self::Map(cells), Node::Object { len, .. }) => cells.append(source, node, *len),
            (Self::Struct(cells), Node::Object { len, .. }) => cells.append(source, node, *len),
            _ => Err(RejectReason::WrongType),
        }
    }

    fn append_nulls(&mut self, count: usize) {
        match self {
            // Elements take NULL, whatever the column does.
            Self::Scalar(buffer) => buffer.nulls_due += count,
            Self::Array(cells) => cells.rows.push_nulls(count),
            Self::Map(cells) => cells.rows.push_nulls(count),
            Self::Struct(cells) => {
                cells.nulls.append_n_nulls(count);
                let cells = cells.cells.iter_mut();
                cells.for_each(|field| field.append_nulls(count));
            }
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Self::Scalar(buffer) => buffer.truncate(rows),
            Self::Array(cells) => cells.elements.truncate(cells.rows.truncate(rows)),
            Self::Map(cells) => {
                let entries = cells.rows.truncate(rows);
                cells.keys.truncate(entries);
                cells.values.truncate(entries);
            }
            Self::Struct(cells) => {
                cells.nulls.truncate(rows);
                cells
                    .cells
                    .iter_mut()
                    .for_each(|field| field.truncate(rows));
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        const WHOLE: &str = "every cell has its type, and each row its end";
        match self {
            Self::Scalar(buffer) => buffer.finish(),
            Self::Array(cells) => {
                let (offsets, nulls) = cells.rows.finish();
                let (element, elements) = (Arc::clone(&cells.element), cells.elements.finish());
                Arc::new(ListArray::try_new(element, offsets, elements, nulls).expect(WHOLE))
            }
            Self::Map(cells) => {
                let DataType::Struct(fields) = cells.entry.data_type() else {
                    unreachable!("a map's entries are structs");
                };
                let (offsets, nulls) = cells.rows.finish();
                let sides = vec![cells.keys.finish(), cells.values.finish()];
                let sides = StructArray::try_new(fields.clone(), sides, None).expect(WHOLE);
                let entry = Arc::clone(&cells.entry);
                Arc::new(MapArray::try_new(entry, offsets, sides, nulls, false).expect(WHOLE))
            }
            Self::Struct(cells) => {
                let rows = cells.nulls.len();
                let nulls = cells.nulls.finish();
                let arrays = cells.cells.iter_mut().map(Self::finish).collect();
                let fields = cells.fields.clone();
                let array = StructArray::try_new_with_length(fields, arrays, nulls, rows);
                Arc::new(array.expect(WHOLE))
            }
        }
    }
}

impl ArrayCells {
    fn append(&mut self, source: Source<'_>, node: u32, len: usize) -> Result<(), RejectReason> {
        let mut element = node + 1;
        for _ in 0..len {
            source.take(self.element_bytes)?;
            self.elements.append(source, element)?;
            element = behind(source, element)?;
        }
        self.rows.push(len)
    }
}

impl MapCells {
    fn append(&mut self, source: Source<'_>, node: u32, len: usize) -> Result<(), RejectReason> {
        let entries = last_of_each(source, node, len)?;
        if let Some(check) = self.key_check.as_mut().filter(|_| entries.len() > 1) {
            check.check(entries.iter().map(|(name, _)| *name))?;
        }
        for (name, value) in &entries {
            source.take(self.entry_bytes)?;
            source.take(self.keys.append(&Value::Text(name))?)?;
            self.values.append(source, *value)?;
        }
        self.rows.push(entries.len())
    }
}

impl StructCells {
    fn append(&mut self, source: Source<'_>, node: u32, len: usize) -> Result<(), RejectReason> {
        self.found.clear();
        self.found.resize(self.names.len(), None);
        let tape = source.document.tape;
        let mut key = node + 1;
        for _ in 0..len {
            if let Some(Node::String(name)) = tape.get(key as usize) {
                let field = self
                    .names
                    .iter()
                    .position(|known| known.eq_ignore_ascii_case(name));
                if let Some(found) = field.and_then(|field| self.found.get_mut(field)) {
                    let before = found.replace(key).map(|key| &tape[key as usize]);
                    if before.is_some_and(|before| *before != Node::String(name)) {
                        return Err(RejectReason::RepeatedKey);
                    }
                }
            }
            key = behind(source, key + 1)?;
        }
        for (cells, found) in self.cells.iter_mut().zip(&self.found) {
            match found.map(|key| key + 1) {
                Some(value) => cells.append(source, value)?,
                None => cells.append_nulls(1),
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }
}

fn scalar(buffer: &mut ColumnBuffer, source: Source<'_>, node: u32) -> Result<(), RejectReason> {
    let Source {
        document, tokens, ..
    } = source;
    let value = match value_of(document, node, buffer) {
        Some(Value::Null) => return buffer.append_null(),
        Some(value) => value,
        None => {
            let token = tokens.get(node as usize).copied();
            let text = token.and_then(|token| text_of(document, node, token as usize));
            text.and_then(|text| value_of_text(document, node, text))
                .ok_or(RejectReason::InvalidJson)?
        }
    };
    source.take(buffer.append(&value)?)
}

/// The node behind the value at `node`.
fn behind(source: Source<'_>, node: u32) -> Result<u32, RejectReason> {
    let here = source.document.tape.get(node as usize);
    let extent = here.map(extent).ok_or(RejectReason::InvalidJson)?;
    let extent = u32::try_from(extent).map_err(|_| RejectReason::TooLong)?;
    node.checked_add(extent).ok_or(RejectReason::TooLong)
}

/// The entries of the object at `node`, in order, without those whose key comes again.
fn last_of_each(
    source: Source<'_>,
    node: u32,
    len: usize,
) -> Result<Vec<(&str, u32)>, RejectReason> {
    let mut entries: Vec<(&str, u32)> = Vec::with_capacity(len);
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(len);
    let mut key = node + 1;
    for _ in 0..len {
        let Some(Node::String(name)) = source.document.tape.get(key as usize) else {
            return Err(RejectReason::InvalidJson);
        };
        let value = key + 1;
        if let Some(place) = places.get(name) {
            entries[*place].1 = value;
        } else {
            places.insert(name, entries.len());
            entries.push((name, value));
        }
        key = behind(source, value)?;
    }
    Ok(entries)
}
