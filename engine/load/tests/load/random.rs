//! Crashes, damages and lost answers in any order.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine_load::{Assume, Border, Cancel, ErrorKind, Passing};
use engine_model::job::WriteMode;
use fastrand::Rng;

use crate::borders::{Crash, job_writing, truth, world};
use crate::{World, day};

/// Each a run with up to [`ATTEMPTS_MAX`] attempts that something happens to.
const RUNS: u64 = 100;
const ATTEMPTS_MAX: u32 = 5;
/// Passings of a border that a run may have, and a few more.
const PASSINGS_MAX: u64 = 10;

/// Lets something go wrong at the server, or nothing.
fn arm(world: &World, rng: &mut Rng) {
    let faults = &world.table.faults;
    disarm(world);
    match rng.u32(..10) {
        0 => faults.lose_commit.store(true, Ordering::Relaxed),
        1 => faults.lose_commit_answer.store(true, Ordering::Relaxed),
        2 => faults.commit_slowly.store(true, Ordering::Relaxed),
        3 => faults.refuse_commit.store(true, Ordering::Relaxed),
        4 => *faults.fail_uploads_after.lock().unwrap() = Some(rng.u64(..10)),
        5 => faults.hide_rows.store(true, Ordering::Relaxed),
        6 => *faults.forget_after.lock().unwrap() = Some((rng.u64(1..8), rng.u64(1..5))),
        7 => faults.forget_at_commit.store(true, Ordering::Relaxed),
        _ => {}
    }
}

fn disarm(world: &World) {
    let faults = &world.table.faults;
    *faults.fail_uploads_after.lock().unwrap() = None;
    *faults.forget_after.lock().unwrap() = None;
    for fault in [
        &faults.lose_commit,
        &faults.lose_commit_answer,
        &faults.commit_slowly,
        &faults.refuse_commit,
        &faults.hide_rows,
        &faults.forget_at_commit,
    ] {
        fault.store(false, Ordering::Relaxed);
    }
}

/// What may happen while no run is under way.
fn damage(world: &mut World, rng: &mut Rng) {
    let staged: Vec<_> = fs::read_dir(world.staging_folder())
        .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
        .unwrap_or_default();
    match rng.u32(..7) {
        0 => world.table.forget_sessions(),
        1 | 2 if !staged.is_empty() => {
            let path = rng.choice(&staged).unwrap();
            let mut bytes = fs::read(path).unwrap();
            match rng.u32(..3) {
                0 => bytes.truncate(rng.usize(..bytes.len().max(1))),
                1 => bytes.fill(0),
                _ => return fs::remove_file(path).unwrap(),
            }
            fs::write(path, bytes).unwrap();
        }
        3 => {
            let name = format!("run-1-slice-{:05}-window-0-rows.parquet", rng.u32(..99));
            fs::write(world.staging_folder().join(name + ".partial"), b"?").unwrap();
        }
        4 => compact(world, rng),
        _ => {}
    }
}

/// Takes messages out of the middle of a log, up to all of one slice or two.
fn compact(world: &mut World, rng: &mut Rng) {
    let topic = Arc::get_mut(&mut world.topic).unwrap();
    let log = rng.choice(&mut topic.partitions).unwrap();
    let start = rng.i64(1..98);
    let end = rng.i64(start..99);
    log.retain(|message| !(start..=end).contains(&message.offset));
}

/// The ids of the messages that are still there and become rows.
fn kept(world: &World) -> BTreeSet<i64> {
    let kept = (0..)
        .zip(&world.topic.partitions)
        .flat_map(|(number, log)| log.iter().map(move |message| number * 100 + message.offset));
    let rows: BTreeSet<_> = truth().into_iter().collect();
    kept.filter(|id| rows.contains(id)).collect()
}

/// Makes one attempt; whether it loaded the window. A person settles what nobody else can.
fn attempt(world: &mut World, write: WriteMode, crash: &Crash, what: &str) -> bool {
    let job = job_writing(match write {
        WriteMode::Replace => "replace",
        WriteMode::Append => "append",
    });
    let result = world.run_watched(&job, &world.table, &Cancel::default(), &|border| {
        crash.on_border(border)
    });
    world.options.assume = None;
    let Err(error) = result else { return true };
    if error.to_string().contains("would load messages twice") {
        assert_eq!(write, WriteMode::Append, "{what}");
        return true;
    }
    let unknown = error.kind() == ErrorKind::CommitUnknown;
    if unknown && error.to_string().contains("no longer knows") {
        let committed = !world.table.ids(&day()).is_empty();
        world.options.assume = Some(if committed {
            Assume::Committed
        } else {
            Assume::NotCommitted
        });
    }
    let expected = [
        ErrorKind::Internal,
        ErrorKind::Target,
        ErrorKind::CommitUnknown,
        ErrorKind::SessionGone,
    ];
    assert!(expected.contains(&error.kind()), "{what}: {error}");
    false
}

#[test]
fn nothing_is_lost_or_doubled_whatever_happens_in_whatever_order() {
    let seed = fastrand::u64(..);
    for run in 0..RUNS {
        let seed = seed.wrapping_add(run);
        let mut rng = Rng::with_seed(seed);
        let write = *rng
            .choice(&[WriteMode::Replace, WriteMode::Append])
            .unwrap();
        let what = format!("seed {seed}, {write:?}");
        let mut world = world();
        let mut loaded = false;
        for _ in 0..rng.u32(1..=ATTEMPTS_MAX) {
            if loaded && write == WriteMode::Append {
                break;
            }
            arm(&world, &mut rng);
            let (border, _) = *rng.choice(&Border::ALL).unwrap();
            let crash = Crash::new(Passing {
                border,
                number: rng.u64(1..=PASSINGS_MAX),
            });
            loaded = attempt(&mut world, write, &crash, &what);
            if !loaded {
                damage(&mut world, &mut rng);
            }
        }
        disarm(&world);
        let peace = Crash::new(Passing {
            border: Border::RunBegun,
            number: u64::MAX,
        });
        for _ in 0..3 {
            loaded = loaded || attempt(&mut world, write, &peace, &what);
        }
        assert!(loaded, "{what}: it goes on failing");
        let ids = world.table.ids(&day());
        let rows: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(rows.len(), ids.len(), "{what}: rows are there twice");
        assert!(
            rows.is_superset(&kept(&world)),
            "{what}: {:?} are lost",
            kept(&world).difference(&rows).collect::<Vec<_>>()
        );
        assert!(rows.is_subset(&truth().into_iter().collect()), "{what}");
    }
}
