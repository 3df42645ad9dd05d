//! The table's own count beside the ledger's, after the commit.

use std::sync::atomic::Ordering;

use engine_load::{ErrorKind, RunState};
use engine_model::job::{Job, Verify};

use crate::simulation::{Table, Topic, log};
use crate::{DAY_START_MS, World, day, job_of};

fn world() -> World {
    let timestamps: Vec<_> = (0..200)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect();
    World::new(Topic::new(vec![log(0, &timestamps)]), Table::with_key("ds"))
}

fn job(write: &str, verify: &str) -> Job {
    let keys = format!("partition: {{ ds: \"20261122\" }}\n    write: {write}");
    job_of(&keys, verify)
}

#[test]
fn a_table_that_lost_rows_fails_the_run_and_is_not_loaded_again() {
    let world = world();
    let counting = job("replace", "verify: count");
    world.table.faults.lose_rows.store(1, Ordering::Relaxed);
    let error = world.run(&counting).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CountDiffers);
    let text = error.to_string();
    for part in [
        "simulated p.orders/ds=20261122 counts 199 rows, and 200 rows of [2026-11-22T00:00:00Z, ",
        "--replan",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let record = world.journal().record(1).unwrap();
    assert_eq!(record.state, RunState::Failed);
    assert_eq!(record.error, Some(text.clone()));

    // It only counts again.
    assert_eq!(world.run(&counting).unwrap_err().to_string(), text);
    assert_eq!(world.table.state.lock().unwrap().commits, 1);

    // Without counting, the run ends as it is.
    let report = world.run(&job("replace", "")).unwrap();
    assert_eq!((report.run, report.windows[0].counted), (1, None));
    assert_eq!(world.table.state.lock().unwrap().commits, 1);
    // A new one puts it right.
    let report = world.run(&counting).unwrap();
    assert_eq!((report.run, report.windows[0].counted), (2, Some(200)));
    assert_eq!(world.table.ids(&day()), (0..200).collect::<Vec<_>>());
}

#[test]
fn a_table_with_rows_of_another_writer_fails_a_replace_until_it_is_planned_anew() {
    let mut world = world();
    world.options.verify = Verify::Count;
    world.table.faults.add_rows.store(3, Ordering::Relaxed);
    let error = world.run(&job("replace", "verify: none")).unwrap_err();
    assert!(error.to_string().contains("counts 203 rows"), "{error}");
    world.options.replan = true;
    let report = world.run(&job("replace", "")).unwrap();
    assert_eq!(report.windows[0].counted, Some(200));
}

#[test]
fn an_append_counts_before_and_after_and_warns() {
    let world = world();
    let counting = job("append", "verify: count");
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(day(), vec![-7; 50]);
    let report = world.run(&counting).unwrap();
    assert_eq!(report.windows[0].counted, Some(250));
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);

    let world = self::world();
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(day(), vec![-7; 50]);
    world.table.faults.add_rows.store(2, Ordering::Relaxed);
    let report = world.run(&counting).unwrap();
    assert_eq!(report.windows[0].counted, Some(252));
    let warning = report.warnings.last().unwrap();
    assert!(
        warning.contains("counts 252 rows, and 50 before 200 rows were appended"),
        "{warning}"
    );
    assert_eq!(world.journal().report(1).unwrap(), Some(report));
}

/// What was there before a commit that nobody saw the end of, nobody knows.
#[test]
fn an_append_of_an_earlier_attempt_is_counted_and_not_compared() {
    let world = world();
    let counting = job("append", "verify: count");
    world
        .table
        .faults
        .lose_commit_answer
        .store(true, Ordering::Relaxed);
    let error = world.run(&counting).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitUnknown);
    let report = world.run(&counting).unwrap();
    assert_eq!(report.windows[0].counted, Some(200));
    let warning = report.warnings.last().unwrap();
    assert!(warning.contains("is not known"), "{warning}");
}

#[test]
fn a_count_that_is_refused_says_that_the_rows_are_committed() {
    let world = world();
    world
        .table
        .faults
        .refuse_query
        .store(true, Ordering::Relaxed);
    let error = world.run(&job("replace", "verify: count")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Target);
    let text = error.to_string();
    assert!(
        text.contains("is committed, but the rows of simulated p.orders/ds=20261122 can't be counted: no permission"),
        "{text}"
    );
    world
        .table
        .faults
        .refuse_query
        .store(false, Ordering::Relaxed);
    let report = world.run(&job("replace", "verify: count")).unwrap();
    assert_eq!(report.windows[0].counted, Some(200));
    assert_eq!(world.table.state.lock().unwrap().commits, 1);
}

#[test]
fn what_nothing_was_committed_to_is_not_counted() {
    let world = World::new(Topic::new(vec![log(0, &[])]), Table::with_key("ds"));
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(day(), vec![7]);
    world
        .table
        .faults
        .refuse_query
        .store(true, Ordering::Relaxed);
    let kept = world
        .run(&job("replace", "on_empty: keep\nverify: count"))
        .unwrap();
    assert_eq!(kept.windows[0].counted, None);

    world
        .table
        .faults
        .refuse_query
        .store(false, Ordering::Relaxed);
    let emptied = world
        .run(&job("replace", "on_empty: replace\nverify: count"))
        .unwrap();
    assert_eq!(emptied.windows[0].counted, Some(0));
}
