//! Payloads to rows, by the engine and by others.

use std::iter;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch,
    StringBuilder,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use arrow_json::ReaderBuilder;
use engine_decode::{Decoder, Projection};
use engine_model::limits::{BLOCK_BYTES_TARGET, BLOCK_ROWS_MAX};
use engine_model::{ColumnType, FieldPath, MessageBlock, Step, TopicPartition};
use serde_json::Value;

use crate::Result;
use crate::fields::MappedFields;

/// Messages in blocks, as the reader hands them on.
#[derive(Debug)]
pub struct Blocks {
    /// The blocks in order.
    pub blocks: Vec<MessageBlock>,
    /// Bytes of all payloads.
    pub bytes: usize,
    /// Messages in all.
    pub messages: usize,
}

impl Blocks {
    /// Puts `payloads` into blocks of the engine's size, at offsets from 0 and at timestamps from `first_ms`, a
    /// millisecond apart.
    pub fn new(payloads: &[Vec<u8>], first_ms: i64) -> Self {
        let mut blocks = Vec::new();
        let mut block = MessageBlock::default();
        for (offset, payload) in (0..).zip(payloads) {
            let is_full =
                block.len() == BLOCK_ROWS_MAX || block.size() + payload.len() > BLOCK_BYTES_TARGET;
            if is_full && !block.is_empty() {
                blocks.push(std::mem::take(&mut block));
            }
            block.push(
                offset,
                first_ms + offset,
                None,
                Some(payload),
                iter::empty(),
            );
        }
        blocks.push(block);
        let bytes = payloads.iter().map(Vec::len).sum();
        Self {
            blocks,
            bytes,
            messages: payloads.len(),
        }
    }

    fn payloads(block: &MessageBlock) -> impl Iterator<Item = &[u8]> {
        block.iter().filter_map(|message| message.payload)
    }
}

/// By the engine's decoder; each batch goes to `take` once it has a mebibyte, as in a load.
pub fn engine(
    blocks: &Blocks,
    projection: &Arc<Projection>,
    mut take: impl FnMut(RecordBatch),
) -> Result<()> {
    const BATCH_BYTES: usize = 1 << 20;
    let partition = TopicPartition::new("bench", 0);
    let mut decoder = Decoder::new(Arc::clone(projection));
    for block in &blocks.blocks {
        for message in block.iter() {
            decoder.decode(&message, &partition)?;
        }
        if decoder.size() >= BATCH_BYTES {
            take(decoder.flush());
        }
    }
    take(decoder.flush());
    Ok(())
}

/// By `arrow-json` with a schema of the mapped fields only; a batch for each block.
pub fn arrow_json(
    blocks: &Blocks,
    schema: &Arc<Schema>,
    mut take: impl FnMut(RecordBatch),
) -> Result<()> {
    let builder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(BLOCK_ROWS_MAX);
    let mut decoder = builder.build_decoder()?;
    for block in &blocks.blocks {
        for payload in Blocks::payloads(block) {
            decoder.decode(payload)?;
        }
        if let Some(batch) = decoder.flush()? {
            take(batch);
        }
    }
    Ok(())
}

/// By `serde_json` into a tree, and from there into Arrow's builders; a batch for each block.
pub fn serde_json(
    blocks: &Blocks,
    fields: &MappedFields,
    schema: &Arc<Schema>,
    mut take: impl FnMut(RecordBatch),
) -> Result<()> {
    let mut columns: Vec<Builder> = fields
        .fields
        .iter()
        .map(|(column_type, _)| Builder::new(column_type))
        .collect();
    for block in &blocks.blocks {
        for payload in Blocks::payloads(block) {
            let document: Value = serde_json::from_slice(payload)?;
            for (column, (_, path)) in columns.iter_mut().zip(&fields.fields) {
                column.append(find(&document, path));
            }
        }
        let arrays = columns.iter_mut().map(Builder::finish).collect();
        take(RecordBatch::try_new(Arc::clone(schema), arrays)?);
    }
    Ok(())
}

fn find<'a>(document: &'a Value, path: &FieldPath) -> Option<&'a Value> {
    path.steps()
        .iter()
        .try_fold(document, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
}

enum Builder {
    Text(StringBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Boolean(BooleanBuilder),
}

impl Builder {
    fn new(column_type: &ColumnType) -> Self {
        match column_type {
            ColumnType::BigInt => Self::Integer(Int64Builder::new()),
            ColumnType::Double => Self::Float(Float64Builder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            _ => Self::Text(StringBuilder::new()),
        }
    }

    fn append(&mut self, value: Option<&Value>) {
        match self {
            Self::Text(builder) => builder.append_option(value.and_then(Value::as_str)),
            Self::Integer(builder) => builder.append_option(value.and_then(Value::as_i64)),
            Self::Float(builder) => builder.append_option(value.and_then(Value::as_f64)),
            Self::Boolean(builder) => builder.append_option(value.and_then(Value::as_bool)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The cells of flat batches as text, row by row; what the three ways must agree on.
pub fn rows(batches: &[RecordBatch]) -> Vec<Vec<Option<String>>> {
    let cells = |batch: &RecordBatch, row: usize| {
        batch
            .columns()
            .iter()
            .map(|column| spelled(column, row))
            .collect()
    };
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| cells(batch, row)))
        .collect()
}

/// The same from the nested batches of [`arrow_json()`].
pub fn nested_rows(batches: &[RecordBatch], fields: &MappedFields) -> Vec<Vec<Option<String>>> {
    let cell = |batch: &RecordBatch, row: usize, path: &FieldPath| {
        let (first, rest) = path.steps().split_first()?;
        let Step::Key(name) = first else { return None };
        nested_cell(batch.column_by_name(name)?, row, rest)
    };
    let cells = |batch: &RecordBatch, row: usize| {
        fields
            .fields
            .iter()
            .map(|(_, path)| cell(batch, row, path))
            .collect()
    };
    batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| cells(batch, row)))
        .collect()
}

fn nested_cell(array: &ArrayRef, row: usize, steps: &[Step]) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    match steps.split_first() {
        None => spelled(array, row),
        Some((Step::Key(name), rest)) => {
            nested_cell(array.as_struct().column_by_name(name)?, row, rest)
        }
        Some((Step::Index(index), rest)) => {
            let elements = array.as_list::<i32>().value(row);
            (*index < elements.len())
                .then(|| nested_cell(&elements, *index, rest))
                .flatten()
        }
    }
}

fn spelled(array: &ArrayRef, row: usize) -> Option<String> {
    array.is_valid(row).then(|| match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => array.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        _ => array.as_string::<i32>().value(row).to_owned(),
    })
}
