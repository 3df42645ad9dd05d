//! Tables as the catalog keeps them.

use std::collections::BTreeMap;

use engine_model::TableColumns;
use serde::{Deserialize, Serialize};

/// What a CREATE TABLE says of a table, beside its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) columns: TableColumns,
    /// Default values as written, by the column's name.
    pub(crate) defaults: BTreeMap<String, String>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) comment: String,
    /// Days; `None` keeps the data for ever.
    pub(crate) lifecycle: Option<u32>,
}

/// A table of the catalog. Times are in ms since the epoch.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    /// The catalog's key: a table that is dropped and created again has another.
    pub(crate) id: i64,
    /// The name as it was created; compare without case.
    pub(crate) name: String,
    pub(crate) columns: TableColumns,
    pub(crate) defaults: BTreeMap<String, String>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) comment: String,
    pub(crate) lifecycle: Option<u32>,
    pub(crate) created_ms: i64,
    /// When the definition last changed.
    pub(crate) ddl_ms: i64,
    /// When rows last changed.
    pub(crate) modified_ms: i64,
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}

impl Table {
    pub(crate) fn is_partitioned(&self) -> bool {
        !self.columns.partition_keys.is_empty()
    }
}

/// A table partition; the only one, without values, of a table that has no partition keys.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    pub(crate) id: i64,
    /// Values in the order of the table's partition keys.
    pub(crate) values: Vec<String>,
    pub(crate) created_ms: i64,
    pub(crate) ddl_ms: i64,
    pub(crate) modified_ms: i64,
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
}
