//! What a power loss may do to the journal, beyond ending the process.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use engine_load::{Border, Cancel, ErrorKind, Passing};
use fastrand::Rng;

use crate::borders::{Crash, job_writing, truth, world};
use crate::{World, day};

/// Journals that are damaged after a crash, each in another way.
const DAMAGES: u64 = 60;
/// Bytes of a page, and of what stands before it in the write-ahead log.
const PAGE_BYTES: usize = 4_096;
const FRAME_BYTES: usize = PAGE_BYTES + 24;
const WAL_HEADER_BYTES: usize = 32;

fn journal(world: &World) -> PathBuf {
    world.folder.path().join("journal.sqlite")
}

fn wal(world: &World) -> PathBuf {
    world.folder.path().join("journal.sqlite-wal")
}

/// Runs until a crash and leaves the journal as it was on the disk then: with a write-ahead log, which SQLite would take
/// into the journal and delete if the process lived.
fn crash(world: &World, write: &str, at: Passing) {
    let crash = Crash::new(at);
    let left = Mutex::new(None);
    let watched = world.run_watched(
        &job_writing(write),
        &world.table,
        &Cancel::default(),
        &|border| {
            let passed = crash.on_border(border);
            let mut left = left.lock().unwrap();
            if passed.is_err() && left.is_none() {
                *left = Some((
                    fs::read(journal(world)).unwrap(),
                    fs::read(wal(world)).unwrap(),
                ));
            }
            passed
        },
    );
    assert_eq!(watched.unwrap_err().to_string(), "crashed", "{at}");
    let (main, log) = left.into_inner().unwrap().unwrap();
    assert!(log.len() > WAL_HEADER_BYTES + FRAME_BYTES);
    fs::write(journal(world), main).unwrap();
    fs::write(wal(world), log).unwrap();
}

/// Cuts the write-ahead log anywhere, or tears pages at its end.
fn damage_wal(world: &World, rng: &mut Rng) {
    let mut log = fs::read(wal(world)).unwrap();
    match rng.u32(..4) {
        0 => log.truncate(rng.usize(..log.len())),
        1 => {
            let frames = rng
                .usize(1..4)
                .min((log.len() - WAL_HEADER_BYTES) / FRAME_BYTES);
            let start = log.len() - frames * FRAME_BYTES;
            log[start..].fill(0);
        }
        2 => {
            let start = log.len() - rng.usize(1..FRAME_BYTES);
            log[start..].fill_with(|| rng.u8(..));
        }
        _ => return fs::remove_file(wal(world)).unwrap(),
    }
    fs::write(wal(world), log).unwrap();
}

/// A journal that has forgotten the last it was told; what the disk said was durable, it lost.
#[test]
fn a_journal_that_lost_its_end_costs_work_and_no_row() {
    let seed = fastrand::u64(..);
    for damage in 0..DAMAGES {
        let seed = seed.wrapping_add(damage);
        let mut rng = Rng::with_seed(seed);
        // Before a commit is sent, an append has nothing to lose either.
        let write = *rng.choice(&["replace", "append"]).unwrap();
        let borders = Border::ALL.into_iter().map(|(border, _)| border);
        let borders: Vec<_> = borders
            .filter(|border| {
                let journalled = *border >= Border::SliceJournalled;
                journalled && (write == "replace" || *border < Border::CommitAnswered)
            })
            .collect();
        let border = *rng.choice(&borders).unwrap();
        let world = world();
        crash(&world, write, Passing { border, number: 1 });
        damage_wal(&world, &mut rng);
        let what = format!("seed {seed}, {write}, {border:?}");
        let report = world.run(&job_writing(write));
        let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(world.table.ids(&day()), truth(), "{what}");
        assert_eq!(report.slices.planned, 8, "{what}");
    }
}

#[test]
fn a_journal_whose_index_is_gone_has_lost_nothing() {
    let world = world();
    let at = Passing {
        border: Border::SliceJournalled,
        number: 5,
    };
    crash(&world, "replace", at);
    let index = world.folder.path().join("journal.sqlite-shm");
    assert!(!index.try_exists().unwrap());
    let report = world.run(&job_writing("replace")).unwrap();
    assert!(report.slices.kept >= 5, "{:?}", report.slices);
    assert_eq!(world.table.ids(&day()), truth());
}

/// A staged slice, the session and the table are all that is left of a run whose journal is gone.
#[test]
fn without_its_journal_a_run_begins_anew() {
    for write in ["replace", "append"] {
        let world = world();
        let at = Passing {
            border: Border::BlockUploaded,
            number: 3,
        };
        crash(&world, write, at);
        fs::remove_file(journal(&world)).unwrap();
        fs::remove_file(wal(&world)).unwrap();
        let report = world.run(&job_writing(write)).unwrap();
        assert_eq!((report.resumed, report.slices.kept), (false, 0));
        assert_eq!(world.table.ids(&day()), truth(), "{write}");
        let files: Vec<_> = fs::read_dir(world.staging_folder()).unwrap().collect();
        assert_eq!(files.len(), 2, "{write}: only rejected messages: {files:?}");
    }
}

#[test]
fn only_the_journal_knows_what_was_appended() {
    let world = world();
    world.run(&job_writing("append")).unwrap();
    world.run(&job_writing("append")).unwrap_err();
    fs::remove_file(journal(&world)).unwrap();
    world.run(&job_writing("append")).unwrap();
    let twice = truth().into_iter().flat_map(|id| [id, id]);
    assert_eq!(world.table.ids(&day()), twice.collect::<Vec<_>>());
    // A replace puts it right.
    world.run(&job_writing("replace")).unwrap();
    assert_eq!(world.table.ids(&day()), truth());
}

/// Each way to damage the journal's own file, of which nothing is kept twice.
#[test]
fn a_damaged_journal_is_named_with_what_to_do_and_nothing_is_loaded() {
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes.fill(0),
        |bytes| bytes.truncate(bytes.len() / 2),
        |bytes| bytes[..100].fill(b'x'),
        |bytes| bytes[PAGE_BYTES..2 * PAGE_BYTES].fill(0),
        |bytes| {
            let last = bytes.len() - PAGE_BYTES;
            bytes[last..].fill(0xff);
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let world = world();
        let staged = Crash::new(Passing {
            border: Border::CommitReady,
            number: 1,
        });
        let job = job_writing("replace");
        let crash = |border| staged.on_border(border);
        let crashed = world.run_watched(&job, &world.table, &Cancel::default(), &crash);
        crashed.unwrap_err();
        let mut bytes = fs::read(journal(&world)).unwrap();
        damage(&mut bytes);
        fs::write(journal(&world), bytes).unwrap();

        let error = world.run(&job).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Journal, "{number}: {error}");
        let said = error.to_string();
        let names = [journal(&world).display().to_string(), "move it".to_owned()];
        assert!(
            names.iter().all(|name| said.contains(name)),
            "{number}: {said}"
        );
        assert!(world.table.ids(&day()).is_empty(), "{number}");

        fs::remove_file(journal(&world)).unwrap();
        world.run(&job).unwrap();
        assert_eq!(world.table.ids(&day()), truth(), "{number}");
    }
}
