//! A table for a topic, and what was seen of its fields.

use engine::model::ddl::{DdlSpec, create_table};
use engine::model::job::columns_section;
use engine::model::{ColumnSource, MetadataField};
use engine::{FieldFigures, Inference, InferredColumn, IntegerRange, KindCounts, TopicSample};
use serde_json::json;

use super::number::{bytes, count};
use super::table::{Columns, cell, pairs};

/// Fields without a column that are named.
const FIELDS_NAMED_MAX: usize = 20;

/// A sample and the columns that it proposes.
pub(crate) struct Inferred {
    pub(crate) sample: TopicSample,
    pub(crate) inference: Inference,
}

/// The statement; with a sample, its fields before it, and after it the columns as a job maps them.
pub(crate) fn text(spec: &DdlSpec, inferred: Option<&Inferred>) -> String {
    let statement = create_table(spec);
    let Some(inferred) = inferred else {
        return statement;
    };
    let mut parts = vec![header(&inferred.sample), evidence(inferred)];
    parts.extend(left_out(inferred));
    parts.push(statement);
    parts.push(section(spec, inferred));
    parts.join("\n\n")
}

/// The table with its statement; with a sample, `inferred` and the section `columns` of a job.
pub(crate) fn document(spec: &DdlSpec, inferred: Option<&Inferred>) -> serde_json::Result<String> {
    let mut document = json!({
        "table": spec.table,
        "columns": spec.columns,
        "partition_keys": spec.partition_keys,
        "lifecycle_days": spec.lifecycle_days,
        "statement": create_table(spec),
    });
    if let Some(inferred) = inferred {
        let Inferred { sample, inference } = inferred;
        let columns = inference.columns.iter().map(|inferred| {
            json!({
                "column": inferred.column.name,
                "type": inferred.column.column_type,
                "path": inferred.path,
                "evidence": inferred.evidence,
                "seen": inferred.figures,
            })
        });
        document["inferred"] = json!({
            "topic": sample.topic,
            "topic_partitions": sample.topic_partitions,
            "messages": sample.messages,
            "tombstones": sample.tombstones,
            "unreadable": sample.payloads.unreadable(),
            "cut": sample.payloads.is_cut(),
            "columns": columns.collect::<Vec<_>>(),
            "left_out": inference.left_out,
        });
        document["job_columns"] = json!(section(spec, inferred));
    }
    serde_json::to_string_pretty(&document)
}

/// What was read.
fn header(sample: &TopicSample) -> String {
    let read = format!(
        "{} messages from the start, the middle and the end of the logs",
        count(sample.messages)
    );
    let others = [
        (sample.tombstones, "without a payload"),
        (sample.payloads.unreadable(), "not JSON"),
    ];
    let others = others.into_iter().filter(|(messages, _)| *messages > 0);
    let others = others.map(|(messages, which)| format!("{} {which}", count(messages)));
    let read: Vec<String> = std::iter::once(read).chain(others).collect();
    let partitions = count(sample.topic_partitions as u64);
    pairs(&[
        (
            "topic",
            [format!("{}, topic partitions: {partitions}", sample.topic)],
        ),
        ("sample", [read.join(", ")]),
    ])
}

/// A line for each column: what was seen of its field, and what follows from it.
fn evidence(inferred: &Inferred) -> String {
    let payloads = &inferred.sample.payloads;
    let readable = payloads.readable();
    let mut columns = Columns::new(&[
        "path", "present>", "kinds", "range", "longest>", "column", "type", "because",
    ]);
    for InferredColumn {
        column,
        path,
        figures,
        evidence,
    } in &inferred.inference.columns
    {
        columns.row([
            path.to_string(),
            share(figures.messages, readable),
            kinds(&figures.kinds),
            range(figures),
            longest(figures),
            column.name.clone(),
            column.column_type.to_string(),
            evidence.clone(),
        ]);
    }
    columns.text()
}

/// `98.7%`; all of it is `100%` and nothing else is.
fn share(messages: u64, of: u64) -> String {
    if messages >= of {
        return "100%".to_owned();
    }
    // Tenths of a percent, rounded down.
    let tenths = u128::from(messages) * 1_000 / u128::from(of);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// The only kind, or each with its count.
fn kinds(kinds: &KindCounts) -> String {
    let seen: Vec<_> = kinds
        .named()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .collect();
    match seen.as_slice() {
        [(name, _)] => (*name).to_owned(),
        several => {
            let several = several
                .iter()
                .map(|(name, seen)| format!("{name} {}", count(*seen)));
            several.collect::<Vec<_>>().join(", ")
        }
    }
}

fn range(figures: &FieldFigures) -> String {
    let kinds = &figures.kinds;
    if kinds.fractions > 0 {
        let (before, after) = (figures.digits_before_point, figures.digits_after_point);
        return format!("{before}.{after} digits");
    }
    if let Some(IntegerRange { least, greatest }) = figures.integers {
        return format!("{least} to {greatest}");
    }
    if kinds.arrays > 0 {
        return format!("up to {} elements", count(figures.elements_max));
    }
    String::new()
}

fn longest(figures: &FieldFigures) -> String {
    if figures.kinds.strings == 0 {
        return String::new();
    }
    bytes(figures.string_bytes_max)
}

/// Fields that have no column, and what a bound of the sample hid.
fn left_out(inferred: &Inferred) -> Option<String> {
    let mut lines = Vec::new();
    let fields = &inferred.inference.left_out;
    if !fields.is_empty() {
        let (named, more) = fields.split_at(fields.len().min(FIELDS_NAMED_MAX));
        let named: Vec<String> = named.iter().map(|path| cell(path)).collect();
        let more = match more.len() {
            0 => String::new(),
            more => format!(" and {} more", count(more as u64)),
        };
        lines.push(format!(
            "note: without a column, for a job can't name them or the table is full: {}{more}",
            named.join(", ")
        ));
    }
    let payloads = &inferred.sample.payloads;
    if payloads.without_fields() > 0 {
        lines.push(format!(
            "note: {} of {} payloads are no objects, and have NULL in the columns of fields",
            count(payloads.without_fields()),
            count(payloads.readable()),
        ));
    }
    if payloads.is_cut() {
        lines.push(
            "note: messages have more fields, longer keys or more levels than a sample keeps"
                .to_owned(),
        );
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The section `columns` of a job that fills the inferred columns and those of the message itself.
fn section(spec: &DdlSpec, inferred: &Inferred) -> String {
    let fields = inferred.inference.columns.iter();
    let mut columns: Vec<(&str, ColumnSource)> = fields
        .map(|inferred| {
            (
                inferred.column.name.as_str(),
                ColumnSource::Path(inferred.path.clone()),
            )
        })
        .collect();
    columns.extend(spec.columns.iter().filter_map(|column| {
        let field = MetadataField::from_name(&column.name)?;
        Some((column.name.as_str(), ColumnSource::Metadata(field)))
    }));
    columns_section(columns.iter().map(|(name, source)| (*name, source)))
}

#[cfg(test)]
mod tests {
    use engine::PayloadSample;
    use engine::model::MessageFormat;
    use engine::model::job::{JobSpec, Setting};
    use engine::model::params::ScheduledTime;
    use jiff::tz::TimeZone;

    use super::*;

    fn inferred() -> (DdlSpec, Inferred) {
        let mut payloads = PayloadSample::new(&MessageFormat::default(), &TimeZone::UTC);
        payloads.observe(br#"{"order":{"id":1001,"at":"2026-11-22 10:00:00"},"tags":["a","b"],"price":9.50,"${x}":1}"#);
        payloads.observe(
            br#"{"order":{"id":7,"at":null},"tags":[],"price":12,"unit.name":"kg","no":true}"#,
        );
        payloads.observe(b"no JSON");
        let sample = TopicSample {
            topic: "orders".to_owned(),
            topic_partitions: 3,
            messages: 4,
            tombstones: 1,
            payloads,
        };
        let inference = sample.payloads.infer(["ds"], 100);
        let mut spec = DdlSpec::for_topic("orders");
        spec.columns = inference
            .columns
            .iter()
            .map(|column| column.column.clone())
            .collect();
        spec.columns
            .extend(DdlSpec::for_topic("orders").columns.into_iter().take(1));
        (spec, Inferred { sample, inference })
    }

    #[test]
    fn evidence_comes_before_the_statement_and_the_jobs_columns_after_it() {
        let (spec, inferred) = inferred();
        insta::assert_snapshot!(text(&spec, Some(&inferred)), @r#"
            topic   orders, topic partitions: 3
            sample  4 messages from the start, the middle and the end of the logs, 1 without a payload, 1 not JSON

            path           present  kinds                  range             longest  column     type            because
            order.id          100%  integer                7 to 1001                  order_id   BIGINT          all integers
            order.at          100%  string 1, null 1                            19 B  order_at   DATETIME        all instants to the ms, read in the job's time zone where there is no offset
            tags              100%  array                  up to 2 elements           tags       STRING          an array, as JSON
            price             100%  integer 1, fraction 1  2.2 digits                 price      DECIMAL(38,18)  digits before and after the point: 2 and 2
            ['unit.name']    50.0%  string                                       2 B  unit_name  STRING          strings
            no               50.0%  boolean                                           no         BOOLEAN         all booleans

            note: without a column, for a job can't name them or the table is full: ${x}

            CREATE TABLE IF NOT EXISTS `orders` (
              `order_id`  BIGINT,
              `order_at`  DATETIME,
              `tags`      STRING,
              `price`     DECIMAL(38,18),
              `unit_name` STRING,
              `no`        BOOLEAN,
              `__key__`   STRING COMMENT 'The key of the Kafka message'
            )
            PARTITIONED BY (`ds` STRING)
            LIFECYCLE 36500;

            columns:
              order_id: order.id
              order_at: order.at
              tags: tags
              price: price
              unit_name: "['unit.name']"
              "no": "no"
              __key__: __key__
            "#);
        assert_eq!(text(&spec, None), create_table(&spec));
    }

    #[test]
    fn programs_get_the_same() {
        let (spec, inferred) = inferred();
        let document: serde_json::Value =
            serde_json::from_str(&document(&spec, Some(&inferred)).unwrap()).unwrap();
        let seen = &document["inferred"];
        assert_eq!(
            (&seen["messages"], &seen["unreadable"]),
            (&json!(4), &json!(1))
        );
        assert_eq!(seen["left_out"], json!(["${x}"]));
        let id = &seen["columns"][0];
        assert_eq!(
            (&id["path"], &id["type"]),
            (&json!("order.id"), &json!("BIGINT"))
        );
        assert_eq!(
            id["seen"]["integers"],
            json!({ "least": 7, "greatest": 1001 })
        );
        assert_eq!(document["statement"], json!(create_table(&spec)));
        assert!(
            document["job_columns"]
                .as_str()
                .unwrap()
                .starts_with("columns:\n  order_id: order.id\n")
        );
    }

    #[test]
    fn a_job_takes_the_columns_as_they_are_printed() {
        let (spec, inferred) = inferred();
        let job = format!(
            "job: j\ntime_zone: UTC\nsource: {{ kafka: {{ brokers: [h], topic: orders }} }}\n\
             window: {{ start: \"20261122\", end: \"20261123\" }}\ndestination: {{ maxcompute: {{ endpoint: \
             \"http://h/api\", project: p, table: orders, partition: {{ ds: \"20261122\" }} }} }}\n{}",
            section(&spec, &inferred),
        );
        let setting = Setting {
            scheduled_time: &ScheduledTime::parse("2026-11-23T00:15", &TimeZone::UTC).unwrap(),
            environment: None,
            sources: None,
            overrides: &[],
            env: &|_| None,
            default_time_zone: &TimeZone::UTC,
        };
        let checked = JobSpec::parse("j.yaml", &job).unwrap().check(&setting);
        let columns = checked
            .unwrap_or_else(|findings| panic!("{findings}\n{job}"))
            .job
            .columns;
        let names: Vec<&str> = columns
            .iter()
            .map(|mapping| mapping.column.as_str())
            .collect();
        let expected: Vec<&str> = spec
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn shares_are_rounded_down() {
        assert_eq!(share(2, 3), "66.6%");
        assert_eq!(share(9_999, 10_000), "99.9%");
        assert_eq!(
            (share(3, 3), share(0, 0)),
            ("100%".to_owned(), "100%".to_owned())
        );
    }
}
