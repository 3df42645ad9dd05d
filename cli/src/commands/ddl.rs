//! `tidegate ddl`.

use engine::model::ddl::DdlSpec;
use engine::model::job::{Draft, KafkaSource};
use engine::model::limits::{COLUMNS_MAX, PARTITION_KEYS_MAX};
use engine::model::{Column, ColumnType};

use super::engine;
use crate::args::DdlArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;
use crate::render::ddl::Inferred;

pub(super) fn ddl(args: &DdlArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let job = args.job();
    let draft = job.map(|job| surroundings.draft(&job)).transpose()?;
    let mut spec = spec(args, draft.as_ref())?;
    let inferred = match args.infer {
        Some(messages) => {
            let zone = draft.as_ref().map(|draft| draft.time_zone.clone());
            let zone = zone.unwrap_or(surroundings.time_zone);
            let source = source(args, draft)?;
            let sample = engine()?.sample(&source, &zone, messages as usize)?;
            Some(infer(&mut spec, sample))
        }
        None => None,
    };
    check(&spec).map_err(Failure::usage)?;
    output.result(
        || render::ddl::text(&spec, inferred.as_ref()),
        || render::ddl::document(&spec, inferred.as_ref()),
    )?;
    Ok(Exit::Done)
}

/// The table as far as arguments and job tell.
fn spec(args: &DdlArgs, draft: Option<&Draft>) -> Result<DdlSpec, Failure> {
    let topic = match (&args.topic, draft) {
        (Some(topic), _) => topic.clone(),
        (None, Some(draft)) => draft.source.topics.first().cloned().unwrap_or_default(),
        (None, None) => {
            let message = "no topic is named; name a job file, or add --topic";
            return Err(Failure::usage(message));
        }
    };
    let mut spec = DdlSpec::for_topic(&topic);
    if spec.table.is_empty() {
        let message = "--topic: the name is empty; name the topic";
        return Err(Failure::usage(message));
    }
    let metadata = if args.no_metadata {
        Vec::new()
    } else {
        spec.columns
    };
    spec.columns = args.column.iter().cloned().chain(metadata).collect();
    let mut keys: Option<Vec<String>> = None;
    if let Some(destination) = draft.and_then(|draft| draft.destination.as_ref()) {
        spec.table.clone_from(&destination.table.table);
        let levels = destination.partition.0.iter();
        keys = Some(levels.map(|(key, _)| key.clone()).collect());
    }
    if let Some(given) = &args.partition_by {
        keys = Some(given.0.clone());
    }
    if let Some(keys) = keys {
        let key = |name| Column::new(name, ColumnType::String);
        spec.partition_keys = keys.into_iter().map(key).collect();
    }
    spec.lifecycle_days = args.lifecycle;
    Ok(spec)
}

/// The topic to sample.
fn source(args: &DdlArgs, draft: Option<Draft>) -> Result<KafkaSource, Failure> {
    match (draft, &args.topic) {
        (Some(draft), _) => Ok(draft.source),
        (None, Some(topic)) if !args.brokers.is_empty() => {
            Ok(KafkaSource::new(args.brokers.clone(), topic))
        }
        (None, _) => Err(Failure::usage(
            "--infer reads messages of the topic; say where it is with --brokers, or name a job file",
        )),
    }
}

/// Puts the columns of a sample before those that the table has.
fn infer(spec: &mut DdlSpec, sample: engine::TopicSample) -> Inferred {
    let names = spec.columns.iter().chain(&spec.partition_keys);
    let names: Vec<&str> = names.map(|column| column.name.as_str()).collect();
    let room = COLUMNS_MAX.saturating_sub(spec.columns.len());
    let inference = sample.payloads.infer(names, room);
    let inferred = inference
        .columns
        .iter()
        .map(|inferred| inferred.column.clone());
    spec.columns.splice(0..0, inferred);
    Inferred { sample, inference }
}

/// Says why the service would refuse the table.
fn check(spec: &DdlSpec) -> Result<(), String> {
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
    use engine::model::ddl::create_table;

    use super::*;
    use crate::args::{Cli, Command};

    fn statement(flags: &str) -> Result<String, String> {
        let arguments = format!("tidegate ddl {flags}");
        let cli = Cli::try_parse_from(arguments.split(' ')).map_err(|error| error.to_string())?;
        let Command::Ddl(args) = cli.command else {
            panic!("another command")
        };
        let spec = spec(&args, None).map_err(|failure| failure.text())?;
        check(&spec).map(|()| create_table(&spec))
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
