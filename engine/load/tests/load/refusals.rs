//! What is refused before or without a commit; the table is as it was.

use engine_load::rejects::{Reject, read_rejects, reject_files};
use engine_load::{ErrorKind, FolderStaging};
use engine_model::PartitionSpec;
use jiff::Timestamp;

use crate::simulation::{Message, Table, Topic, log};
use crate::{DAY_END_MS, DAY_START_MS, World, day, job, job_of};

fn world() -> World {
    let timestamps: Vec<_> = (0..40)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect();
    let world = World::new(Topic::new(vec![log(0, &timestamps)]), Table::with_key("ds"));
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(day(), vec![-1]);
    world
}

#[track_caller]
fn refused(world: &World, job: &engine_model::job::Job, kind: ErrorKind, says: &str) {
    let error = world.run(job).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(says), "{error}");
    assert_eq!(world.table.ids(&day()), [-1], "no row of the table changed");
}

#[test]
fn a_window_that_is_not_over() {
    let mut world = world();
    world.now = Timestamp::from_millisecond(DAY_END_MS - 1).unwrap();
    refused(&world, &job(""), ErrorKind::Job, "--allow-open-window");
    world.options.allow_open_window = true;
    let append = job_of("partition: { ds: \"20261122\" }\n    write: append", "");
    let never = "no way to load the rest";
    refused(&world, &append, ErrorKind::Job, never);
    world.run(&job("")).unwrap();
}

#[test]
fn partition_keys_that_are_not_the_tables() {
    let world = world();
    refused(&world, &job_of("", ""), ErrorKind::Job, "leaves out `ds`");
    let both = job_of("partition: { dt: \"1\", ds: \"1\" }", "");
    refused(
        &world,
        &both,
        ErrorKind::Job,
        "has the partition key `ds`, and `destination.maxcompute.partition` names `dt`",
    );
}

#[test]
fn a_column_that_the_table_lacks() {
    let world = world();
    let mut wrong = job("");
    wrong.columns[0].column = "order_id".into();
    refused(&world, &wrong, ErrorKind::Job, "order_id");
}

#[test]
fn a_message_that_is_no_row_where_none_may_be_rejected() {
    let broken = Message {
        offset: 0,
        timestamp_ms: DAY_START_MS,
        payload: Some("{\"id\": \"x\"}".into()),
    };
    let world = World {
        topic: Topic::new(vec![vec![broken]]).into(),
        ..world()
    };
    refused(
        &world,
        &job(""),
        ErrorKind::Rejects,
        "offset 0 of orders[0]: column \"id\" (id)",
    );
    // It is kept, for whoever corrects the job.
    let staging = FolderStaging::open(world.staging_folder()).unwrap();
    let files = reject_files(&staging).unwrap();
    let mut kept = Vec::new();
    for name in files.values().flatten() {
        let take = |reject: Reject| {
            kept.push((reject.offset, reject.reason));
            Ok(())
        };
        read_rejects(&staging, name, take).unwrap();
    }
    assert_eq!(kept, [(0, "unreadable_text".to_owned())]);
    refused(
        &world,
        &job("rejects: 99%"),
        ErrorKind::Rejects,
        "1 of 1 messages were rejected",
    );
}

#[test]
fn a_message_without_a_timestamp() {
    let mut messages = log(0, &[DAY_START_MS]);
    messages.push(Message {
        offset: 1,
        timestamp_ms: -1,
        payload: Some("{}".into()),
    });
    let world = World {
        topic: Topic::new(vec![messages]).into(),
        ..world()
    };
    refused(
        &world,
        &job(""),
        ErrorKind::Source,
        "offset 1 of orders[0] has no timestamp",
    );
}

#[test]
fn a_log_that_begins_without_timestamps() {
    let untimed = |offset| Message {
        offset,
        timestamp_ms: -1,
        payload: Some("{}".into()),
    };
    let log_of = |messages| World {
        topic: Topic::new(vec![messages]).into(),
        ..world()
    };
    let mut messages = vec![untimed(0), untimed(1)];
    let all_untimed = log_of(messages.clone());
    refused(
        &all_untimed,
        &job(""),
        ErrorKind::Source,
        "the messages of orders[0] from offset 0 on have no timestamps",
    );

    messages.extend(log(0, &[DAY_START_MS]));
    messages[2].offset = 2;
    let upgraded = log_of(messages.clone());
    refused(
        &upgraded,
        &job(""),
        ErrorKind::Source,
        "the messages of orders[0] from offset 0 to 1 have no timestamps",
    );

    // Before the window there is a message with a timestamp, and so what has none was there before it.
    messages[2].timestamp_ms = DAY_START_MS - 1;
    messages.extend(log(0, &[DAY_START_MS]));
    messages[3].offset = 3;
    let later = log_of(messages);
    later.run(&job("")).unwrap();
    assert_eq!(later.table.ids(&day()).len(), 1);
}

#[test]
fn a_window_that_retention_may_have_cut() {
    let mut messages = log(0, &[DAY_START_MS]);
    messages[0].offset = 5;
    let topic = || Topic {
        log_start: 5,
        ..Topic::new(vec![messages.clone()])
    };
    let world = World {
        topic: topic().into(),
        ..world()
    };
    refused(&world, &job(""), ErrorKind::Job, "begins at offset 5");
    let report = world.run(&job("on_retention_gap: warn")).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("retention")),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_target_that_holds_another_window() {
    let mut world = world();
    world.run(&job("")).unwrap();
    let mut other = job("");
    other.window.end_ms -= 3_600_000;
    let error = world.run(&other).unwrap_err();
    assert!(
        error.to_string().contains("--replace-other-window"),
        "{error}"
    );
    world.options.replace_other_window = true;
    world.run(&other).unwrap();
}

/// Of hours that were appended, one is replaced: the others would go with it.
#[test]
fn a_target_that_holds_more_than_the_last_window() {
    let mut world = world();
    world.options.replace_other_window = true;
    let hour = |number: i64, write: &str| {
        let keys = format!("partition: {{ ds: \"20261122\" }}\n    write: {write}");
        let mut job = job_of(&keys, "on_empty: replace");
        job.window.start_ms = DAY_START_MS + number * 600_000;
        job.window.end_ms = job.window.start_ms + 600_000;
        job
    };
    world.run(&hour(0, "replace")).unwrap();
    world.options.replace_other_window = false;
    for number in [1, 2] {
        world.run(&hour(number, "append")).unwrap();
    }
    let held = world.table.ids(&day());
    let error = world.run(&hour(2, "replace")).unwrap_err().to_string();
    assert!(
        error.contains("in run 1 and 1 more, which") && error.contains("would lose rows"),
        "{error}"
    );
    assert_eq!(world.table.ids(&day()), held);
    // A window that contains them all takes nothing away.
    world.run(&job("")).unwrap();
    world.run(&job("tombstones: skip")).unwrap();
}

/// Rows that were replaced by another window's, or taken out of the table, can be appended again.
#[test]
fn a_window_whose_rows_are_gone_can_be_appended_again() {
    let mut world = world();
    world.options.replace_other_window = true;
    let minutes = |start: i64, end: i64, write: &str| {
        let keys = format!("partition: {{ ds: \"20261122\" }}\n    write: {write}");
        let mut job = job_of(&keys, "");
        job.window.start_ms = DAY_START_MS + start * 60_000;
        job.window.end_ms = DAY_START_MS + end * 60_000;
        job
    };
    world.run(&minutes(0, 10, "replace")).unwrap();
    world.run(&minutes(20, 30, "replace")).unwrap();
    world.run(&minutes(0, 10, "append")).unwrap();
    let again = world.run(&minutes(5, 15, "append")).unwrap_err();
    assert!(
        again.to_string().contains("would load messages twice"),
        "{again}"
    );
    world.table.state.lock().unwrap().rows.clear();
    world.run(&minutes(0, 10, "append")).unwrap();
    assert_eq!(world.table.ids(&day()), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_full_disk() {
    let mut world = world();
    world.disk_bytes = Some(2_000);
    refused(&world, &job(""), ErrorKind::Staging, "free space there");
    world.disk_bytes = None;
    let report = world.run(&job("")).unwrap();
    assert!(
        report.resumed,
        "what was staged before the disk was full is not lost"
    );
    assert_eq!(world.table.ids(&day()), (0..40).collect::<Vec<_>>());
}

#[test]
fn a_disk_bound_that_not_even_one_slice_a_lane_fits_into() {
    refused(
        &world(),
        &job("limits: { disk: 1MiB }"),
        ErrorKind::Job,
        "`limits.disk`",
    );
}

#[test]
fn a_partition_spec_is_empty_only_for_plain_tables() {
    assert!(PartitionSpec::default().is_empty() && !day().is_empty());
}
