//! Data sources and environments.

use jiff::tz::TimeZone;

use super::super::*;
use super::{ORDERS, SOURCES, check_with, inline_job};

#[test]
fn data_sources_are_looked_up_by_environment() {
    let outcome = |job: &str, sources: Option<&str>, name: Option<&str>| match check_with(
        job,
        sources,
        name,
        &[],
    ) {
        Ok(checked) => format!(
            "{:?} {}",
            checked.job.environment, checked.job.destination.table
        ),
        Err(findings) => {
            let errors = findings.into_vec();
            Findings::new(
                errors
                    .into_iter()
                    .filter(|f| f.severity == crate::Severity::Error)
                    .collect(),
            )
            .to_string()
        }
    };
    let dev_only = SOURCES.split("  prod:").next().unwrap();
    assert_eq!(
        outcome(ORDERS, Some(dev_only), None),
        "Some(\"dev\") p.orders"
    );
    assert_eq!(
        outcome(ORDERS, Some(SOURCES), Some("prod")),
        "Some(\"prod\") shop.sales.orders"
    );
    insta::assert_snapshot!(outcome(ORDERS, None, None), @"
        job.yaml:5:17: error: source.kafka.datasource: data source `shop_kafka` can't be looked up: there is no sources.yaml; put one beside the job file, or write the connection here
        job.yaml:19:17: error: destination.maxcompute.datasource: data source `shop_odps` can't be looked up: there is no sources.yaml; put one beside the job file, or write the connection here
        ");
    insta::assert_snapshot!(outcome(ORDERS, Some(SOURCES), None), @"
        job.yaml:5:17: error: source.kafka.datasource: data source `shop_kafka` can't be looked up: several environments have data sources; choose `dev` or `prod` with --env
        job.yaml:19:17: error: destination.maxcompute.datasource: data source `shop_odps` can't be looked up: several environments have data sources; choose `dev` or `prod` with --env
        ");
    insta::assert_snapshot!(outcome(ORDERS, Some(SOURCES), Some("prd")), @"
        job.yaml:5:17: error: source.kafka.datasource: data source `shop_kafka` can't be looked up: environment `prd` is not in the sources file; choose `dev` or `prod` with --env
        job.yaml:19:17: error: destination.maxcompute.datasource: data source `shop_odps` can't be looked up: environment `prd` is not in the sources file; choose `dev` or `prod` with --env
        ");
    assert!(outcome(ORDERS, Some("environments: {}"), None).contains("no environment; add one"));
    assert!(outcome(ORDERS, Some("environments: { a: 1 }"), None).contains("`a` can't be read"));
    let misspelt = ORDERS
        .replace("shop_kafka", "shop_kafak")
        .replace("shop_odps", "shop_kafka");
    insta::assert_snapshot!(outcome(&misspelt, Some(SOURCES), Some("prod")), @"
        job.yaml:5:17: error: source.kafka.datasource: environment `prod` has no data source `shop_kafak`; did you mean `shop_kafka`?
        job.yaml:19:17: error: destination.maxcompute.datasource: data source `shop_kafka` of environment `prod` has no `maxcompute`; name one that has
        ");
    let twice = ORDERS
        .replace("    topic:", "    brokers: [\"x:1\"]\n    topic:")
        .replace(
            "fetch.max.bytes: \"67108864\"",
            "sasl.password: \"${env.WORD}\"",
        );
    insta::assert_snapshot!(outcome(&twice, Some(SOURCES), Some("dev")), @"
        job.yaml:6:14: error: source.kafka.brokers: is given here and by the data source (environments.dev.shop_kafka.kafka.brokers, line 3); keep one of the two
        job.yaml:12:16: error: source.kafka.options.sasl.password: is an option of the data source too; keep one of the two
        ");
}

#[test]
fn every_environment_must_have_its_shape() {
    let sources = "environments:\n  dev:\n    a: { kafka: { broker: x } }\n    b: {}\n    c: x\n  prod: []\nextra: 1\n";
    insta::assert_snapshot!(check_with(&inline_job(&[]), Some(sources), None, &[]).unwrap_err(), @"
        sources.yaml:3:19: error: environments.dev.a.kafka.broker: is no key that is known here; did you mean `brokers`?
        sources.yaml:4:8: error: environments.dev.b: holds no connection; add `kafka` or `maxcompute`
        sources.yaml:5:8: error: environments.dev.c: found a single value where keys are expected; write `key: value` lines under it
        sources.yaml:6:9: error: environments.prod: found a list where keys are expected; write `key: value` lines under it
        sources.yaml:7:1: error: extra: is no key that is known here; known keys: `environments`
        ");
    insta::assert_snapshot!(check_with(&inline_job(&[]), Some("environment: {}"), None, &[]).unwrap_err(), @"
        sources.yaml:1:1: error: environment: is no key that is known here; did you mean `environments`?
        sources.yaml:1:1: error: environments: is missing; add it, with a key for each environment
        ");
}

#[test]
fn only_the_chosen_environment_needs_its_variables() {
    let check = |name: &str| {
        let spec = JobSpec::parse("job.yaml", ORDERS).unwrap();
        spec.check(&Setting {
            scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &TimeZone::UTC).unwrap(),
            environment: Some(name),
            sources: Some(&SourcesSpec::parse("sources.yaml", SOURCES).unwrap()),
            overrides: &[],
            env: &|_| None,
            default_time_zone: &TimeZone::UTC,
        })
    };
    assert!(check("prod").is_ok());
    insta::assert_snapshot!(check("dev").unwrap_err(), @"
        job.yaml:35:11: warning: schedule: this version runs a job when it is told to, and nothing but `tidegate backfill` follows this schedule; have a scheduler call `tidegate run` with `--at`
        sources.yaml:3:112: error: environments.dev.shop_kafka.kafka.options.sasl.password: environment variable `KAFKA_PASSWORD` is not set; set it for this process
        sources.yaml:4:96: error: environments.dev.shop_odps.maxcompute.access_id: environment variable `ID` is not set; set it for this process
        sources.yaml:4:124: error: environments.dev.shop_odps.maxcompute.access_secret: environment variable `SECRET` is not set; set it for this process
        ");
}
