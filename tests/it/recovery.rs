use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use engine_local::maxcompute::{Fault, Route};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tests::crashes::CrashScene;
use tests::faulty::FaultyServer;
use tests::job::JobFile;
use tests::program::Ended;
use tests::server::TestServer;

const MESSAGES: u64 = 3_000;
/// The longest wait for something that a run is about to do.
const SOON: Duration = Duration::from_mins(1);
/// The server's sessions live a day, and it remembers them for a week.
const DAY_AND_MORE: i64 = 25;
const WEEK_AND_MORE: i64 = 8 * 24;

fn scene(topic: &str) -> CrashScene<FaultyServer> {
    CrashScene::on(FaultyServer::start(), topic, MESSAGES)
}

#[track_caller]
fn wait_until(run: &mut Child, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !condition() {
        assert_eq!(run.try_wait().unwrap(), None, "the run ended before");
        assert!(Instant::now() < deadline, "it takes too long");
        std::thread::yield_now();
    }
}

/// Starts a run and kills it once `condition` holds.
#[track_caller]
fn kill_once<S: TestServer>(scene: &CrashScene<S>, job: &JobFile, condition: impl Fn() -> bool) {
    let mut run = scene.loader.start(job);
    wait_until(&mut run, condition);
    run.kill().unwrap();
    run.wait().unwrap();
}

#[track_caller]
fn refused<S: TestServer>(scene: &CrashScene<S>, job: &JobFile, says: &[&str]) {
    let ended = scene.loader.run(job);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    for text in says {
        assert!(ended.stdout.contains(text), "{text:?} in {ended:#?}");
    }
}

fn kept(report: &Value) -> u64 {
    report["slices"]["kept"].as_u64().unwrap()
}

#[test]
fn a_commit_whose_answer_nobody_waited_for_is_settled_by_the_next_run() {
    let scene = scene("a_commit_whose_answer_nobody_waited_for");
    let faults = &scene.loader.server.faults;
    for write in ["replace", "append"] {
        // The server waits before it acts, or acts and says nothing any more.
        for (name, fault) in [
            ("slow", Fault::delay(Route::Commit, Duration::from_secs(2))),
            ("lost", Fault::lose_answer(Route::Commit)),
        ] {
            let what = format!("{name}_{write}");
            let job = scene.job(&what, write);
            let (commits, looks) = (
                faults.calls(Route::Commit),
                faults.calls(Route::ReloadUpload),
            );
            faults.add(fault);
            if name == "lost" {
                let lost = Fault::answer(Route::ReloadUpload, 500, "InternalServerError").always();
                faults.add(lost.from_call(looks + 2));
            }
            kill_once(&scene, &job, || {
                let looked = name == "slow" || faults.calls(Route::ReloadUpload) > looks + 1;
                faults.calls(Route::Commit) > commits && looked
            });
            faults.clear();
            let report = scene.loader.run(&job).json();
            assert_eq!(scene.figures(&what), scene.truth, "{what}");
            assert_eq!(report["slices"]["read"], 0, "{what}: {report}");
            assert_eq!(report["slices"]["uploaded"], 0, "{what}: {report}");
        }
    }
}

#[test]
fn an_append_whose_commit_nobody_knows_about_asks_a_person() {
    let scene = scene("an_append_whose_commit_nobody_knows_about");
    let server = &scene.loader.server;
    for (border, assume) in [
        ("commit_journalled:1", "not-committed"),
        ("commit_answered:1", "committed"),
    ] {
        let partition = assume.replace('-', "_");
        let job = scene.job(&partition, "append");
        let mut crashing = scene.loader.command(&job);
        crashing.env("TIDEGATE_CRASH_AT", border);
        assert_eq!(Ended::from(crashing.output().unwrap()).code, None);

        // The server forgets old sessions when it opens a new one.
        server.set_clock_ahead(WEEK_AND_MORE);
        let other = scene.job(&format!("beside_{partition}"), "append");
        scene.loader.run(&other).json();
        for _ in 0..2 {
            refused(&scene, &job, &["is not known", "--assume committed"]);
        }
        let mut assuming = scene.loader.command(&job);
        assuming.args(["--assume", assume]);
        Ended::from(assuming.output().unwrap()).json();
        server.set_clock_ahead(0);
        assert_eq!(scene.figures(&partition), scene.truth, "{assume}");
    }
}

#[test]
fn a_session_that_expires_during_the_uploads_costs_no_attempt() {
    let scene = scene("a_session_that_expires_during_the_uploads");
    let server = &scene.loader.server;
    for write in ["replace", "append"] {
        let job = scene.job(write, write);
        let sent = server.faults.calls(Route::PutBlock);
        let slow = Fault::delay(Route::PutBlock, Duration::from_millis(300));
        server.faults.add(slow.from_call(sent + 4).times(4));
        let mut run = scene.loader.start(&job);
        // Four are sent at once, so that three have arrived when the seventh is on its way.
        wait_until(&mut run, || {
            server.faults.calls(Route::PutBlock) >= sent + 7
        });
        server.set_clock_ahead(DAY_AND_MORE);
        let report = Ended::from(run.wait_with_output().unwrap()).json();
        server.set_clock_ahead(0);
        assert_eq!(scene.figures(write), scene.truth, "{write}");
        let slices = &report["slices"];
        assert_eq!(slices["read"], slices["planned"], "{slices}");
        assert!(
            slices["uploaded"].as_u64() > slices["planned"].as_u64(),
            "{slices}"
        );
        let warnings = report["warnings"].to_string();
        assert!(warnings.contains("is gone"), "{warnings}");
        server.faults.clear();
    }
}

#[test]
fn a_wrong_clock_is_named_and_costs_no_more_than_the_time() {
    let topic = "a_wrong_clock_is_named";
    let scene = CrashScene::on(FaultyServer::start_strict(), topic, MESSAGES);
    let server = &scene.loader.server;
    let job = scene.job("skewed", "append");
    for hours in [1, -1] {
        server.set_clock_ahead(hours);
        refused(&scene, &job, &["machine's clock", "RequestTimeTooSkewed"]);
    }

    // It jumps in the middle of a run, and is put right later.
    server.set_clock_ahead(0);
    let sent = server.faults.calls(Route::PutBlock);
    let slow = Fault::delay(Route::PutBlock, Duration::from_millis(300));
    server.faults.add(slow.from_call(sent + 3).times(4));
    let mut run = scene.loader.start(&job);
    wait_until(&mut run, || server.faults.calls(Route::PutBlock) > sent + 3);
    server.set_clock_ahead(1);
    let ended = Ended::from(run.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    assert!(ended.stdout.contains("machine's clock"), "{ended:#?}");
    server.set_clock_ahead(0);
    server.faults.clear();
    let report = scene.loader.run(&job).json();
    assert!(kept(&report) > 0, "{report}");
    assert_eq!(scene.figures("skewed"), scene.truth);
}

#[test]
fn a_second_process_is_refused_by_the_name_of_the_first() {
    let scene = CrashScene::new("a_second_process_is_refused", MESSAGES);
    let job = scene.job("locked", "append");
    let mut first = scene.loader.start(&job);
    wait_until(&mut first, || has_staged(&scene.loader.state()));
    // It holds still until the second one has seen it. In the middle of a write it would hold the journal too.
    let deadline = Instant::now() + SOON;
    let second = loop {
        kill_process(Pid::from_child(&first), Signal::STOP).unwrap();
        let second = scene.loader.run(&job);
        if !second.stdout.contains("database is locked") {
            break second;
        }
        assert!(Instant::now() < deadline, "{second:#?}");
        kill_process(Pid::from_child(&first), Signal::CONT).unwrap();
    };
    assert_eq!(second.code, Some(1), "{second:#?}");
    let name = format!("process {} (job orders_test)", first.id());
    for says in ["is being loaded by", &name] {
        assert!(second.stdout.contains(says), "{says}: {second:#?}");
    }
    // Another table partition is free.
    let beside = scene.job("beside", "append");
    scene.loader.run(&beside).json();
    kill_process(Pid::from_child(&first), Signal::CONT).unwrap();
    Ended::from(first.wait_with_output().unwrap()).json();
    for partition in ["locked", "beside"] {
        assert_eq!(scene.figures(partition), scene.truth, "{partition}");
    }
}

/// Whether a slice is staged that is not one of the rejected messages, which stay.
fn has_staged(state: &Path) -> bool {
    let names = std::fs::read_dir(state.join("staging")).unwrap();
    let mut names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.any(|name| name.ends_with("-rows.parquet"))
}

#[test]
fn a_job_that_was_changed_after_a_crash_begins_anew() {
    let scene = CrashScene::new("a_job_that_was_changed_after_a_crash", MESSAGES);
    let changed = |partition: &str| {
        let mut job = scene.job(partition, "append");
        job.more.push_str("\ntombstones: skip");
        job
    };
    scene.loader.run(&changed("beside")).json();
    let without_tombstones = scene.figures("beside");
    assert!(without_tombstones.rows() < scene.truth.rows());

    let mut crashing = scene.loader.command(&scene.job("changed", "append"));
    crashing.env("TIDEGATE_CRASH_AT", "block_uploaded:3");
    assert_eq!(Ended::from(crashing.output().unwrap()).code, None);
    assert!(has_staged(&scene.loader.state()));
    let report = scene.loader.run(&changed("changed")).json();
    assert_eq!(
        (&report["resumed"], kept(&report)),
        (&Value::Bool(false), 0)
    );
    assert_eq!(scene.figures("changed"), without_tombstones);
    assert!(!has_staged(&scene.loader.state()), "of neither run");
}

/// The client's tries end after some two minutes, and nothing is left but to run again later.
#[test]
#[ignore = "takes minutes; tests/run --long"]
fn a_server_that_refuses_for_longer_than_it_is_tried_costs_an_attempt() {
    let scene = scene("a_server_that_refuses_for_longer");
    let faults = &scene.loader.server.faults;
    for (route, partition) in [(Route::PutBlock, "block"), (Route::CreateUpload, "session")] {
        let job = scene.job(partition, "append");
        faults.add(Fault::answer(route, 503, "ServiceUnavailable").always());
        let says = ["ServiceUnavailable", "8 tries", "the same command goes on"];
        refused(&scene, &job, &says);
        assert_eq!(scene.figures(partition).rows(), 0);
        faults.clear();
        let report = scene.loader.run(&job).json();
        assert!(kept(&report) > 0, "{report}");
        assert_eq!(scene.figures(partition), scene.truth);
    }
}
