//! Topics that change while they are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine_load::{Border, Cancel, Error, ErrorKind};
use engine_model::job::Job;
use engine_model::{LedgerEntry, OffsetRange, RunReport};

use crate::simulation::{Table, Topic, log};
use crate::{DAY_START_MS, World, day, job};

const MESSAGES: i64 = 200;

fn timestamps() -> Vec<i64> {
    (0..MESSAGES)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect()
}

fn world_of(topic: Topic) -> World {
    let mut world = World::new(topic, Table::with_key("ds"));
    // One lane, so that what is read of the topic at a border is known.
    world.options.cores = 1;
    world
}

fn world() -> World {
    world_of(Topic::new(vec![log(0, &timestamps())]))
}

fn topic(world: &mut World) -> &mut Topic {
    Arc::get_mut(&mut world.topic).unwrap()
}

/// Runs, and lets `change` happen once two slices are in the journal.
fn run_through(
    world: &World,
    job: &Job,
    change: impl Fn() -> Result<(), Error> + Sync,
) -> Result<RunReport, Error> {
    let journalled = AtomicU64::new(0);
    let on_border = |border| {
        if border == Border::SliceJournalled && journalled.fetch_add(1, Ordering::SeqCst) == 1 {
            change()?;
        }
        Ok(())
    };
    world.run_watched(job, &world.table, &Cancel::default(), &on_border)
}

#[track_caller]
fn assert_refused(world: &World, result: Result<RunReport, Error>, says: &[&str]) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source, "{error}");
    for text in says {
        assert!(error.to_string().contains(text), "{text:?} in {error}");
    }
    assert_eq!(world.table.ids(&day()), [0_i64; 0]);
    assert_eq!(world.table.state.lock().unwrap().commits, 0);
}

fn warned(report: &RunReport, says: &str) -> bool {
    let mut warnings = report.warnings.iter();
    warnings.any(|warning| warning.contains(says))
}

/// A run through which retention has gone on up to the middle of what it reads.
fn world_that_is_cut() -> World {
    let world = world();
    let cut = || {
        world.topic.deleted_below.store(120, Ordering::SeqCst);
        Ok(())
    };
    assert_refused(&world, run_through(&world, &job(""), cut), &["is gone"]);
    world
}

#[test]
fn what_retention_deletes_before_it_is_read_is_not_passed_over() {
    let mut world = world_that_is_cut();
    for _ in 0..2 {
        assert_refused(
            &world,
            world.run(&job("")),
            &[
                "orders[0] is still to be read from offset 100 on, and its log now starts at 120",
                "on_retention_gap",
                "--replan",
            ],
        );
    }
    world.options.replan = true;
    let report = world.run(&job("")).unwrap();
    assert!(!report.resumed);
    assert_eq!(world.table.ids(&day()), (120..MESSAGES).collect::<Vec<_>>());
    let says = format!(
        "the log of orders[0] no longer reaches back to the start of window {}: messages may have been deleted there by retention",
        report.windows[0].window,
    );
    assert!(warned(&report, &says), "{:?}", report.warnings);
    assert_eq!(
        report.windows[0].deleted[0].to_string(),
        "[0, 120) of orders[0]"
    );
    assert!(report.ledger[0].deleted.is_empty(), "they were not planned");
}

#[test]
fn what_is_staged_and_what_retention_has_left_is_loaded_where_the_job_says_so() {
    let mut world = world_that_is_cut();
    topic(&mut world).skips_deleted = true;
    topic(&mut world).compacted = Some(false);
    let report = world.run(&job("on_retention_gap: warn")).unwrap();
    assert!(report.resumed && report.slices.kept == 2, "{report:?}");
    let left: Vec<_> = (0..100).chain(120..MESSAGES).collect();
    assert_eq!(world.table.ids(&day()), left);
    let [
        LedgerEntry {
            counts, deleted, ..
        },
    ] = &report.ledger[..]
    else {
        panic!("{:?}", report.ledger)
    };
    assert_eq!((counts.planned, counts.holes), (200, 20));
    let gone = OffsetRange {
        start: 100,
        end: 120,
    };
    assert_eq!(deleted, &[gone]);
    assert_eq!(report.windows[0].deleted[0].ranges, [gone]);
    let says = format!(
        "retention deleted offsets [100, 120) of orders[0] before they were read: what messages were there of window {} can't",
        report.windows[0].window,
    );
    assert!(warned(&report, &says), "{:?}", report.warnings);
    assert!(!warned(&report, "have no message"), "they are no markers");
}

#[test]
fn what_retention_deletes_after_it_was_read_is_loaded_without_a_word() {
    let world = world();
    let cut = || {
        world.topic.deleted_below.store(50, Ordering::SeqCst);
        Ok(())
    };
    let report = run_through(&world, &job(""), cut).unwrap();
    assert_eq!(world.table.ids(&day()), (0..MESSAGES).collect::<Vec<_>>());
    assert!(report.windows[0].deleted.is_empty() && report.ledger[0].deleted.is_empty());
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(warned(
        &report,
        "the last messages of orders[0] are not all"
    ));
}

#[test]
fn topic_partitions_that_come_after_the_plan_are_named() {
    let logs = vec![
        log(0, &timestamps()),
        log(1_000, &[DAY_START_MS - 1]),
        log(2_000, &timestamps()),
    ];
    // Before the run has begun to read, or between two attempts at it.
    for crashes in [false, true] {
        let world = world_of(Topic::new(logs.clone()));
        world.topic.unborn.store(2, Ordering::SeqCst);
        if crashes {
            *world.table.faults.fail_uploads_after.lock().unwrap() = Some(3);
            world.run(&job("")).unwrap_err();
            *world.table.faults.fail_uploads_after.lock().unwrap() = None;
        }
        let report = world.run(&job("")).unwrap();
        assert_eq!(report.resumed, crashes);
        assert_eq!(world.table.ids(&day()), (0..MESSAGES).collect::<Vec<_>>());
        assert!(
            warned(
                &report,
                "orders[2] came to the topic after this was planned, and hold messages"
            ),
            "{:?}",
            report.warnings
        );
        assert!(warned(
            &report,
            "orders[1] came to the topic after this was planned, and hold nothing"
        ));
        let again = world.run(&job("")).unwrap();
        assert!(!warned(&again, "came to the topic"));
        assert_eq!(world.table.ids(&day()).len(), 400);
    }
}

#[test]
fn a_topic_that_is_made_anew_while_it_is_read_is_not_committed() {
    for has_ids in [true, false] {
        let mut world = world();
        let id = |name: &str| has_ids.then(|| name.to_owned());
        *world.topic.id.lock().unwrap() = id("first");
        // As many messages, so that reading goes on as if nothing had happened; the first one is too old.
        let mut stamps = timestamps();
        stamps[0] = DAY_START_MS - 1;
        let make_anew = || {
            *world.topic.id.lock().unwrap() = id("second");
            let logs = vec![log(5_000, &stamps)];
            world.topic.made_anew.set(logs).unwrap();
            Ok(())
        };
        let says = if has_ids {
            "its id was first and is second"
        } else {
            "is not what it was when the run was planned"
        };
        assert_refused(&world, run_through(&world, &job(""), make_anew), &[says]);
        // Without ids only a person can tell that this is another topic.
        world.options.replan = !has_ids;
        let report = world.run(&job("")).unwrap();
        assert!(!report.resumed);
        assert_eq!(world.table.ids(&day()), (5_001..5_200).collect::<Vec<_>>());
    }
}

#[test]
fn compaction_between_two_attempts_is_no_other_topic() {
    for compacted in [Some(true), Some(false), None] {
        let mut world = world();
        topic(&mut world).compacted = compacted;
        let crash = || Err(Error::new(ErrorKind::Internal, "crashed"));
        run_through(&world, &job(""), crash).unwrap_err();
        // The first message of the window, and others of what is staged and of what isn't.
        topic(&mut world).partitions[0].retain(|message| message.offset % 3 != 0);
        let again = world.run(&job(""));
        if compacted != Some(true) {
            assert_refused(&world, again, &["is not what it was"]);
            continue;
        }
        let report = again.unwrap();
        assert!(report.resumed && report.slices.kept == 2, "{report:?}");
        let left = (100..MESSAGES).filter(|id| id % 3 != 0);
        assert_eq!(
            world.table.ids(&day()),
            (0..100).chain(left).collect::<Vec<_>>()
        );
        let counts = &report.ledger[0].counts;
        assert_eq!((counts.planned, counts.holes), (200, 33));
    }
}
