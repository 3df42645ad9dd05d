//! INSERT: rows of a query become files of a table, visible at once.

use engine_model::Column;
use rusqlite::{InterruptHandle, Row};

use super::ast::Insert;
use super::ddl::{Pairs, partition_value};
use super::error::{SqlError, run_error};
use super::lower::{self, Target, TargetValue};
use super::parser;
use super::result::RowFile;
use super::tokens::{Cursor, Kind};
use super::{Engine, partition_values, value};
use crate::maxcompute::catalog::Catalog;
use crate::maxcompute::storage::StoredFile;
use crate::maxcompute::table::Table;

/// Partitions that one statement may write with values from its rows; the service's own bound.
const DYNAMIC_PARTITIONS_MAX: usize = 2_000;

/// Reads a statement behind its INSERT.
pub(super) fn parse(cursor: &mut Cursor) -> Result<Insert, SqlError> {
    let overwrite = cursor.take_word("overwrite");
    if !overwrite {
        cursor.expect_word("into")?;
    }
    // A table may be called `table`.
    if cursor.is_word(0, "table") && matches!(cursor.peek(1), Kind::Word(_) | Kind::Quoted(_)) {
        cursor.advance();
    }
    let table = cursor.table_name()?;
    let partition = partition(cursor)?;
    let mut columns = Vec::new();
    let query_begins = ["select", "with"]
        .iter()
        .any(|word| cursor.is_word(1, word));
    if cursor.is_symbol("(") && !query_begins && *cursor.peek(1) != Kind::Symbol("(") {
        cursor.advance();
        columns = names(cursor)?;
    }
    Ok(Insert {
        table,
        overwrite,
        partition,
        columns,
        query: parser::query_or_values(cursor)?,
    })
}

/// `PARTITION (k='v', k2)`.
fn partition(cursor: &mut Cursor) -> Result<Vec<(String, Option<String>)>, SqlError> {
    let mut keys = Vec::new();
    if !cursor.take_word("partition") {
        return Ok(keys);
    }
    cursor.expect_symbol("(")?;
    loop {
        let key = cursor.name()?;
        let valued = cursor.take_symbol("=") || cursor.take_symbol("==");
        let value = valued.then(|| partition_value(cursor)).transpose()?;
        keys.push((key, value));
        if !cursor.take_symbol(",") {
            break;
        }
    }
    cursor.expect_symbol(")")?;
    Ok(keys)
}

fn names(cursor: &mut Cursor) -> Result<Vec<String>, SqlError> {
    let mut names = vec![cursor.name()?];
    while cursor.take_symbol(",") {
        names.push(cursor.name()?);
    }
    cursor.expect_symbol(")")?;
    Ok(names)
}

impl Engine {
    /// Runs the query and stores its rows. Until the end nothing changes, then everything at once.
    pub(super) fn insert(
        &self,
        insert: &Insert,
        started: impl FnOnce(InterruptHandle),
    ) -> Result<(), SqlError> {
        let table = self.table(&insert.table)?;
        let partition = Partition::of(&table, insert)?;
        let mut targets = data_targets(&table, insert)?;
        let width = targets.len();
        let selected = targets
            .iter()
            .filter(|target| matches!(target.value, TargetValue::Selected(_)))
            .count();
        let keys = partition.dynamic.iter().enumerate();
        targets.extend(keys.map(|(position, key)| Target {
            column: key.clone(),
            value: TargetValue::Selected(selected + position),
        }));
        let mut prepared = lower::prepare_insert(self, &insert.query, &targets, width)?;
        let mut parts = Parts {
            engine: self,
            insert,
            table: &table,
            partition: &partition,
            current: None,
            stored: Stored {
                catalog: &self.catalog,
                parts: Vec::new(),
            },
        };
        if partition.dynamic.is_empty() {
            parts.begin(Vec::new())?;
        }
        self.execute(&mut prepared, started, |row| parts.push(row))?;
        parts.end()?;
        let now_ms = self.now.as_millisecond();
        let stored = &mut parts.stored;
        self.catalog
            .store(table.id, &stored.parts, insert.overwrite, now_ms)?;
        stored.parts.clear();
        Ok(())
    }
}

/// Where the rows go.
struct Partition {
    /// Values that the statement names, in the order of the keys.
    fixed: Pairs,
    /// The keys after those, whose values come with the rows.
    dynamic: Vec<Column>,
}

impl Partition {
    fn of(table: &Table, insert: &Insert) -> Result<Self, SqlError> {
        let at = insert.table.at;
        let keys = &table.columns.partition_keys;
        let mut partition = Self {
            fixed: Vec::new(),
            dynamic: Vec::new(),
        };
        let named = insert.partition.len();
        if named != keys.len() {
            let text = format!(
                "table {} has {} partition keys, PARTITION names {named}",
                table.name,
                keys.len()
            );
            return Err(SqlError::semantic(at, text));
        }
        for key in keys {
            let named = |(name, _): &&(String, _)| name.eq_ignore_ascii_case(&key.name);
            let (_, value) = insert.partition.iter().find(named).ok_or_else(|| {
                SqlError::semantic(at, format!("PARTITION does not name key {}", key.name))
            })?;
            match value {
                None => partition.dynamic.push(key.clone()),
                Some(value) if partition.dynamic.is_empty() => {
                    partition.fixed.push((key.name.clone(), value.clone()));
                }
                Some(_) => {
                    let text = format!(
                        "partition key {} has a value, and a key before it has none",
                        key.name
                    );
                    return Err(SqlError::semantic(at, text));
                }
            }
        }
        Ok(partition)
    }

    fn values(
        &self,
        table: &Table,
        insert: &Insert,
        dynamic: &[String],
    ) -> Result<Vec<String>, SqlError> {
        let names = self.dynamic.iter().map(|key| key.name.clone());
        let pairs = self.fixed.iter().cloned();
        let pairs: Pairs = pairs.chain(names.zip(dynamic.iter().cloned())).collect();
        partition_values(table, &pairs, insert.table.at)
    }
}

/// What each data column of the table is given.
fn data_targets(table: &Table, insert: &Insert) -> Result<Vec<Target>, SqlError> {
    let columns = &table.columns.columns;
    let at = insert.table.at;
    for (position, name) in insert.columns.iter().enumerate() {
        let before = insert.columns.iter().take(position);
        if before.clone().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(SqlError::semantic(
                at,
                format!("column {name} is named twice"),
            ));
        }
        if !columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
        {
            let text = format!("column {name} cannot be resolved");
            return Err(SqlError::semantic(at, text));
        }
    }
    let targets = columns.iter().enumerate().map(|(position, column)| {
        let named = |name: &String| name.eq_ignore_ascii_case(&column.name);
        let selected = if insert.columns.is_empty() {
            Some(position)
        } else {
            insert.columns.iter().position(named)
        };
        let default = || TargetValue::Default(table.defaults.get(&column.name).cloned());
        Target {
            column: column.clone(),
            value: selected.map_or_else(default, TargetValue::Selected),
        }
    });
    Ok(targets.collect())
}

/// Distributes rows, which come ordered by their partition, to files.
struct Parts<'a> {
    engine: &'a Engine,
    insert: &'a Insert,
    table: &'a Table,
    partition: &'a Partition,
    /// Values of the dynamic keys, and the file of their rows.
    current: Option<(Vec<String>, RowFile)>,
    stored: Stored<'a>,
}

impl Parts<'_> {
    fn push(&mut self, row: &Row<'_>) -> Result<(), SqlError> {
        if !self.partition.dynamic.is_empty() {
            let values = self.dynamic_values(row)?;
            let current = self.current.as_ref();
            if current.is_none_or(|(current, _)| *current != values) {
                self.end()?;
                self.begin(values)?;
            }
        }
        match &mut self.current {
            Some((_, file)) => file.push(row),
            None => Ok(()),
        }
    }

    /// The values that a row has for the dynamic keys.
    fn dynamic_values(&self, row: &Row<'_>) -> Result<Vec<String>, SqlError> {
        let width = self.table.columns.columns.len();
        let keys = self.partition.dynamic.iter().enumerate();
        let values = keys.map(|(position, key)| {
            let value = row.get_ref(width + position).map_err(run_error)?;
            let text = value::text(value, &key.column_type, &self.engine.zone);
            text.ok_or_else(|| {
                SqlError::run(format!("a row has NULL for partition key {}", key.name))
            })
        });
        values.collect()
    }

    fn begin(&mut self, dynamic: Vec<String>) -> Result<(), SqlError> {
        let number = self.stored.parts.len();
        if number >= DYNAMIC_PARTITIONS_MAX {
            let text = format!("the rows are of more than {DYNAMIC_PARTITIONS_MAX} partitions");
            return Err(SqlError::run(text));
        }
        let id = format!("{}-{number}", self.engine.result_id);
        let columns = &self.table.columns.columns;
        let file = RowFile::create(&self.engine.catalog, &id, columns)?;
        self.current = Some((dynamic, file));
        Ok(())
    }

    fn end(&mut self) -> Result<(), SqlError> {
        if let Some((dynamic, file)) = self.current.take() {
            let values = self.partition.values(self.table, self.insert, &dynamic)?;
            self.stored.parts.push((values, file.finish()?));
        }
        Ok(())
    }
}

/// Finished files; those that are left when this is dropped belong to no table and are removed.
struct Stored<'a> {
    catalog: &'a Catalog,
    parts: Vec<(Vec<String>, Option<StoredFile>)>,
}

impl Drop for Stored<'_> {
    fn drop(&mut self) {
        for file in self.parts.iter().filter_map(|(_, file)| file.as_ref()) {
            // What can't be removed now is an orphan, and goes at the next start.
            drop(self.catalog.files().remove(&file.name));
        }
    }
}
