use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use engine_local::maxcompute::{Fault, Route};
use fastrand::Rng;
use rustix::process::{Pid, Signal, kill_process};
use tests::crashes::CrashScene;
use tests::faulty::FaultyServer;
use tests::journal::{Phase, phase};
use tests::program::Ended;
use tests::server::{Server, TestServer};
use tests::skip::tell;

/// How often a run that may be killed is looked at.
const LOOK: Duration = Duration::from_micros(500);
/// Of four kills, one falls into the last part of a run, from here on: the commit takes little of it. Another one comes
/// when files are deleted after the end, which takes still less.
const END_FROM: f64 = 0.8;
/// The longest wait for that.
const CLEANED_UP_WITHIN: Duration = Duration::from_mins(1);

/// Lets something happen to a server in the middle of a run.
type Trouble<S> = fn(&mut S, &mut Rng);

/// The server dies as well, and comes back.
fn restart(server: &mut Server, _: &mut Rng) {
    server.restart();
}

/// The next calls of an upload go wrong in a way that passes.
fn arm_faults(server: &mut FaultyServer, rng: &mut Rng) {
    for route in [
        Route::CreateUpload,
        Route::PutBlock,
        Route::ReloadUpload,
        Route::Commit,
    ] {
        let fault = match rng.u32(..8) {
            0 => Fault::answer(route, 500, "InternalServerError"),
            1 => Fault::answer(route, 503, "ServiceUnavailable").times(2),
            2 => Fault::answer(route, 429, "FlowExceeded"),
            3 => Fault::cut_request(route, rng.u64(..5_000)),
            4 => Fault::cut_answer(route, rng.u64(..50)),
            5 => Fault::lose_answer(route),
            6 => Fault::delay(route, Duration::from_millis(rng.u64(..500))),
            _ => continue,
        };
        let next = server.faults.calls(route) + rng.u64(1..4);
        server.faults.add(fault.from_call(next));
    }
}

/// What came of all rounds.
#[derive(Debug, Default)]
struct Totals {
    kills: u32,
    terms: u32,
    troubles: u32,
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
            "{} kills, {} stops, {} troubles of the server in {} runs of {} loads; {} rows, {} duplicates, {} losses, {} \
             slices kept; killed while {:?}",
            self.kills,
            self.terms,
            self.troubles,
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

struct KillLoop<S> {
    scene: CrashScene<S>,
    rng: Rng,
    /// What happens to the server in one of four runs; then some runs are only asked to stop, too.
    trouble: Option<Trouble<S>>,
    /// How long the last run took that nothing happened to.
    whole: Duration,
    totals: Totals,
}

impl<S: TestServer> KillLoop<S> {
    fn new(scene: CrashScene<S>, seed: u64, trouble: Option<Trouble<S>>) -> Self {
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
            trouble,
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
        for attempt in 0..self.rng.u32(1..=3) {
            if reached == Phase::Ended {
                break;
            }
            let killed = self.killed_run(&partition, write, attempt == 0, &what);
            reached = phase(&self.scene.loader.state(), &partition);
            if killed {
                *self.totals.phases.entry(reached).or_default() += 1;
            }
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

    /// Starts a run, the first one of a load or a later one, and ends it at a random time; whether it didn't end before
    /// by itself.
    fn killed_run(&mut self, partition: &str, write: &str, first: bool, what: &str) -> bool {
        let (share, at_clean_up) = match self.rng.u32(..4) {
            0 => (END_FROM + self.rng.f64() * (1.1 - END_FROM), false),
            drawn => (self.rng.f64(), drawn == 1),
        };
        let at = self.whole.mul_f64(share);
        let signal = match (self.trouble, self.rng.u32(..4)) {
            (Some(_), 0) => Signal::TERM,
            _ => Signal::KILL,
        };
        let trouble = self.trouble.filter(|_| self.rng.u32(..4) == 0);
        self.totals.runs += 1;
        let started = Instant::now();
        let mut run = self.scene.loader.start(&self.scene.job(partition, write));
        if let Some(trouble) = trouble {
            let earlier = at.mul_f64(self.rng.f64());
            if !ends_before(&mut run, started + earlier, || false) {
                trouble(&mut self.scene.loader.server, &mut self.rng);
                self.totals.troubles += 1;
            }
        }
        let killed = if at_clean_up {
            let begins = clean_up_begins(&self.scene.loader.state());
            !ends_before(&mut run, started + CLEANED_UP_WITHIN, begins)
        } else {
            !ends_before(&mut run, started + at, || false)
        };
        if killed {
            // It may end right now by itself.
            kill_process(Pid::from_child(&run), signal).ok();
        }
        let ended = Ended::from(run.wait_with_output().unwrap());
        match (signal, ended.code) {
            (_, Some(0)) => {
                if first && trouble.is_none() {
                    self.whole = started.elapsed();
                }
                return false;
            }
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
        true
    }
}

/// Tells when staged files become fewer.
fn clean_up_begins(state: &Path) -> impl FnMut() -> bool + use<> {
    let staging = state.join("staging");
    let mut most = 0;
    move || {
        let names = fs::read_dir(&staging).unwrap();
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let staged = names.filter(|name| name.ends_with("-rows.parquet")).count();
        most = most.max(staged);
        staged < most
    }
}

/// Waits until a run ends; not beyond `deadline`, nor when `enough` holds.
fn ends_before(run: &mut Child, deadline: Instant, mut enough: impl FnMut() -> bool) -> bool {
    // Nothing is ever sent: waiting for it is how this thread rests between two looks.
    let (_sender, never) = sync_channel::<()>(0);
    loop {
        if run.try_wait().unwrap().is_some() {
            return true;
        }
        if Instant::now() >= deadline || enough() {
            return false;
        }
        never.recv_timeout(LOOK).ok();
    }
}

fn kill_at_random_times<S: TestServer>(
    scene: CrashScene<S>,
    kills: u32,
    trouble: Option<Trouble<S>>,
) -> Totals {
    let seed = fastrand::u64(..);
    let what = format!("seed {seed}");
    let mut kill_loop = KillLoop::new(scene, seed, trouble);
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
    let scene = CrashScene::new("a_program_that_is_killed_at_random_times", 6_000);
    kill_at_random_times(scene, 20, None);
}

/// Kills came while messages were read, while blocks were sent, and after the commit.
#[track_caller]
fn assert_all_phases(totals: &Totals) {
    for phase in [Phase::Reading, Phase::Uploading] {
        assert!(totals.phases.contains_key(&phase), "{phase:?}: {totals}");
    }
    let after_commit = [Phase::Committed, Phase::Ended];
    let mut after_commit = after_commit.iter();
    let hit = after_commit.any(|phase| totals.phases.contains_key(phase));
    assert!(hit && totals.terms > 0 && totals.troubles > 0, "{totals}");
}

#[test]
#[ignore = "takes minutes; tests/run --long"]
fn hundreds_of_kills_of_program_and_server_lose_and_double_nothing() {
    let scene = CrashScene::new("hundreds_of_kills_of_program_and_server", 10_000);
    assert_all_phases(&kill_at_random_times(scene, 200, Some(restart)));
}

#[test]
#[ignore = "takes minutes; tests/run --long"]
fn a_hundred_kills_while_the_server_fails_lose_and_double_nothing() {
    let topic = "a_hundred_kills_while_the_server_fails";
    let scene = CrashScene::on(FaultyServer::start(), topic, 10_000);
    assert_all_phases(&kill_at_random_times(scene, 100, Some(arm_faults)));
}
