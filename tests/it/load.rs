use serde_json::Value;
use tests::broker::KafkaBroker;
use tests::job::{JobFile, table_ddl};
use tests::loader::Loader;
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::truth::TopicTruth;

const HOUR_MS: i64 = 3_600_000;

/// 26 hours of orders on four topic partitions of a real broker, and a job that loads the middle 24.
struct Scene {
    job: JobFile,
    loader: Loader,
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
        let loader = Loader::with_table();
        let endpoint = loader.server.endpoint();
        let job = JobFile {
            more: "rejects: 1%".to_owned(),
            ..JobFile::new(broker.bootstrap(), topic, endpoint, window)
        };
        Self { job, loader }
    }

    fn truth(&self) -> TopicTruth {
        self.loader
            .topic_truth(&self.job, KafkaBroker::shared().bootstrap())
    }
}

/// The report's ledger says of every topic partition what the judge counted.
#[track_caller]
pub(super) fn assert_ledger(report: &Value, truth: &TopicTruth) {
    let ledger = report["ledger"].as_array().unwrap();
    assert_eq!(ledger.len(), truth.partitions.len());
    for entry in ledger {
        let number = i32::try_from(entry["partition"].as_i64().unwrap()).unwrap();
        let expected = &truth.partitions[&number];
        let window = &entry["windows"]["0"];
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
    let report = scene.loader.run(&scene.job).json();
    let truth = scene.truth();
    assert_eq!(
        scene.loader.table_truth(Some("ds=20261122")),
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

fn kill_and_resume(topic: &str, messages: u64) {
    let mut scene = Scene::new(topic, messages);
    scene.job.more.push_str("\nlimits: { concurrency: 1 }");
    let Scene { job, loader } = &scene;
    let mut run = loader.start(job);
    loader.wait_for_slices(&mut run, 2);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(
        loader.server.count("orders", ""),
        0,
        "a killed run shows nothing"
    );

    let report = loader.run(job).json();
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
        scene.loader.table_truth(Some("ds=20261122")),
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
        scene.loader.server.sql("DROP TABLE IF EXISTS orders");
        scene.loader.server.sql(&table_ddl("orders", keys));
        let job = JobFile {
            partition: levels.to_owned(),
            ..scene.job.clone()
        };
        scene.loader.run(&job).json();
        assert_eq!(scene.loader.table_truth(partition), truth.table, "{keys:?}");
    }
}
