use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::broker::KafkaBroker;
use tests::job::{JobFile, table_ddl, write_mapping};
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::program::{self, Ended};
use tests::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server};
use tests::truth::{TableRequest, TableTruth, TopicRequest, TopicTruth, table_truth, topic_truth};

const HOUR_MS: i64 = 3_600_000;

/// 26 hours of orders on four topic partitions of a real broker, and a server to load the middle 24 into.
struct Scene {
    topic: String,
    window: Range<i64>,
    server: Server,
    folder: TempDir,
}

impl Scene {
    fn new(topic: &str, messages: u64) -> Self {
        let broker = KafkaBroker::shared();
        broker.create_topic(topic, 4, &[]);
        let plan = MessagePlan {
            partitions: 4,
            span_ms: 26 * HOUR_MS,
            tombstones_per_mille: 2,
            malformed_per_mille: 1,
            ..MessagePlan::new(20_261_122, messages)
        };
        produce(&broker.client(), topic, plan.messages());
        let window = plan.start_ms + HOUR_MS..plan.start_ms + 25 * HOUR_MS;
        let server = Server::start();
        Self {
            topic: topic.to_owned(),
            window,
            server,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn job(&self) -> JobFile {
        let bootstrap = KafkaBroker::shared().bootstrap();
        JobFile {
            more: "rejects: 1%".to_owned(),
            ..JobFile::new(
                bootstrap,
                &self.topic,
                self.server.endpoint(),
                self.window.clone(),
            )
        }
    }

    fn arguments<'a>(job: &'a str, state: &'a str) -> Vec<&'a str> {
        vec![
            "run",
            job,
            "--at",
            "2026-11-23T00:15",
            "--state",
            state,
            "--allow-open-window",
            "--json",
        ]
    }

    fn run(&self, job: &Path) -> Ended {
        let state = self.folder.path().join("state");
        program::run(
            &Self::arguments(job.to_str().unwrap(), state.to_str().unwrap()),
            ACCESS_SECRET,
        )
    }

    fn truth(&self) -> TopicTruth {
        topic_truth(&TopicRequest {
            bootstrap: KafkaBroker::shared().bootstrap(),
            topic: &self.topic,
            mapping: &write_mapping(self.folder.path()),
            window: self.window.clone(),
            zone: "Asia/Shanghai",
            keep_tombstones: true,
        })
    }

    fn table(&self, partition: Option<&str>) -> TableTruth {
        table_truth(&TableRequest {
            endpoint: self.server.endpoint(),
            project: PROJECT,
            access_id: ACCESS_ID,
            access_secret: ACCESS_SECRET,
            table: "orders",
            partition,
            records: false,
        })
    }
}

/// The report's ledger says of every topic partition what the judge counted.
#[track_caller]
fn assert_ledger(report: &Value, truth: &TopicTruth) {
    let ledger = report["ledger"].as_array().unwrap();
    assert_eq!(ledger.len(), truth.partitions.len());
    for entry in ledger {
        let number = i32::try_from(entry["partition"].as_i64().unwrap()).unwrap();
        let expected = &truth.partitions[&number];
        let window = &entry["windows"][0];
        assert_eq!(window["rows"], expected.rows, "{entry}");
        assert_eq!(window["rejected"], expected.rejected, "{entry}");
        assert_eq!(window["tombstones_kept"], expected.tombstones, "{entry}");
        assert_eq!(entry["holes"], 0, "{entry}");
        let outside =
            entry["outside_before"].as_u64().unwrap() + entry["outside_after"].as_u64().unwrap();
        assert_eq!(entry["planned"], expected.in_window + outside, "{entry}");
    }
}

fn load_and_compare(topic: &str, messages: u64) {
    let scene = Scene::new(topic, messages);
    scene.server.sql(&table_ddl("orders", &["ds"]));
    let ended = scene.run(&scene.job().write(scene.folder.path()));
    let report = ended.json();
    let truth = scene.truth();
    assert_eq!(
        scene.table(Some("ds=20261122")),
        truth.table,
        "every column of every row"
    );
    assert_ledger(&report, &truth);
    assert!(
        truth.table.rows > messages / 2 && truth.rejects.values().sum::<u64>() > 0,
        "{truth:#?}"
    );
}

#[test]
fn a_day_on_a_real_broker_equals_the_truth() {
    load_and_compare("a_day_on_a_real_broker_equals_the_truth", 100_000);
}

/// At least 1 GiB of payloads.
#[test]
#[ignore = "takes minutes; tests/run --long"]
fn a_gibibyte_on_a_real_broker_equals_the_truth() {
    load_and_compare("a_gibibyte_on_a_real_broker_equals_the_truth", 1_600_000);
}

/// Kills a run of one lane once its second slice is staged: the first one is in the journal by then.
fn kill_midway(scene: &Scene, job: &Path) {
    let state = scene.folder.path().join("state");
    let arguments = Scene::arguments(job.to_str().unwrap(), state.to_str().unwrap());
    let mut child = program::start(&arguments, ACCESS_SECRET);
    let staging = state.join("staging");
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let staged = std::fs::read_dir(&staging).map_or(0, |files| {
            let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
            names.filter(|name| name.ends_with("-rows.parquet")).count()
        });
        if staged >= 2 {
            break;
        }
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be killed"
        );
        assert!(
            Instant::now() < deadline,
            "nothing was staged in two minutes"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn kill_and_resume(topic: &str, messages: u64) {
    let scene = Scene::new(topic, messages);
    scene.server.sql(&table_ddl("orders", &["ds"]));
    let mut job = scene.job();
    job.more.push_str("\nlimits: { concurrency: 1 }");
    let job = job.write(scene.folder.path());
    kill_midway(&scene, &job);
    assert_eq!(
        scene.server.count("orders", ""),
        0,
        "a killed run shows nothing"
    );

    let report = scene.run(&job).json();
    let slices = &report["slices"];
    assert_eq!(report["resumed"], true);
    assert!(
        slices["kept"].as_u64().unwrap() > 0,
        "staged slices are not read again: {slices}"
    );
    let (kept, read) = (
        slices["kept"].as_u64().unwrap(),
        slices["read"].as_u64().unwrap(),
    );
    assert_eq!(slices["planned"], kept + read);
    let truth = scene.truth();
    assert_eq!(
        scene.table(Some("ds=20261122")),
        truth.table,
        "every column of every row"
    );
    assert_ledger(&report, &truth);
}

#[test]
fn a_killed_run_goes_on_and_equals_the_truth() {
    kill_and_resume("a_killed_run_goes_on_and_equals_the_truth", 150_000);
}

#[test]
#[ignore = "takes minutes; tests/run --long"]
fn a_killed_run_of_a_gibibyte_goes_on_and_equals_the_truth() {
    kill_and_resume(
        "a_killed_run_of_a_gibibyte_goes_on_and_equals_the_truth",
        1_600_000,
    );
}

#[test]
fn tables_with_no_one_and_three_partition_keys_get_the_same_rows() {
    let scene = Scene::new("tables_with_no_one_and_three_partition_keys", 3_000);
    let truth = scene.truth();
    let shapes: [(&[&str], &str, Option<&str>); 3] = [
        (&[], "", None),
        (&["ds"], "{ ds: \"20261122\" }", Some("ds=20261122")),
        (
            &["region", "ds", "hh"],
            "{ ds: \"20261122\", hh: \"00\", region: cn }",
            Some("region=cn,ds=20261122,hh=00"),
        ),
    ];
    for (keys, levels, partition) in shapes {
        scene.server.sql("DROP TABLE IF EXISTS orders");
        scene.server.sql(&table_ddl("orders", keys));
        let job = JobFile {
            partition: levels.to_owned(),
            ..scene.job()
        }
        .write(scene.folder.path());
        scene.run(&job).json();
        assert_eq!(scene.table(partition), truth.table, "{keys:?}");
    }
}
