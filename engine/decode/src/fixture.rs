//! What the tests of several modules need: projections and messages in a line each.

pub(crate) mod grammar;

use std::sync::Arc;

use arrow::array::Array;
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use engine_model::job::Validation;
use engine_model::{
    Column, ColumnMapping, ColumnSource, Headers, Message, MessageFormat, MetadataField,
    TableColumns, TopicPartition,
};
use jiff::tz::TimeZone;

use crate::{Decoder, Projection, ProjectionSpec, Rejection};

/// A mapping of the column `name` from `source`: a field path, `__key__` and so on, or a `'constant'`.
pub(crate) fn mapping(name: &str, source: &str) -> ColumnMapping {
    let constant = source
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''));
    let source = match (constant, MetadataField::from_name(source)) {
        (Some(constant), _) => ColumnSource::Constant(constant.to_owned()),
        (None, Some(field)) => ColumnSource::Metadata(field),
        (None, None) => ColumnSource::Path(source.parse().unwrap()),
    };
    ColumnMapping::new(name, source)
}

/// A column of a type as DDL spells it, ` NOT NULL` included.
pub(crate) fn column(name: &str, column_type: &str) -> Column {
    let nullable = column_type.strip_suffix(" NOT NULL");
    Column {
        nullable: nullable.is_none(),
        ..Column::new(name, nullable.unwrap_or(column_type).parse().unwrap())
    }
}

/// Columns of (type, source), named `c0` and up; an empty source is none.
pub(crate) fn projection(columns: &[(&str, &str)]) -> Arc<Projection> {
    formatted_projection(columns, &MessageFormat::default())
}

/// The same for messages in another format.
pub(crate) fn formatted_projection(
    columns: &[(&str, &str)],
    format: &MessageFormat,
) -> Arc<Projection> {
    projection_of(columns, format, false)
}

/// The same where empty strings may become NULL.
pub(crate) fn projection_of(
    columns: &[(&str, &str)],
    format: &MessageFormat,
    empty_as_null: bool,
) -> Arc<Projection> {
    let mut table = TableColumns::default();
    let mut mappings = Vec::new();
    for (index, (column_type, source)) in columns.iter().enumerate() {
        let name = format!("c{index}");
        table.columns.push(column(&name, column_type));
        if !source.is_empty() {
            mappings.push(mapping(&name, source));
        }
    }
    let compiled = Projection::compile(&ProjectionSpec {
        empty_as_null,
        ..ProjectionSpec::new(&mappings, &table, format, &TimeZone::UTC)
    });
    Arc::new(compiled.unwrap())
}

/// A topic partition for messages that come from nowhere.
pub(crate) fn partition() -> TopicPartition {
    TopicPartition::new("orders", 3)
}

pub(crate) fn message(payload: &[u8]) -> Message<'_> {
    Message {
        offset: 42,
        timestamp_ms: 1_795_341_600_123,
        key: None,
        payload: Some(payload),
        headers: Headers::default(),
    }
}

/// The row at `index` as texts.
pub(crate) fn row(batch: &RecordBatch, index: usize) -> Vec<Option<String>> {
    let cell = |array: &dyn Array| {
        let text = || array_value_to_string(array, index).unwrap();
        array.is_valid(index).then(text)
    };
    batch.columns().iter().map(|array| cell(array)).collect()
}

/// The only row that `payload` makes, whether all of it is checked or not.
pub(crate) fn decode(
    columns: &[(&str, &str)],
    payload: &str,
) -> Result<Vec<Option<String>>, Rejection> {
    let [full, mapped] = both(columns, payload.as_bytes());
    match &full {
        Ok(row) => assert_eq!(mapped.as_ref(), Ok(row), "{payload}"),
        Err(_) => assert!(mapped.is_err(), "{mapped:?} of {payload}"),
    }
    full
}

/// The same with full validation and with that of the mapped fields.
pub(crate) fn both(
    columns: &[(&str, &str)],
    payload: &[u8],
) -> [Result<Vec<Option<String>>, Rejection>; 2] {
    [Validation::Full, Validation::Mapped].map(|validation| {
        let mut decoder = Decoder::new(validated(projection(columns), validation));
        decoder.decode(&message(payload), &partition())?;
        Ok(row(&decoder.flush(), 0))
    })
}

/// A projection that nobody else has yet, with another validation.
pub(crate) fn validated(projection: Arc<Projection>, validation: Validation) -> Arc<Projection> {
    let projection = Arc::into_inner(projection).unwrap();
    Arc::new(projection.with_validation(validation))
}
