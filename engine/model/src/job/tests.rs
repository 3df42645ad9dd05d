mod findings;
mod formats;
mod limits;
mod secrets;
mod sources;
mod windows;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::{
    ColumnMapping, ColumnSource, MessageFormat, MetadataField, PayloadType, PrimitiveType,
    TimeUnit, ValueFormat,
};

/// The example of the documents, with what this version reads.
const ORDERS: &str = r#"job: orders_daily
time_zone: Asia/Shanghai
source:
  kafka:
    datasource: shop_kafka
    topic: orders
    group: tidegate-orders-daily
    key: string
    value: json
    encoding: UTF-8
    options: { fetch.max.bytes: "67108864" }
window:
  start: ${startTime}
  end: ${endTime}
  lateness: exact
  exit: planned
destination:
  maxcompute:
    datasource: shop_odps
    table: orders
    partition: { ds: "${partition}" }
    write: replace
columns:
  order_id: order.id
  city: user.address.city
  first_sku: items[0].sku
  paid_at: { from: payment.time, format: epoch_ms }
  channel: { value: web }
  raw: __value__
  kafka_partition: __partition__
parameters:
  startTime: $[yyyymmdd-1]000000
  endTime: $[yyyymmdd]000000
  partition: $[yyyymmdd-1]
schedule: { cycle: day, at: "00:15", rerun: { on: error, times: 3, interval: 2m } }
rejects: 0
limits: { memory: 96MiB, disk: 50GiB, bandwidth: unlimited, concurrency: auto }
"#;

const SOURCES: &str = r#"environments:
  dev:
    shop_kafka: { kafka: { brokers: ["127.0.0.1:9092"], options: { security.protocol: SASL_SSL, sasl.password: "${env.KAFKA_PASSWORD}" } } }
    shop_odps:  { maxcompute: { endpoint: "http://127.0.0.1:8090/api/", project: p, access_id: "${env.ID}", access_secret: "${env.SECRET}" } }
  prod:
    shop_kafka: { kafka: { brokers: "k1:9092, k2:9092" } }
    shop_odps:
      maxcompute:
        endpoint: https://service.cn-shanghai.maxcompute.aliyun.com/api
        project: shop
        schema: sales
"#;

/// Values of the environment; each must stay where it is put.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("KAFKA_PASSWORD", "kafka-hunter2"),
    ("ID", "id-hunter2"),
    ("SECRET", "secret-hunter2"),
    ("WORD", "word-hunter2"),
    ("TRAP", "x: {y: ${env.SECRET}} # hunter2\n- z"),
];

fn environment(name: &str) -> Option<String> {
    ENVIRONMENT
        .iter()
        .find_map(|(other, value)| (*other == name).then(|| (*value).to_owned()))
}

/// Checks `job` with `sources` as the command line would, at 2026-11-23 00:15 in the job's zone.
fn check_with(
    job: &str,
    sources: Option<&str>,
    environment_name: Option<&str>,
    overrides: &[(&str, &str)],
) -> Result<Checked, Findings> {
    let spec = JobSpec::parse("job.yaml", job)?;
    let sources = sources
        .map(|text| SourcesSpec::parse("sources.yaml", text))
        .transpose()?;
    let zone = spec.time_zone(&TimeZone::UTC).unwrap_or(TimeZone::UTC);
    let overrides: Vec<(String, String)> = overrides
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect();
    spec.check(&Setting {
        scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &zone).unwrap(),
        environment: environment_name,
        sources: sources.as_ref(),
        overrides: &overrides,
        env: &environment,
        default_time_zone: &TimeZone::UTC,
    })
}

/// Checks a job at a scheduled time of the night of 2026-11-23, in the job's zone.
pub(super) fn check(job: &str) -> Result<Checked, Findings> {
    check_with(job, None, None, &[])
}

/// A job that holds its connections, with `from` replaced by `to`; each occurrence must be there.
fn inline_job(changes: &[(&str, &str)]) -> String {
    let mut text = r#"job: j
time_zone: UTC
source: { kafka: { brokers: ["b:9092"], topic: t } }
window: { start: 2026-11-22, end: 2026-11-23 }
destination: { maxcompute: { endpoint: "https://mc/api", project: p, table: t } }
columns: { c: a }
"#
    .to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

/// The findings of [`inline_job`], warnings of good jobs too.
fn findings(changes: &[(&str, &str)]) -> String {
    match check(&inline_job(changes)) {
        Ok(checked) => Findings::new(checked.warnings).to_string(),
        Err(findings) => findings.to_string(),
    }
}

fn mapped(column: &str, source: ColumnSource, format: Option<ValueFormat>) -> ColumnMapping {
    ColumnMapping {
        format,
        ..ColumnMapping::new(column, source)
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a whole job, field by field")]
fn the_example_of_the_documents_is_read_in_full() {
    let checked = check_with(ORDERS, Some(SOURCES), Some("prod"), &[]).unwrap();
    let path = |text: &str| ColumnSource::Path(text.parse().unwrap());
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let job = &checked.job;
    let expected = Job {
        name: "orders_daily".to_owned(),
        scheduled_time: ScheduledTime::parse("2026-11-23T00:15:00", &zone).unwrap(),
        time_zone: zone,
        environment: Some("prod".to_owned()),
        source: KafkaSource {
            brokers: vec!["k1:9092".to_owned(), "k2:9092".to_owned()],
            topics: vec!["orders".to_owned()],
            partitions: None,
            group: Some("tidegate-orders-daily".to_owned()),
            format: MessageFormat::default(),
            options: [(
                "fetch.max.bytes".to_owned(),
                OptionValue::Plain("67108864".to_owned()),
            )]
            .into(),
        },
        // 2026-11-22 and 2026-11-23 at midnight, 8 hours east of Greenwich.
        window: crate::Window::new(1_795_276_800_000, 1_795_363_200_000).unwrap(),
        offsets: OffsetBounds::default(),
        lateness: Lateness::Exact,
        exit: Exit::Planned,
        wait_closed: None,
        split: None,
        schedule: Some(Schedule {
            every: Some(Every(jiff::Span::new().days(1))),
            at: jiff::civil::Time::new(0, 15, 0, 0).ok(),
        }),
        destination: MaxComputeTarget {
            connection: MaxComputeConnection {
                endpoint: "https://service.cn-shanghai.maxcompute.aliyun.com/api".to_owned(),
                tunnel_endpoint: None,
                project: "shop".to_owned(),
                schema: Some("sales".to_owned()),
                quota: None,
                region: None,
                block_format: BlockFormat::Arrow,
                compression: Compression::None,
                access_id: None,
                access_secret: None,
                security_token: None,
                profile: None,
                credentials_file: None,
                ca_file: None,
                proxy: None,
            },
            table: crate::TableName {
                project: "shop".to_owned(),
                schema: Some("sales".to_owned()),
                table: "orders".to_owned(),
            },
            partition: crate::PartitionSpec(vec![("ds".to_owned(), "20261122".to_owned())]),
            write: WriteMode::Replace,
        },
        columns: vec![
            mapped("order_id", path("order.id"), None),
            mapped("city", path("user.address.city"), None),
            mapped("first_sku", path("items[0].sku"), None),
            mapped(
                "paid_at",
                path("payment.time"),
                Some(ValueFormat::Epoch(TimeUnit::Ms)),
            ),
            mapped("channel", ColumnSource::Constant("web".to_owned()), None),
            mapped("raw", ColumnSource::Metadata(MetadataField::Value), None),
            mapped(
                "kafka_partition",
                ColumnSource::Metadata(MetadataField::Partition),
                None,
            ),
        ],
        parameters: job.parameters.clone(),
        tombstones: Tombstones::Keep,
        validation: Validation::Full,
        empty_as_null: false,
        rejects: RejectLimit::Count(0),
        on_empty: OnEmpty::Fail,
        on_retention_gap: OnRetentionGap::Auto,
        verify: Verify::None,
        limits: Limits {
            memory_bytes: 96 << 20,
            disk_bytes: Some(50 << 30),
            concurrency: None,
            bandwidth: Bandwidth::default(),
        },
    };
    assert_eq!(*job, expected);
    let parameters: Vec<_> = job
        .parameters
        .iter()
        .map(|(name, value)| (name, value.text()))
        .collect();
    assert_eq!(
        parameters,
        [
            ("startTime", "20261122000000"),
            ("endTime", "20261123000000"),
            ("partition", "20261122")
        ]
    );
    insta::assert_snapshot!(Findings::new(checked.warnings), @"job.yaml:35:11: warning: schedule: this version runs a job when it is told to, and nothing but `tidegate backfill` follows this schedule; have a scheduler call `tidegate run` with `--at`");
}

#[test]
fn substituted_values_are_never_read_again() {
    let tricky = "a: {b: [c]} # ${env.SECRET} ${day}\n- $[yyyymmdd]";
    let text = inline_job(&[(
        "columns: { c: a }",
        "columns: { c: { value: \"${tricky}\" }, d: { value: 0012 }, e: { value: \"${day}\" }, f: { value: no } }\n\
         parameters: { tricky: \"\", day: \"$[yyyymmdd]\" }",
    )]);
    let job = check_with(&text, None, None, &[("tricky", tricky)])
        .unwrap()
        .job;
    let constants: Vec<_> = job
        .columns
        .iter()
        .map(|column| column.source.clone())
        .collect();
    let constant = |text: &str| ColumnSource::Constant(text.to_owned());
    assert_eq!(
        constants,
        [
            constant(tricky),
            constant("0012"),
            constant("20261123"),
            constant("no")
        ]
    );

    let text = inline_job(&[(
        "topic: t }",
        "topic: t, options: { sasl.username: \"${env.TRAP}\" } }",
    )]);
    let job = check(&text).unwrap().job;
    assert_eq!(
        job.source.options["sasl.username"].expose(),
        environment("TRAP").unwrap()
    );
    assert_eq!(job.source.options.len(), 1);
}

#[test]
fn values_set_from_outside_win() {
    let set = [
        ("startTime", "20261101000000"),
        ("partition", "older"),
        ("partition", "old"),
    ];
    let job = check_with(ORDERS, Some(SOURCES), Some("prod"), &set)
        .unwrap()
        .job;
    assert_eq!(
        job.window.to_string(),
        "[2026-10-31T16:00:00Z, 2026-11-22T16:00:00Z)"
    );
    assert_eq!(job.destination.partition.to_string(), "ds=old");
}

#[test]
fn the_identity_is_what_affects_rows() {
    let identity = |job: &str, environment: &str| {
        let checked = check_with(job, Some(SOURCES), Some(environment), &[]).unwrap();
        serde_json::to_string(&checked.job.identity()).unwrap()
    };
    let prod = identity(ORDERS, "prod");
    insta::assert_snapshot!(prod, @r#"{"topics":["orders"],"partitions":null,"format":{"key":"string","payload":"json","payload_compression":"none","key_encoding":"UTF-8","payload_encoding":"UTF-8","header_encoding":"UTF-8","invalid_text":"reject"},"isolation_level":null,"window":{"start_ms":1795276800000,"end_ms":1795363200000},"offsets":{"start":null,"end":null},"group":null,"lateness":"exact","exit":"planned","table":{"project":"shop","schema":"sales","table":"orders"},"partition":[["ds","20261122"]],"write":"replace","columns":[{"column":"order_id","source":{"path":"order.id"},"format":null,"rounding":null},{"column":"city","source":{"path":"user.address.city"},"format":null,"rounding":null},{"column":"first_sku","source":{"path":"items[0].sku"},"format":null,"rounding":null},{"column":"paid_at","source":{"path":"payment.time"},"format":{"epoch":"ms"},"rounding":null},{"column":"channel","source":{"constant":"web"},"format":null,"rounding":null},{"column":"raw","source":{"metadata":"value"},"format":null,"rounding":null},{"column":"kafka_partition","source":{"metadata":"partition"},"format":null,"rounding":null}],"tombstones":"keep","validation":"full","empty_as_null":false,"time_zone":"Asia/Shanghai"}"#);
    let indifferent = ORDERS
        .replace("job: orders_daily", "job: other")
        .replace("    group: tidegate-orders-daily\n", "")
        .replace("rejects: 0", "rejects: 5%")
        .replace("memory: 96MiB", "memory: 64MiB")
        .replace("fetch.max.bytes: \"67108864\"", "fetch.max.bytes: 1");
    assert_eq!(identity(&indifferent, "prod"), prod);
    for (from, to) in [
        ("topic: orders", "topic: orders2"),
        ("key: string", "key: bytes"),
        ("lateness: exact", "lateness: none"),
        ("write: replace", "write: append"),
        ("table: orders", "table: orders2"),
        ("ds: \"${partition}\"", "pt: \"${partition}\""),
        ("startTime: $[yyyymmdd-1]", "startTime: $[yyyymmdd-2]"),
        ("value: web", "value: app"),
        ("format: epoch_ms", "format: epoch_s"),
        ("rejects: 0", "tombstones: skip"),
        ("Asia/Shanghai", "+08:00"),
        (
            "fetch.max.bytes: \"67108864\"",
            "isolation.level: read_uncommitted",
        ),
    ] {
        assert!(ORDERS.contains(from), "{from}");
        assert_ne!(identity(&ORDERS.replace(from, to), "prod"), prod, "{to}");
    }
    assert_ne!(identity(ORDERS, "dev"), prod);
}

#[test]
fn values_other_than_the_defaults_are_read() {
    let text = inline_job(&[
        (
            "topic: t",
            "topic: t, key: long, value: bytes, group: \"${g}\"",
        ),
        ("end: 2026-11-23", "end: 2026-11-23, lateness: none"),
        (
            "table: t",
            "table: t, write: append, quota: q, region: r, tunnel_endpoint: \"http://dt/\", \
             block_format: record, compression: zstd",
        ),
        (
            "columns: { c: a }",
            "columns: { c: { from: __value__ } }\ntombstones: skip\nrejects: 0.25%\non_empty: keep\n\
             on_retention_gap: fail\nlimits: { memory: 33554432, concurrency: 7 }\nparameters: { g: $bizdate }",
        ),
    ]);
    let job = check(&text).unwrap().job;
    assert_eq!(
        (job.source.format.key, &job.source.format.payload),
        (
            PrimitiveType::Long,
            &PayloadType::Primitive(PrimitiveType::Bytes)
        )
    );
    assert_eq!(job.source.group.as_deref(), Some("20261122"));
    assert_eq!(
        (job.lateness, job.tombstones),
        (Lateness::None, Tombstones::Skip)
    );
    assert_eq!(job.rejects, RejectLimit::Share(250_000));
    assert_eq!(
        (job.on_empty, job.on_retention_gap),
        (OnEmpty::Keep, OnRetentionGap::Fail)
    );
    assert_eq!(job.limits.memory_bytes, 32 << 20);
    assert_eq!(job.limits.concurrency.map(std::num::NonZero::get), Some(7));
    let target = &job.destination;
    assert_eq!(
        (target.write, target.partition.is_empty()),
        (WriteMode::Append, true)
    );
    assert_eq!(target.connection.quota.as_deref(), Some("q"));
    assert_eq!(target.connection.region.as_deref(), Some("r"));
    assert_eq!(target.connection.block_format, BlockFormat::Record);
    assert_eq!(target.connection.compression, Compression::Zstd);
    assert_eq!(
        target.connection.tunnel_endpoint.as_deref(),
        Some("http://dt")
    );
}

#[test]
fn a_schedule_that_replaces_a_whole_table_is_a_warning() {
    let scheduled = |table: &str| {
        findings(&[
            ("table: t", table),
            ("columns:", "schedule: { cycle: day }\ncolumns:"),
        ])
    };
    let warning = "schedule: each run would replace the whole table";
    assert!(scheduled("table: t").contains(warning));
    assert!(!scheduled("table: t, write: append").contains(warning));
    assert!(!scheduled("table: t, partition: { ds: x }").contains(warning));
}

#[test]
fn paths_are_explained_in_words() {
    let explained = |path: &str| explain_path(&path.parse().unwrap());
    assert_eq!(explained("b"), "`b` is the field `b`");
    assert_eq!(explained("[3]"), "`[3]` is element 3, counted from 0");
    assert_eq!(
        explained("a.b"),
        "`a.b` is the field `b` within the field `a`; a key that itself holds a dot stands in quotes, as in \
         `['a.b']`"
    );
}

/// Text made of what job files are made of, so that it often gets past the parser.
fn yaml_like() -> impl Strategy<Value = String> {
    let words: Vec<&str> = ORDERS
        .split_inclusive([' ', '\n', ':', '{', '}', ','])
        .chain(SOURCES.split_inclusive([' ', '\n', ':', '{', '}', ',']))
        .chain([
            "\t", "- ", "? ", "&a ", "*a", "!t ", "|\n", ">-\n ", "---\n", "\"", "'", "${", "$[",
            "%", "\u{feff}", "\0", "🦀",
        ])
        .collect();
    proptest::collection::vec(proptest::sample::select(words), 0..60)
        .prop_map(|parts| parts.concat())
}

/// The example with a few characters replaced.
fn damaged() -> impl Strategy<Value = String> {
    let edits = proptest::collection::vec((0..ORDERS.len(), any::<char>()), 1..6);
    edits.prop_map(|edits| {
        let mut text: Vec<char> = ORDERS.chars().collect();
        for (position, c) in edits {
            if let Some(slot) = text.get_mut(position) {
                *slot = c;
            }
        }
        text.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(text in prop_oneof![any::<String>(), yaml_like(), damaged()]) {
        for outcome in [check_with(&text, Some(SOURCES), Some("dev"), &[]), check_with(ORDERS, Some(&text), None, &[])] {
            match outcome {
                Ok(checked) => prop_assert!(checked.job.window.start_ms < checked.job.window.end_ms),
                Err(findings) => {
                    prop_assert!(findings.has_errors());
                    prop_assert!(!findings.to_string().contains("hunter2"));
                }
            }
        }
    }
}
