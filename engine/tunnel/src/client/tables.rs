//! Tables and table partitions: whether they are there, listing, making and dropping them, and counting their rows.

use engine_model::ddl::{self, DdlSpec};
use engine_model::{PartitionSpec, TableName};

use super::Client;
use super::metadata::{quoted, target};
use super::sql::Statement;
use super::tries::{Repeat, Small};
use crate::error::Failure;
use crate::wire::{Method, parse_partitions};
use crate::{ErrorKind, Missing, Result, SqlResult};

/// Pages of a list of table partitions that are read, at most: a table has 60,000 table partitions, a page mostly 1,000.
const PAGES_MAX: usize = 1_000;

impl Client {
    /// Whether the table is there, or with a `partition` whether that is.
    ///
    /// # Errors
    /// `NotFound(Project)`, `NotFound(Schema)`: where they would have to be. Other kinds: it isn't known.
    pub async fn exists(&self, table: &TableName, partition: &PartitionSpec) -> Result<bool> {
        let mut request = self.rest_table(Method::Get, table);
        let mut missing = Missing::Table;
        if !partition.is_empty() {
            request = request.param("partition", quoted(partition));
            missing = Missing::Partition;
        }
        let small = Small {
            request,
            body: None,
            missing,
            repeat: Repeat::Safe,
            action: format!("look up {}", target(table, partition)),
        };
        match self.call(&self.inner.rest, small, |_| Ok(())).await {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                ErrorKind::NotFound(Missing::Table | Missing::Partition) => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// All table partitions, in the server's order; none for a table without partition keys.
    ///
    /// # Errors
    /// `NotFound(Table)`: there is no such table. `Protocol`: the list has no end.
    pub async fn partitions(&self, table: &TableName) -> Result<Vec<PartitionSpec>> {
        let action = format!("list the table partitions of {table}");
        let mut found = Vec::new();
        let mut marker = None;
        for _ in 0..PAGES_MAX {
            let mut request = self
                .rest_table(Method::Get, table)
                .flag("partitions")
                .param("expectmarker", "true");
            if let Some(marker) = &marker {
                request = request.param("marker", marker);
            }
            let small = Small {
                request,
                body: None,
                missing: Missing::Table,
                repeat: Repeat::Safe,
                action: action.clone(),
            };
            let page = self
                .call(&self.inner.rest, small, |answer| {
                    parse_partitions(&answer.text())
                })
                .await?;
            found.extend(page.partitions);
            if page.next.is_none() {
                return Ok(found);
            }
            marker = page.next;
        }
        let text = format!("the list goes on after {PAGES_MAX} pages");
        Err(Failure::new(ErrorKind::Protocol, text).into_error(action))
    }

    /// Creates a table in the client's project and schema unless there is one of that name, which then stays as it is.
    ///
    /// # Errors
    /// `Sql`: the service refuses the table. `PermissionDenied`: the credentials may create none.
    pub async fn create_table(&self, spec: &DdlSpec) -> Result<()> {
        let action = format!("create table {}", spec.table);
        self.alter(&ddl::create_table(spec), &action, None).await
    }

    /// Creates the table partition unless it exists. Nothing to do for a table without partition keys.
    ///
    /// # Errors
    /// `NotFound(Table)`: there is no such table. `PermissionDenied`: the credentials may not alter it.
    pub async fn create_partition(
        &self,
        table: &TableName,
        partition: &PartitionSpec,
    ) -> Result<()> {
        if partition.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "ALTER TABLE {} ADD IF NOT EXISTS PARTITION ({});",
            self.name(table),
            quoted(partition),
        );
        let action = format!("create table partition {}", target(table, partition));
        self.alter(&sql, &action, Some(table)).await
    }

    /// Drops the table with all that it holds. One that isn't there is no error.
    ///
    /// # Errors
    /// `PermissionDenied`: the credentials may not drop it.
    pub async fn drop_table(&self, table: &TableName) -> Result<()> {
        let sql = format!("DROP TABLE IF EXISTS {};", self.name(table));
        let action = format!("drop table {table}");
        self.alter(&sql, &action, Some(table)).await
    }

    /// Drops a table partition with all that it holds. One that isn't there is no error.
    ///
    /// # Errors
    /// `NotFound(Table)`: there is no such table. `InvalidRequest`: no table partition is named. `PermissionDenied`: the
    /// credentials may not alter the table.
    pub async fn drop_partition(&self, table: &TableName, partition: &PartitionSpec) -> Result<()> {
        let action = format!("drop table partition {}", target(table, partition));
        if partition.is_empty() {
            let text = "no table partition is named; drop the table if that is meant";
            return Err(Failure::new(ErrorKind::InvalidRequest, text).into_error(action));
        }
        let sql = format!(
            "ALTER TABLE {} DROP IF EXISTS PARTITION ({});",
            self.name(table),
            quoted(partition),
        );
        self.alter(&sql, &action, Some(table)).await
    }

    /// Rows of the table or table partition as SQL counts them. Slower than [`row_count`](Client::row_count), and it sees
    /// what queries see.
    ///
    /// # Errors
    /// `NotFound(Table)`: there is no such table. A table partition that isn't there has no rows. `Protocol`: the result
    /// is no number.
    pub async fn count(&self, table: &TableName, partition: &PartitionSpec) -> Result<u64> {
        let levels = partition.0.iter();
        let levels: Vec<_> = levels
            .map(|level| quoted(&PartitionSpec(vec![level.clone()])))
            .collect();
        let condition = if levels.is_empty() {
            String::new()
        } else {
            format!(" WHERE {}", levels.join(" AND "))
        };
        let sql = format!("SELECT COUNT(*) FROM {}{condition};", self.name(table));
        let action = format!("count the rows of {}", target(table, partition));
        let result = self.run(self.statement(&sql, &action, Some(table))).await?;
        counted(&result).ok_or_else(|| {
            let text = format!("the result of instance {} is no count", result.instance);
            Failure::new(ErrorKind::Protocol, text).into_error(action)
        })
    }

    /// Runs a statement that does no harm when it is repeated.
    async fn alter(&self, sql: &str, action: &str, table: Option<&TableName>) -> Result<()> {
        self.run(self.statement(sql, action, table)).await.map(drop)
    }

    fn statement<'a>(
        &'a self,
        sql: &'a str,
        action: &'a str,
        table: Option<&'a TableName>,
    ) -> Statement<'a> {
        Statement {
            sql,
            action,
            repeat: Repeat::Safe,
            schema: match table {
                Some(table) => self.schema(table),
                None => self.inner.config.schema.as_deref(),
            },
        }
    }

    /// `` `p`.`s`.`t` ``.
    fn name(&self, table: &TableName) -> String {
        let names = [
            Some(table.project.as_str()),
            self.schema(table),
            Some(&table.table),
        ];
        let names = names.into_iter().flatten();
        let quoted: Vec<_> = names
            .map(|name| format!("`{}`", name.replace('`', "``")))
            .collect();
        quoted.join(".")
    }
}

fn counted(result: &SqlResult) -> Option<u64> {
    let [row] = result.rows.as_slice() else {
        return None;
    };
    let [Some(cell)] = row.as_slice() else {
        return None;
    };
    cell.parse().ok()
}
