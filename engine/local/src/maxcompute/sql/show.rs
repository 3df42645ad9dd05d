//! The texts of SHOW and DESC.

use std::fmt::Write as _;

use engine_model::{Column, PartitionSpec};
use jiff::Timestamp;

use super::ddl::Pairs;
use super::error::SqlError;
use super::tokens::TableRef;
use super::{Engine, partition_values};
use crate::maxcompute::table::{Partition, Table};
use crate::maxcompute::types::type_text;

/// Characters of a line of DESC, as the service draws it.
const WIDTH: usize = 84;

impl Engine {
    pub(super) fn show_tables(&self, like: Option<&str>) -> Result<String, SqlError> {
        let mut text = String::new();
        for table in self.catalog.tables()? {
            if like.is_none_or(|pattern| matches(&table.name, pattern)) {
                // Writing to a String can't fail.
                writeln!(text, "ALIYUN$local:{}", table.name).unwrap_or_default();
            }
        }
        Ok(text)
    }

    pub(super) fn show_partitions(
        &self,
        table: &TableRef,
        wanted: &Pairs,
    ) -> Result<String, SqlError> {
        let found = self.table(table)?;
        if !found.is_partitioned() {
            return Err(SqlError::semantic(
                table.at,
                format!("{} is not a partitioned table", found.name),
            ));
        }
        let mut text = String::new();
        for partition in self.catalog.partitions(found.id)? {
            let spec = partition_spec(&found, &partition);
            let matching = wanted.iter().all(|(key, value)| {
                spec.0
                    .iter()
                    .any(|(name, found)| name.eq_ignore_ascii_case(key) && found == value)
            });
            if matching {
                text.push_str(&spec.to_string().replace(',', "/"));
                text.push('\n');
            }
        }
        Ok(text)
    }

    pub(super) fn describe(
        &self,
        table: &TableRef,
        partition: Option<&Pairs>,
    ) -> Result<String, SqlError> {
        let found = self.table(table)?;
        let mut sheet = Sheet::default();
        sheet.rule();
        match partition {
            Some(pairs) => {
                let values = partition_values(&found, pairs, table.at)?;
                let partition = self.catalog.partition(found.id, &values)?;
                let partition = partition
                    .ok_or_else(|| SqlError::ddl("the specified partition does not exist"))?;
                sheet.line(&format!(
                    "PartitionSize: {} | Records: {}",
                    partition.bytes, partition.rows
                ));
                sheet.times(
                    partition.created_ms,
                    partition.ddl_ms,
                    partition.modified_ms,
                );
            }
            None => self.describe_table(&found, &mut sheet),
        }
        sheet.rule();
        Ok(sheet.0)
    }

    fn describe_table(&self, table: &Table, sheet: &mut Sheet) {
        sheet.line(&format!("Owner: ALIYUN$local | Project: {}", self.project));
        sheet.line(&format!("TableComment: {}", table.comment));
        sheet.rule();
        sheet.times(table.created_ms, table.ddl_ms, table.modified_ms);
        if let Some(days) = table.lifecycle {
            sheet.line(&format!("Lifecycle: {days}"));
        }
        sheet.rule();
        sheet.line(&format!(
            "InternalTable: YES | Size: {} | Records: {}",
            table.bytes, table.rows
        ));
        sheet.rule();
        sheet.line("Native Columns:");
        sheet.columns(&table.columns.columns);
        if table.is_partitioned() {
            sheet.rule();
            sheet.line("Partition Columns:");
            sheet.columns(&table.columns.partition_keys);
        }
    }
}

/// The partition's values with their keys.
pub(crate) fn partition_spec(table: &Table, partition: &Partition) -> PartitionSpec {
    let keys = table
        .columns
        .partition_keys
        .iter()
        .map(|key| key.name.clone());
    PartitionSpec(keys.zip(partition.values.iter().cloned()).collect())
}

/// Whether a name is like a pattern in which `*` stands for anything.
fn matches(name: &str, pattern: &str) -> bool {
    let name = name.to_lowercase();
    let pattern = pattern.to_lowercase();
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Lines in a frame.
#[derive(Default)]
struct Sheet(String);

impl Sheet {
    fn rule(&mut self) {
        self.0.extend(["+", &"-".repeat(WIDTH), "+\n"]);
    }

    fn line(&mut self, text: &str) {
        // Writing to a String can't fail.
        writeln!(self.0, "| {text:<width$} |", width = WIDTH - 2).unwrap_or_default();
    }

    fn times(&mut self, created_ms: i64, ddl_ms: i64, modified_ms: i64) {
        for (name, ms) in [
            ("CreateTime", created_ms),
            ("LastDDLTime", ddl_ms),
            ("LastModifiedTime", modified_ms),
        ] {
            let time = Timestamp::from_millisecond(ms).unwrap_or_default();
            self.line(&format!("{name}: {}", time.strftime("%Y-%m-%d %H:%M:%S")));
        }
    }

    fn columns(&mut self, columns: &[Column]) {
        self.rule();
        self.line(&format!("{:<24} | {:<24} | {}", "Field", "Type", "Comment"));
        self.rule();
        for column in columns {
            let column_type = type_text(&column.column_type);
            self.line(&format!(
                "{:<24} | {column_type:<24} | {}",
                column.name, column.comment
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_anything() {
        for pattern in ["orders", "ORD*", "*ers", "o*d*s", "*"] {
            assert!(matches("orders", pattern), "{pattern}");
        }
        for pattern in ["order", "*x*", "s*"] {
            assert!(!matches("orders", pattern), "{pattern}");
        }
    }
}
