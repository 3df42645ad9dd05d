//! The first rows of a table or of one of its partitions, as text and in Arrow form.

use std::io::Write as _;
use std::sync::Arc;

use arrow::ipc::writer::StreamWriter;
use axum::response::IntoResponse as _;
use engine_model::TableColumns;
use jiff::tz::TimeZone;

use super::download::split_instants;
use super::table::SharedHead;
use super::{Answer, set_header};
use crate::maxcompute::catalog::ResultSet;
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::request::{Head, partition_spec};
use crate::maxcompute::server::App;
use crate::maxcompute::sql::{Engine, Outcome, csv};
use crate::maxcompute::table::Table;
use crate::maxcompute::types::arrow_schema;

/// Rows of a preview, whatever is asked for: as many as the clients document.
const ROWS_MAX: u64 = 10_000;

/// `GET tables/T?data&linenum`: a line of names, then rows as text.
pub(super) async fn text(app: Arc<App>, head: SharedHead, table: String) -> Answer {
    app.with_engine(TimeZone::UTC, move |app, engine| {
        let table = app.table(&table)?;
        let columns = names(&head, &table, "cols")?.unwrap_or_else(|| "*".to_owned());
        let rows = first_rows(app, engine, &head, &table, "linenum", &columns)?;
        let text = csv(&app.catalog, &rows, &TimeZone::UTC);
        forget(app, &rows)?;
        Ok(([("content-type", "text/csv; charset=utf-8")], text?).into_response())
    })
    .await
}

/// `GET R/preview?limit`: an Arrow stream with its schema, instants as seconds and nanoseconds. The Java SDK reads the
/// partition's columns behind the table's own; PyODPS takes no others than those.
pub(super) async fn arrow(app: Arc<App>, head: SharedHead, table: String) -> Answer {
    app.with_engine(TimeZone::UTC, move |app, engine| {
        let table = app.table(&table)?;
        let columns = names(&head, &table, "columns")?.unwrap_or_else(|| {
            if head.java {
                return "*".to_owned();
            }
            let own = table.columns.columns.iter();
            let own: Vec<_> = own.map(|column| name_of(&column.name)).collect();
            own.join(", ")
        });
        let rows = first_rows(app, engine, &head, &table, "limit", &columns)?;
        let stream = arrow_stream(app, &rows);
        forget(app, &rows)?;
        let mut response = stream?.into_response();
        set_header(&mut response, "content-type", "application/octet-stream");
        Ok(response)
    })
    .await
}

/// The columns that a parameter names, as SQL; nothing where it names none.
fn names(head: &Head, table: &Table, parameter: &str) -> Result<Option<String>, ServiceError> {
    let Some(names) = head.params.get(parameter).filter(|names| !names.is_empty()) else {
        return Ok(None);
    };
    let columns = || {
        let TableColumns {
            columns,
            partition_keys,
        } = &table.columns;
        columns.iter().chain(partition_keys)
    };
    let mut found = Vec::new();
    for name in names.split(',').map(str::trim) {
        let column = columns().find(|column| column.name.eq_ignore_ascii_case(name));
        let column = column.ok_or_else(|| {
            let text = format!("table {} has no column {name:?}", table.name);
            ServiceError::new(Code::InvalidColumnSpec, text)
        })?;
        found.push(name_of(&column.name));
    }
    Ok(Some(found.join(", ")))
}

/// Selects `columns`, as SQL, of the rows that the parameters ask for.
fn first_rows(
    app: &App,
    engine: &Engine,
    head: &Head,
    table: &Table,
    limit: &str,
    columns: &str,
) -> Result<ResultSet, ServiceError> {
    let asked = head.params.get(limit).unwrap_or_default();
    // Any negative number is all, as far as a preview goes.
    let Ok(rows) = asked.parse::<i64>() else {
        let text = format!("{limit} {asked:?} is no number of rows");
        return Err(ServiceError::new(Code::InvalidArgument, text));
    };
    let limit = u64::try_from(rows).unwrap_or(ROWS_MAX).min(ROWS_MAX);
    let filter = partition_filter(app, head, table)?;
    let statement = format!(
        "SELECT {columns} FROM {}{filter} LIMIT {limit}",
        name_of(&table.name)
    );
    let failed = |text: String| ServiceError::new(Code::InternalServerError, text);
    match engine.run(&statement, |_| {}) {
        Ok(Outcome::Rows(rows)) => Ok(rows),
        Ok(Outcome::Text(text)) => Err(failed(text)),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The condition that keeps the rows of the partition in the request; empty without one.
fn partition_filter(app: &App, head: &Head, table: &Table) -> Result<String, ServiceError> {
    let text = match head.params.get("partition") {
        None | Some("") => return Ok(String::new()),
        Some(text) => text,
    };
    let spec = partition_spec(table, text)?;
    let values: Vec<_> = spec.0.iter().map(|(_, value)| value.clone()).collect();
    if app.catalog.partition(table.id, &values)?.is_none() {
        let text = format!("there is no partition {spec} in table {}", table.name);
        return Err(ServiceError::new(Code::NoSuchPartition, text));
    }
    let level = |(key, value): &(String, String)| {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        format!("CAST({} AS STRING) = '{value}'", name_of(key))
    };
    let levels: Vec<_> = spec.0.iter().map(level).collect();
    Ok(format!(" WHERE {}", levels.join(" AND ")))
}

fn arrow_stream(app: &App, rows: &ResultSet) -> Result<Vec<u8>, ServiceError> {
    let schema = arrow_schema(&rows.columns);
    let empty = split_instants(&arrow::array::RecordBatch::new_empty(schema))?;
    let mut writer = StreamWriter::try_new(Vec::new(), &empty.schema())?;
    if let Some(file) = &rows.file {
        let columns: Vec<_> = (0..rows.columns.len()).collect();
        let limit = usize::try_from(ROWS_MAX).unwrap_or(usize::MAX);
        for batch in app.catalog.files().read(&file.name, &columns, 0, limit)? {
            writer.write(&split_instants(&batch?)?)?;
        }
    }
    let mut stream = writer.into_inner()?;
    stream.flush()?;
    Ok(stream)
}

/// Removes the file of a result that nobody asks for again.
fn forget(app: &App, rows: &ResultSet) -> Result<(), ServiceError> {
    match &rows.file {
        Some(file) => Ok(app.catalog.files().remove(&file.name)?),
        None => Ok(()),
    }
}

/// A name in SQL, whatever is in it.
fn name_of(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
