//! Where the value of each table column comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::FieldPath;

/// One table column and its source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ColumnMapping {
    /// The column's name as the job writes it.
    pub column: String,
    /// Where the value comes from.
    pub source: ColumnSource,
    /// How numbers become DATE, DATETIME or TIMESTAMP; without it they are rejected there.
    pub format: Option<TimeFormat>,
}

/// Where a column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnSource {
    /// A part of the message other than its payload's fields.
    Metadata(MetadataField),
    /// A field of the JSON payload.
    Path(FieldPath),
    /// The same text in every row, converted to the column's type.
    Constant(String),
}

impl fmt::Display for ColumnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(field) => write!(f, "{field}"),
            Self::Path(path) => write!(f, "{path}"),
            Self::Constant(text) => write!(f, "the constant {text:?}"),
        }
    }
}

/// The six property columns of DataWorks' Kafka reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetadataField {
    /// `__key__`: the key.
    Key,
    /// `__value__`: the whole payload.
    Value,
    /// `__partition__`: the topic partition's number, from 0.
    Partition,
    /// `__headers__`: the headers as a JSON array of `{"key":…,"value":…}` in message order.
    Headers,
    /// `__offset__`: the offset, from 0.
    Offset,
    /// `__timestamp__`: the message timestamp, 13 digits of ms since the epoch.
    Timestamp,
}

impl MetadataField {
    /// All of them, in the order in which DataWorks lists them.
    pub const ALL: [Self; 6] = [
        Self::Key,
        Self::Value,
        Self::Partition,
        Self::Headers,
        Self::Offset,
        Self::Timestamp,
    ];

    /// The name in job files, `__key__` and so on.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "__key__",
            Self::Value => "__value__",
            Self::Partition => "__partition__",
            Self::Headers => "__headers__",
            Self::Offset => "__offset__",
            Self::Timestamp => "__timestamp__",
        }
    }

    /// The field that `name` names in a job file.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name() == name)
    }
}

impl fmt::Display for MetadataField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a number says an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// Whole seconds since the epoch.
    EpochS,
    /// Milliseconds since the epoch.
    EpochMs,
}

/// How key bytes are read. Numbers are big-endian, as Kafka's own serializers write them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyType {
    /// UTF-8 text.
    #[default]
    String,
    /// Bytes as they are.
    Bytes,
    /// 8 bytes.
    Long,
    /// 4 bytes.
    Integer,
    /// 2 bytes.
    Short,
    /// 8 bytes, IEEE 754.
    Double,
    /// 4 bytes, IEEE 754.
    Float,
}

/// How payload bytes are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadType {
    /// A JSON text, whose fields can be mapped.
    #[default]
    Json,
    /// UTF-8 text, only as a whole.
    String,
    /// Bytes, only as a whole.
    Bytes,
}
