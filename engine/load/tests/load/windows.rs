//! Several windows in one pass, and windows that are bounded by offsets.

use std::sync::Arc;

use engine_load::ErrorKind;
use engine_load::plan::WindowOrder;
use engine_model::job::{Job, Lateness, OffsetBound, OffsetBounds};
use engine_model::{PartitionSpec, Window, WindowOutcome};

use crate::simulation::{Message, Table, Topic, ids_in, log};
use crate::{DAY_START_MS, World, job, job_of};

const HOUR_MS: i64 = 3_600_000;

/// The job for hour `number` of the day, into a table partition of its own.
pub(crate) fn hour(number: i64) -> Job {
    let mut job = job("");
    job.window = hour_window(number);
    job.destination.partition = partition(number);
    job
}

fn hour_window(number: i64) -> Window {
    let start_ms = DAY_START_MS + number * HOUR_MS;
    Window::new(start_ms, start_ms + HOUR_MS).unwrap()
}

pub(crate) fn partition(number: i64) -> PartitionSpec {
    PartitionSpec(vec![("ds".to_owned(), format!("h{number}"))])
}

/// Two topic partitions with a message each minute for six hours, mostly in order.
fn logs() -> Vec<(i64, Vec<i64>)> {
    let minutes = |seed: i64| {
        let stamp = move |minute: i64| {
            let late = if (minute + seed) % 7 == 0 { 11 } else { 0 };
            DAY_START_MS + (minute - late) * 60_000
        };
        (0..360).map(stamp).collect::<Vec<_>>()
    };
    vec![(0, minutes(1)), (1_000, minutes(4))]
}

pub(crate) fn world() -> World {
    let logs = logs();
    let partitions = logs.iter().map(|(first, stamps)| log(*first, stamps));
    World::new(Topic::new(partitions.collect()), Table::with_key("ds"))
}

pub(crate) fn assert_loaded(world: &World, hours: std::ops::Range<i64>) {
    for number in hours {
        let expected = ids_in(&logs(), hour_window(number));
        assert!(!expected.is_empty());
        assert_eq!(
            world.table.ids(&partition(number)),
            expected,
            "hour {number}"
        );
    }
}

#[test]
fn many_windows_are_read_once_and_loaded_as_one_by_one() {
    for order in [WindowOrder::OldestFirst, WindowOrder::NewestFirst] {
        let mut together = world();
        together.options.order = order;
        let jobs: Vec<_> = (0..6).map(hour).collect();
        let report = together.run_all(&jobs).unwrap();
        assert_loaded(&together, 0..6);
        assert_eq!(together.topic.delivered_again(), 0);
        assert_eq!(together.table.state.lock().unwrap().commits, 6);
        assert_eq!(report.windows.len(), 6);
        let rows: u64 = report.windows.iter().map(|window| window.rows).sum();
        let late: u64 = report
            .windows
            .iter()
            .map(|window| window.rows_past_look_up)
            .sum();
        assert!(late > 0 && late < rows / 4, "{late} of {rows}");
        let ledger: u64 = report
            .ledger
            .iter()
            .map(|entry| entry.counts.accounted())
            .sum();
        let planned: u64 = report.ledger.iter().map(|entry| entry.counts.planned).sum();
        assert_eq!(ledger, planned);
    }
    let single = world();
    for number in 0..6 {
        single.run(&hour(number)).unwrap();
    }
    assert_loaded(&single, 0..6);
}

#[test]
fn windows_that_are_complete_are_committed_before_the_others() {
    let world = world();
    let jobs: Vec<_> = (0..6).map(hour).collect();
    *world.table.faults.fail_uploads_after.lock().unwrap() = Some(20);
    world.run_all(&jobs).unwrap_err();
    let committed = world.table.state.lock().unwrap().commits;
    assert!(committed > 0 && committed < 6, "{committed}");
    *world.table.faults.fail_uploads_after.lock().unwrap() = None;
    let report = world.run_all(&jobs).unwrap();
    assert!(report.resumed && report.slices.kept > 0);
    assert_loaded(&world, 0..6);
    assert_eq!(
        world.table.state.lock().unwrap().commits,
        6,
        "none is committed twice"
    );
    assert!(
        report
            .windows
            .iter()
            .all(|window| window.outcome == WindowOutcome::Committed)
    );
}

#[test]
fn a_window_that_is_refused_does_not_keep_the_others() {
    let world = world();
    let mut jobs: Vec<_> = (0..3).map(hour).collect();
    // A night without messages, before the first.
    jobs.insert(0, hour(-5));
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(partition(-5), vec![7]);
    let error = world.run_all(&jobs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(
        error
            .to_string()
            .starts_with("1 of 4 windows were refused, and the others are committed"),
        "{error}"
    );
    assert_loaded(&world, 0..3);
    assert_eq!(world.table.ids(&partition(-5)), [7]);
    // Whoever emptied the partition runs the same again.
    world.table.state.lock().unwrap().rows.clear();
    for number in 0..3 {
        let ids = ids_in(&logs(), hour_window(number));
        world
            .table
            .state
            .lock()
            .unwrap()
            .rows
            .insert(partition(number), ids);
    }
    let report = world.run_all(&jobs).unwrap();
    assert!(report.resumed);
    assert_eq!(report.slices.read, 0);
    assert_eq!(report.windows[0].outcome, WindowOutcome::Empty);
}

#[test]
fn windows_that_can_not_go_together_are_refused() {
    let world = world();
    let refused = |jobs: &[Job], says: &str| {
        let error = world.run_all(jobs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Job);
        assert!(error.to_string().contains(says), "{error}");
    };
    refused(&[], "no window to load");
    let mut same_target = hour(1);
    same_target.destination.partition = partition(0);
    refused(&[hour(0), same_target], "would both replace");
    let mut longer = hour(1);
    longer.window.end_ms += 2 * HOUR_MS;
    refused(&[longer, hour(2)], "overlap");
    let mut other_topic = hour(1);
    other_topic.source.topics = vec!["other".to_owned()];
    refused(&[hour(0), other_topic], "different topics");
    let mut other_table = hour(1);
    other_table.destination.table.table = "other".to_owned();
    refused(&[hour(0), other_table], "different tables");
    let mut other_tombstones = hour(1);
    other_tombstones.tombstones = engine_model::job::Tombstones::Skip;
    refused(&[hour(0), other_tombstones], "different settings");
}

#[test]
fn a_window_that_another_run_has_loaded_since_is_left_out() {
    let world = world();
    let jobs: Vec<_> = (0..4).map(hour).collect();
    *world.table.faults.fail_uploads_after.lock().unwrap() = Some(0);
    world.run_all(&jobs).unwrap_err();
    *world.table.faults.fail_uploads_after.lock().unwrap() = None;
    world.run(&hour(2)).unwrap();
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(partition(2), vec![-1]);
    let report = world.run_all(&jobs).unwrap();
    assert!(report.resumed);
    assert_eq!(report.windows[2].outcome, WindowOutcome::Superseded);
    assert_eq!(world.table.ids(&partition(2)), [-1]);
    for number in [0, 1, 3] {
        assert_loaded(&world, number..number + 1);
    }
}

#[test]
fn constants_may_differ_from_window_to_window() {
    let world = world();
    let jobs: Vec<_> = (0..2)
        .map(|number| {
            let text = "columns: { id: id, city: { value: \"HOUR\" }, at: __timestamp__ }";
            let mut job = job_of("partition: { ds: x }", "");
            let mut columns = job_of("partition: { ds: x }", "").columns;
            assert!(text.contains("HOUR"));
            columns[1].source = engine_model::ColumnSource::Constant(format!("h{number}"));
            job.columns = columns;
            job.window = hour_window(number);
            job.destination.partition = partition(number);
            job
        })
        .collect();
    world.run_all(&jobs).unwrap();
    assert_loaded(&world, 0..2);
}

fn by_offset(start: Option<OffsetBound>, end: Option<OffsetBound>, write: &str) -> Job {
    let keys = format!("partition: {{ ds: \"20261122\" }}\n    write: {write}");
    let mut job = job_of(&keys, "");
    if start.is_some() {
        job.window.start_ms = i64::MIN;
    }
    if end.is_some() {
        job.window.end_ms = i64::MAX;
    }
    job.offsets = OffsetBounds { start, end };
    job.destination.partition = partition(0);
    job
}

fn ids(world: &World) -> Vec<i64> {
    world.table.ids(&partition(0))
}

#[test]
fn offsets_bound_a_window_alone_or_with_times() {
    use OffsetBound::{At, Each, Earliest, Latest};
    let all: Vec<i64> = (0..360).chain(1_000..1_360).collect();
    for (start, end, expected) in [
        (Earliest, Latest, all.clone()),
        (At(350), Latest, (350..360).chain(1_350..1_360).collect()),
        (At(350), At(352), vec![350, 351, 1_350, 1_351]),
        (Earliest, Each([(1, 3)].into()), vec![1_000, 1_001, 1_002]),
        (Each([(0, 358)].into()), Latest, vec![358, 359]),
    ] {
        let world = world();
        let report = world
            .run(&by_offset(Some(start), Some(end), "replace"))
            .unwrap();
        assert_eq!(ids(&world), expected);
        assert!(!report.windows[0].window.is_by_time());
    }
    // The times of a day that ends at offset 100.
    let world = world();
    world
        .run(&by_offset(None, Some(At(100)), "replace"))
        .unwrap();
    let stamps = logs();
    let expected: Vec<i64> = ids_in(&stamps, Window::new(DAY_START_MS, i64::MAX).unwrap())
        .into_iter()
        .filter(|id| id % 1_000 < 100)
        .collect();
    assert_eq!(ids(&world), expected);
    let unknown = by_offset(Some(Each([(7, 0)].into())), Some(Latest), "replace");
    let error = world.run(&unknown).unwrap_err();
    assert!(error.to_string().contains("topic partition 7"), "{error}");
}

#[test]
fn messages_without_a_timestamp_can_be_loaded_by_offset() {
    let messages = (0..5).map(|offset| Message {
        offset,
        timestamp_ms: -1,
        payload: Some(format!("{{\"id\": {offset}}}")),
    });
    let world = World::new(Topic::new(vec![messages.collect()]), Table::with_key("ds"));
    let job = by_offset(
        Some(OffsetBound::Earliest),
        Some(OffsetBound::Latest),
        "replace",
    );
    world.run(&job).unwrap();
    assert_eq!(ids(&world), [0, 1, 2, 3, 4]);
}

#[test]
fn offsets_that_are_gone_are_a_retention_gap() {
    let mut topic = Topic::new(vec![log(0, &[DAY_START_MS; 10]).split_off(4)]);
    topic.log_start = 4;
    let world = World::new(topic, Table::with_key("ds"));
    world
        .table
        .state
        .lock()
        .unwrap()
        .rows
        .insert(partition(0), vec![-1]);
    let job = by_offset(
        Some(OffsetBound::At(2)),
        Some(OffsetBound::Latest),
        "replace",
    );
    let error = world.run(&job).unwrap_err();
    assert!(error.to_string().contains("begins at offset 4"), "{error}");
    assert_eq!(ids(&world), [-1]);
    let job = by_offset(
        Some(OffsetBound::At(4)),
        Some(OffsetBound::Latest),
        "replace",
    );
    world.run(&job).unwrap();
    assert_eq!(ids(&world), [4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_group_goes_on_where_the_last_run_ended_and_nothing_is_appended_twice() {
    let world = world();
    let group = |write: &str| by_offset(Some(OffsetBound::Group), Some(OffsetBound::Latest), write);
    world
        .topic
        .group
        .lock()
        .unwrap()
        .extend([(0, 350), (1, 355)]);
    world.run(&group("append")).unwrap();
    assert_eq!(
        ids(&world),
        (350..360).chain(1_355..1_360).collect::<Vec<_>>()
    );
    assert_eq!(
        *world.topic.group.lock().unwrap(),
        [(0, 360), (1, 360)].into()
    );

    // The group was set back by hand.
    world.topic.group.lock().unwrap().insert(0, 300);
    let error = world.run(&group("append")).unwrap_err();
    assert!(
        error.to_string().contains("would load messages twice"),
        "{error}"
    );
    world
        .topic
        .group
        .lock()
        .unwrap()
        .extend([(0, 300), (1, 300)]);
    let other = by_offset(
        Some(OffsetBound::Group),
        Some(OffsetBound::At(310)),
        "append",
    );
    world.run(&other).unwrap();
    assert_eq!(ids(&world).len(), 15 + 20);
    let error = world.run(&group("replace")).unwrap_err();
    assert!(error.to_string().contains("would lose rows"), "{error}");
}

#[test]
fn runs_from_the_group_to_a_time_follow_each_other_and_take_each_message_once() {
    // Minutes of disorder, also where one window ends and the next begins.
    let stamps: Vec<i64> = (0..240)
        .map(|minute| DAY_START_MS + (minute + minute * 7 % 9 - 4) * 60_000)
        .collect();
    for write in ["append", "replace"] {
        let world = World::new(
            Topic::new(vec![log(0, &stamps), log(1_000, &stamps)]),
            Table::with_key("ds"),
        );
        for hour in 1..=5 {
            let mut job = by_offset(Some(OffsetBound::Group), None, write);
            job.lateness = Lateness::None;
            job.window.end_ms = DAY_START_MS + hour * HOUR_MS;
            if write == "replace" {
                job.destination.partition = partition(hour);
            }
            world.run(&job).unwrap();
        }
        let mut found: Vec<i64> = (0..=5)
            .flat_map(|number| world.table.ids(&partition(number)))
            .collect();
        found.sort_unstable();
        let all: Vec<i64> = (0..240).chain(1_000..1_240).collect();
        assert_eq!(found, all, "{write}");
    }
}

#[test]
fn a_group_stays_where_nothing_was_read() {
    let world = world();
    let some = Some(OffsetBound::Each([(0, 100)].into()));
    world
        .run(&by_offset(some, Some(OffsetBound::Latest), "replace"))
        .unwrap();
    assert_eq!(*world.topic.group.lock().unwrap(), [(0, 360)].into());
}

#[test]
fn a_position_that_a_window_begins_at_has_to_be_set() {
    let mut world = world();
    let job = by_offset(
        Some(OffsetBound::Group),
        Some(OffsetBound::Latest),
        "append",
    );
    Arc::get_mut(&mut world.topic).unwrap().group_fails = true;
    let error = world.run(&job).unwrap_err();
    assert!(
        error.to_string().contains("the same command has set it"),
        "{error}"
    );
    assert_eq!(ids(&world).len(), 720);
    Arc::get_mut(&mut world.topic).unwrap().group_fails = false;
    let report = world.run(&job).unwrap();
    assert!(report.resumed);
    assert_eq!(ids(&world).len(), 720);
    assert_eq!(
        *world.topic.group.lock().unwrap(),
        [(0, 360), (1, 360)].into()
    );
}

#[test]
fn holes_of_a_topic_that_is_not_compacted_are_a_finding() {
    for (compacted, told) in [(Some(false), true), (Some(true), false), (None, false)] {
        let mut messages = log(0, &[DAY_START_MS; 20]);
        messages.retain(|message| !(5..8).contains(&message.offset));
        let mut topic = Topic::new(vec![messages]);
        topic.compacted = compacted;
        let world = World::new(topic, Table::with_key("ds"));
        let report = world.run(&hour(0)).unwrap();
        let counts = &report.ledger[0];
        assert_eq!((counts.counts.holes, counts.hole_spans.len()), (3, 1));
        assert_eq!(counts.hole_spans[0].to_string(), "[5, 8)");
        let finding = report
            .warnings
            .iter()
            .find(|warning| warning.contains("[5, 8)"));
        assert_eq!(finding.is_some(), told, "{:?}", report.warnings);
    }
}

#[test]
fn a_message_far_behind_its_window_is_counted_and_not_lost_silently() {
    // Hour 0 again in hour 13: long after hour 0 is committed, and at no border of another hour.
    let mut stamps: Vec<i64> = (0..40_000)
        .map(|second| DAY_START_MS + second * 2_000)
        .collect();
    stamps[24_100] = DAY_START_MS + 7;
    let topic = Topic::new(vec![log(0, &stamps)]);
    let world = World::new(topic, Table::with_key("ds"));
    let jobs: Vec<_> = (0..23).map(hour).collect();
    let mut jobs = jobs;
    for job in &mut jobs {
        job.on_empty = engine_model::job::OnEmpty::Keep;
    }
    let report = world.run_all(&jobs).unwrap();
    assert_eq!(report.ledger[0].counts.outside_reach, 1);
    let warning = report
        .warnings
        .iter()
        .find(|warning| warning.contains("longer `lateness`"));
    let told = format!("are not loaded: 1 of {}; run", hour_window(0));
    assert!(
        warning.is_some_and(|warning| warning.contains(&told)),
        "{:?}",
        report.warnings
    );
    let ids: usize = (0..23)
        .map(|number| world.table.ids(&partition(number)).len())
        .sum();
    assert_eq!(ids, 39_999);
    // More blocks than the service takes in five minutes.
    assert!(report.slices.uploaded > 500 && report.seconds >= 300.0);
    assert_eq!(Arc::strong_count(&world.topic), 1);
}

#[test]
fn no_more_sessions_are_opened_than_the_service_takes() {
    let seconds = |windows: i64| {
        let world = World::new(
            Topic::new(vec![log(0, &[DAY_START_MS])]),
            Table::with_key("ds"),
        );
        // Each takes one to be emptied, and no block.
        let jobs: Vec<_> = (-windows..0)
            .map(|number| {
                let mut state = world.table.state.lock().unwrap();
                state.rows.insert(partition(number), vec![7]);
                let mut job = hour(number);
                job.on_empty = engine_model::job::OnEmpty::Replace;
                job
            })
            .collect();
        let report = world.run_all(&jobs).unwrap();
        assert_eq!(report.slices.uploaded, 0);
        let opened = world.table.state.lock().unwrap().sessions_opened;
        assert_eq!(opened, jobs.len());
        report.seconds
    };
    assert!(seconds(500) < 1.0);
    assert!((300.0..301.0).contains(&seconds(501)));
}

#[test]
fn an_idle_run_ends_and_says_what_it_did_not_read() {
    let mut topic = Topic::new(vec![
        log(0, &[DAY_START_MS; 100]),
        log(1_000, &[DAY_START_MS; 3]),
    ]);
    topic.silent_from = Some(40);
    let mut world = World::new(topic, Table::with_key("ds"));
    world.time_passes = true;
    let mut job = hour(0);
    job.exit = engine_model::job::Exit::Idle(std::time::Duration::from_secs(5));
    let report = world.run(&job).unwrap();
    let counts = &report.ledger[0].counts;
    assert_eq!(
        (counts.unread, counts.window(0).rows, counts.holes),
        (60, 40, 0)
    );
    assert_eq!(report.ledger[1].counts.window(0).rows, 3);
    // The next run can go on where this one left off.
    assert_eq!(*world.topic.group.lock().unwrap(), [(0, 40), (1, 3)].into());
    assert_eq!(counts.planned, counts.accounted());
    let warning = report
        .warnings
        .iter()
        .find(|warning| warning.contains("60 offsets of orders[0] are unread"));
    assert!(warning.is_some(), "{:?}", report.warnings);
    let expected: Vec<i64> = (0..40).chain(1_000..1_003).collect();
    assert_eq!(world.table.ids(&partition(0)), expected);
}

#[test]
fn a_job_that_waits_for_closed_topic_partitions_waits_no_longer_than_it_says() {
    let open = log(0, &[DAY_START_MS; 100]);
    let closed = log(0, &[DAY_START_MS, DAY_START_MS + 1, DAY_START_MS + HOUR_MS]);
    for (messages, warned) in [(open, true), (closed, false)] {
        let mut world = World::new(Topic::new(vec![messages]), Table::with_key("ds"));
        world.time_passes = true;
        let mut job = hour(0);
        job.wait_closed = Some(std::time::Duration::from_secs(12));
        let report = world.run(&job).unwrap();
        let told =
            |warning: &String| warning.contains("the last messages of orders[0] are not all");
        assert_eq!(
            report.warnings.iter().any(told),
            warned,
            "{:?}",
            report.warnings
        );
    }
}
