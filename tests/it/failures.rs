use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tests::broker::KafkaBroker;
use tests::disk::SmallDisk;
use tests::job::{JobFile, table_ddl};
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::program::{self, Ended};
use tests::server::{ACCESS_SECRET, Server};
use tests::skip::skipped;

/// A wrong setting must be told within this time.
const TOLD_WITHIN: Duration = Duration::from_secs(15);

/// A topic, a server whose table holds one row, and a job that would load one into the other.
struct Scene {
    job: JobFile,
    server: Server,
    folder: TempDir,
}

impl Scene {
    fn new(topic: &str, messages: u64) -> Self {
        let broker = KafkaBroker::shared();
        broker.create_topic(topic, 2, &[]);
        let plan = MessagePlan {
            partitions: 2,
            malformed_per_mille: 0,
            ..MessagePlan::new(7, messages)
        };
        produce(&broker.client(), topic, plan.messages());
        let server = Server::start();
        server.sql(&table_ddl("orders", &["ds"]));
        let window = plan.start_ms..plan.start_ms + plan.span_ms / 2;
        let job = JobFile::new(broker.bootstrap(), topic, server.endpoint(), window);
        let scene = Self {
            job,
            server,
            folder: tempfile::tempdir().unwrap(),
        };
        let (loaded, _) = scene.run(&scene.job, ACCESS_SECRET, &scene.state());
        loaded.json();
        scene
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    fn run(&self, job: &JobFile, secret: &str, state: &Path) -> (Ended, Duration) {
        let job = job.write(self.folder.path());
        let arguments = [
            "run",
            job.to_str().unwrap(),
            "--at",
            "2026-11-23T00:15",
            "--state",
            state.to_str().unwrap(),
            "--allow-open-window",
            "--json",
        ];
        let started = Instant::now();
        let ended = program::run(&arguments, secret);
        (ended, started.elapsed())
    }

    /// The run fails in time, names what is wrong, and leaves the table as it was.
    #[track_caller]
    fn assert_refused(&self, job: &JobFile, secret: &str, names: &[&str]) {
        let before = self.server.count("orders", "");
        assert!(before > 0);
        let (ended, took) = self.run(job, secret, &self.state());
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        let said = format!("{}{}", ended.stdout, ended.stderr);
        for name in names {
            assert!(said.contains(name), "{name:?} is missing in {said}");
        }
        assert!(!said.contains(ACCESS_SECRET), "the secret is in {said}");
        assert!(took < TOLD_WITHIN, "it took {took:?}: {said}");
        assert_eq!(
            self.server.count("orders", ""),
            before,
            "no row of the table changed"
        );
    }
}

#[test]
fn what_is_wrong_is_named_in_time_and_changes_nothing() {
    let topic = "what_is_wrong_is_named_in_time_and_changes_nothing";
    let scene = Scene::new(topic, 2_000);
    let job = &scene.job;
    let changed = |change: &dyn Fn(&mut JobFile)| {
        let mut job = job.clone();
        change(&mut job);
        job
    };

    let broker = changed(&|job| "127.0.0.1:1".clone_into(&mut job.bootstrap));
    scene.assert_refused(&broker, ACCESS_SECRET, &["127.0.0.1:1"]);
    let topic = changed(&|job| "no-such-topic".clone_into(&mut job.topic));
    scene.assert_refused(&topic, ACCESS_SECRET, &["no-such-topic"]);
    let table = changed(&|job| "no_such_table".clone_into(&mut job.table));
    scene.assert_refused(&table, ACCESS_SECRET, &["no_such_table"]);
    let column = changed(&|job| job.columns.push("no_such_column: order.extra".to_owned()));
    scene.assert_refused(&column, ACCESS_SECRET, &["no_such_column"]);
    let key = changed(&|job| "{ dt: \"20261122\" }".clone_into(&mut job.partition));
    scene.assert_refused(&key, ACCESS_SECRET, &["dt", "ds"]);
    let endpoint = changed(&|job| "http://127.0.0.1:1/api".clone_into(&mut job.endpoint));
    scene.assert_refused(&endpoint, ACCESS_SECRET, &["127.0.0.1:1"]);
    scene.assert_refused(job, "another secret", &["credentials"]);
}

#[test]
fn check_finds_the_same_and_says_what_is_good() {
    let scene = Scene::new("check_finds_the_same_and_says_what_is_good", 500);
    let check = |job: &JobFile| {
        let path = job.write(scene.folder.path());
        program::run(&["check", path.to_str().unwrap(), "--json"], ACCESS_SECRET)
    };
    let good = check(&scene.job).json();
    let subjects: Vec<_> = good["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["subject"].as_str().unwrap())
        .collect();
    for subject in [
        "brokers",
        "topic",
        "timestamps",
        "project",
        "table",
        "mapping",
        "target",
        "upload",
        "window",
    ] {
        assert!(
            subjects.contains(&subject),
            "{subject} is missing in {subjects:?}"
        );
    }

    let mut wrong = scene.job.clone();
    "no-such-topic".clone_into(&mut wrong.topic);
    "no_such_table".clone_into(&mut wrong.table);
    let bad = check(&wrong);
    assert_eq!(bad.code, Some(1), "{bad:#?}");
    assert!(
        bad.stdout.contains("no-such-topic") && bad.stdout.contains("no_such_table"),
        "both at once: {bad:#?}"
    );
}

#[test]
fn a_full_staging_disk_is_named_in_time_and_changes_nothing() {
    let Some(disk) = SmallDisk::mount("2m") else {
        skipped(
            "this machine lets nobody mount a tmpfs; only the simulated full disk of engine/load/tests was tried",
        );
        return;
    };
    let scene = Scene::new(
        "a_full_staging_disk_is_named_in_time_and_changes_nothing",
        80_000,
    );
    let before = scene.server.count("orders", "");
    let (ended, took) = scene.run(&scene.job, ACCESS_SECRET, disk.path());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(
        said.contains(disk.path().to_str().unwrap()) && said.contains("free space there"),
        "{said}"
    );
    assert!(took < TOLD_WITHIN, "it took {took:?}: {said}");
    assert_eq!(
        scene.server.count("orders", ""),
        before,
        "no row of the table changed"
    );
}
