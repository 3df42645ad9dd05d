//! Tables, their partitions, and which files those consist of.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::{Catalog, State, retire};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::storage::StoredFile;
use crate::maxcompute::table::{Definition, Partition, Table};

const SELECT_TABLE: &str =
    "SELECT t.id, t.name, t.definition, t.created_ms, t.ddl_ms, t.modified_ms,
    (SELECT coalesce(sum(f.rows), 0) FROM files f JOIN partitions p ON p.id = f.partition_id
      WHERE p.table_id = t.id),
    (SELECT coalesce(sum(f.bytes), 0) FROM files f JOIN partitions p ON p.id = f.partition_id
      WHERE p.table_id = t.id)
    FROM tables t";
const SELECT_PARTITION: &str = "SELECT p.id, p.spec, p.created_ms, p.ddl_ms, p.modified_ms,
    (SELECT coalesce(sum(rows), 0) FROM files WHERE partition_id = p.id),
    (SELECT coalesce(sum(bytes), 0) FROM files WHERE partition_id = p.id)
    FROM partitions p WHERE p.table_id = ?1";

/// One file of a table, with the values of its partition.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    pub(crate) values: Arc<[String]>,
    pub(crate) name: String,
    pub(crate) rows: i64,
}

/// The files that a table consisted of at one moment. They stay readable while the snapshot lives.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) files: Vec<SnapshotFile>,
    catalog: Arc<Catalog>,
}

impl Snapshot {
    /// Where the files are.
    pub(crate) fn catalog(&self) -> &Catalog {
        &self.catalog
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        {
            let mut state = self.catalog.lock();
            for file in &self.files {
                if let Some(pins) = state.pins.get_mut(&file.name) {
                    *pins -= 1;
                    if *pins == 0 {
                        state.pins.remove(&file.name);
                    }
                }
            }
        }
        self.catalog.collect();
    }
}

impl Catalog {
    /// Creates a table. Returns `false`, and changes nothing, where one of that name exists.
    pub(crate) fn create_table(
        &self,
        name: &str,
        definition: &Definition,
        now_ms: i64,
    ) -> Result<bool, ServiceError> {
        let json = serde_json::to_string(definition)?;
        self.transaction(|transaction| {
            let created = transaction.execute(
                "INSERT OR IGNORE INTO tables (folded, name, definition, created_ms, ddl_ms, modified_ms)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?4)",
                params![name.to_lowercase(), name, json, now_ms],
            )?;
            if created > 0 && definition.columns.partition_keys.is_empty() {
                insert_partition(transaction, transaction.last_insert_rowid(), &[], now_ms)?;
            }
            Ok(created > 0)
        })
    }

    /// Drops a table with all its rows. Returns `false` where there is none of that name.
    pub(crate) fn drop_table(&self, name: &str) -> Result<bool, ServiceError> {
        self.change(|transaction| {
            let Some(table) = table(transaction, name)? else {
                return Ok(false);
            };
            retire(transaction, FILES_OF_TABLE, table.id)?;
            retire(
                transaction,
                "SELECT file FROM blocks JOIN uploads ON uploads.id = upload_id
                 WHERE table_id = ?1 AND file IS NOT NULL",
                table.id,
            )?;
            transaction.execute("DELETE FROM tables WHERE id = ?1", [table.id])?;
            Ok(true)
        })
    }

    /// The table of that name, compared without case.
    pub(crate) fn table(&self, name: &str) -> Result<Option<Table>, ServiceError> {
        self.transaction(|transaction| table(transaction, name))
    }

    /// All tables by name.
    pub(crate) fn tables(&self) -> Result<Vec<Table>, ServiceError> {
        self.transaction(|transaction| {
            let mut statement =
                transaction.prepare(&format!("{SELECT_TABLE} ORDER BY t.folded"))?;
            let rows: Vec<TableRow> = statement
                .query_map([], TableRow::read)?
                .collect::<Result<_, _>>()?;
            rows.into_iter().map(TableRow::into_table).collect()
        })
    }

    /// All partitions of a table by value. A table without partition keys has one, without values.
    pub(crate) fn partitions(&self, table_id: i64) -> Result<Vec<Partition>, ServiceError> {
        self.transaction(|transaction| partitions(transaction, table_id))
    }

    /// The partition of these values.
    pub(crate) fn partition(
        &self,
        table_id: i64,
        values: &[String],
    ) -> Result<Option<Partition>, ServiceError> {
        self.transaction(|transaction| partition(transaction, table_id, values))
    }

    /// Adds partitions that don't exist yet and returns how many those were. With `all_new`, one that exists makes it
    /// add none.
    pub(crate) fn add_partitions(
        &self,
        table_id: i64,
        specs: &[Vec<String>],
        all_new: bool,
        now_ms: i64,
    ) -> Result<usize, ServiceError> {
        self.transaction(|transaction| {
            if all_new {
                for spec in specs {
                    if partition(transaction, table_id, spec)?.is_some() {
                        return Ok(0);
                    }
                }
            }
            let mut added = 0;
            for spec in specs {
                added += insert_partition(transaction, table_id, spec, now_ms)?;
            }
            Ok(added)
        })
    }

    /// Drops partitions with their rows and returns how many there were.
    pub(crate) fn drop_partitions(&self, ids: &[i64]) -> Result<usize, ServiceError> {
        self.change(|transaction| {
            let mut dropped = 0;
            for id in ids {
                retire(transaction, FILES_OF_PARTITION, id)?;
                dropped += transaction.execute("DELETE FROM partitions WHERE id = ?1", [id])?;
            }
            Ok(dropped)
        })
    }

    /// Appends files to partitions, or puts them in place of what those had, in one transaction. Partitions that don't
    /// exist are added; a part without a file only empties or adds its partition.
    ///
    /// # Errors
    /// `NoSuchTable` when the table was dropped meanwhile. Nothing is changed then, and the files stay the caller's.
    pub(crate) fn store(
        &self,
        table_id: i64,
        parts: &[(Vec<String>, Option<StoredFile>)],
        overwrite: bool,
        now_ms: i64,
    ) -> Result<(), ServiceError> {
        self.change(|transaction| {
            let known = transaction
                .prepare("SELECT 1 FROM tables WHERE id = ?1")?
                .exists([table_id])?;
            if !known {
                let text = "the table was dropped while rows were written";
                return Err(ServiceError::new(Code::NoSuchTable, text));
            }
            for (values, file) in parts {
                insert_partition(transaction, table_id, values, now_ms)?;
                let files = file.iter();
                let files: Vec<_> = files
                    .map(|file| (file.name.clone(), file.rows, file.bytes))
                    .collect();
                if let Some(partition) = partition(transaction, table_id, values)? {
                    replace_files(transaction, partition.id, overwrite, &files, now_ms)?;
                }
            }
            Ok(())
        })
    }

    /// Removes all rows of partitions, which stay.
    pub(crate) fn truncate(&self, ids: &[i64], now_ms: i64) -> Result<(), ServiceError> {
        self.change(|transaction| {
            ids.iter()
                .try_for_each(|id| replace_files(transaction, *id, true, &[], now_ms))
        })
    }

    /// The files of a table as of now, in the order of partitions and commits.
    pub(crate) fn snapshot(self: &Arc<Self>, table_id: i64) -> Result<Snapshot, ServiceError> {
        let mut state = self.lock();
        let State { connection, pins } = &mut *state;
        let files = super::transaction(connection, |transaction| {
            let mut files = Vec::new();
            for partition in partitions(transaction, table_id)? {
                let values: Arc<[String]> = partition.values.into();
                for (name, rows) in files_of(transaction, partition.id)? {
                    files.push(SnapshotFile {
                        values: Arc::clone(&values),
                        name,
                        rows,
                    });
                }
            }
            Ok(files)
        })?;
        for file in &files {
            *pins.entry(file.name.clone()).or_default() += 1;
        }
        Ok(Snapshot {
            files,
            catalog: Arc::clone(self),
        })
    }
}

const FILES_OF_TABLE: &str = "SELECT f.name FROM files f JOIN partitions p ON p.id = f.partition_id
    WHERE p.table_id = ?1";
const FILES_OF_PARTITION: &str = "SELECT name FROM files WHERE partition_id = ?1";

pub(super) fn table(connection: &Connection, name: &str) -> Result<Option<Table>, ServiceError> {
    let row = connection
        .prepare(&format!("{SELECT_TABLE} WHERE t.folded = ?1"))?
        .query_row([name.to_lowercase()], TableRow::read)
        .optional()?;
    row.map(TableRow::into_table).transpose()
}

pub(super) fn partition(
    connection: &Connection,
    table_id: i64,
    values: &[String],
) -> Result<Option<Partition>, ServiceError> {
    let spec = serde_json::to_string(values)?;
    let row = connection
        .prepare(&format!("{SELECT_PARTITION} AND p.spec = ?2"))?
        .query_row(params![table_id, spec], PartitionRow::read)
        .optional()?;
    row.map(PartitionRow::into_partition).transpose()
}

/// Adds a partition and returns 1, or 0 where it exists.
pub(super) fn insert_partition(
    connection: &Connection,
    table_id: i64,
    values: &[String],
    now_ms: i64,
) -> Result<usize, ServiceError> {
    let spec = serde_json::to_string(values)?;
    let added = connection.execute(
        "INSERT OR IGNORE INTO partitions (table_id, spec, created_ms, ddl_ms, modified_ms)
         VALUES (?1, ?2, ?3, ?3, ?3)",
        params![table_id, spec, now_ms],
    )?;
    Ok(added)
}

/// Appends `files` (name, rows, bytes) to a partition, or puts them in place of all that it had.
pub(super) fn replace_files(
    transaction: &Transaction<'_>,
    partition_id: i64,
    overwrite: bool,
    files: &[(String, i64, i64)],
    now_ms: i64,
) -> Result<(), ServiceError> {
    if overwrite {
        retire(transaction, FILES_OF_PARTITION, partition_id)?;
        transaction.execute("DELETE FROM files WHERE partition_id = ?1", [partition_id])?;
    }
    let mut insert = transaction.prepare(
        "INSERT INTO files (name, partition_id, position, rows, bytes) VALUES (?1, ?2,
         (SELECT coalesce(max(position), 0) + 1 FROM files WHERE partition_id = ?2), ?3, ?4)",
    )?;
    for (name, rows, bytes) in files {
        insert.execute(params![name, partition_id, rows, bytes])?;
    }
    transaction.execute(
        "UPDATE partitions SET modified_ms = ?2 WHERE id = ?1",
        [partition_id, now_ms],
    )?;
    transaction.execute(
        "UPDATE tables SET modified_ms = ?2
         WHERE id = (SELECT table_id FROM partitions WHERE id = ?1)",
        [partition_id, now_ms],
    )?;
    Ok(())
}

/// Name and rows of a partition's files in order.
pub(super) fn files_of(
    connection: &Connection,
    partition_id: i64,
) -> Result<Vec<(String, i64)>, ServiceError> {
    let files = connection
        .prepare("SELECT name, rows FROM files WHERE partition_id = ?1 ORDER BY position")?
        .query_map([partition_id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(files)
}

fn partitions(connection: &Connection, table_id: i64) -> Result<Vec<Partition>, ServiceError> {
    let rows: Vec<PartitionRow> = connection
        .prepare(&format!("{SELECT_PARTITION} ORDER BY p.spec"))?
        .query_map([table_id], PartitionRow::read)?
        .collect::<Result<_, _>>()?;
    rows.into_iter().map(PartitionRow::into_partition).collect()
}

struct TableRow {
    id: i64,
    name: String,
    definition: String,
    times: [i64; 3],
    rows: i64,
    bytes: i64,
}

impl TableRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            definition: row.get(2)?,
            times: [row.get(3)?, row.get(4)?, row.get(5)?],
            rows: row.get(6)?,
            bytes: row.get(7)?,
        })
    }

    fn into_table(self) -> Result<Table, ServiceError> {
        let definition: Definition = serde_json::from_str(&self.definition)?;
        let [created_ms, ddl_ms, modified_ms] = self.times;
        Ok(Table {
            id: self.id,
            name: self.name,
            columns: definition.columns,
            defaults: definition.defaults,
            primary_key: definition.primary_key,
            properties: definition.properties,
            comment: definition.comment,
            lifecycle: definition.lifecycle,
            created_ms,
            ddl_ms,
            modified_ms,
            rows: self.rows,
            bytes: self.bytes,
        })
    }
}

struct PartitionRow {
    id: i64,
    spec: String,
    times: [i64; 3],
    rows: i64,
    bytes: i64,
}

impl PartitionRow {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            spec: row.get(1)?,
            times: [row.get(2)?, row.get(3)?, row.get(4)?],
            rows: row.get(5)?,
            bytes: row.get(6)?,
        })
    }

    fn into_partition(self) -> Result<Partition, ServiceError> {
        let [created_ms, ddl_ms, modified_ms] = self.times;
        Ok(Partition {
            id: self.id,
            values: serde_json::from_str(&self.spec)?,
            created_ms,
            ddl_ms,
            modified_ms,
            rows: self.rows,
            bytes: self.bytes,
        })
    }
}
