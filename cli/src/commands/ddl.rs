//! `tidegate ddl`.

use engine::model::ddl::{DdlSpec, create_table};
use engine::model::limits::{COLUMNS_MAX, PARTITION_KEYS_MAX};
use engine::model::{Column, ColumnType};
use serde_json::json;

use crate::args::DdlArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;

pub(super) fn ddl(args: DdlArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let spec = spec(args)?;
    let statement = create_table(&spec);
    output.result(
        || statement.clone(),
        || {
            serde_json::to_string_pretty(&json!({
                "table": spec.table,
                "columns": spec.columns,
                "partition_keys": spec.partition_keys,
                "lifecycle_days": spec.lifecycle_days,
                "statement": statement,
            }))
        },
    )?;
    Ok(Exit::Done)
}

fn spec(args: DdlArgs) -> Result<DdlSpec, Failure> {
    let mut spec = DdlSpec::for_topic(&args.topic);
    let metadata = if args.no_metadata {
        Vec::new()
    } else {
        spec.columns
    };
    spec.columns = args.column.into_iter().chain(metadata).collect();
    let key = |name| Column::new(name, ColumnType::String);
    spec.partition_keys = args.partition_by.0.into_iter().map(key).collect();
    spec.lifecycle_days = args.lifecycle;
    check(&spec).map(|()| spec).map_err(Failure::usage)
}

/// Says why the service would refuse the table.
fn check(spec: &DdlSpec) -> Result<(), String> {
    if spec.table.is_empty() {
        return Err("--topic: the name is empty; name the topic".to_owned());
    }
    if spec.columns.is_empty() {
        return Err(
            "the table would have no columns; add some with --column, or leave --no-metadata out"
                .to_owned(),
        );
    }
    if spec.columns.len() > COLUMNS_MAX {
        let found = spec.columns.len();
        return Err(format!(
            "the table would have {found} columns; {COLUMNS_MAX} are allowed"
        ));
    }
    if spec.partition_keys.len() > PARTITION_KEYS_MAX {
        let found = spec.partition_keys.len();
        return Err(format!(
            "--partition-by: {found} keys are named; {PARTITION_KEYS_MAX} are allowed"
        ));
    }
    let mut names: Vec<String> = Vec::new();
    for column in spec.columns.iter().chain(&spec.partition_keys) {
        let name = column.name.to_lowercase();
        if names.contains(&name) {
            return Err(format!(
                "column {:?} is there twice, for names have no case; rename one in --column or --partition-by",
                column.name,
            ));
        }
        names.push(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn statement(flags: &str) -> Result<String, String> {
        let arguments = format!("tidegate ddl {flags}");
        let cli = Cli::try_parse_from(arguments.split(' ')).map_err(|error| error.to_string())?;
        let Command::Ddl(args) = cli.command else {
            panic!("another command")
        };
        spec(args)
            .map(|spec| create_table(&spec))
            .map_err(|failure| failure.text())
    }

    #[test]
    fn columns_come_before_those_of_the_message() {
        insta::assert_snapshot!(statement(
            "--topic shop.orders --column order_id:BIGINT --column tags:array<struct<k:string>> --partition-by ds,hh \
             --lifecycle 30"
        ).unwrap(), @"
            CREATE TABLE IF NOT EXISTS `shop_orders` (
              `order_id`      BIGINT,
              `tags`          ARRAY<STRUCT<k:STRING>>,
              `__key__`       STRING COMMENT 'The key of the Kafka message',
              `__value__`     STRING COMMENT 'The value of the Kafka message',
              `__partition__` BIGINT COMMENT 'The number of the topic partition, from 0',
              `__headers__`   STRING COMMENT 'The headers as a JSON array',
              `__offset__`    BIGINT COMMENT 'The offset in the topic partition, from 0',
              `__timestamp__` BIGINT COMMENT 'The message timestamp in ms since the epoch, 13 digits'
            )
            PARTITIONED BY (`ds` STRING, `hh` STRING)
            LIFECYCLE 30;
            ");
        insta::assert_snapshot!(
            statement("--topic orders --column order_id:BIGINT --no-metadata").unwrap(), @"
            CREATE TABLE IF NOT EXISTS `orders` (
              `order_id` BIGINT
            )
            PARTITIONED BY (`ds` STRING)
            LIFECYCLE 36500;
            ");
        assert!(
            !statement("--topic orders --partition-by=")
                .unwrap()
                .contains("PARTITIONED")
        );
    }

    #[test]
    fn tables_that_the_service_would_refuse_are_usage_errors() {
        for (flags, part) in [
            ("--topic orders --no-metadata", "no columns"),
            (
                "--topic orders --column DS:STRING",
                "column \"ds\" is there twice",
            ),
            (
                "--topic orders --column a:STRING --column A:BIGINT",
                "column \"A\" is there twice",
            ),
            (
                "--topic orders --partition-by a,b,c,d,e,f,g",
                "7 keys are named; 6 are allowed",
            ),
            ("--topic orders --column a", "expected NAME:TYPE"),
            ("--topic orders --column a:TEXT", "column \"a\": "),
            (
                "--topic orders --column :STRING",
                "\"\" is no name of a column",
            ),
            (
                "--topic orders --partition-by a,,b",
                "\"\" is no name of a column",
            ),
            ("--topic orders --lifecycle 0", "0 is not in 1.."),
        ] {
            let error = statement(flags).unwrap_err();
            assert!(error.contains(part), "{flags}: {error}");
        }
    }
}
