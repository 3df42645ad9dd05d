//! Logs that are out of order, many windows in one pass, parts of a window, and bounds that are offsets.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tests::broker::KafkaBroker;
use tests::messages::GeneratedMessage;
use tests::produce::produce;
use tests::program::{self, Ended, SECRET_VARIABLE};
use tests::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server};

/// 2022-10-01 in Shanghai.
const START_MS: i64 = 1_664_553_600_000;
const DAY_MS: i64 = 86_400_000;
/// Messages of each day in one topic partition: a few days are more than is read without a look.
const PER_DAY: i64 = 6_000;

/// A topic whose messages hold their own number, and a table for them.
struct Scene {
    topic: &'static str,
    /// The timestamps of each topic partition.
    stamps: Vec<Vec<i64>>,
    server: Server,
    folder: TempDir,
}

impl Scene {
    fn new(topic: &'static str, stamps: &[Vec<i64>]) -> Self {
        let broker = KafkaBroker::shared();
        broker.create_topic(topic, i32::try_from(stamps.len()).unwrap(), &[]);
        let server = Server::start();
        for table in ["events", "single"] {
            server.sql(&format!(
                "CREATE TABLE {table} (id BIGINT, at BIGINT) PARTITIONED BY (ds STRING, hh STRING);"
            ));
        }
        let mut scene = Self {
            topic,
            stamps: vec![Vec::new(); stamps.len()],
            server,
            folder: tempfile::tempdir().unwrap(),
        };
        scene.write(stamps);
        scene
    }

    /// Writes messages with these timestamps to each topic partition, behind those that are there.
    fn write(&mut self, stamps: &[Vec<i64>]) {
        let mut messages = Vec::new();
        for (partition, (written, stamps)) in (0..).zip(self.stamps.iter_mut().zip(stamps)) {
            let offset = i64::try_from(written.len()).unwrap();
            messages.extend((offset..).zip(stamps).map(|(offset, stamp)| {
                GeneratedMessage::row(
                    partition,
                    *stamp,
                    format!("{{\"id\":{}}}", id(partition, offset)),
                )
            }));
            written.extend(stamps);
        }
        produce(&KafkaBroker::shared().client(), self.topic, messages);
    }

    /// Writes the daily job with these keys of `window` instead of others.
    fn job(&self, table: &str, window: &str, hour: &str) -> PathBuf {
        let text = format!(
            "job: events
time_zone: Asia/Shanghai
source:
  kafka: {{ brokers: [\"{}\"], topic: {}, group: {} }}
window: {{ start: \"${{start}}\", end: \"${{end}}\", {window} }}
destination:
  maxcompute:
    endpoint: {}
    project: {PROJECT}
    access_id: {ACCESS_ID}
    access_secret: ${{env.{SECRET_VARIABLE}}}
    table: {table}
    partition: {{ ds: \"${{window.yyyymmdd}}\", hh: \"{hour}\" }}
columns: {{ id: id, at: __timestamp__ }}
parameters: {{ start: \"$[yyyymmdd-1]\", end: \"$[yyyymmdd]\" }}
schedule: {{ cycle: day, at: \"00:15\" }}
",
            KafkaBroker::shared().bootstrap(),
            self.topic,
            self.topic,
            self.server.endpoint(),
        );
        let path = self.folder.path().join(format!("{table}.yaml"));
        fs::write(&path, text).unwrap();
        path
    }

    fn tidegate(&self, command: &str, job: &std::path::Path, more: &[&str]) -> Ended {
        let state = self.folder.path().join("state");
        let job = [command, job.to_str().unwrap(), "--json"];
        let state = ["--state", state.to_str().unwrap()];
        program::run(&[&job[..], more, &state].concat(), ACCESS_SECRET)
    }

    fn run(&self, job: &std::path::Path, at: &str) -> Value {
        self.tidegate("run", job, &["--at", at]).json()
    }

    /// How many messages of a time there are, and the sum of their ids.
    fn expected(&self, start_ms: i64, end_ms: i64) -> (i64, i64) {
        let mut found = (0, 0);
        for (partition, stamps) in (0..).zip(&self.stamps) {
            for (offset, stamp) in (0_i64..).zip(stamps) {
                if (start_ms..end_ms).contains(stamp) {
                    found = (found.0 + 1, found.1 + id(partition, offset));
                }
            }
        }
        found
    }

    fn loaded(&self, table: &str, condition: &str) -> (i64, i64) {
        let statement =
            format!("SELECT COUNT(*), COALESCE(SUM(id), 0) FROM {table} WHERE {condition}");
        let rows = self.server.sql(&statement);
        let cell = |index: usize| rows[0][index].as_ref().unwrap().parse().unwrap();
        (cell(0), cell(1))
    }
}

fn id(partition: i32, offset: i64) -> i64 {
    i64::from(partition) * 1_000_000 + offset
}

/// Timestamps of so many days in order, each message up to `disorder_ms` late.
fn days(days: i64, seed: u64, disorder_ms: i64) -> Vec<i64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..days * PER_DAY)
        .map(|index| START_MS + index * DAY_MS / PER_DAY - rng.i64(0..=disorder_ms))
        .collect()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

#[test]
fn misstamped_messages_cost_no_row_and_no_reading_of_the_whole_log() {
    let mut stamps = days(8, 1, 120_000);
    // Written at noon of the fourth day, stamped the week after.
    let noon = usize::try_from(PER_DAY * 7 / 2).unwrap();
    stamps[noon] = START_MS + 12 * DAY_MS;
    // Written on the first day, stamped within the fourth.
    stamps[100] = START_MS + 3 * DAY_MS + 7;
    let scene = Scene::new("misstamped_messages_cost_no_row", &[stamps]);
    let expected = scene.expected(START_MS + 3 * DAY_MS, START_MS + 4 * DAY_MS);
    assert!(expected.0 > PER_DAY - 100);

    let job = scene.job("events", "lateness: auto", "00");
    let report = scene.run(&job, "2022-10-05T00:15");
    assert_eq!(scene.loaded("events", "ds = '20221004'"), expected);
    let ledger = &report["ledger"][0];
    let planned = number(&ledger["planned"]);
    assert!(
        planned > expected.0 && planned < expected.0 * 3 / 2,
        "{ledger}"
    );
    let window = &report["windows"][0];
    assert_eq!(number(&window["rows"]), expected.0);
    assert!(
        number(&window["rows_past_look_up"]) > PER_DAY / 3,
        "{window}"
    );

    // What a loader gets that trusts the look-up of the end.
    let job = scene.job("single", "lateness: none", "00");
    scene.run(&job, "2022-10-05T00:15");
    let trusting = scene.loaded("single", "ds = '20221004'");
    assert_eq!(
        expected.0 - trusting.0,
        number(&window["rows_past_look_up"])
    );
}

#[test]
fn a_backfill_loads_what_runs_load_one_by_one_and_reads_once() {
    let stamps = [0, 1, 2].map(|seed| days(5, seed, 600_000));
    let scene = Scene::new("a_backfill_loads_what_runs_load_one_by_one", &stamps);
    let job = scene.job("events", "lateness: auto", "00");
    let range = ["--from", "2022-10-01", "--to", "2022-10-05"];
    // One of them is there already.
    scene.run(&job, "2022-10-03T00:15");
    let missing = [&range[..], &["--only-missing"]].concat();
    let planned = scene.tidegate("backfill", &job, &[&missing[..], &["--plan"]].concat());
    assert_eq!(planned.json()["windows"].as_array().unwrap().len(), 3);
    let report = scene.tidegate("backfill", &job, &missing).json();
    assert_eq!(report["windows"].as_array().unwrap().len(), 3);
    let report = scene.tidegate(
        "backfill",
        &job,
        &[&range[..], &["--order", "desc"]].concat(),
    );
    let report = report.json();
    for entry in report["ledger"].as_array().unwrap() {
        let read = number(&entry["planned"]);
        assert!(read <= 5 * PER_DAY, "each is read once: {entry}");
        assert_eq!(entry["outside_reach"], 0, "{entry}");
    }
    let single = scene.job("single", "lateness: auto", "00");
    for day in 1..=4 {
        scene.run(&single, &format!("2022-10-0{}T00:15", day + 1));
        let condition = format!("ds = '2022100{day}'");
        let start_ms = START_MS + (day - 1) * DAY_MS;
        let expected = scene.expected(start_ms, start_ms + DAY_MS);
        assert_eq!(scene.loaded("events", &condition), expected, "{condition}");
        assert_eq!(scene.loaded("single", &condition), expected, "{condition}");
    }
    let done = scene.tidegate("backfill", &job, &missing).json();
    assert_eq!(
        done["windows"].as_array().unwrap().len(),
        0,
        "nothing is missing"
    );
}

/// Two days, loaded; then a device that was offline for a day writes messages of the second day, and one of the first lies
/// among those of the second.
fn late_scene(name: &'static str) -> (Scene, PathBuf) {
    let mut scene = Scene::new(name, &[days(3, 5, 60_000), days(3, 6, 60_000)]);
    let job = scene.job("events", "lateness: auto", "00");
    scene.tidegate("backfill", &job, &TWO_DAYS).json();
    let clean = scene.tidegate("audit", &job, &TWO_DAYS);
    assert_eq!(clean.code, Some(0), "{clean:?}");
    let second = START_MS + DAY_MS;
    scene.write(&[
        vec![
            second + 1,
            START_MS + 3 * DAY_MS,
            second + DAY_MS - 1,
            second + 9,
        ],
        vec![START_MS + DAY_MS - 1, START_MS - 1],
    ]);
    (scene, job)
}

const TWO_DAYS: [&str; 4] = ["--from", "2022-10-01", "--to", "2022-10-03"];

/// What an audit of these two days finds, which is something.
fn audited(scene: &Scene, job: &Path, more: &[&str]) -> Value {
    let found = scene.tidegate("audit", job, &[&TWO_DAYS[..], more].concat());
    assert_eq!(found.code, Some(3), "{found:?}");
    serde_json::from_str(&found.stdout).unwrap()
}

/// Messages that each window lacks.
fn missed(report: &Value) -> Vec<&Value> {
    let windows = report["windows"].as_array().unwrap().iter();
    windows.map(|window| &window["missed"]).collect()
}

#[test]
fn an_audit_finds_what_came_later() {
    let (scene, job) = late_scene("an_audit_finds_what_came_later");
    let loaded =
        || ["20221001", "20221002"].map(|day| scene.loaded("events", &format!("ds = '{day}'")));
    let before = loaded();
    let lacks = |partition: i64, messages: i64, first: i64, last: i64| {
        serde_json::json!([{
            "topic": scene.topic, "partition": partition, "written_since": messages, "not_reached": 0,
            "first_offset": first, "last_offset": last,
        }])
    };
    let end = 3 * PER_DAY;
    let lacking = [&lacks(1, 1, end, end), &lacks(0, 3, end, end + 3)];
    for lateness in [&[][..], &["--lateness", "1h"], &["--lateness", "exact"]] {
        let found = audited(&scene, &job, lateness);
        // Logs that are so short are read to their ends.
        assert_eq!(missed(&found), lacking, "{lateness:?}");
        let read = number(&found["offsets_read"]);
        assert!(read <= 6 * PER_DAY + 6, "each is read once: {read}");
    }
    assert_eq!(loaded(), before, "an audit changes nothing");
}

#[test]
fn a_repair_loads_just_the_windows_that_lack_messages() {
    let (scene, job) = late_scene("a_repair_loads_just_the_windows");
    let second = START_MS + DAY_MS;
    let before = scene.loaded("events", "ds = '20221002'");
    let more = ["--at", "2022-10-03T00:15", "--repair", "--verify"];
    let repaired = scene.tidegate("audit", &job, &more).json();
    let window = &repaired["repairs"][0]["windows"][0];
    assert_eq!(number(&window["last_load"]["rows"]), before.0);
    assert_eq!(
        (number(&window["rows"]) - before.0, &window["counted"]),
        (3, &window["rows"])
    );
    let expected = scene.expected(second, second + DAY_MS);
    assert_eq!(scene.loaded("events", "ds = '20221002'"), expected);

    // The first day still lacks one.
    let found = audited(&scene, &job, &["--lateness", "3d"]);
    assert_eq!(missed(&found)[1], &Value::Array(Vec::new()));
    let more = [&TWO_DAYS[..], &["--lateness", "3d", "--repair"]].concat();
    let repaired = scene.tidegate("audit", &job, &more).json();
    assert_eq!(repaired["repairs"].as_array().unwrap().len(), 1);
    let expected = scene.expected(START_MS, second);
    assert_eq!(scene.loaded("events", "ds = '20221001'"), expected);
    let more = [&TWO_DAYS[..], &["--lateness", "exact"]].concat();
    let clean = scene.tidegate("audit", &job, &more);
    assert_eq!(clean.code, Some(0), "{clean:?}");
}

#[test]
fn each_repair_counts_what_it_did_itself() {
    let (scene, job) = late_scene("each_repair_counts_what_it_did_itself");
    let more = [&TWO_DAYS[..], &["--lateness", "3d", "--repair"]].concat();
    let repaired = scene.tidegate("audit", &job, &more).json();
    let repairs = repaired["repairs"].as_array().unwrap();
    assert_eq!(repairs.len(), 2);
    for repair in repairs {
        let (loaded, steps) = (&repair["windows"][0]["rows"], &repair["steps"]);
        assert_eq!(&steps["upload"]["items"], loaded, "{repair}");
        assert_eq!(&steps["stage"]["items"], loaded, "{repair}");
    }
}

#[test]
fn a_day_is_split_into_its_hours() {
    let scene = Scene::new("a_day_is_split_into_its_hours", &[days(2, 9, 300_000)]);
    let job = scene.job("events", "split: 1h", "${window.hh24}");
    let report = scene.run(&job, "2022-10-02T00:15");
    assert_eq!(report["windows"].as_array().unwrap().len(), 24);
    for hour in 0..24 {
        let start_ms = START_MS + hour * 3_600_000;
        let condition = format!("ds = '20221001' AND hh = '{hour:02}'");
        let expected = scene.expected(start_ms, start_ms + 3_600_000);
        assert!(expected.0 > 200);
        assert_eq!(scene.loaded("events", &condition), expected, "{condition}");
    }
    // Without the hour in it, all parts would go into one table partition.
    let job = scene.job("single", "split: 1h", "00");
    let refused = scene.tidegate("run", &job, &["--at", "2022-10-02T00:15"]);
    assert_eq!(refused.code, Some(1));
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("would both replace"), "{said}");
}

#[test]
fn a_group_goes_on_from_where_the_last_run_ended() {
    let scene = Scene::new(
        "a_group_goes_on_from_where_the_last_run_ended",
        &[days(1, 3, 0), days(1, 4, 0)],
    );
    let text = fs::read_to_string(scene.job("events", "lateness: auto", "00")).unwrap();
    let job = |start: &str, end: &str, ds: &str| {
        let text = text
            .replace("start: \"${start}\"", &format!("start: {start}"))
            .replace("end: \"${end}\"", &format!("end: {end}"))
            .replace("lateness: auto", "exit: planned")
            .replace("${window.yyyymmdd}", ds);
        let path = scene.folder.path().join(format!("{ds}.yaml"));
        fs::write(&path, text).unwrap();
        path
    };
    scene.run(
        &job("earliest", "{ offset: 1000 }", "first"),
        "2022-10-02T00:15",
    );
    let first: i64 = (0..1_000).map(|offset| id(0, offset) + id(1, offset)).sum();
    assert_eq!(scene.loaded("events", "ds = 'first'"), (2_000, first));
    scene.run(&job("group", "latest", "rest"), "2022-10-02T00:15");
    let all = scene.expected(i64::MIN, i64::MAX);
    assert_eq!(
        scene.loaded("events", "ds = 'rest'"),
        (all.0 - 2_000, all.1 - first)
    );
    // The group is at the end now.
    let report = scene.run(&job("group", "latest", "nothing"), "2022-10-02T00:15");
    assert_eq!(report["windows"][0]["outcome"], "empty");
}
