//! Which column gets what: a job's mapping, compiled against its table.

mod error;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use engine_model::limits::{DECIMAL_PRECISION_MAX, DECIMAL_SCALE_MAX};
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, FieldPath, KeyType, MetadataField,
    PayloadType, TableColumns, TimeFormat,
};
use jiff::tz::TimeZone;

use crate::column::{ColumnBuffer, data_type, row_bytes};
use crate::metadata::{Form, Metadata, key_fits};
use crate::reject::Rejection;
use crate::trie::Trie;
use crate::value::Value;
pub use error::{ProjectionError, ProjectionErrorKind};

/// A compiled mapping from messages to the columns of one table. Compile it once per job and share it between decoders.
#[derive(Debug)]
pub struct Projection {
    schema: SchemaRef,
    zone: TimeZone,
    /// One per column of the table, in its order.
    columns: Vec<ProjectedColumn>,
    trie: Trie,
    /// Columns that get a field of the payload, in table order.
    pub(crate) paths: Vec<PathFeed>,
    /// Columns that get another part of the message, in table order.
    pub(crate) metadata: Vec<MetadataFeed>,
    /// Bytes that each row adds to a batch, texts from messages aside.
    pub(crate) row_bytes: usize,
    /// Bytes of the longest constant.
    pub(crate) constant_bytes_max: usize,
}

/// A column and where its values come from.
#[derive(Debug)]
struct ProjectedColumn {
    column: Column,
    data_type: DataType,
    format: Option<TimeFormat>,
    /// As error texts spell it.
    source: String,
    fill: Fill,
}

/// How a column of a batch comes about.
#[derive(Clone, Debug)]
pub(crate) enum Fill {
    /// Nothing is mapped: NULL in every row.
    Null,
    /// The only row of this array, in every row.
    Constant(ArrayRef),
    /// A buffer that is fed by a field path: its index among [`Projection::paths`].
    Path(usize),
    /// A buffer that is fed otherwise: its index among [`Projection::metadata`].
    Metadata(usize),
}

/// A column that gets what a field path leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PathFeed {
    /// Its index in the table.
    pub(crate) column: usize,
    /// The path's slot in the trie.
    pub(crate) slot: usize,
}

/// A column that gets another part of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MetadataFeed {
    /// Its index in the table.
    pub(crate) column: usize,
    pub(crate) metadata: Metadata,
}

impl Projection {
    /// Compiles `mappings` against the columns of `table`; columns are named without regard to case.
    ///
    /// `key` and `payload` say how a message's bytes are read, `zone` the zone of date-times without an offset.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, not only the first of it. [`ProjectionErrorKind`] has the list.
    pub fn compile(
        mappings: &[ColumnMapping],
        table: &TableColumns,
        key: KeyType,
        payload: PayloadType,
        zone: &TimeZone,
    ) -> Result<Self, Vec<ProjectionError>> {
        let mut compiler = Compiler {
            key,
            payload,
            zone,
            errors: Vec::new(),
            paths: Vec::new(),
            path_columns: Vec::new(),
            metadata: Vec::new(),
        };
        let by_column = compiler.assign(mappings, table);
        let columns: Vec<ProjectedColumn> = (0..)
            .zip(table.columns.iter().zip(by_column))
            .map(|(index, (column, mapping))| compiler.column(index, column, mapping))
            .collect();
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let (trie, slots) = Trie::new(&compiler.paths);
        let paths = compiler.path_columns.into_iter().zip(slots);
        let fields = columns
            .iter()
            .map(|column| Field::new(&column.column.name, column.data_type.clone(), true));
        Ok(Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            zone: zone.clone(),
            trie,
            paths: paths
                .map(|(column, slot)| PathFeed { column, slot })
                .collect(),
            metadata: compiler.metadata,
            row_bytes: columns.iter().map(ProjectedColumn::row_bytes).sum(),
            constant_bytes_max: columns
                .iter()
                .map(ProjectedColumn::constant_bytes)
                .max()
                .unwrap_or_default(),
            columns,
        })
    }

    /// The Arrow schema of the batches: one field per column of the table, in its order, all of them nullable.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether payloads are parsed. Where no field path is mapped they are not, and any payload makes a row.
    pub fn parses_payloads(&self) -> bool {
        !self.paths.is_empty()
    }

    pub(crate) fn trie(&self) -> &Trie {
        &self.trie
    }

    /// How each column of a batch comes about, in table order.
    pub(crate) fn fills(&self) -> impl Iterator<Item = (&Fill, &DataType)> {
        self.columns
            .iter()
            .map(|column| (&column.fill, &column.data_type))
    }

    /// An empty buffer for the column at `index`.
    pub(crate) fn buffer(&self, index: usize) -> ColumnBuffer {
        let ProjectedColumn { column, format, .. } = &self.columns[index];
        ColumnBuffer::new(&column.column_type, column.nullable, &self.zone, *format)
            .expect("only columns whose type has a buffer are fed")
    }

    /// What the column at `index` takes, in an error text.
    #[cold]
    pub(crate) fn expected(&self, index: usize) -> String {
        let ProjectedColumn { column, format, .. } = &self.columns[index];
        let column_type = &column.column_type;
        let not_null = if column.nullable { "" } else { " NOT NULL" };
        let spelling = if *column_type == ColumnType::Date
            || (holds_instants(column_type) && format.is_none())
        {
            " as a string"
        } else {
            ""
        };
        format!("{column_type}{not_null}{spelling}")
    }

    /// `rejection` with the name and source of the column at `index`.
    #[cold]
    pub(crate) fn in_column(&self, rejection: Rejection, index: usize) -> Rejection {
        let ProjectedColumn { column, source, .. } = &self.columns[index];
        rejection.in_column(&column.name, source)
    }
}

impl ProjectedColumn {
    fn row_bytes(&self) -> usize {
        row_bytes(&self.data_type) + self.constant_bytes()
    }

    fn constant_bytes(&self) -> usize {
        match &self.fill {
            Fill::Constant(row) => row.get_buffer_memory_size(),
            _ => 0,
        }
    }
}

/// Collects what the columns need, and what is wrong with them.
struct Compiler<'a> {
    key: KeyType,
    payload: PayloadType,
    zone: &'a TimeZone,
    errors: Vec<ProjectionError>,
    paths: Vec<&'a FieldPath>,
    path_columns: Vec<usize>,
    metadata: Vec<MetadataFeed>,
}

impl<'a> Compiler<'a> {
    /// Each column's mapping, in table order.
    fn assign(
        &mut self,
        mappings: &'a [ColumnMapping],
        table: &TableColumns,
    ) -> Vec<Option<&'a ColumnMapping>> {
        let index_of: HashMap<String, usize> = (0..)
            .zip(&table.columns)
            .map(|(index, column)| (column.name.to_lowercase(), index))
            .collect();
        let mut by_column = vec![None; table.columns.len()];
        for mapping in mappings {
            let name = mapping.column.to_lowercase();
            let Some(index) = index_of.get(&name) else {
                let is_key = |key: &Column| key.name.to_lowercase() == name;
                let message = if table.partition_keys.iter().any(is_key) {
                    "it is a partition key; its value comes from the target table partition, not from messages"
                } else {
                    "the table has no such column"
                };
                let kind = ProjectionErrorKind::UnknownColumn;
                self.error(&mapping.column, kind, message.to_owned());
                continue;
            };
            if by_column[*index].replace(mapping).is_some() {
                let message = "it is mapped twice; keep one of the two".to_owned();
                self.error(&mapping.column, ProjectionErrorKind::MappedTwice, message);
            }
        }
        by_column
    }

    fn column(
        &mut self,
        index: usize,
        column: &Column,
        mapping: Option<&'a ColumnMapping>,
    ) -> ProjectedColumn {
        let from_timestamp = |mapping: &ColumnMapping| {
            mapping.source == ColumnSource::Metadata(MetadataField::Timestamp)
        };
        let format = match mapping {
            // The message timestamp is what it is, whatever the job says of other numbers.
            Some(mapping) if from_timestamp(mapping) => Some(TimeFormat::EpochMs),
            Some(mapping) => mapping.format,
            None => None,
        };
        let fill = match mapping {
            None => {
                if !column.nullable {
                    let message =
                        "it is NOT NULL and nothing is mapped to it; map a field or a constant";
                    let kind = ProjectionErrorKind::NotNullUnmapped;
                    self.error(&column.name, kind, message.to_owned());
                }
                Fill::Null
            }
            Some(mapping) => self.fill(index, column, mapping, format),
        };
        ProjectedColumn {
            column: column.clone(),
            data_type: data_type(&column.column_type),
            format,
            source: mapping.map_or_else(String::new, |mapping| mapping.source.to_string()),
            fill,
        }
    }

    fn fill(
        &mut self,
        index: usize,
        column: &Column,
        mapping: &'a ColumnMapping,
        format: Option<TimeFormat>,
    ) -> Fill {
        let Some(mut buffer) = supported(column)
            .then(|| ColumnBuffer::new(&column.column_type, column.nullable, self.zone, format))
            .flatten()
        else {
            let message = format!(
                "values of type {} can't be loaded; a column of type STRING or JSON takes any value as it is",
                column.column_type
            );
            self.error(&column.name, ProjectionErrorKind::UnsupportedType, message);
            return Fill::Null;
        };
        if let Some(message) = format_fault(column, mapping) {
            self.error(&column.name, ProjectionErrorKind::UnfitSource, message);
        }
        match &mapping.source {
            ColumnSource::Constant(text) => match buffer.append(&Value::Text(text)) {
                Ok(_) => Fill::Constant(buffer.finish()),
                Err(reason) => {
                    let message = format!(
                        "the constant {text:?} is no {}: {reason}",
                        column.column_type
                    );
                    self.error(&column.name, ProjectionErrorKind::BadConstant, message);
                    Fill::Null
                }
            },
            ColumnSource::Path(path) => {
                if self.payload != PayloadType::Json {
                    let message = format!(
                        "the field path {path} needs payloads of type json; map __value__ to get the payload as a whole"
                    );
                    self.error(&column.name, ProjectionErrorKind::PathWithoutJson, message);
                }
                self.paths.push(path);
                self.path_columns.push(index);
                Fill::Path(self.paths.len() - 1)
            }
            ColumnSource::Metadata(field) => {
                if let Some(message) = self.metadata_fault(*field, column, format) {
                    self.error(&column.name, ProjectionErrorKind::UnfitSource, message);
                }
                self.metadata.push(MetadataFeed {
                    column: index,
                    metadata: Metadata {
                        field: *field,
                        key_type: self.key,
                        form: match column.column_type {
                            ColumnType::Double => Form::Float,
                            ColumnType::Binary => Form::Bytes,
                            _ => Form::Text,
                        },
                    },
                });
                Fill::Metadata(self.metadata.len() - 1)
            }
        }
    }

    fn metadata_fault(
        &self,
        field: MetadataField,
        column: &Column,
        format: Option<TimeFormat>,
    ) -> Option<String> {
        let (fits, types) = match (field, &column.column_type) {
            (MetadataField::Key, column_type) => {
                let fits = key_fits(self.key, column_type, format.is_some());
                let key = format!("{:?}", self.key).to_lowercase();
                return (!fits).then(|| {
                    format!(
                        "keys of type {key} don't fit into {column_type} without loss; STRING takes any key"
                    )
                });
            }
            (MetadataField::Value, column_type) => (
                is_text(column_type)
                    || matches!(column_type, ColumnType::Json | ColumnType::Binary),
                "STRING, VARCHAR, CHAR, JSON or BINARY",
            ),
            (MetadataField::Headers, column_type) => (
                is_text(column_type) || *column_type == ColumnType::Json,
                "STRING, VARCHAR, CHAR or JSON",
            ),
            (MetadataField::Partition | MetadataField::Offset, column_type) => (
                is_text(column_type)
                    || matches!(
                        column_type,
                        ColumnType::TinyInt
                            | ColumnType::SmallInt
                            | ColumnType::Int
                            | ColumnType::BigInt
                    ),
                "BIGINT, INT, SMALLINT, TINYINT, STRING, VARCHAR or CHAR",
            ),
            (MetadataField::Timestamp, column_type) => (
                is_text(column_type)
                    || holds_instants(column_type)
                    || *column_type == ColumnType::BigInt,
                "BIGINT, STRING, VARCHAR, CHAR, DATETIME, TIMESTAMP or TIMESTAMP_NTZ",
            ),
        };
        (!fits).then(|| {
            format!(
                "{field} goes into columns of type {types}, not {}",
                column.column_type
            )
        })
    }

    fn error(&mut self, column: &str, kind: ProjectionErrorKind, message: String) {
        self.errors
            .push(ProjectionError::new(column, kind, message));
    }
}

/// Whether the parameters of the type are within its limits; the kinds of types are the buffers' own business.
fn supported(column: &Column) -> bool {
    match column.column_type {
        ColumnType::Decimal { precision, scale } => {
            (1..=DECIMAL_PRECISION_MAX).contains(&precision)
                && scale <= precision.min(DECIMAL_SCALE_MAX)
        }
        _ => true,
    }
}

fn is_text(column_type: &ColumnType) -> bool {
    matches!(
        column_type,
        ColumnType::String | ColumnType::VarChar(_) | ColumnType::Char(_)
    )
}

fn holds_instants(column_type: &ColumnType) -> bool {
    matches!(
        column_type,
        ColumnType::DateTime | ColumnType::Timestamp | ColumnType::TimestampNtz
    )
}

fn format_fault(column: &Column, mapping: &ColumnMapping) -> Option<String> {
    let format = mapping.format?;
    if !holds_instants(&column.column_type) {
        return Some(format!(
            "a time format says how numbers become DATETIME, TIMESTAMP or TIMESTAMP_NTZ; leave it out for {}",
            column.column_type
        ));
    }
    let is_timestamp = mapping.source == ColumnSource::Metadata(MetadataField::Timestamp);
    (is_timestamp && format != TimeFormat::EpochMs)
        .then(|| "__timestamp__ is in ms since the epoch; leave the time format out".to_owned())
}

#[cfg(test)]
mod tests;
