//! Which column gets what: a job's mapping, compiled against its table.

mod error;
mod faults;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use engine_model::job::Validation;
use engine_model::{
    Column, ColumnMapping, ColumnSource, ColumnType, FieldPath, MessageFormat, MetadataField,
    PayloadType, PrimitiveType, Rounding, Step, TableColumns, TimeUnit, ValueFormat,
};
use jiff::tz::TimeZone;

use crate::column::{ColumnBuffer, ColumnSpec, data_type, row_bytes};
use crate::metadata::{Form, Metadata};
use crate::reject::Rejection;
use crate::text::TextReader;
use crate::trie::Trie;
use crate::value::Value;
pub use error::{ProjectionError, ProjectionErrorKind};
use faults::{format_fault, metadata_fault, path_fault, rounding_fault, supported};

/// What a [`Projection`] is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct ProjectionSpec<'a> {
    /// Where the columns get their values from; columns are named without regard to case.
    pub mappings: &'a [ColumnMapping],
    /// The columns of the table.
    pub table: &'a TableColumns,
    /// How the bytes of messages are read.
    pub format: &'a MessageFormat,
    /// How much of a JSON payload is checked.
    pub validation: Validation,
    /// Whether empty strings of messages become NULL.
    pub empty_as_null: bool,
    /// The zone of date-times without an offset.
    pub zone: &'a TimeZone,
}

impl<'a> ProjectionSpec<'a> {
    /// A mapping of messages that are checked as a whole and whose empty strings stay.
    pub fn new(
        mappings: &'a [ColumnMapping],
        table: &'a TableColumns,
        format: &'a MessageFormat,
        zone: &'a TimeZone,
    ) -> Self {
        Self {
            mappings,
            table,
            format,
            validation: Validation::default(),
            empty_as_null: false,
            zone,
        }
    }
}

/// A compiled mapping from messages to the columns of one table. Compile it once per job and share it between decoders.
#[derive(Debug)]
pub struct Projection {
    schema: SchemaRef,
    format: MessageFormat,
    empty_as_null: bool,
    validation: Validation,
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
    format: Option<ValueFormat>,
    rounding: Option<Rounding>,
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
    /// The path's slot in the trie; of delimited text the field's position.
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
    /// Compiles the mappings against the columns of the table.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, not only the first of it. [`ProjectionErrorKind`] has the list.
    pub fn compile(spec: &ProjectionSpec<'_>) -> Result<Self, Vec<ProjectionError>> {
        let ProjectionSpec {
            mappings,
            table,
            format,
            validation,
            empty_as_null,
            zone,
        } = *spec;
        let mut compiler = Compiler {
            format,
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
        let (trie, slots) = match format.payload {
            PayloadType::Delimited(_) => (Trie::default(), positions(&compiler.paths)),
            _ => Trie::new(&compiler.paths),
        };
        if !compiler.paths.is_empty() {
            compiler.refuse_base64_of_payloads();
        }
        let paths = compiler.path_columns.into_iter().zip(slots);
        let fields = columns
            .iter()
            .map(|column| Field::new(&column.column.name, column.data_type.clone(), true));
        Ok(Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            format: format.clone(),
            empty_as_null,
            validation,
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

    /// How the bytes of messages are read.
    pub fn format(&self) -> &MessageFormat {
        &self.format
    }

    /// Whether empty strings of messages become NULL.
    pub(crate) fn empty_as_null(&self) -> bool {
        self.empty_as_null
    }

    /// The columns that get the payload as a whole.
    pub(crate) fn whole_payload(&self) -> impl Iterator<Item = Metadata> {
        let metadata = self.metadata.iter().map(|feed| feed.metadata);
        metadata.filter(|metadata| metadata.field == MetadataField::Value)
    }

    /// The same for payloads that are checked as `validation` says.
    #[cfg(test)]
    pub(crate) fn with_validation(self, validation: Validation) -> Self {
        Self { validation, ..self }
    }

    pub(crate) fn validation(&self) -> Validation {
        self.validation
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
        let ProjectedColumn {
            column,
            format,
            rounding,
            ..
        } = &self.columns[index];
        ColumnBuffer::new(&ColumnSpec {
            column_type: &column.column_type,
            nullable: column.nullable,
            zone: &self.zone,
            format: format.as_ref(),
            rounding: *rounding,
        })
        .expect("only columns whose type has a buffer are fed")
    }

    /// What the column at `index` takes, in an error text.
    #[cold]
    pub(crate) fn expected(&self, index: usize) -> String {
        let ProjectedColumn { column, format, .. } = &self.columns[index];
        let column_type = &column.column_type;
        let not_null = if column.nullable { "" } else { " NOT NULL" };
        let spelling = match format {
            None if column_type.holds_time() => " as a string".to_owned(),
            Some(ValueFormat::Pattern(pattern)) => format!(" spelled {pattern:?}"),
            Some(ValueFormat::Base64) if *column_type == ColumnType::Binary => {
                " in base64".to_owned()
            }
            _ => String::new(),
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
    format: &'a MessageFormat,
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
            Some(mapping) if from_timestamp(mapping) => Some(ValueFormat::Epoch(TimeUnit::Ms)),
            Some(mapping) => mapping.format.clone(),
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
            Some(mapping) => self.fill(index, column, mapping, format.as_ref()),
        };
        ProjectedColumn {
            column: column.clone(),
            data_type: data_type(&column.column_type),
            format,
            rounding: mapping.and_then(|mapping| mapping.rounding),
            source: mapping.map_or_else(String::new, |mapping| mapping.source.to_string()),
            fill,
        }
    }

    fn fill(
        &mut self,
        index: usize,
        column: &Column,
        mapping: &'a ColumnMapping,
        format: Option<&ValueFormat>,
    ) -> Fill {
        let spec = ColumnSpec {
            column_type: &column.column_type,
            nullable: column.nullable,
            zone: self.zone,
            format,
            rounding: mapping.rounding,
        };
        let Some(mut buffer) = supported(column)
            .then(|| ColumnBuffer::new(&spec))
            .flatten()
        else {
            let message = format!(
                "values of type {} can't be loaded; a column of type STRING or JSON takes any value as it is",
                column.column_type
            );
            self.error(&column.name, ProjectionErrorKind::UnsupportedType, message);
            return Fill::Null;
        };
        for message in format_fault(column, mapping)
            .into_iter()
            .chain(rounding_fault(column, mapping))
        {
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
                if let Some(message) = path_fault(path, &self.format.payload) {
                    self.error(&column.name, ProjectionErrorKind::UnfitPath, message);
                }
                self.paths.push(path);
                self.path_columns.push(index);
                Fill::Path(self.paths.len() - 1)
            }
            ColumnSource::Metadata(field) => {
                if let Some(message) = metadata_fault(*field, column, format, self.format) {
                    self.error(&column.name, ProjectionErrorKind::UnfitSource, message);
                }
                self.metadata.push(MetadataFeed {
                    column: index,
                    metadata: self.metadata(*field, &column.column_type, format),
                });
                Fill::Metadata(self.metadata.len() - 1)
            }
        }
    }

    /// Payloads whose fields are mapped must be text, or be rejected.
    fn refuse_base64_of_payloads(&mut self) {
        for MetadataFeed { metadata, .. } in &mut self.metadata {
            if metadata.field == MetadataField::Value {
                metadata.text = metadata.text.without_base64();
            }
        }
    }

    fn metadata(
        &self,
        field: MetadataField,
        column_type: &ColumnType,
        format: Option<&ValueFormat>,
    ) -> Metadata {
        let MessageFormat {
            key_encoding,
            payload_encoding,
            header_encoding,
            invalid_text,
            ..
        } = *self.format;
        let (primitive, encoding) = match (field, &self.format.payload) {
            (MetadataField::Key, _) => (self.format.key, key_encoding),
            (MetadataField::Headers, _) => (PrimitiveType::String, header_encoding),
            (_, PayloadType::Primitive(primitive)) => (*primitive, payload_encoding),
            _ => (PrimitiveType::String, payload_encoding),
        };
        let text = TextReader::new(encoding, invalid_text);
        Metadata {
            field,
            primitive,
            // Base64 is what a text column gets for bytes; any other would read something into it.
            text: if column_type.is_text() {
                text
            } else {
                text.without_base64()
            },
            form: Form::of(column_type, format),
        }
    }

    fn error(&mut self, column: &str, kind: ProjectionErrorKind, message: String) {
        self.errors
            .push(ProjectionError::new(column, kind, message));
    }
}

/// The positions that paths of one step name.
fn positions(paths: &[&FieldPath]) -> Vec<usize> {
    let position = |path: &&FieldPath| match path.steps() {
        [Step::Index(index)] => *index,
        // No record has so many fields.
        _ => usize::MAX,
    };
    paths.iter().map(position).collect()
}

#[cfg(test)]
mod tests;
