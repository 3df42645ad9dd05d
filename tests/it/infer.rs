use std::fs;

use engine_model::Column;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::{Value, json};
use tests::embedded::EmbeddedBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::program::{self, Ended};
use tests::server::ACCESS_SECRET;

const TOPIC: &str = "payments";
const MESSAGES: i64 = 900;
/// 2026-11-22T00:00:00+08:00.
const START_MS: i64 = 1_795_276_800_000;
const DAY_MS: i64 = 86_400_000;

/// A topic of payments over a day, on three topic partitions.
struct Scene {
    broker: EmbeddedBroker,
    loader: Loader,
}

impl Scene {
    fn new() -> Self {
        Self::of(MESSAGES, |index| payment(index).to_string())
    }

    /// So many other messages.
    fn of(messages: i64, payload: impl Fn(i64) -> String) -> Self {
        let broker = EmbeddedBroker::start(3);
        let producer: BaseProducer = broker.client().create().unwrap();
        for index in 0..messages {
            let payload = payload(index);
            let partition = i32::try_from(index % 3).unwrap();
            let record = BaseRecord::<(), str>::to(TOPIC)
                .partition(partition)
                .payload(&payload)
                .timestamp(START_MS + index * DAY_MS / messages);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(std::time::Duration::from_secs(30)).unwrap();
        let loader = Loader::with_table();
        loader.server.sql("DROP TABLE IF EXISTS orders");
        Self { broker, loader }
    }

    /// A job with these lines under `columns`.
    fn job(&self, columns: &str) -> JobFile {
        let columns = columns.lines().skip(1).map(|line| line.trim().to_owned());
        JobFile {
            columns: columns.collect(),
            ..JobFile::new(
                self.broker.bootstrap(),
                TOPIC,
                self.loader.server.endpoint(),
                START_MS..START_MS + DAY_MS,
            )
        }
    }

    fn check(&self, job: &JobFile) -> Value {
        let path = job.write(self.loader.folder.path());
        let path = path.display().to_string();
        let at = ["--at", "2026-11-23T00:15", "--json"];
        let arguments = [&["check", &path][..], &at].concat();
        run(&arguments).json()
    }
}

/// What one message says. Every tenth payment has a coupon.
fn payment(index: i64) -> Value {
    let mut payment = json!({
        "paymentId": 1_000 + index,
        "user": { "name": format!("user {index}"), "vip": index % 2 == 0 },
        "amount": 0.25,
        "paid_at": START_MS + index,
        "booked": "2026-11-22T10:00:00.5+08:00",
        "ratio": 1.234_567_89,
        "items": [{ "sku": "a" }, { "sku": "b" }],
        "unit.name": "kg",
    });
    if index % 10 == 0 {
        payment["coupon"] = json!(null);
    }
    payment
}

fn run(arguments: &[&str]) -> Ended {
    program::run(arguments, ACCESS_SECRET)
}

/// The section `columns` and the statement that a sample of the topic comes to.
fn inferred(arguments: &[&str]) -> Value {
    let all = [&["ddl"][..], arguments, &["--infer", "600", "--json"]].concat();
    run(&all).json()
}

/// From a topic to a loaded table with nothing written by hand but the job's connection.
#[test]
fn what_is_inferred_is_a_table_and_a_job_that_loads_all() {
    let scene = Scene::new();
    let brokers = scene.broker.bootstrap().to_owned();
    let by_flags = ["--topic", TOPIC, "--brokers", &brokers, "--no-metadata"];
    let found = inferred(&by_flags);
    let columns: Vec<Column> = serde_json::from_value(found["columns"].clone()).unwrap();
    let mut columns: Vec<String> = columns
        .iter()
        .map(|column| format!("{} {}", column.name, column.column_type))
        .collect();
    let expected = [
        "amount DECIMAL(38,18)",
        "booked DATETIME",
        "coupon STRING",
        "items STRING",
        "paid_at BIGINT",
        "payment_id BIGINT",
        "ratio DOUBLE",
        "unit_name STRING",
        "user_name STRING",
        "user_vip BOOLEAN",
    ];
    columns.sort();
    assert_eq!(columns, expected);
    check_evidence(&found["inferred"]);

    // The same of a job that has no columns yet, with the table's name and keys from there.
    let section = found["job_columns"].as_str().unwrap();
    let job = scene.job(section);
    let path = job.write(scene.loader.folder.path());
    let text = fs::read_to_string(&path).unwrap();
    let begun = text.split("columns:").next().unwrap();
    fs::write(&path, begun).unwrap();
    let path = path.display().to_string();
    let by_job = inferred(&[&path, "--no-metadata"]);
    assert_eq!(
        (&by_job["table"], &by_job["columns"]),
        (&json!("orders"), &found["columns"])
    );
    let statement = by_job["statement"].as_str().unwrap();
    scene.loader.server.sql(statement);
    load_all(&scene, &job);

    let text = run(&["ddl", &path, "--infer", "100"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    for part in [
        "topic   payments, topic partitions: 3",
        "CREATE TABLE IF NOT EXISTS `orders`",
        "\ncolumns:\n",
    ] {
        assert!(text.stdout.contains(part), "{}", text.stdout);
    }
}

fn check_evidence(seen: &Value) {
    assert_eq!(
        (&seen["messages"], &seen["topic_partitions"]),
        (&json!(600), &json!(3))
    );
    let mut columns = seen["columns"].as_array().unwrap().iter();
    let id = columns.find(|column| column["path"] == "paymentId");
    let range = &id.unwrap()["seen"]["integers"];
    assert_eq!(
        *range,
        json!({ "least": 1_000, "greatest": 1_000 + MESSAGES - 1 }),
        "both ends of the logs are seen"
    );
}

/// Every message becomes a row, and no field is left.
fn load_all(scene: &Scene, job: &JobFile) {
    let check = scene.check(job);
    assert!(
        says(
            &check,
            "messages",
            "ok",
            "200 messages of the window were decoded: all become rows"
        ),
        "{check:#}"
    );
    assert!(
        !has(&check, "rejects") && !has(&check, "unmapped"),
        "{check:#}"
    );
    let report = scene.loader.run(job).json();
    assert_eq!(report["windows"][0]["rows"], MESSAGES);
    let fields = &report["unmapped_fields"];
    assert!(
        fields["messages"].as_u64().unwrap() > 0 && fields["fields"] == json!({}),
        "{fields}"
    );
    let sum = "SELECT COUNT(*), MIN(payment_id), MAX(payment_id), SUM(amount) FROM orders WHERE ds = '20261122'";
    let row = scene.loader.server.sql(sum).remove(0);
    let row: Vec<&str> = row.iter().flatten().map(String::as_str).collect();
    assert_eq!(&row[..3], ["900", "1000", "1899"]);
    assert!(row[3].starts_with("225"), "{row:?}");
}

/// A job that someone wrote, with a slip in each line.
#[test]
fn check_and_report_say_what_does_not_fit() {
    let scene = Scene::new();
    let table = "CREATE TABLE orders (id BIGINT, name STRING, sku STRING, amount BIGINT) PARTITIONED BY (ds STRING)";
    scene.loader.server.sql(table);
    let job =
        scene.job("columns:\n id: paymentID\n name: user.nam\n sku: items.sku\n amount: amount");
    let check = scene.check(&job);
    for (status, subject, found) in [
        (
            "ok",
            "messages",
            "200 messages of the window were decoded: 0 become rows",
        ),
        (
            "warning",
            "rejects",
            "200 of 200 messages would be rejected (needs_rounding); the first is offset ",
        ),
        (
            "warning",
            "paths",
            "column \"id\": none of 200 messages has paymentID; did you mean paymentId?",
        ),
        (
            "warning",
            "paths",
            "column \"name\": none of 200 messages has user.nam; did you mean user.name?",
        ),
        (
            "warning",
            "paths",
            "column \"sku\": none of 200 messages has items.sku; did you mean items[0].sku?",
        ),
        (
            "note",
            "unmapped",
            "no column takes these fields of most messages: ['unit.name'], booked, ",
        ),
    ] {
        assert!(says(&check, subject, status, found), "{found}\n{check:#}");
    }
    let unmapped = found(&check, "unmapped").next().unwrap();
    assert!(
        !unmapped.contains("coupon") && unmapped.contains("['unit.name']"),
        "{unmapped}"
    );
    assert_eq!(check["good"], true);

    let job = scene.job("columns:\n id: paymentId\n name: user.name\n sku: items[0].sku");
    let report = scene.loader.run(&job).json();
    let seen = &report["unmapped_fields"];
    let messages = seen["messages"].as_u64().unwrap();
    assert!(messages > 0 && messages < 900, "a sample: {seen}");
    let fields = seen["fields"].as_object().unwrap();
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let expected = [
        "['unit.name']",
        "amount",
        "booked",
        "coupon",
        "paid_at",
        "ratio",
        "user.vip",
    ];
    assert_eq!(names, expected);
    assert_eq!(fields["user.vip"], messages);
    assert!(fields["coupon"].as_u64().unwrap() < messages);
}

/// Payloads of which no job can make more than NULL.
#[test]
fn what_payloads_lack_is_told() {
    let table = "CREATE TABLE orders (a STRING, b STRING) PARTITIONED BY (ds STRING)";
    let mixed = Scene::of(30, |index| match index % 3 {
        0 => "[1]".to_owned(),
        _ => "{\"a\":1,\"b\":2}".to_owned(),
    });
    mixed.loader.server.sql(table);
    let check = mixed.check(&mixed.job("columns:\n a: a\n b: b"));
    let text = "10 of 30 messages hold no JSON object: ";
    assert!(says(&check, "paths", "warning", text), "{check:#}");
    let brokers = mixed.broker.bootstrap();
    let arguments = [
        "ddl",
        "--topic",
        TOPIC,
        "--brokers",
        brokers,
        "--infer",
        "30",
    ];
    let shown = run(&arguments).stdout;
    assert!(
        shown.contains("note: 10 of 30 payloads are no objects"),
        "{shown}"
    );

    let records = Scene::of(30, |index| format!("{index},x"));
    records.loader.server.sql(table);
    let job = JobFile {
        kafka: "value: delimited".to_owned(),
        ..records.job("columns:\n a: \"[1]\"\n b: \"[2]\"")
    };
    let check = records.check(&job);
    let text = "column \"b\": none of 30 messages has a field [2]";
    assert!(says(&check, "paths", "warning", text), "{check:#}");
    assert_eq!(found(&check, "paths").count(), 1, "{check:#}");
}

#[test]
fn an_empty_topic_and_brokers_that_are_not_there_are_told() {
    let broker = EmbeddedBroker::start(1);
    let brokers = broker.bootstrap().to_owned();
    let producer: BaseProducer = broker.client().create().unwrap();
    let wait = std::time::Duration::from_secs(30);
    let asked = producer.client().fetch_metadata(Some("nothing"), wait);
    asked.expect("asking for a topic makes it");
    let infer = |topic: &str, brokers: &str| {
        let arguments = [
            "ddl",
            "--topic",
            topic,
            "--brokers",
            brokers,
            "--infer",
            "10",
        ];
        let ended = run(&arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(1), ""),
            "{ended:?}"
        );
        ended.stderr
    };
    let empty = infer("nothing", &brokers);
    assert!(
        empty.contains("topic \"nothing\" has no messages to look at"),
        "{empty}"
    );
    let nobody = infer("nothing", "127.0.0.1:1");
    assert!(nobody.contains("127.0.0.1:1"), "{nobody}");
}

fn found<'c>(check: &'c Value, subject: &'c str) -> impl Iterator<Item = &'c str> {
    let checks = check["checks"].as_array().unwrap().iter();
    let of_subject = checks.filter(move |check| check["subject"] == subject);
    of_subject.filter_map(|check| check["found"].as_str())
}

fn has(check: &Value, subject: &str) -> bool {
    found(check, subject).next().is_some()
}

fn says(check: &Value, subject: &str, status: &str, text: &str) -> bool {
    let checks = check["checks"].as_array().unwrap().iter();
    let mut fitting =
        checks.filter(|check| check["subject"] == subject && check["status"] == status);
    fitting.any(|check| {
        check["found"]
            .as_str()
            .is_some_and(|found| found.starts_with(text))
    })
}
