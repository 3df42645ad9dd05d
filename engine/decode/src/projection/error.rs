//! What can be wrong with a mapping.

use std::fmt;

/// One fault of a mapping, found when it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectionError {
    column: String,
    kind: ProjectionErrorKind,
    message: String,
}

/// What a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProjectionErrorKind {
    /// The table has no column of this name, or has it as a partition key.
    UnknownColumn,
    /// Two mappings name the same column.
    MappedTwice,
    /// Values can't be loaded into columns of this type; unmapped they are NULL.
    UnsupportedType,
    /// The source's values don't fit the column's type, or the time format doesn't.
    UnfitSource,
    /// The constant is no value of the column's type.
    BadConstant,
    /// The column doesn't take NULL and nothing is mapped to it.
    NotNullUnmapped,
    /// The field path doesn't lead into payloads of this type.
    UnfitPath,
}

impl ProjectionError {
    pub(super) fn new(column: &str, kind: ProjectionErrorKind, message: String) -> Self {
        Self {
            column: column.to_owned(),
            kind,
            message,
        }
    }

    /// The column, as the mapping spells it, or the table where nothing is mapped.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// What kind of fault it is.
    pub fn kind(&self) -> ProjectionErrorKind {
        self.kind
    }
}

impl fmt::Display for ProjectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {:?}: {}", self.column, self.message)
    }
}

impl std::error::Error for ProjectionError {}
