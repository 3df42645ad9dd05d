//! SQL: MaxCompute's DDL on the catalog, and its queries and inserts run by SQLite over the stored Parquet files.

mod aggregates;
pub(crate) mod ast;
mod calendar;
mod ddl;
mod error;
mod expr;
mod functions;
mod insert;
mod lower;
mod natives;
mod nested;
mod parse_expr;
mod parser;
mod result;
mod scope;
mod show;
mod tokens;
mod types;
mod value;
mod vtab;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::{Connection, InterruptHandle, OpenFlags, Row};

use self::ast::Query;
use self::ddl::{Pairs, Statement};
use self::error::{Position, run_error};
use self::lower::Prepared;
use self::result::RowFile;
use self::tokens::{Cursor, TableRef};
use super::catalog::{Catalog, ResultSet};
use super::request::table_partition;
use super::table::Table;

pub(crate) use self::error::SqlError;
pub(crate) use self::result::csv;

/// The schema that every project has.
pub(crate) const DEFAULT_SCHEMA: &str = "default";

/// What statements run against.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) project: String,
    /// The zone that instants are read and shown in, `odps.sql.timezone`.
    pub(crate) zone: TimeZone,
    /// The time that `getdate()` is, for the whole statement.
    pub(crate) now: Timestamp,
    /// The identifier that a result's file gets.
    pub(crate) result_id: String,
}

/// How a statement ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Text for the user; empty for DDL.
    Text(String),
    Rows(ResultSet),
}

impl Engine {
    /// Runs one statement, from a thread that may block. `started` is given what interrupts it.
    pub(crate) fn run(
        &self,
        sql: &str,
        started: impl FnOnce(InterruptHandle),
    ) -> Result<Outcome, SqlError> {
        let done = Outcome::Text(String::new());
        match ddl::parse(sql)? {
            Statement::Query(query) => self.query(&query, started).map(Outcome::Rows),
            Statement::Insert(insert) => self.insert(&insert, started).map(|()| done),
            Statement::CreateTable {
                table,
                if_not_exists,
                definition,
            } => {
                self.check_names(&table)?;
                let now_ms = self.now.as_millisecond();
                // The service folds the names of tables.
                let name = table.table.to_lowercase();
                let created = self.catalog.create_table(&name, &definition, now_ms)?;
                if !created && !if_not_exists {
                    let name = self.full_name(&name);
                    return Err(SqlError::ddl(format!(
                        "Table or view already exists - table {name}"
                    )));
                }
                Ok(done)
            }
            Statement::DropTable { table, if_exists } => {
                self.check_names(&table)?;
                if !self.catalog.drop_table(&table.table)? && !if_exists {
                    return Err(SqlError::no_table(table.at, &self.full_name(&table.table)));
                }
                Ok(done)
            }
            Statement::AddPartitions {
                table,
                if_not_exists,
                partitions,
            } => {
                self.add_partitions(&table, if_not_exists, &partitions)?;
                Ok(done)
            }
            Statement::DropPartitions {
                table,
                if_exists,
                partitions,
            } => {
                let found = self.table(&table)?;
                let ids = self.partition_ids(&found, &partitions, table.at)?;
                if ids.len() < partitions.len() && !if_exists {
                    return Err(SqlError::ddl("the specified partition does not exist"));
                }
                self.catalog.drop_partitions(&ids)?;
                Ok(done)
            }
            Statement::Truncate { table, partitions } => {
                self.truncate(&table, &partitions)?;
                Ok(done)
            }
            Statement::ShowTables { like } => self.show_tables(like.as_deref()).map(Outcome::Text),
            Statement::ShowSchemas => Ok(Outcome::Text(format!("{DEFAULT_SCHEMA}\n"))),
            Statement::ShowPartitions { table, partition } => {
                self.show_partitions(&table, &partition).map(Outcome::Text)
            }
            Statement::Describe { table, partition } => {
                self.describe(&table, partition.as_ref()).map(Outcome::Text)
            }
        }
    }

    /// The table that a statement names.
    pub(crate) fn table(&self, table: &TableRef) -> Result<Table, SqlError> {
        self.check_names(table)?;
        let found = self.catalog.table(&table.table)?;
        found.ok_or_else(|| SqlError::no_table(table.at, &self.full_name(&table.table)))
    }

    /// `max_pt`: the greatest value of the first partition key among partitions that have rows.
    fn max_partition(&self, table: &str, at: Position) -> Result<Option<String>, SqlError> {
        let table = self.table(&TableRef {
            at,
            ..Cursor::new(table)?.table_name()?
        })?;
        let partitions = self.catalog.partitions(table.id)?;
        let filled = partitions
            .into_iter()
            .filter(|partition| partition.rows > 0);
        Ok(filled
            .filter_map(|partition| partition.values.into_iter().next())
            .max())
    }

    fn check_names(&self, table: &TableRef) -> Result<(), SqlError> {
        let project = table.project.as_ref();
        if project.is_some_and(|project| !project.eq_ignore_ascii_case(&self.project)) {
            let name = format!("{}.{}", project.map_or("", String::as_str), table.table);
            return Err(SqlError::no_table(table.at, &name));
        }
        let schema = table.schema.as_ref();
        if schema.is_some_and(|schema| !schema.eq_ignore_ascii_case(DEFAULT_SCHEMA)) {
            let name = format!("{}.{}", schema.map_or("", String::as_str), table.table);
            return Err(SqlError::no_table(table.at, &name));
        }
        Ok(())
    }

    fn full_name(&self, table: &str) -> String {
        format!("{}.{table}", self.project)
    }

    fn add_partitions(
        &self,
        table: &TableRef,
        if_not_exists: bool,
        partitions: &[Pairs],
    ) -> Result<(), SqlError> {
        let found = self.table(table)?;
        let specs = partitions
            .iter()
            .map(|pairs| partition_values(&found, pairs, table.at));
        let specs: Vec<Vec<String>> = specs.collect::<Result<_, _>>()?;
        let now_ms = self.now.as_millisecond();
        let added = self
            .catalog
            .add_partitions(found.id, &specs, !if_not_exists, now_ms)?;
        if !if_not_exists && added < specs.len() {
            return Err(SqlError::ddl("Partition already exists"));
        }
        Ok(())
    }

    /// Ids of the partitions among `partitions` that exist.
    fn partition_ids(
        &self,
        table: &Table,
        partitions: &[Pairs],
        at: Position,
    ) -> Result<Vec<i64>, SqlError> {
        let mut ids = Vec::new();
        for pairs in partitions {
            let values = partition_values(table, pairs, at)?;
            ids.extend(
                self.catalog
                    .partition(table.id, &values)?
                    .map(|partition| partition.id),
            );
        }
        Ok(ids)
    }

    fn truncate(&self, table: &TableRef, partitions: &[Pairs]) -> Result<(), SqlError> {
        let found = self.table(table)?;
        let ids = if partitions.is_empty() {
            let all = self.catalog.partitions(found.id)?;
            all.into_iter().map(|partition| partition.id).collect()
        } else {
            self.partition_ids(&found, partitions, table.at)?
        };
        if ids.len() < partitions.len() {
            return Err(SqlError::ddl("the specified partition does not exist"));
        }
        self.catalog.truncate(&ids, self.now.as_millisecond())?;
        Ok(())
    }

    fn query(
        &self,
        query: &Query,
        started: impl FnOnce(InterruptHandle),
    ) -> Result<ResultSet, SqlError> {
        let mut prepared = lower::prepare(self, query)?;
        let mut file = RowFile::create(&self.catalog, &self.result_id, &prepared.columns)?;
        self.execute(&mut prepared, started, |row| file.push(row))?;
        Ok(ResultSet {
            columns: prepared.columns,
            file: file.finish()?,
        })
    }

    /// Calls `each` with the rows of a query, which runs in a database of its own, whose only tables are those that it
    /// names.
    fn execute(
        &self,
        prepared: &mut Prepared,
        started: impl FnOnce(InterruptHandle),
        mut each: impl FnMut(&Row<'_>) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_in_memory_with_flags(flags).map_err(run_error)?;
        started(connection.get_interrupt_handle());
        natives::register(&connection, prepared, &self.zone).map_err(run_error)?;
        vtab::register(&connection, std::mem::take(&mut prepared.tables)).map_err(run_error)?;
        let mut statement = connection.prepare(&prepared.sql).map_err(run_error)?;
        let mut rows = statement.query([]).map_err(run_error)?;
        while let Some(row) = rows.next().map_err(run_error)? {
            each(row)?;
        }
        Ok(())
    }
}

fn partition_values(table: &Table, pairs: &Pairs, at: Position) -> Result<Vec<String>, SqlError> {
    let spec = table_partition(table, pairs);
    let spec = spec.map_err(|error| SqlError::semantic(at, error.message))?;
    Ok(spec.0.into_iter().map(|(_, value)| value).collect())
}
