//! MaxCompute tables: names, columns, types and table partitions.

mod column_type;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use column_type::ColumnType;

/// A table's full name, `project.table` or `project.schema.table`. MaxCompute folds the case of names; they are kept
/// as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// The project.
    pub project: String,
    /// The schema, in projects that have the three-level model on.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", self.project)?;
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.table)
    }
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The name as the table spells it; compare without case.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The comment; empty where there is none.
    pub comment: String,
}

impl Column {
    /// A nullable column without a comment.
    pub fn new(name: impl Into<String>, column_type: ColumnType) -> Self {
        Self {
            name: name.into(),
            column_type,
            nullable: true,
            comment: String::new(),
        }
    }
}

/// A table's columns in table order, and its partition keys from the outermost level in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableColumns {
    /// The columns that hold data.
    pub columns: Vec<Column>,
    /// The partition keys; empty for a table without partitions.
    pub partition_keys: Vec<Column>,
}

/// One table partition: a value for each partition key, in the table's order. Empty for a table without partition
/// keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionSpec(pub Vec<(String, String)>);

impl PartitionSpec {
    /// Whether the spec names the whole table.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says why `value` can't be a partition value, or nothing where it can.
    ///
    /// The rules are those that every official client and the service agree on: not empty, at most
    /// [`PARTITION_VALUE_BYTES_MAX`](crate::limits::PARTITION_VALUE_BYTES_MAX) bytes, and none of the characters that
    /// clients split or strip (`,` `/` `=` `'` `"`), no control characters and nothing outside ASCII.
    pub fn value_error(value: &str) -> Option<String> {
        if value.is_empty() {
            return Some("it is empty".to_owned());
        }
        if value.len() > crate::limits::PARTITION_VALUE_BYTES_MAX {
            let max = crate::limits::PARTITION_VALUE_BYTES_MAX;
            return Some(format!("it has {} bytes; {max} are allowed", value.len()));
        }
        let bad = value.chars().find(|c| {
            !c.is_ascii() || c.is_ascii_control() || matches!(c, ',' | '/' | '=' | '\'' | '"')
        })?;
        Some(format!("it holds {bad:?}, which a partition value can't"))
    }
}

/// `ds=20261122,hh=08`, as the tunnel and people write it; nothing for a table without partition keys.
impl fmt::Display for PartitionSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (key, value)) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_partitions_read_as_people_write_them() {
        let name = TableName {
            project: "p".into(),
            schema: None,
            table: "t".into(),
        };
        assert_eq!(name.to_string(), "p.t");
        let spec = PartitionSpec(vec![
            ("ds".into(), "20261122".into()),
            ("hh".into(), "08".into()),
        ]);
        assert_eq!(spec.to_string(), "ds=20261122,hh=08");
    }

    #[test]
    fn partition_values_that_clients_would_split_are_refused() {
        assert_eq!(PartitionSpec::value_error("2026-11-22 08:00"), None);
        for bad in [
            "",
            "a,b",
            "a/b",
            "a=b",
            "a'b",
            "a\"b",
            "a\nb",
            "上海",
            &"x".repeat(129),
        ] {
            assert!(PartitionSpec::value_error(bad).is_some(), "{bad:?}");
        }
    }
}
