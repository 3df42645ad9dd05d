//! What runs leave behind for people.

use serde_json::Value;
use tests::embedded::EmbeddedBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::GeneratedMessage;
use tests::produce::produce;
use tests::program::{self, Ended};
use tests::server::ACCESS_SECRET;

const START_MS: i64 = 1_795_276_800_000;

/// A topic with three rows and one message that is no JSON, a table for them, and a job.
struct Scene {
    loader: Loader,
    job: JobFile,
    _broker: EmbeddedBroker,
}

impl Scene {
    fn new() -> Self {
        let broker = EmbeddedBroker::start(2);
        let payloads = ["{\"id\": 1}", "{\"id\": 2}", "{\"id\": ", "{\"id\": 3}"];
        let messages = payloads
            .into_iter()
            .map(|payload| GeneratedMessage::row(0, START_MS, payload));
        produce(&broker.client(), "numbers", messages);
        let loader = Loader::with_table();
        loader
            .server
            .sql("CREATE TABLE numbers (id BIGINT) PARTITIONED BY (ds STRING);");
        let window = START_MS..START_MS + 3_600_000;
        let mut job = JobFile::new(
            broker.bootstrap(),
            "numbers",
            loader.server.endpoint(),
            window,
        );
        "numbers".clone_into(&mut job.table);
        job.columns = vec!["id: id".to_owned()];
        Self {
            loader,
            job,
            _broker: broker,
        }
    }

    /// Runs a command of the program on the scene's state folder.
    fn tidegate(&self, arguments: &[&str]) -> Ended {
        let state = self.loader.state().display().to_string();
        program::run(&[arguments, &["--state", &state]].concat(), ACCESS_SECRET)
    }

    /// Runs the job with `more` at its top level.
    fn run(&mut self, more: &str, flags: &[&str]) -> Ended {
        more.clone_into(&mut self.job.more);
        let job = self.job.write(self.loader.folder.path());
        let job = job.display().to_string();
        let run = ["run", &job, "--at", "2026-11-23T00:15"];
        self.tidegate(&[&run, flags].concat())
    }
}

#[test]
fn a_run_can_be_looked_at_before_and_after_it_is_done() {
    let mut scene = Scene::new();
    let nowhere = scene.tidegate(&["history"]);
    assert_eq!(nowhere.code, Some(1));
    let there = scene.loader.state().try_exists().unwrap();
    assert!(!there, "who only reads makes no folder");

    let failed = scene.run("rejects: 0", &[]);
    assert_eq!(failed.code, Some(1));
    let history = scene.tidegate(&["history", "--json"]).json();
    assert_eq!(history[0]["state"], "failed");
    let error = history[0]["error"].as_str().unwrap();
    assert_eq!(failed.stderr.trim_end(), format!("error: {error}"));
    let report = scene.tidegate(&["report"]);
    assert_eq!(report.code, Some(0), "{report:?}");
    for part in [
        "job     orders_test, run 1\n",
        "state   failed: ",
        "slices  ",
        "tidegate run <job file> --at 2026-11-23T00:15:00+08:00",
    ] {
        assert!(report.stdout.contains(part), "{report:?}");
    }
    let report = scene.tidegate(&["report", "1", "--json"]).json();
    assert_eq!(
        (&report["state"], &report["windows"][0]["phase"]),
        (&Value::from("failed"), &Value::from("loading"))
    );

    let done = scene.run("rejects: 1", &["--json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let kept = scene.tidegate(&["report", "1", "--json"]);
    assert_eq!(kept.stdout, done.stdout);
    let again = scene.run("rejects: 1\nverify: count", &[]);
    assert_eq!(scene.tidegate(&["report"]).stdout, again.stdout);
    let counted = "\ncounted  3 rows by a query after the commit\n";
    assert!(again.stdout.contains(counted), "{again:?}");
    let content = "\ncontent  same rows as run 1 loaded, checksum ";
    assert!(again.stdout.contains(content), "{again:?}");

    let history = scene.tidegate(&["history", "--json"]).json();
    let runs: Vec<_> = history.as_array().unwrap().iter().collect();
    assert_eq!(runs.len(), 2);
    for (run, number) in runs.into_iter().zip([2, 1]) {
        assert_eq!(
            (&run["run"], &run["state"]),
            (&number.into(), &"done".into())
        );
        assert_eq!((&run["rows"], &run["rejected"]), (&3.into(), &1.into()));
        assert!(run["ended_ms"].as_i64() >= run["begun_ms"].as_i64());
    }
    let one = scene.tidegate(&["history", "--limit", "1"]);
    assert!(one.stdout.contains("there are older ones"), "{one:?}");
    let none = scene.tidegate(&["history", "--job", "another"]);
    assert_eq!(none.stdout, "no run was found\n");
    let unknown = scene.tidegate(&["report", "9"]);
    assert_eq!(unknown.code, Some(1));
    assert!(
        unknown.stderr.contains("there are runs 1 to 2"),
        "{unknown:?}"
    );
}
