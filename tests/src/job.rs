//! Job files for tests.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use engine_model::ddl::{DdlSpec, create_table};
use engine_model::{Column, ColumnType};
use serde_json::Value;

use crate::orders;
use crate::program::SECRET_VARIABLE;
use crate::server::{ACCESS_ID, PROJECT};

/// What a job file of the tests is made of; [`JobFile::new`] has what most tests want.
#[derive(Clone, Debug)]
pub struct JobFile {
    /// Broker address.
    pub bootstrap: String,
    /// Topic.
    pub topic: String,
    /// More keys of the Kafka source, in YAML's flow style; empty for none.
    pub kafka: String,
    /// MaxCompute's endpoint.
    pub endpoint: String,
    /// Table.
    pub table: String,
    /// More keys of the MaxCompute destination, each `key: value`, with `, ` between them; empty for none.
    pub maxcompute: String,
    /// The partition's levels, as YAML's flow mapping; empty for none.
    pub partition: String,
    /// Message timestamps, in ms since the epoch.
    pub window: Range<i64>,
    /// How far behind the window's end is searched for messages of it.
    pub lateness: String,
    /// The columns, a line of YAML each.
    pub columns: Vec<String>,
    /// Lines at the top level.
    pub more: String,
}

impl JobFile {
    /// A job that loads `window` of `topic` into the table `orders`, `ds=20261122`, with the columns of
    /// [`mapped_columns`].
    pub fn new(bootstrap: &str, topic: &str, endpoint: &str, window: Range<i64>) -> Self {
        Self {
            bootstrap: bootstrap.to_owned(),
            topic: topic.to_owned(),
            kafka: String::new(),
            endpoint: endpoint.to_owned(),
            table: "orders".to_owned(),
            maxcompute: String::new(),
            partition: "{ ds: \"20261122\" }".to_owned(),
            window,
            lateness: "exact".to_owned(),
            columns: mapped_columns().iter().map(yaml_column).collect(),
            more: String::new(),
        }
    }

    /// Writes the file to `folder` and returns its path.
    ///
    /// # Panics
    ///
    /// When it can't be written.
    pub fn write(&self, folder: &Path) -> PathBuf {
        let Self {
            bootstrap,
            topic,
            kafka,
            endpoint,
            table,
            window,
            lateness,
            more,
            ..
        } = self;
        let partition = match self.partition.as_str() {
            "" => String::new(),
            levels => format!("\n    partition: {levels}"),
        };
        let keys = self.maxcompute.split(", ").filter(|key| !key.is_empty());
        let keys: Vec<_> = keys.map(|key| format!("\n    {key}")).collect();
        let keys = keys.concat();
        let columns = self.columns.join("\n  ");
        let text = format!(
            "job: orders_test
time_zone: Asia/Shanghai
source:
  kafka: {{ brokers: [\"{bootstrap}\"], topic: {topic}, {kafka} }}
window:
  start: {{ epoch_ms: {} }}
  end: {{ epoch_ms: {} }}
  lateness: {lateness}
destination:
  maxcompute:
    endpoint: {endpoint}
    project: {PROJECT}
    access_id: {ACCESS_ID}
    access_secret: ${{env.{SECRET_VARIABLE}}}
    table: {table}{partition}{keys}
columns:
  {columns}
{more}
",
            window.start, window.end,
        );
        let path = folder.join("job.yaml");
        fs::write(&path, text).expect("a temporary folder can be written");
        path
    }
}

/// The columns of the generated orders that a job can map: no quoted steps, and no path twice.
///
/// # Panics
///
/// When the fixture can't be read.
pub fn mapped_columns() -> Vec<Value> {
    let text = fs::read_to_string(orders::mapping()).expect("the fixture is there");
    let all: Vec<Value> = serde_json::from_str(&text).expect("the fixture is JSON");
    let mut seen = Vec::new();
    let mut mapped = Vec::new();
    for column in all {
        let path = column
            .get("path")
            .and_then(Value::as_str)
            .map(str::to_owned);
        let quoted = path.as_ref().is_some_and(|path| path.contains('\''));
        if quoted || path.as_ref().is_some_and(|path| seen.contains(path)) {
            continue;
        }
        seen.extend(path);
        mapped.push(column);
    }
    mapped
}

/// Writes the mapping of [`mapped_columns`] for the judges.
///
/// # Panics
///
/// When it can't be written.
pub fn write_mapping(folder: &Path) -> PathBuf {
    let path = folder.join("mapping.json");
    let text = serde_json::to_string_pretty(&mapped_columns()).expect("JSON can be written");
    fs::write(&path, text).expect("a temporary folder can be written");
    path
}

/// The statement that makes a table for [`mapped_columns`].
///
/// # Panics
///
/// When the fixture names a type that MaxCompute doesn't have.
pub fn table_ddl(table: &str, partition_keys: &[&str]) -> String {
    wider_table_ddl(table, partition_keys, &[])
}

/// The same with more columns, a type each, that are named `unmapped_0` and so on.
///
/// # Panics
///
/// When there is no such type.
pub fn wider_table_ddl(table: &str, partition_keys: &[&str], more: &[&str]) -> String {
    let column = |column: &Value| {
        let column_type: ColumnType = text(column, "type").parse().expect("a MaxCompute type");
        Column::new(text(column, "column"), column_type)
    };
    let more = more.iter().enumerate().map(|(number, column_type)| {
        let column_type: ColumnType = column_type.parse().expect("a MaxCompute type");
        Column::new(format!("unmapped_{number}"), column_type)
    });
    create_table(&DdlSpec {
        table: table.to_owned(),
        columns: mapped_columns().iter().map(column).chain(more).collect(),
        partition_keys: partition_keys
            .iter()
            .map(|key| Column::new(*key, ColumnType::String))
            .collect(),
        ..DdlSpec::for_topic(table)
    })
}

fn yaml_column(column: &Value) -> String {
    let name = text(column, "column");
    if let Some(constant) = column.get("constant").and_then(Value::as_str) {
        return format!("{name}: {{ value: \"{constant}\" }}");
    }
    if let Some(field) = column.get("metadata").and_then(Value::as_str) {
        return format!("{name}: __{field}__");
    }
    let path = text(column, "path");
    match column.get("format").and_then(Value::as_str) {
        Some(format) => format!("{name}: {{ from: \"{path}\", format: {format} }}"),
        None => format!("{name}: \"{path}\""),
    }
}

fn text<'v>(column: &'v Value, key: &str) -> &'v str {
    column
        .get(key)
        .and_then(Value::as_str)
        .expect("the fixture's columns have names, types and sources")
}
