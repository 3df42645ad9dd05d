//! What a run loads.

use engine_model::{Window, WindowOutcome};

use crate::simulation::{Message, Table, Topic, ids_in, log};
use crate::{DAY_END_MS, DAY_START_MS, World, day, job, job_of};

/// Timestamps over 26 hours around the day, a tenth of them far out of order.
fn disorderly(length: i64, seed: i64) -> Vec<i64> {
    let span = 26 * 3_600_000;
    let at = |index: i64| DAY_START_MS - 3_600_000 + index * span / length;
    (0..length)
        .map(|index| {
            if (index * 7 + seed) % 10 == 0 {
                at(length - 1 - index)
            } else {
                at(index)
            }
        })
        .collect()
}

fn window() -> Window {
    Window::new(DAY_START_MS, DAY_END_MS).unwrap()
}

fn world(logs: &[(i64, Vec<i64>)]) -> World {
    let partitions = logs
        .iter()
        .map(|(first_id, timestamps)| log(*first_id, timestamps))
        .collect();
    World::new(Topic::new(partitions), Table::with_key("ds"))
}

#[test]
fn the_window_is_exact_whatever_the_order() {
    let logs = [
        (0, disorderly(500, 1)),
        (1_000, disorderly(37, 4)),
        (2_000, Vec::new()),
        (3_000, disorderly(1, 1)),
    ];
    let world = world(&logs);
    let report = world.run(&job("")).unwrap();

    let expected = ids_in(&logs, window());
    assert_eq!(world.table.ids(&day()), expected);
    let totals: u64 = report
        .ledger
        .iter()
        .map(|entry| entry.counts.window(0).rows)
        .sum();
    assert_eq!(totals, expected.len() as u64);
    assert!(
        report
            .ledger
            .iter()
            .all(|entry| entry.counts.planned == entry.counts.accounted())
    );
    assert_eq!(
        report.ledger.len(),
        4,
        "a topic partition with nothing to read has its line too"
    );
    assert!(report.slices.planned > 5 && report.slices.read == report.slices.planned);
    assert_eq!(report.windows[0].outcome, WindowOutcome::Committed);
    assert_eq!(world.table.state.lock().unwrap().commits, 1);
    assert_eq!(world.topic.delivered_again(), 0);
    let left: Vec<_> = std::fs::read_dir(world.staging_folder()).unwrap().collect();
    assert!(left.is_empty(), "staged rows are deleted after the commit");
}

#[test]
fn the_plain_look_up_loses_what_lies_behind_one_misstamped_message() {
    let mut timestamps = disorderly(200, 3);
    timestamps[60] = DAY_END_MS + 5;
    let logs = [(0, timestamps)];
    let exact = world(&logs);
    exact.run(&job("")).unwrap();
    assert_eq!(exact.table.ids(&day()), ids_in(&logs, window()));

    let look_up = world(&logs);
    let with_lateness = job("").clone();
    let with_lateness = engine_model::job::Job {
        lateness: engine_model::job::Lateness::None,
        ..with_lateness
    };
    look_up.run(&with_lateness).unwrap();
    assert!(look_up.table.ids(&day()).len() < exact.table.ids(&day()).len());
}

#[test]
fn a_rerun_replaces_and_an_append_is_refused_the_second_time() {
    let logs = [(0, disorderly(50, 1))];
    let world = world(&logs);
    world.run(&job("")).unwrap();
    let again = world.run(&job("")).unwrap();
    assert!(!again.resumed);
    assert_eq!(world.table.ids(&day()), ids_in(&logs, window()));

    let append = job_of("partition: { ds: \"20261122\" }\n    write: append", "");
    let error = world.run(&append).unwrap_err();
    assert!(
        error.to_string().contains("would load messages twice"),
        "{error}"
    );
    assert_eq!(world.table.ids(&day()), ids_in(&logs, window()));
}

#[test]
fn tables_without_and_with_many_partition_keys_get_their_rows() {
    let logs = [(0, disorderly(20, 1))];
    let mut plain = world(&logs);
    plain.table = Table::default();
    plain.run(&job_of("", "")).unwrap();
    assert_eq!(
        plain.table.ids(&engine_model::PartitionSpec::default()),
        ids_in(&logs, window())
    );

    let mut deep = world(&logs);
    deep.table = Table {
        keys: vec!["region".into(), "DS".into(), "hh".into()],
        ..Table::default()
    };
    deep.run(&job_of(
        "partition: { ds: \"20261122\", hh: \"00\", region: cn }",
        "",
    ))
    .unwrap();
    let in_table_order = [("region", "cn"), ("DS", "20261122"), ("hh", "00")];
    let spec = in_table_order.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(
        deep.table.ids(&engine_model::PartitionSpec(spec.into())),
        ids_in(&logs, window())
    );
}

#[test]
fn holes_tombstones_and_rejects_are_counted_apart() {
    let payload = |text: &str| Some(text.to_owned());
    let messages = [
        (3, DAY_START_MS, payload("{\"id\": 1}")),
        (7, DAY_START_MS + 1, None),
        (8, DAY_START_MS + 2, payload("{\"id\": ")),
        (
            9,
            DAY_START_MS - 1,
            payload("not even JSON, but outside the window"),
        ),
        (12, DAY_START_MS + 3, payload("{\"id\": 2}")),
        (13, DAY_END_MS, payload("{\"id\": 3}")),
    ];
    let log = messages.map(|(offset, timestamp_ms, payload)| Message {
        offset,
        timestamp_ms,
        payload,
    });
    for (policy, rows, skipped) in [("keep", 3, 0), ("skip", 2, 1)] {
        let topic = Topic {
            log_start: 0,
            ..Topic::new(vec![log.to_vec()])
        };
        let world = World::new(topic, Table::with_key("ds"));
        let report = world
            .run(&job(&format!("tombstones: {policy}\nrejects: 1")))
            .unwrap();
        let counts = &report.ledger[0].counts;
        let window = counts.window(0);
        assert_eq!(
            (window.rows, window.tombstones_skipped, window.rejected),
            (rows, skipped, 1)
        );
        // The plan begins at offset 3, the first message of the window.
        assert_eq!((counts.planned, counts.holes), (11, 5));
        assert_eq!((counts.outside_before, counts.outside_after), (1, 1));
        assert_eq!(report.windows[0].rejected.get("invalid_json"), Some(&1));
        let kept: Vec<_> = std::fs::read_dir(world.staging_folder()).unwrap().collect();
        assert_eq!(
            kept.len(),
            1,
            "the rejected message is kept after the commit"
        );
        assert!(report.windows[0].reject_files[0].ends_with("-rejects.parquet"));
    }
}

#[test]
fn a_block_is_decoded_by_many_threads_where_cores_outnumber_lanes() {
    let logs = [(0, disorderly(400, 1))];
    let mut world = world(&logs);
    world.options.cores = 4;
    world.run(&job("limits: { concurrency: 1 }")).unwrap();
    assert_eq!(world.table.ids(&day()), ids_in(&logs, window()));
}

#[test]
fn an_empty_window_leaves_rows_alone_unless_the_job_says_otherwise() {
    let logs = [(0, vec![DAY_START_MS - 5, DAY_END_MS + 5])];
    let outcome = |more: &str, rows: Vec<i64>| {
        let world = world(&logs);
        world.table.state.lock().unwrap().rows.insert(day(), rows);
        let report = world.run(&job(more));
        (
            report.map(|report| report.windows[0].outcome),
            world.table.ids(&day()),
        )
    };
    assert!(matches!(outcome("", vec![]), (Ok(WindowOutcome::Empty), rows) if rows.is_empty()));
    let (refused, rows) = outcome("", vec![7]);
    assert!(refused.unwrap_err().to_string().contains("has no rows"));
    assert_eq!(rows, [7]);
    assert!(
        matches!(outcome("on_empty: keep", vec![7]), (Ok(WindowOutcome::Kept), rows) if rows == [7])
    );
    assert!(
        matches!(outcome("on_empty: replace", vec![7]), (Ok(WindowOutcome::Emptied), rows) if rows.is_empty())
    );
}
