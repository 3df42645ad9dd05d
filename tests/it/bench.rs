//! What `bench` says, and what it leaves.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::embedded::EmbeddedBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::program::{self, Ended};
use tests::server::ACCESS_SECRET;

const MESSAGES: u64 = 20_000;

/// A topic of orders with some that are no JSON, a table for them, and a job that allows none of these.
struct Scene {
    broker: EmbeddedBroker,
    loader: Loader,
    window: std::ops::Range<i64>,
}

impl Scene {
    fn new() -> Self {
        let broker = EmbeddedBroker::start(4);
        let plan = MessagePlan {
            partitions: 4,
            malformed_per_mille: 1,
            ..MessagePlan::new(20_261_128, MESSAGES)
        };
        produce(&broker.client(), "orders", plan.messages());
        Self {
            broker,
            loader: Loader::with_table(),
            window: plan.start_ms..plan.start_ms + plan.span_ms,
        }
    }

    /// The arguments that bench the job with `more` keys of its destination.
    fn arguments(&self, more: &str, flags: &[&str]) -> Vec<String> {
        let endpoint = self.loader.server.endpoint();
        let window = self.window.clone();
        let job = JobFile {
            maxcompute: more.to_owned(),
            ..JobFile::new(self.broker.bootstrap(), "orders", endpoint, window)
        };
        let job = job.write(self.loader.folder.path()).display().to_string();
        let state = self.loader.state().display().to_string();
        let words = ["bench", &job, "--at", "2026-11-23", "--state", &state];
        let words = words.iter().chain(flags);
        words.map(|word| (*word).to_owned()).collect()
    }

    fn bench(&self, more: &str, flags: &[&str]) -> Ended {
        let arguments = self.arguments(more, flags);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        program::run(&arguments, ACCESS_SECRET)
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(self.loader.server.count("orders", ""), 0);
        let left = std::fs::read_dir(self.loader.state()).unwrap();
        assert_eq!(left.count(), 0, "no journal, no lock, no staged file");
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

#[test]
fn a_bench_measures_all_steps_and_loads_nothing() {
    let scene = Scene::new();
    let report = scene.bench("", &["--json"]).json();
    assert_eq!(report["offsets_measured"], MESSAGES);
    let steps = report["steps"].as_array().unwrap();
    let names: Vec<_> = steps
        .iter()
        .map(|step| step["step"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["read", "decode", "stage", "upload"]);
    for step in steps {
        assert_eq!(step["messages"], MESSAGES, "{step}");
        assert!(number(&step["cpu_seconds"]) > 0.0, "{step}");
        assert!(number(&step["memory_bytes_peak"]) > 1e6, "{step}");
    }
    let [_, _, stage, upload] = &steps[..] else {
        panic!("{report}");
    };
    let became = number(&upload["rows"]) + number(&upload["rejected"]);
    assert!(
        (became - number(&upload["messages"])).abs() < 0.5,
        "{upload}"
    );
    assert!(number(&upload["rejected"]) > 0.0, "{upload}");
    assert!(
        number(&stage["bytes_staged"]) > 0.0 && stage["bytes_sent"] == 0,
        "{stage}"
    );
    assert!(!report["advice"].as_array().unwrap().is_empty());
    scene.assert_untouched();

    let sent = number(&upload["bytes_sent"]);
    let compressed = scene.bench("compression: zstd", &["--json"]).json();
    assert!(
        number(&compressed["steps"][3]["bytes_sent"]) < sent / 2.0,
        "{compressed}"
    );
    let part = scene.bench("", &["--messages", "4000", "--repetitions", "3"]);
    assert_eq!(part.code, Some(0), "{part:?}");
    for words in [
        "4,000 of 20,000 offsets",
        "the median of 3 times",
        "\n+ decode ",
    ] {
        assert!(part.stdout.contains(words), "{part:?}");
    }
    scene.assert_untouched();
}

#[test]
fn a_signal_stops_a_bench_which_leaves_nothing() {
    let scene = Scene::new();
    let arguments = scene.arguments("", &["--repetitions", "1000"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut bench = program::start(&arguments, ACCESS_SECRET);
    let folder = scene.loader.state().join("bench");
    let has_files =
        |folder: &Path| std::fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    while !has_files(&folder) {
        assert_eq!(bench.try_wait().unwrap(), None, "it goes on");
        std::thread::yield_now();
    }
    let second = scene.bench("", &[]);
    assert!(
        second.stderr.contains("another bench uses the folder"),
        "{second:?}"
    );
    kill_process(Pid::from_child(&bench), Signal::INT).unwrap();
    let asked = std::time::Instant::now();
    let stopped = Ended::from(bench.wait_with_output().unwrap());
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(stopped.code, Some(1), "{stopped:?}");
    assert!(
        stopped
            .stderr
            .contains("a bench loads nothing and keeps nothing"),
        "{stopped:?}"
    );
    scene.assert_untouched();
}
