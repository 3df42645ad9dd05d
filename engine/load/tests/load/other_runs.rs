//! Runs beside each other in one state folder, and windows beside each other in one run.

use std::fs;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use engine_load::{Border, Cancel, Error, ErrorKind, Prepared, missing};
use engine_model::job::{Exit, Job, Lateness, RejectLimit, WriteMode};
use engine_model::{OffsetRange, RunReport, WindowOutcome};

use crate::simulation::{Source, Table, Topic, log};
use crate::windows::{assert_loaded, hour, partition, world};
use crate::{DAY_START_MS, World, day, job};

fn fail_uploads_after(world: &World, blocks: Option<u64>) {
    *world.table.faults.fail_uploads_after.lock().unwrap() = blocks;
}

/// Runs and dies at `border`.
fn die_at(world: &World, job: &Job, border: Border) {
    let die = |passed| {
        if passed == border {
            return Err(Error::new(ErrorKind::Internal, "killed"));
        }
        Ok(())
    };
    let error = world
        .run_watched(job, &world.table, &Cancel::default(), &die)
        .unwrap_err();
    assert_eq!(error.to_string(), "killed");
}

#[test]
fn a_run_whose_end_was_not_written_ends_also_after_one_of_another_target() {
    for border in [Border::WindowJournalled, Border::RunLoaded] {
        let world = world();
        let mut append = hour(0);
        append.destination.write = WriteMode::Append;
        die_at(&world, &append, border);
        world.run(&hour(1)).unwrap();
        let report = world.run(&append).unwrap();
        assert_eq!((report.run, report.slices.read), (1, 0), "{border:?}");
        assert_eq!(
            world.table.ids(&partition(0)).len() as u64,
            report.windows[0].rows
        );
        assert_loaded(&world, 0..2);
    }
}

#[test]
fn a_run_that_comes_to_nothing_takes_no_window_from_another() {
    let world = world();
    let jobs: Vec<_> = (0..4).map(hour).collect();
    fail_uploads_after(&world, Some(0));
    world.run_all(&jobs).unwrap_err();
    let mut other = hour(2);
    other.rejects = RejectLimit::Count(1);
    world.run(&other).unwrap_err();
    fail_uploads_after(&world, None);
    let report = world.run_all(&jobs).unwrap();
    assert_eq!((report.run, report.resumed), (1, true));
    for window in &report.windows {
        assert_eq!(window.outcome, WindowOutcome::Committed);
    }
    assert_loaded(&world, 0..4);
    // It is gone on with as well, and replaces the very same rows.
    let report = world.run(&other).unwrap();
    assert_eq!((report.run, report.resumed), (3, false));
    assert_loaded(&world, 0..4);
}

#[test]
fn staged_rows_of_a_window_that_another_run_has_loaded_take_no_place() {
    let world = world();
    let jobs: Vec<_> = (0..4).map(hour).collect();
    fail_uploads_after(&world, Some(0));
    world.run_all(&jobs).unwrap_err();
    fail_uploads_after(&world, None);
    for number in [1, 2] {
        world.run(&hour(number)).unwrap();
    }
    // Nothing of it is staged yet.
    for file in fs::read_dir(world.staging_folder()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let files_left = |border| {
        if border == Border::RunLoaded {
            let mut left = fs::read_dir(world.staging_folder()).unwrap();
            assert!(left.next().is_none(), "all is in the table, or of no use");
        }
        Ok(())
    };
    let report = world.run_all_watched(&jobs, &files_left).unwrap();
    assert!(report.resumed);
    let outcomes = report.windows.iter().map(|window| window.outcome);
    let left_out = outcomes.filter(|outcome| *outcome == WindowOutcome::Superseded);
    assert_eq!(left_out.count(), 2);
    let told = report.warnings.iter();
    assert_eq!(told.filter(|told| told.contains("is left out")).count(), 2);
    assert_loaded(&world, 0..4);
}

/// The numbers of the hours that a backfill of them would load which leaves out what holds rows.
fn missing_hours(world: &World, hours: Range<i64>) -> Vec<usize> {
    let jobs: Vec<_> = hours.map(hour).collect();
    let source = Source(Arc::clone(&world.topic));
    let prepared = Prepared::new(&jobs, &source, &world.table).unwrap();
    missing(&prepared, &world.table, Some(&world.journal())).unwrap()
}

#[test]
fn windows_that_hold_rows_are_left_out_unless_their_run_goes_on() {
    let world = world();
    world.run(&hour(0)).unwrap();
    assert_eq!(missing_hours(&world, 0..4), [1, 2, 3]);
    let jobs: Vec<_> = (1..4).map(hour).collect();
    let die = |passed| {
        if passed == Border::WindowJournalled {
            return Err(Error::new(ErrorKind::Internal, "killed"));
        }
        Ok(())
    };
    world.run_all_watched(&jobs, &die).unwrap_err();
    // Which windows are complete first is up to the threads.
    let is_missing = |hour: &i64| world.table.ids(&partition(*hour)).is_empty();
    let missing = |hours: Range<i64>| -> Vec<_> {
        let missing = hours.filter(is_missing);
        missing.map(|hour| usize::try_from(hour).unwrap()).collect()
    };
    assert!((1..3).contains(&missing(0..4).len()));
    assert_eq!(missing_hours(&world, 0..4), [1, 2, 3], "the run goes on");
    // Of other windows it is another run.
    assert_eq!(missing_hours(&world, 0..3), missing(0..3));
    assert_eq!(missing_hours(&world, 0..5), missing(0..5));
    let report = world.run_all(&jobs).unwrap();
    assert!(report.resumed);
    assert!(missing_hours(&world, 0..4).is_empty());
    assert_loaded(&world, 0..4);
}

#[test]
fn a_run_that_is_not_gone_on_with_is_named() {
    let world = world();
    fail_uploads_after(&world, Some(0));
    world.run(&hour(0)).unwrap_err();
    fail_uploads_after(&world, None);
    let mut changed = hour(0);
    changed.lateness = Lateness::Margin(1);
    let report = world.run(&changed).unwrap();
    assert_eq!((report.run, report.resumed), (2, false));
    let told = |warning: &String| warning.starts_with("run 1 has not ended and loads into ");
    assert!(report.warnings.iter().any(told), "{:?}", report.warnings);
    let report = world.run(&changed).unwrap();
    assert!(!report.warnings.iter().any(told), "it has no window left");
}

#[test]
fn an_append_that_goes_on_looks_again_what_its_target_got() {
    let world = world();
    let append = |hours: i64| {
        let mut job = hour(0);
        job.window.end_ms = DAY_START_MS + hours * 3_600_000;
        job.destination.write = WriteMode::Append;
        job
    };
    fail_uploads_after(&world, Some(0));
    world.run(&append(1)).unwrap_err();
    fail_uploads_after(&world, None);
    world.run(&append(2)).unwrap();
    let error = world.run(&append(1)).unwrap_err();
    assert!(
        error.to_string().contains("would load messages twice"),
        "{error}"
    );
}

#[test]
fn windows_of_one_run_may_be_appended_to_one_target() {
    let world = world();
    let jobs: Vec<_> = (0..3)
        .map(|number| {
            let mut job = hour(number);
            job.destination.write = WriteMode::Append;
            job.destination.partition = day();
            job
        })
        .collect();
    let report = world.run_all(&jobs).unwrap();
    let rows: u64 = report.windows.iter().map(|window| window.rows).sum();
    assert_eq!(world.table.ids(&day()).len() as u64, rows);
    assert_eq!(report.windows.len(), 3);
}

#[test]
fn rejected_messages_of_one_window_do_not_keep_the_others_from_being_committed() {
    let mut world = world();
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    topic.partitions[0][70].payload = Some("no JSON".to_owned());
    let jobs: Vec<_> = (0..4).map(hour).collect();
    let error = world.run_all(&jobs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejects);
    assert!(
        error.to_string().starts_with("1 of 4 windows were refused"),
        "{error}"
    );
    assert_eq!(world.table.ids(&partition(1)), [0_i64; 0]);
    assert_loaded(&world, 0..1);
    assert_loaded(&world, 2..4);
}

#[test]
fn a_target_is_not_replaced_by_a_part_of_its_window() {
    // Nothing came for a while.
    let mut topic = Topic::new(vec![log(0, &[DAY_START_MS; 100])]);
    topic.silent_from = Some(40);
    let mut world = World::new(topic, Table::with_key("ds"));
    world.time_passes = true;
    let mut idle = job("");
    idle.exit = Exit::Idle(Duration::from_secs(5));
    world.run(&idle).unwrap();
    assert_eq!(world.table.ids(&day()).len(), 40);
    let error = world.run(&idle).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(
        error.to_string().contains("60 offsets are unread"),
        "{error}"
    );
    assert_eq!(world.table.ids(&day()).len(), 40);

    // Retention took what the last run read, and left one message from before the window.
    let mut stamps = vec![DAY_START_MS; 100];
    stamps[50] = DAY_START_MS - 1;
    let mut world = World::new(Topic::new(vec![log(0, &stamps)]), Table::with_key("ds"));
    world.run(&job("")).unwrap();
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    let kept = OffsetRange {
        start: 50,
        end: 100,
    };
    topic.log_start = kept.start;
    topic.partitions[0].retain(|message| kept.contains(message.offset));
    let error = world.run(&job("")).unwrap_err();
    assert!(
        error.to_string().contains("now begins at offset 50"),
        "{error}"
    );
    world.run(&job("on_retention_gap: warn")).unwrap();
    assert_eq!(world.table.ids(&day()).len(), 49);
}

#[test]
fn rows_of_a_topic_that_was_made_anew_are_not_replaced_unasked() {
    let topic = |id: &str, messages: usize| {
        let topic = Topic::new(vec![log(0, &vec![DAY_START_MS; messages])]);
        *topic.id.lock().unwrap() = Some(id.to_owned());
        Arc::new(topic)
    };
    let mut world = World::new(Topic::default(), Table::with_key("ds"));
    world.topic = topic("first", 100);
    world.run(&job("")).unwrap();
    world.topic = topic("second", 7);
    let error = world.run(&job("")).unwrap_err();
    assert!(
        error.to_string().contains("made anew since run 1 loaded"),
        "{error}"
    );
    assert_eq!(world.table.ids(&day()).len(), 100);
    world.run(&job("on_retention_gap: warn")).unwrap();
    assert_eq!(world.table.ids(&day()).len(), 7);
}

#[test]
fn a_rerun_that_loads_less_than_the_last_one_is_warned_of() {
    let world = World::new(
        Topic::new(vec![log(
            0,
            &[DAY_START_MS, DAY_START_MS + 86_400_000, DAY_START_MS + 1],
        )]),
        Table::with_key("ds"),
    );
    world.run(&job("")).unwrap();
    let mut less = job("");
    less.lateness = Lateness::None;
    let report = world.run(&less).unwrap();
    let warned = |report: &RunReport| {
        let mut warnings = report.warnings.iter();
        warnings.any(|warning| warning.contains("has 1 rows now, and 2 were loaded by run 1"))
    };
    assert!(warned(&report), "{:?}", report.warnings);
    assert!(!warned(&world.run(&job("")).unwrap()));
}
