//! What the journal tells of runs afterwards.

use engine_load::{Phase, RunState};
use engine_model::{Content, LastLoad, PartitionSpec, WindowOutcome};

use crate::simulation::{Table, Topic, log};
use crate::{DAY_START_MS, World, job, job_of};

fn world() -> World {
    let timestamps: Vec<_> = (0..200)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect();
    World::new(Topic::new(vec![log(0, &timestamps)]), Table::with_key("ds"))
}

#[test]
fn a_run_that_failed_says_why_until_it_is_done() {
    let world = world();
    *world.table.faults.fail_uploads_after.lock().unwrap() = Some(5);
    world.run(&job("")).unwrap_err();
    let failed = world.journal().record(1).unwrap();
    assert_eq!(failed.state, RunState::Failed);
    assert_eq!(failed.error.as_deref(), Some("the server is down"));
    assert_eq!(failed.begun_ms, Some(world.now.as_millisecond()));
    assert_eq!((failed.ended_ms, failed.rows), (None, None));
    assert_eq!(failed.windows[0].phase, Phase::Loading);
    assert_eq!(
        failed.scheduled_time.as_deref(),
        Some("2026-11-23T00:15:00+00:00[UTC]")
    );
    let slices = world.journal().slices(1).unwrap().unwrap();
    assert!(
        slices.staged >= 5 && slices.staged <= slices.planned,
        "{slices:?}"
    );

    *world.table.faults.fail_uploads_after.lock().unwrap() = None;
    let report = world.run(&job("")).unwrap();
    let done = world.journal().record(1).unwrap();
    assert_eq!((done.state, done.error), (RunState::Done, None));
    assert_eq!((done.rows, done.rejected), (Some(200), Some(0)));
    assert_eq!(done.ended_ms, Some(world.now.as_millisecond()));
    assert_eq!(done.windows[0].outcome, Some(WindowOutcome::Committed));
    assert_eq!(world.journal().slices(1).unwrap(), None);
    assert_eq!(world.journal().report(1).unwrap(), Some(report));
}

#[test]
fn a_kept_report_has_all_warnings() {
    let mut world = world();
    std::sync::Arc::get_mut(&mut world.topic)
        .unwrap()
        .group_fails = true;
    let report = world.run(&job("")).unwrap();
    assert_eq!(report.warnings.last().unwrap(), "the group is in use");
    assert_eq!(world.journal().report(1).unwrap(), Some(report));
}

#[test]
fn runs_of_other_targets_stand_beside_each_other() {
    let world = world();
    world.run(&job("")).unwrap();
    let elsewhere = job_of("partition: { ds: \"elsewhere\" }", "");
    world.run(&elsewhere).unwrap();
    let partition = PartitionSpec(vec![("ds".into(), "elsewhere".into())]);
    assert_eq!(world.table.ids(&partition).len(), 200);
    let runs = world.journal().history(Some("orders_daily"), None).unwrap();
    let targets: Vec<_> = runs.iter().map(|run| run.target.as_str()).collect();
    assert_eq!(
        targets,
        [
            "simulated p.orders/ds=elsewhere",
            "simulated p.orders/ds=20261122"
        ]
    );
}

#[test]
fn a_rerun_says_whether_the_content_changed() {
    let mut world = world();
    let first = world.run(&job("")).unwrap();
    let checksum = first.windows[0].checksum.unwrap();
    assert_eq!(first.windows[0].last_load, None);

    // One lane or many, in slices or after a failure: the same rows.
    world.options.cores = 1;
    *world.table.faults.fail_uploads_after.lock().unwrap() = Some(3);
    world.run(&job("limits: { concurrency: 1 }")).unwrap_err();
    *world.table.faults.fail_uploads_after.lock().unwrap() = None;
    let second = world.run(&job("")).unwrap();
    assert!(second.resumed);
    assert_eq!(second.windows[0].checksum, Some(checksum));
    let last_load = LastLoad {
        run: 1,
        rows: 200,
        content: Content::Same,
    };
    assert_eq!(second.windows[0].last_load, Some(last_load));

    let topic = std::sync::Arc::get_mut(&mut world.topic).unwrap();
    topic.partitions[0][7].payload = Some("{\"id\": 7, \"city\": \"Suzhou\"}".to_owned());
    let third = world.run(&job("")).unwrap();
    assert_ne!(third.windows[0].checksum, Some(checksum));
    let last_load = third.windows[0].last_load.unwrap();
    assert_eq!((last_load.run, last_load.content), (2, Content::Changed));
    // Another target has a past of its own.
    let elsewhere = job_of("partition: { ds: \"elsewhere\" }", "");
    let elsewhere = world.run(&elsewhere).unwrap();
    assert_eq!(elsewhere.windows[0].last_load, None);
    assert_eq!(elsewhere.windows[0].checksum, third.windows[0].checksum);
}

#[test]
fn an_append_is_compared_with_nothing() {
    let world = world();
    let append = job_of("partition: { ds: \"20261122\" }\n    write: append", "");
    world.run(&append).unwrap();
    world.table.state.lock().unwrap().rows.clear();
    let again = world.run(&append).unwrap();
    assert!(again.windows[0].checksum.is_some());
    assert_eq!(again.windows[0].last_load, None);
}
