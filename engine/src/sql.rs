//! SQL statements on a project.

use std::fmt;

use engine_load::{Error, ErrorKind};
use engine_model::job::MaxComputeConnection;
use engine_tunnel::Client;
use serde::Serialize;
use tokio::runtime::Runtime;

use crate::adapters::client::{client, target_error};

/// Runs statements on one project.
pub struct Sql {
    client: Client,
    runtime: Runtime,
}

/// What a statement returned.
#[derive(Clone, Debug, Serialize)]
pub struct QueryResult {
    /// Names of the columns; empty where the statement returned text.
    pub columns: Vec<String>,
    /// The rows, at most 10,000; nothing for NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sql")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

impl Sql {
    /// Sets a client up; nothing is sent yet.
    pub fn new(connection: &MaxComputeConnection) -> Result<Self, Error> {
        let client = client(connection, None)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| {
                Error::with_source(
                    ErrorKind::Internal,
                    format!("no runtime can be started: {error}"),
                    error,
                )
            })?;
        Ok(Self { client, runtime })
    }

    /// Runs one statement to its end.
    pub fn execute(&self, statement: &str) -> Result<QueryResult, Error> {
        let result = self
            .runtime
            .block_on(self.client.execute(statement))
            .map_err(target_error)?;
        Ok(QueryResult {
            columns: result.header,
            rows: result.rows,
        })
    }
}
