//! Errors of statements, in the service's words.

use std::fmt;

use crate::maxcompute::error::ServiceError;

/// Line and column of a token, from 1. All positions are equal, so that expressions compare by what they say.
#[derive(Clone, Copy, Debug, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

impl PartialEq for Position {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// Why a statement failed; what a client sees as the text of a failed task.
#[derive(Clone, Debug)]
pub(crate) struct SqlError(String);

impl SqlError {
    /// The text is no SQL.
    pub(crate) fn parse(at: Position, text: impl fmt::Display) -> Self {
        Self::at("ODPS-0130161", at, "Parse exception", text)
    }

    /// The statement is SQL, but can't be run as it stands.
    pub(crate) fn semantic(at: Position, text: impl fmt::Display) -> Self {
        Self::at("ODPS-0130071", at, "Semantic analysis exception", text)
    }

    /// The statement names a table that isn't there.
    pub(crate) fn no_table(at: Position, name: &str) -> Self {
        Self::at(
            "ODPS-0130131",
            at,
            "Table not found",
            format_args!("table {name} cannot be resolved"),
        )
    }

    /// The statement would change what isn't there, or create what is.
    pub(crate) fn ddl(text: impl fmt::Display) -> Self {
        Self(format!("ODPS-0110061: Failed to run ddltask - {text}"))
    }

    /// The statement failed while it ran.
    pub(crate) fn run(text: impl fmt::Display) -> Self {
        Self(format!("ODPS-0123091: Illegal type cast or value - {text}"))
    }

    fn at(code: &str, at: Position, kind: &str, text: impl fmt::Display) -> Self {
        Self(format!(
            "{code}:[{},{}] {kind} - {text}",
            at.line, at.column
        ))
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ServiceError> for SqlError {
    fn from(error: ServiceError) -> Self {
        Self(format!(
            "ODPS-0420153: Internal server error - {}",
            error.message
        ))
    }
}

/// What SQLite says of a query that failed.
pub(super) fn run_error(error: rusqlite::Error) -> SqlError {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => SqlError::run(text),
        other => SqlError::run(other),
    }
}
