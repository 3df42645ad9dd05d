//! What is there: project, tables, table partitions, rows.

use engine_model::{PartitionSpec, TableColumns, TableName};

use super::Client;
use super::tries::{Repeat, Small};
use crate::wire::{Method, Request, parse_project, parse_table};
use crate::{Missing, Result};

impl Client {
    /// Checks that the endpoint answers, that the credentials are good and that they may see the project.
    ///
    /// # Errors
    /// `Connect`: nobody answers there. `Unauthorized`, `PermissionDenied`, `NotFound(Project)`: as they say.
    pub async fn check_access(&self) -> Result<()> {
        let project = &self.inner.config.project;
        let small = Small {
            request: self.rest(Method::Get, ["projects", project]),
            body: None,
            missing: Missing::Project,
            repeat: Repeat::Safe,
            action: format!("read project {project}"),
        };
        self.call(&self.inner.rest, small, |answer| {
            parse_project(&answer.text()).map(drop)
        })
        .await
    }

    /// The table's columns and partition keys.
    ///
    /// # Errors
    /// `NotFound(Table)`: there is no such table. `Protocol`: a column has a type that this client doesn't know.
    pub async fn table_columns(&self, table: &TableName) -> Result<TableColumns> {
        let small = Small {
            request: self.rest_table(Method::Get, table),
            body: None,
            missing: Missing::Table,
            repeat: Repeat::Safe,
            action: format!("read the columns of {table}"),
        };
        self.call(&self.inner.rest, small, |answer| {
            parse_table(&answer.text())
        })
        .await
    }

    /// Rows of the table partition, or of a table without partition keys, without reading them.
    ///
    /// # Errors
    /// `NotFound(Table)`, `NotFound(Partition)`: there is none such. `Protocol`: the server forgot the download session
    /// that counts, which says nothing about the table partition.
    pub async fn row_count(&self, table: &TableName, partition: &PartitionSpec) -> Result<u64> {
        let action = format!("count the rows of {}", target(table, partition));
        Ok(self.prepared(table, partition, action).await?.rows)
    }

    /// A request at the REST endpoint.
    pub(super) fn rest<'a>(
        &self,
        method: Method,
        segments: impl IntoIterator<Item = &'a str>,
    ) -> Request {
        Request::new(method, segments).param("curr_project", &self.inner.config.project)
    }

    pub(super) fn rest_table(&self, method: Method, table: &TableName) -> Request {
        let request = self.rest(method, ["projects", &table.project, "tables", &table.table]);
        match self.schema(table) {
            Some(schema) => request.param("curr_schema", schema),
            None => request,
        }
    }

    /// A request about a table or table partition at the tunnel endpoint.
    pub(super) fn tunnel_table(
        &self,
        method: Method,
        table: &TableName,
        partition: &PartitionSpec,
    ) -> Request {
        let mut segments = vec!["projects", &table.project];
        if let Some(schema) = self.schema(table) {
            segments.extend(["schemas", schema]);
        }
        segments.extend(["tables", &table.table]);
        let mut request = self
            .rest(method, segments)
            .header("x-odps-tunnel-version", "6")
            .header("odps-tunnel-date-transform", "v1")
            .header("odps-tunnel-sdk-support-schema-evolution", "true");
        if !partition.is_empty() {
            request = request.param("partition", partition.to_string());
        }
        match &self.inner.config.quota {
            Some(quota) => request.param("quotaName", quota),
            None => request,
        }
    }
}

/// `ds='20261122',hh='08'`, as metadata calls and SQL write it.
pub(super) fn quoted(partition: &PartitionSpec) -> String {
    let levels = partition.0.iter().map(|(key, value)| {
        format!(
            "{key}='{}'",
            value.replace('\\', "\\\\").replace('\'', "\\'")
        )
    });
    levels.collect::<Vec<_>>().join(",")
}

/// `p.t` or `p.t/ds=20261122`, for errors.
pub(super) fn target(table: &TableName, partition: &PartitionSpec) -> String {
    if partition.is_empty() {
        table.to_string()
    } else {
        format!("{table}/{partition}")
    }
}
