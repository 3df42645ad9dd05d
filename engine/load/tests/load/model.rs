//! Random logs, windows and faults: what is loaded is what the definition says, whatever happened on the way.
//!
//! A window's rows are the messages that the log held at planning with a timestamp in `[start, end)`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine_load::audit::AuditReport;
use engine_load::plan::WindowOrder;
use engine_load::{Assume, ErrorKind};
use engine_model::job::{Job, Lateness, OnEmpty, OnRetentionGap};
use engine_model::{PartitionSpec, RunReport, Window};
use fastrand::Rng;

use crate::simulation::{Message, Table, Topic};
use crate::{DAY_START_MS, World, job_of};

const MINUTE_MS: i64 = 60_000;
/// Attempts with faults before those without.
const FAULTY_ATTEMPTS_MAX: usize = 4;
/// A run without faults may be told first what became of a commit.
const CLEAN_ATTEMPTS_MAX: usize = 3;

#[test]
fn what_is_loaded_is_what_the_definition_says() {
    run_cases(0..1_200);
}

#[test]
#[ignore = "takes minutes"]
fn what_is_loaded_is_what_the_definition_says_ten_thousand_times() {
    run_cases(10_000..22_000);
}

#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
fn run_cases(seeds: std::ops::Range<u64>) {
    let mut totals = Totals::default();
    for seed in seeds {
        Case::new(seed).check(&mut totals);
    }
    let Totals {
        cases,
        runs,
        rows,
        windows,
        ..
    } = totals;
    println!("{totals:?}");
    assert!(runs > cases && rows > cases && windows > cases);
    assert!(totals.failed > cases / 4, "faults happen: {totals:?}");
    assert!(totals.late > cases / 4 && totals.cut > 0, "{totals:?}");
    assert!(totals.holes > 0 && totals.rejected > 0 && totals.tombstones > 0);
}

#[derive(Debug, Default)]
struct Totals {
    cases: u64,
    runs: u64,
    failed: u64,
    windows: u64,
    rows: u64,
    holes: u64,
    rejected: u64,
    tombstones: u64,
    late: u64,
    cut: u64,
}

/// One random world.
struct Case {
    seed: u64,
    rng: Rng,
    world: World,
    jobs: Vec<Job>,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let partitions = (0..rng.i64(1..4)).map(|number| log(&mut rng, number * 100_000));
        let mut topic = Topic::new(partitions.collect());
        if rng.u8(0..4) == 0 {
            retain(&mut topic, &mut rng);
        }
        let mut world = World::new(topic, Table::with_key("ds"));
        if Path::new("/dev/shm").is_dir() {
            // A memory disk: what is synced on the way is not what this test is about.
            world.folder = tempfile::tempdir_in("/dev/shm").unwrap();
        }
        world.now += jiff::SignedDuration::from_hours(72);
        world.options.cores = rng.usize(1..4);
        if rng.bool() {
            world.options.order = WindowOrder::NewestFirst;
        }
        let jobs = jobs(&mut rng);
        Self {
            seed,
            rng,
            world,
            jobs,
        }
    }

    fn check(mut self, totals: &mut Totals) {
        let expected = self.expected();
        let report = self.load(totals);
        for (job, window) in self.jobs.iter().zip(&report.windows) {
            let partition = &job.destination.partition;
            let ids = self.world.table.ids(partition);
            assert_eq!(
                ids, expected[partition],
                "seed {}: {}",
                self.seed, job.window
            );
            assert_eq!(window.rows, ids.len() as u64, "seed {}", self.seed);
            totals.rows += window.rows;
            totals.rejected += window.rejected.values().sum::<u64>();
        }
        for entry in &report.ledger {
            let counts = &entry.counts;
            assert_eq!(
                counts.planned,
                counts.accounted(),
                "seed {}: {entry:?}",
                self.seed
            );
            assert_eq!(
                (counts.outside_reach, counts.unread),
                (0, 0),
                "seed {}",
                self.seed
            );
            totals.holes += counts.holes;
            let kept = counts.windows.values().map(|window| window.tombstones_kept);
            totals.tombstones += kept.sum::<u64>();
        }
        for session in self.world.table.state.lock().unwrap().sessions.values() {
            assert!(session.overwrite, "seed {}", self.seed);
        }
        totals.cases += 1;
        totals.windows += self.jobs.len() as u64;
        self.audit(totals);
    }

    /// An audit finds what comes later, all of it and nothing else, and loading again takes it in.
    fn audit(&mut self, totals: &mut Totals) {
        let seed = self.seed;
        let before = self.world.audit(&self.jobs, Lateness::Exact).unwrap();
        self.assert_nothing_is_missed(&before);
        for (job, audit) in self.jobs.iter().zip(&before.windows) {
            let cut = !audit.deleted.is_empty();
            assert_eq!(cut, self.is_cut(job), "seed {seed}: {audit:?}");
            totals.cut += u64::from(cut);
        }
        let late = self.write_late();
        let found = self.world.audit(&self.jobs, Lateness::Exact).unwrap();
        for (job, audit) in self.jobs.clone().iter().zip(&found.windows) {
            let inside = |at: &&i64| (job.window.start_ms..job.window.end_ms).contains(*at);
            let expected = late.iter().filter(inside).count() as u64;
            assert_eq!(audit.messages(), expected, "seed {seed}: {audit:?}");
            totals.late += expected;
            if expected > 0 {
                let again = Job {
                    lateness: Lateness::Exact,
                    ..job.clone()
                };
                self.world.run(&again).unwrap();
            }
        }
        let after = self.world.audit(&self.jobs, Lateness::Exact).unwrap();
        self.assert_nothing_is_missed(&after);
        let expected = self.expected();
        for (partition, ids) in expected {
            assert_eq!(self.world.table.ids(&partition), ids, "seed {seed}");
        }
    }

    fn assert_nothing_is_missed(&self, report: &AuditReport) {
        for audit in &report.windows {
            assert!(audit.run.is_some(), "seed {}: {audit:?}", self.seed);
            assert_eq!(audit.messages(), 0, "seed {}: {audit:?}", self.seed);
            assert!(audit.unseen.is_empty(), "seed {}: {audit:?}", self.seed);
        }
    }

    /// Whether retention may have taken messages of the window away before anything was read. Of an empty topic partition
    /// nothing is known.
    fn is_cut(&self, job: &Job) -> bool {
        let topic = &self.world.topic;
        let mut firsts = topic.partitions.iter().map(|log| log.first());
        topic.log_start > 0
            && firsts
                .any(|first| first.is_some_and(|first| first.timestamp_ms >= job.window.start_ms))
    }

    /// Writes a few messages behind all others, and returns their timestamps.
    fn write_late(&mut self) -> Vec<i64> {
        let log_start = self.world.topic.log_start;
        let topic = Arc::get_mut(&mut self.world.topic).unwrap();
        let mut late = Vec::new();
        for log in &mut topic.partitions {
            let mut offset = log.last().map_or(log_start, |last| last.offset + 1);
            for _ in 0..self.rng.usize(0..4) {
                let timestamp_ms = DAY_START_MS + self.rng.i64(-300..1_500) * MINUTE_MS;
                late.push(timestamp_ms);
                let id = 1_000_000 + offset;
                log.push(Message {
                    offset,
                    timestamp_ms,
                    payload: Some(format!("{{\"id\": {id}}}")),
                });
                offset += self.rng.i64(1..3);
            }
        }
        late
    }

    /// The rows of each window by the definition. A tombstone has no id.
    fn expected(&self) -> BTreeMap<PartitionSpec, Vec<i64>> {
        let mut expected = BTreeMap::new();
        for job in &self.jobs {
            let logs = self.world.topic.partitions.iter().flatten();
            let in_window = logs.filter(|message| {
                (job.window.start_ms..job.window.end_ms).contains(&message.timestamp_ms)
            });
            let mut ids: Vec<i64> = in_window.filter_map(id_of).collect();
            ids.sort_unstable();
            expected.insert(job.destination.partition.clone(), ids);
        }
        expected
    }

    /// Loads with faults a few times, and without them until it ends.
    fn load(&mut self, totals: &mut Totals) -> RunReport {
        for _ in 0..self.rng.usize(0..=FAULTY_ATTEMPTS_MAX) {
            self.arm();
            totals.runs += 1;
            match self.world.run_all(&self.jobs) {
                Ok(report) => {
                    self.disarm();
                    return report;
                }
                Err(error) => {
                    totals.failed += 1;
                    assert_ne!(
                        error.kind(),
                        ErrorKind::Unbalanced,
                        "seed {}: {error}",
                        self.seed
                    );
                    assert_ne!(
                        error.kind(),
                        ErrorKind::Internal,
                        "seed {}: {error}",
                        self.seed
                    );
                }
            }
            self.disarm();
            if self.rng.u8(0..4) == 0 {
                self.world.table.forget_sessions();
            }
            if self.rng.u8(0..4) == 0 {
                self.damage_a_staged_file();
            }
        }
        let mut last = None;
        for _ in 0..CLEAN_ATTEMPTS_MAX {
            totals.runs += 1;
            match self.world.run_all(&self.jobs) {
                Ok(report) => return report,
                Err(error) => last = Some(error),
            }
            self.world.options.assume = Some(Assume::NotCommitted);
        }
        panic!("seed {}: {last:?}", self.seed)
    }

    fn arm(&mut self) {
        let faults = &self.world.table.faults;
        let flags = [
            &faults.lose_commit_answer,
            &faults.lose_commit,
            &faults.commit_slowly,
            &faults.refuse_commit,
        ];
        match self.rng.u8(0..8) {
            0..4 => {
                let blocks = self.rng.u64(0..8);
                *faults.fail_uploads_after.lock().unwrap() = Some(blocks);
            }
            4..7 => {
                let flag = flags[self.rng.usize(0..flags.len())];
                flag.store(true, std::sync::atomic::Ordering::Relaxed);
            }
            _ => self.world.disk_bytes = Some(self.rng.u64(0..20_000)),
        }
    }

    fn disarm(&mut self) {
        let faults = &self.world.table.faults;
        *faults.fail_uploads_after.lock().unwrap() = None;
        for flag in [
            &faults.lose_commit_answer,
            &faults.lose_commit,
            &faults.commit_slowly,
            &faults.refuse_commit,
        ] {
            flag.store(false, std::sync::atomic::Ordering::Relaxed);
        }
        self.world.disk_bytes = None;
    }

    fn damage_a_staged_file(&mut self) {
        let Ok(files) = std::fs::read_dir(self.world.staging_folder()) else {
            return;
        };
        let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        let Some(file) = self.rng.choice(files) else {
            return;
        };
        let bytes = std::fs::read(&file).unwrap();
        let kept = self.rng.usize(0..=bytes.len());
        match self.rng.u8(0..3) {
            0 => std::fs::remove_file(&file).unwrap(),
            1 => std::fs::write(&file, &bytes[..kept]).unwrap(),
            _ => std::fs::write(&file, vec![0; bytes.len()]).unwrap(),
        }
    }
}

/// The id in a message's payload; nothing where it has none, or is no JSON.
fn id_of(message: &Message) -> Option<i64> {
    match message.payload.as_deref() {
        // What the table reads of a row without an id.
        None => Some(0),
        Some(payload) if payload.ends_with('}') => {
            let digits = payload.strip_prefix("{\"id\": ")?.strip_suffix('}')?;
            digits.parse().ok()
        }
        Some(_) => None,
    }
}

/// A log of up to 300 messages with ids from `first_id`, in one of several kinds of disorder, with holes.
fn log(rng: &mut Rng, first_id: i64) -> Vec<Message> {
    let length = if rng.u8(0..8) == 0 {
        0
    } else {
        rng.i64(0..300)
    };
    let disorder_ms = [0, MINUTE_MS, 90 * MINUTE_MS][rng.usize(0..3)];
    let step_ms = [0, 1_000, MINUTE_MS, 10 * MINUTE_MS][rng.usize(0..4)];
    let outliers = rng.bool();
    let holes = rng.bool();
    let mut offset = rng.i64(0..50);
    let mut messages = Vec::new();
    for index in 0..length {
        let mut timestamp_ms = DAY_START_MS + index * step_ms;
        if disorder_ms > 0 {
            timestamp_ms += rng.i64(-disorder_ms..disorder_ms);
        }
        if outliers && rng.u8(0..30) == 0 {
            timestamp_ms += rng.i64(-1_000 * MINUTE_MS..1_000 * MINUTE_MS);
        }
        let id = first_id + index + 1;
        let payload = match rng.u8(0..40) {
            0 => None,
            1 => Some(format!("{{\"id\": {id}, ")),
            _ => Some(format!("{{\"id\": {id}}}")),
        };
        messages.push(Message {
            offset,
            timestamp_ms,
            payload,
        });
        offset += 1;
        if holes && rng.u8(0..10) == 0 {
            offset += rng.i64(1..40);
        }
    }
    messages
}

/// Takes the oldest messages away, as retention does.
fn retain(topic: &mut Topic, rng: &mut Rng) {
    topic.log_start = rng.i64(1..200);
    for log in &mut topic.partitions {
        log.retain(|message| message.offset >= topic.log_start);
    }
}

/// One to four windows that don't overlap, in order, each with a table partition of its own.
fn jobs(rng: &mut Rng) -> Vec<Job> {
    let mut start_ms = DAY_START_MS + rng.i64(-200 * MINUTE_MS..200 * MINUTE_MS);
    let lateness = if rng.bool() {
        Lateness::Exact
    } else {
        Lateness::default()
    };
    (0..rng.i64(1..5))
        .map(|number| {
            if rng.u8(0..3) == 0 {
                start_ms += rng.i64(0..100 * MINUTE_MS);
            }
            let end_ms = start_ms + rng.i64(1..300 * MINUTE_MS);
            let mut job = job_of("partition: { ds: x }", "rejects: 1000");
            job.window = Window::new(start_ms, end_ms).unwrap();
            job.destination.partition = PartitionSpec(vec![("ds".into(), format!("w{number}"))]);
            job.lateness = lateness;
            job.on_empty = OnEmpty::Replace;
            job.on_retention_gap = OnRetentionGap::Warn;
            start_ms = end_ms;
            job
        })
        .collect()
}
