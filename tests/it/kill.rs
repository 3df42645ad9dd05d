use std::collections::BTreeMap;
use std::fmt;
use std::process::Child;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use tests::crashes::CrashScene;
use tests::journal::{Phase, phase};
use tests::program::Ended;
use tests::skip::tell;

/// How often a run that may be killed is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Of three kills, one falls into the last part of a run, from here on: the commit takes little of it.
const END_FROM: f64 = 0.8;

/// How runs are ended, besides with `kill -9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Means {
    /// In no other way.
    KillOnly,
    /// Also with SIGTERM, and the server dies now and then, too.
    All,
}

/// What came of all rounds.
#[derive(Debug, Default)]
struct Totals {
    kills: u32,
    terms: u32,
    server_kills: u32,
    runs: u32,
    rounds: u32,
    rows: u64,
    duplicates: u64,
    losses: u64,
    slices_kept: u64,
    phases: BTreeMap<Phase, u32>,
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} stops, {} kills of the server in {} runs of {} loads; {} rows, {} duplicates, {} losses, {} \
             slices kept; killed while {:?}",
            self.kills,
            self.terms,
            self.server_kills,
            self.runs,
            self.rounds,
            self.rows,
            self.duplicates,
            self.losses,
            self.slices_kept,
            self.phases,
        )
    }
}

struct KillLoop {
    scene: CrashScene,
    rng: Rng,
    means: Means,
    /// How long a run takes that nothing happens to.
    whole: Duration,
    totals: Totals,
}

impl KillLoop {
    fn new(topic: &str, messages: u64, seed: u64, means: Means) -> Self {
        let scene = CrashScene::new(topic, messages);
        let measured: Vec<_> = (0..3)
            .map(|number| {
                let started = Instant::now();
                let job = scene.job(&format!("measured{number}"), "replace");
                scene.loader.run(&job).json();
                started.elapsed()
            })
            .collect();
        Self {
            scene,
            rng: Rng::with_seed(seed),
            means,
            whole: measured.into_iter().min().unwrap(),
            totals: Totals::default(),
        }
    }

    /// Loads one table partition, with kills on the way, and compares it with the truth.
    fn round(&mut self, what: &str) {
        let number = self.totals.rounds;
        self.totals.rounds += 1;
        let partition = format!("killed{number}");
        let write = if number.is_multiple_of(2) {
            "replace"
        } else {
            "append"
        };
        let what = format!("{what}, load {number}, {write}");
        let mut reached = Phase::Planning;
        for _ in 0..self.rng.u32(1..=3) {
            if reached == Phase::Ended {
                break;
            }
            self.killed_run(&partition, write, &what);
            reached = phase(&self.scene.loader.state(), &partition);
            *self.totals.phases.entry(reached).or_default() += 1;
            let found = self.scene.figures(&partition);
            match reached {
                Phase::Planning | Phase::Reading | Phase::Uploading => {
                    assert_eq!(found.rows(), 0, "{what}: nothing");
                }
                Phase::Committed | Phase::Ended => {
                    assert_eq!(found, self.scene.truth, "{what}: all");
                }
                Phase::Committing => assert!(
                    found.rows() == 0 || found == self.scene.truth,
                    "{what}: all or nothing: {found:?}"
                ),
            }
        }
        self.totals.runs += 1;
        let ended = self.scene.loader.run(&self.scene.job(&partition, write));
        if reached == Phase::Ended && write == "append" {
            assert_eq!(ended.code, Some(1), "{what}: {ended:#?}");
            let refused = ended.stdout.contains("would load messages twice");
            assert!(refused, "{what}: {ended:#?}");
        } else {
            let report = ended.json();
            let goes_on = ![Phase::Planning, Phase::Ended].contains(&reached);
            assert_eq!(report["resumed"], goes_on, "{what}: {report}");
            self.totals.slices_kept += report["slices"]["kept"].as_u64().unwrap();
        }
        let (found, truth) = (self.scene.figures(&partition), &self.scene.truth);
        self.totals.rows += found.rows();
        self.totals.duplicates += found.rows() - found.messages();
        self.totals.losses += truth.messages() - found.messages();
        assert_eq!(found, *truth, "{what}");
    }

    /// Starts a run and ends it at a random time, unless it ends before.
    fn killed_run(&mut self, partition: &str, write: &str, what: &str) {
        let share = match self.rng.u32(..3) {
            0 => END_FROM + self.rng.f64() * (1.1 - END_FROM),
            _ => self.rng.f64(),
        };
        let at = self.whole.mul_f64(share);
        let signal = match (self.means, self.rng.u32(..4)) {
            (Means::All, 0) => Signal::TERM,
            _ => Signal::KILL,
        };
        let server_dies = self.means == Means::All && self.rng.u32(..4) == 0;
        self.totals.runs += 1;
        let started = Instant::now();
        let mut run = self.scene.loader.start(&self.scene.job(partition, write));
        if server_dies {
            let earlier = at.mul_f64(self.rng.f64());
            if !ends_before(&mut run, started + earlier) {
                self.scene.loader.server.restart();
                self.totals.server_kills += 1;
            }
        }
        let killed = !ends_before(&mut run, started + at);
        if killed {
            // It may end right now by itself.
            kill_process(Pid::from_child(&run), signal).ok();
        }
        let ended = Ended::from(run.wait_with_output().unwrap());
        match (signal, ended.code) {
            (_, Some(0)) => {}
            (Signal::KILL, None) if killed => self.totals.kills += 1,
            (Signal::TERM, Some(1)) if killed => {
                self.totals.terms += 1;
                let says = ended.stdout.contains("run the same command to go on");
                assert!(says, "{what}: {ended:#?}");
            }
            // Before it catches signals.
            (Signal::TERM, None) if killed => self.totals.terms += 1,
            _ => panic!("{what}: {ended:#?}"),
        }
    }
}

/// Waits until a run ends, or until `deadline`.
fn ends_before(run: &mut Child, deadline: Instant) -> bool {
    // Nothing is ever sent: waiting for it is how this thread rests between two looks.
    let (_sender, never) = sync_channel::<()>(0);
    loop {
        if run.try_wait().unwrap().is_some() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        never.recv_timeout(LOOK).ok();
    }
}

fn kill_at_random_times(topic: &str, messages: u64, kills: u32, means: Means) -> Totals {
    let seed = fastrand::u64(..);
    let what = format!("seed {seed}");
    let mut kill_loop = KillLoop::new(topic, messages, seed, means);
    while kill_loop.totals.kills < kills {
        kill_loop.round(&what);
    }
    let totals = kill_loop.totals;
    tell(&format!(
        "{what}: {totals}; a run takes {:?}",
        kill_loop.whole
    ));
    assert_eq!(
        (totals.duplicates, totals.losses),
        (0, 0),
        "{what}: {totals}"
    );
    assert!(totals.slices_kept > 0, "{what}: {totals}");
    totals
}

#[test]
fn a_program_that_is_killed_at_random_times_loses_and_doubles_nothing() {
    let topic = "a_program_that_is_killed_at_random_times";
    kill_at_random_times(topic, 6_000, 20, Means::KillOnly);
}

#[test]
#[ignore = "takes minutes; tests/run --long"]
fn hundreds_of_kills_of_program_and_server_lose_and_double_nothing() {
    let topic = "hundreds_of_kills_of_program_and_server";
    let totals = kill_at_random_times(topic, 10_000, 200, Means::All);
    for phase in [Phase::Reading, Phase::Uploading] {
        assert!(totals.phases.contains_key(&phase), "{phase:?}: {totals}");
    }
    let after_commit = [Phase::Committed, Phase::Ended];
    let hit = after_commit
        .iter()
        .any(|phase| totals.phases.contains_key(phase));
    assert!(
        hit && totals.terms > 0 && totals.server_kills > 0,
        "{totals}"
    );
}
