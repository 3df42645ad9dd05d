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
    /// How values spell instants or bytes, where that is not as JSON usually does.
    pub format: Option<ValueFormat>,
    /// What becomes of digits that the column can't hold; without it the message is rejected.
    pub rounding: Option<Rounding>,
}

impl ColumnMapping {
    /// A mapping without a format and without rounding.
    pub fn new(column: impl Into<String>, source: ColumnSource) -> Self {
        Self {
            column: column.into(),
            source,
            format: None,
            rounding: None,
        }
    }
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

/// The six property columns of DataWorks' Kafka reader, and the topic.
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
    /// `__topic__`: the topic's name. DataWorks doesn't have it.
    Topic,
}

impl MetadataField {
    /// All of them, those of DataWorks first and in its order.
    pub const ALL: [Self; 7] = [
        Self::Key,
        Self::Value,
        Self::Partition,
        Self::Headers,
        Self::Offset,
        Self::Timestamp,
        Self::Topic,
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
            Self::Topic => "__topic__",
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

/// How a value spells an instant or bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueFormat {
    /// A number of these since 1970-01-01T00:00:00Z.
    Epoch(TimeUnit),
    /// Text by this pattern of `strptime`, such as `%d/%m/%Y %H:%M:%S`.
    Pattern(String),
    /// Bytes as text in base64, with the standard alphabet (RFC 4648, section 4).
    Base64,
}

/// Units of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    /// Digits that the part of a second has in them: 0, 3, 6 or 9.
    pub fn second_digits(self) -> u8 {
        match self {
            Self::S => 0,
            Self::Ms => 3,
            Self::Us => 6,
            Self::Ns => 9,
        }
    }
}

/// What becomes of digits that a column can't hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// The nearest value, and where two are equally near the one away from zero, of instants the later one.
    HalfUp,
    /// The next value toward zero; of instants the next earlier one.
    Down,
}
