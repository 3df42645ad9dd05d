//! What is there: project, tables, table partitions, rows.

use std::time::Duration;

use engine_model::{PartitionSpec, TableColumns, TableName};

use super::Client;
use super::tries::{Repeat, Small};
use crate::error::Failure;
use crate::wire::{DownloadAnswer, Method, Request, parse_download, parse_project, parse_table};
use crate::{ErrorKind, Missing, Result};

/// Between two looks at a download session that the server still prepares: from the first to the last, as PyODPS does.
const PREPARING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

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
            request: self.rest_table(table),
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
        let server = self.tunnel().await?;
        let action = format!("count the rows of {}", target(table, partition));
        let ask = async |request, missing| {
            let small = Small {
                request,
                body: None,
                missing,
                repeat: Repeat::Safe,
                action: action.clone(),
            };
            self.call(server, small, |answer| parse_download(&answer.body))
                .await
        };
        let (mut wait, longest) = PREPARING;
        let started = self.inner.clock.elapsed();
        let create = self
            .tunnel_table(Method::Post, table, partition)
            .flag("downloads");
        let missing = if partition.is_empty() {
            Missing::Table
        } else {
            Missing::Partition
        };
        let mut answer = ask(create, missing).await?;
        loop {
            let DownloadAnswer {
                id,
                initiating,
                rows,
            } = answer;
            if !initiating {
                return Ok(rows);
            }
            if self.inner.clock.elapsed().saturating_sub(started)
                > self.inner.config.timeouts.answer
            {
                let text = format!("download session {id} is still being prepared");
                return Err(Failure::new(ErrorKind::Timeout, text).into_error(action));
            }
            self.inner.clock.sleep(wait).await;
            wait = (wait * 2).min(longest);
            let reload = self
                .tunnel_table(Method::Get, table, partition)
                .param("downloadid", &id);
            answer = match ask(reload, Missing::Session).await {
                // The table partition was there a moment ago, so that only the session can be what is missing.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => {
                    let text = format!("the server forgot download session {id} ({error})");
                    return Err(Failure::new(ErrorKind::Protocol, text).into_error(action));
                }
                answer => answer?,
            };
        }
    }

    /// A request at the REST endpoint.
    pub(super) fn rest<'a>(
        &self,
        method: Method,
        segments: impl IntoIterator<Item = &'a str>,
    ) -> Request {
        Request::new(method, segments).param("curr_project", &self.inner.config.project)
    }

    fn rest_table(&self, table: &TableName) -> Request {
        let request = self.rest(
            Method::Get,
            ["projects", &table.project, "tables", &table.table],
        );
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
