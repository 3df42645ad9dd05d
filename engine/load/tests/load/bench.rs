//! What a bench reads, and what it leaves alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine_load::bench::{Bench, BenchReport};
use engine_load::ports::{BlockReceipt, BlockSource, Staging};
use engine_load::{Cancel, Error, ErrorKind, FolderStaging, LoadStep, Progress};
use engine_model::TableColumns;
use engine_model::job::Job;

use crate::simulation::{Message, SmallDisk, Source, SteppingClock, Table, TableState, Topic, log};
use crate::{DAY_START_MS, World, job};

/// Two topic partitions of 300 messages, one of them no JSON and one in five outside the window.
fn world() -> World {
    let timestamps: Vec<i64> = (0..300)
        .map(|number| DAY_START_MS - 60_000 + number * 1_000)
        .collect();
    let mut logs = vec![log(0, &timestamps), log(1_000, &timestamps)];
    let cut: &mut Message = &mut logs[1][200];
    cut.payload = Some("{\"id\": ".to_owned());
    World::new(Topic::new(logs), Table::with_key("ds"))
}

/// Benches with `discard` as the place for blocks.
fn bench(
    world: &World,
    job: &Job,
    messages: u64,
    discard: impl Fn(&dyn BlockSource) -> Result<u64, Error> + Sync,
    cancel: &Cancel,
) -> Result<BenchReport, Error> {
    let folder = FolderStaging::open(world.staging_folder()).unwrap();
    let staging: Arc<dyn Staging> = match world.disk_bytes {
        Some(bytes) => Arc::new(SmallDisk::new(folder, bytes)),
        None => Arc::new(folder),
    };
    let bench = Bench {
        jobs: std::slice::from_ref(job),
        source: &Source(Arc::clone(&world.topic)),
        target: &world.table,
        staging,
        discard: &|columns: &TableColumns, rows| {
            assert_eq!(columns.columns.len(), 3);
            Ok(BlockReceipt {
                bytes: discard(rows)?,
            })
        },
        clock: &SteppingClock {
            now: world.now,
            steps: AtomicU64::new(0),
        },
        cores: 2,
        messages,
        repetitions: 2,
    };
    bench.run(&Progress::default(), cancel)
}

/// Reads a block back and counts its rows.
fn read_back(rows: &dyn BlockSource) -> Result<u64, Error> {
    let batches = rows.open()?.collect::<Result<Vec<_>, _>>()?;
    Ok(batches.iter().map(|batch| batch.num_rows() as u64).sum())
}

/// Nothing is staged any more, and the table was asked for nothing that it remembers.
fn assert_untouched(world: &World) {
    let left = std::fs::read_dir(world.staging_folder()).unwrap();
    assert_eq!(left.count(), 0);
    let TableState {
        rows,
        sessions,
        commits,
        sessions_opened,
    } = &*world.table.state.lock().unwrap();
    assert!(rows.is_empty() && sessions.is_empty());
    assert_eq!((*commits, *sessions_opened), (0, 0));
    assert!(
        !world
            .folder
            .path()
            .join("journal.sqlite")
            .try_exists()
            .unwrap()
    );
    assert!(!world.folder.path().join("locks").try_exists().unwrap());
    assert!(world.topic.group.lock().unwrap().is_empty());
}

#[test]
fn each_step_sees_all_messages_and_nothing_is_left() {
    let world = world();
    let blocks = AtomicU64::new(0);
    let discard = |rows: &dyn BlockSource| {
        blocks.fetch_add(1, Ordering::Relaxed);
        read_back(rows)
    };
    // No message may be rejected in a run.
    let report = bench(
        &world,
        &job("rejects: 0"),
        1_000,
        discard,
        &Cancel::default(),
    )
    .unwrap();
    assert_eq!((report.offsets, report.offsets_measured), (480, 480));
    assert_eq!(
        report
            .steps
            .iter()
            .map(|measure| measure.step)
            .collect::<Vec<_>>(),
        LoadStep::ALL
    );
    for measure in &report.steps {
        assert_eq!(measure.messages, 480, "{measure:?}");
        assert!(
            measure.bytes > 480 * 20 && measure.seconds > 0.0,
            "{measure:?}"
        );
        let becomes_rows = measure.step > LoadStep::Read;
        assert_eq!(measure.rows, becomes_rows.then_some(479), "{measure:?}");
        assert_eq!(measure.rejected, u64::from(becomes_rows), "{measure:?}");
        let is_staged = measure.step > LoadStep::Decode;
        assert_eq!(measure.bytes_staged > 0, is_staged, "{measure:?}");
        let sent = if measure.step == LoadStep::Upload {
            479
        } else {
            0
        };
        assert_eq!(measure.bytes_sent, sent, "{measure:?}");
    }
    assert!(blocks.load(Ordering::Relaxed) > 2);
    // Once to warm up, and four steps twice.
    assert_eq!(world.topic.delivered.lock().unwrap()[&(0, 60)], 9);
    assert!(!report.advice.is_empty());
    assert_untouched(&world);
}

#[test]
fn a_part_is_read_where_the_window_holds_more() {
    let world = world();
    let report = bench(&world, &job(""), 80, read_back, &Cancel::default()).unwrap();
    assert_eq!((report.offsets, report.offsets_measured), (480, 80));
    for measure in &report.steps {
        assert_eq!(measure.messages, 80, "{measure:?}");
    }
    let delivered = world.topic.delivered.lock().unwrap();
    let of = |number: i32| {
        delivered
            .keys()
            .filter(|(partition, _)| *partition == number)
            .count()
    };
    assert_eq!((of(0), of(1)), (40, 40));
}

#[test]
fn a_disk_with_room_for_less_is_used_again() {
    let mut world = world();
    let staged = bench(&world, &job(""), 1_000, read_back, &Cancel::default()).unwrap();
    // 4 MiB of messages each, as planning is told: two slices at once, of many.
    let report = bench(
        &world,
        &job("limits: { disk: 64MiB }"),
        1_000,
        read_back,
        &Cancel::default(),
    );
    assert_eq!(report.unwrap().steps[3].rows, staged.steps[3].rows);
    world.disk_bytes = Some(1_000);
    let error = bench(&world, &job(""), 1_000, read_back, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Staging);
    assert_untouched(&world);
}

#[test]
fn a_bench_that_fails_or_is_stopped_leaves_nothing_either() {
    let world = world();
    let refused = |_: &dyn BlockSource| Err(Error::new(ErrorKind::Target, "it can't be encoded"));
    let error = bench(&world, &job(""), 1_000, refused, &Cancel::default()).unwrap_err();
    assert_eq!(error.to_string(), "it can't be encoded");
    assert_untouched(&world);

    let cancel = Cancel::default();
    let stopping = |rows: &dyn BlockSource| {
        cancel.cancel();
        read_back(rows)
    };
    let error = bench(&world, &job(""), 1_000, stopping, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert_untouched(&world);
}

#[test]
fn a_window_without_messages_is_refused() {
    let world = World::new(Topic::new(vec![Vec::new()]), Table::with_key("ds"));
    let error = bench(&world, &job(""), 1_000, read_back, &Cancel::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(
        error.to_string().contains("no messages to measure"),
        "{error}"
    );
}
