//! `CREATE TABLE` statements for tables that a job can load into.

use std::fmt::Write as _;

use crate::limits::{LIFECYCLE_DAYS_DEFAULT, NAME_BYTES_MAX};
use crate::{Column, ColumnType, MetadataField};

/// A table to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DdlSpec {
    /// The table's name, without project and schema.
    pub table: String,
    /// The columns in order.
    pub columns: Vec<Column>,
    /// The partition keys from the outermost level in; empty for a table without partitions.
    pub partition_keys: Vec<Column>,
    /// Days after which the service may drop data that nobody changed.
    pub lifecycle_days: u32,
}

impl DdlSpec {
    /// The table that DataWorks' wizard proposes for `topic`: named after it with `_` for what a table's name can't
    /// hold, a column for each of the six [`MetadataField`]s, one partition key `ds`, and a lifecycle of 100 years.
    pub fn for_topic(topic: &str) -> Self {
        let table = topic
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .take(NAME_BYTES_MAX)
            .collect();
        Self {
            table,
            columns: MetadataField::ALL
                .into_iter()
                // A table is named after its topic.
                .filter(|field| *field != MetadataField::Topic)
                .map(metadata_column)
                .collect(),
            partition_keys: vec![Column::new("ds", ColumnType::String)],
            lifecycle_days: LIFECYCLE_DAYS_DEFAULT,
        }
    }
}

fn metadata_column(field: MetadataField) -> Column {
    let (column_type, comment) = match field {
        MetadataField::Key => (ColumnType::String, "The key of the Kafka message"),
        MetadataField::Value => (ColumnType::String, "The value of the Kafka message"),
        MetadataField::Partition => (
            ColumnType::BigInt,
            "The number of the topic partition, from 0",
        ),
        MetadataField::Headers => (ColumnType::String, "The headers as a JSON array"),
        MetadataField::Offset => (
            ColumnType::BigInt,
            "The offset in the topic partition, from 0",
        ),
        MetadataField::Timestamp => (
            ColumnType::BigInt,
            "The message timestamp in ms since the epoch, 13 digits",
        ),
        MetadataField::Topic => (ColumnType::String, "The topic of the Kafka message"),
    };
    Column {
        comment: comment.to_owned(),
        ..Column::new(field.name(), column_type)
    }
}

/// Writes the statement, with a line for each column and a semicolon at the end. It does nothing to a table that is
/// there already.
pub fn create_table(spec: &DdlSpec) -> String {
    let mut text = format!("CREATE TABLE IF NOT EXISTS {} (", quoted(&spec.table));
    let names = spec
        .columns
        .iter()
        .map(|column| quoted(&column.name).chars().count());
    let width = names.max().unwrap_or(0);
    for (position, column) in spec.columns.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        let name = quoted(&column.name);
        let definition = definition(column);
        write!(text, "{comma}\n  {name:width$} {definition}").expect("a String takes every write");
    }
    text.push_str("\n)");
    if !spec.partition_keys.is_empty() {
        let keys = spec.partition_keys.iter();
        let keys: Vec<String> = keys
            .map(|key| format!("{} {}", quoted(&key.name), definition(key)))
            .collect();
        write!(text, "\nPARTITIONED BY ({})", keys.join(", ")).expect("a String takes every write");
    }
    write!(text, "\nLIFECYCLE {};", spec.lifecycle_days).expect("a String takes every write");
    text
}

fn definition(column: &Column) -> String {
    let mut text = column.column_type.to_string();
    if !column.nullable {
        text.push_str(" NOT NULL");
    }
    if !column.comment.is_empty() {
        text.push_str(" COMMENT '");
        for c in column.comment.chars() {
            match c {
                '\'' | '\\' => text.extend(['\\', c]),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                c => text.push(c),
            }
        }
        text.push('\'');
    }
    text
}

/// A name in back-quotes, which are doubled within it.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_table_has_the_six_columns() {
        insta::assert_snapshot!(create_table(&DdlSpec::for_topic("shop.orders-v2")), @"
            CREATE TABLE IF NOT EXISTS `shop_orders_v2` (
              `__key__`       STRING COMMENT 'The key of the Kafka message',
              `__value__`     STRING COMMENT 'The value of the Kafka message',
              `__partition__` BIGINT COMMENT 'The number of the topic partition, from 0',
              `__headers__`   STRING COMMENT 'The headers as a JSON array',
              `__offset__`    BIGINT COMMENT 'The offset in the topic partition, from 0',
              `__timestamp__` BIGINT COMMENT 'The message timestamp in ms since the epoch, 13 digits'
            )
            PARTITIONED BY (`ds` STRING)
            LIFECYCLE 36500;
            ");
    }

    #[test]
    fn columns_keys_and_comments_are_written_safely() {
        let mut spec = DdlSpec::for_topic("orders");
        spec.columns = vec![
            Column {
                comment: "buyer's \\ note\nline 2".to_owned(),
                nullable: false,
                ..Column::new("order", "decimal(38,18)".parse().unwrap())
            },
            Column::new("a`b", "array<struct<x:bigint>>".parse().unwrap()),
        ];
        spec.partition_keys = vec![
            Column::new("ds", ColumnType::String),
            Column {
                comment: "hour".to_owned(),
                ..Column::new("hh", ColumnType::BigInt)
            },
        ];
        spec.lifecycle_days = 30;
        insta::assert_snapshot!(create_table(&spec), @r"
            CREATE TABLE IF NOT EXISTS `orders` (
              `order` DECIMAL(38,18) NOT NULL COMMENT 'buyer\'s \\ note\nline 2',
              `a``b`  ARRAY<STRUCT<x:BIGINT>>
            )
            PARTITIONED BY (`ds` STRING, `hh` BIGINT COMMENT 'hour')
            LIFECYCLE 30;
            ");
        spec.partition_keys.clear();
        assert!(!create_table(&spec).contains("PARTITIONED"));
    }
}
