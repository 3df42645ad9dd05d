//! A crash at each border of a run, and the run after it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine_load::{Border, Cancel, Error, ErrorKind, OnBorder, Passing};
use engine_model::job::Job;
use engine_model::{RunReport, WindowOutcome};

use crate::simulation::{Table, Topic, log};
use crate::{DAY_END_MS, DAY_START_MS, World, day, job_of};

/// Messages of each of the two topic partitions; a quarter of them makes a slice.
const MESSAGES: i64 = 100;
pub(crate) const SLICE_MESSAGES: u64 = 25;

/// A day on two topic partitions, in which the message 40 of each is no JSON.
pub(crate) fn world() -> World {
    let timestamps: Vec<_> = (0..MESSAGES)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect();
    let mut logs = vec![log(0, &timestamps), log(MESSAGES, &timestamps)];
    for log in &mut logs {
        log[40].payload = Some("no JSON".into());
    }
    World::new(Topic::new(logs), Table::with_key("ds"))
}

/// The ids of the rows that [`world`] becomes.
pub(crate) fn truth() -> Vec<i64> {
    (0..2 * MESSAGES).filter(|id| id % MESSAGES != 40).collect()
}

pub(crate) fn job_writing(write: &str) -> Job {
    let keys = format!("partition: {{ ds: \"20261122\" }}\n    write: {write}");
    job_of(&keys, "rejects: 2\non_empty: replace")
}

/// A crash of which the process lives: the run fails at one passing of a border, and at every border after it.
pub(crate) struct Crash {
    at: Passing,
    passings: AtomicU64,
    crashed: AtomicBool,
}

impl Crash {
    pub(crate) fn new(at: Passing) -> Self {
        Self {
            at,
            passings: AtomicU64::new(0),
            crashed: AtomicBool::new(false),
        }
    }

    pub(crate) fn on_border(&self, border: Border) -> Result<(), Error> {
        if border == self.at.border
            && self.passings.fetch_add(1, Ordering::SeqCst) + 1 == self.at.number
        {
            self.crashed.store(true, Ordering::SeqCst);
        }
        if self.crashed.load(Ordering::SeqCst) {
            Err(Error::new(ErrorKind::Internal, "crashed"))
        } else {
            Ok(())
        }
    }
}

fn run_watched(world: &World, job: &Job, on_border: OnBorder<'_>) -> Result<RunReport, Error> {
    world.run_watched(job, &world.table, &Cancel::default(), on_border)
}

/// How often a run that nothing happens to passes each border.
fn passings(world: &World, job: &Job) -> BTreeMap<Border, u64> {
    let passings = Mutex::new(BTreeMap::new());
    run_watched(world, job, &|border| {
        *passings.lock().unwrap().entry(border).or_default() += 1;
        Ok(())
    })
    .unwrap();
    passings.into_inner().unwrap()
}

/// The first, a middle and the last passing of each border.
fn crashes(passings: &BTreeMap<Border, u64>) -> Vec<Passing> {
    let mut crashes = Vec::new();
    for (border, count) in passings {
        for number in [1, count.div_ceil(2), *count] {
            let passing = Passing {
                border: *border,
                number,
            };
            if crashes.last() != Some(&passing) {
                crashes.push(passing);
            }
        }
    }
    crashes
}

/// What the journal and the staging folder know when a run crashes.
struct Before {
    staged: u64,
    journalled: u64,
}

/// Runs until the crash.
fn crash(world: &World, job: &Job, at: Passing) -> Before {
    let crash = Crash::new(at);
    let (staged, journalled) = (AtomicU64::new(0), AtomicU64::new(0));
    let error = run_watched(world, job, &|border| {
        crash.on_border(border)?;
        match border {
            Border::SliceStaged => staged.fetch_add(1, Ordering::SeqCst),
            Border::SliceJournalled => journalled.fetch_add(1, Ordering::SeqCst),
            _ => 0,
        };
        Ok(())
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "crashed", "{at}");
    world.topic.delivered.lock().unwrap().clear();
    Before {
        staged: staged.into_inner(),
        journalled: journalled.into_inner(),
    }
}

#[test]
fn a_plain_run_passes_every_border() {
    let passings = passings(&world(), &job_writing("replace"));
    let never: Vec<_> = Border::ALL
        .into_iter()
        .filter(|(border, _)| !passings.contains_key(border))
        .collect();
    assert_eq!(
        never,
        [],
        "each border of the list is one that runs come past"
    );
    // Eight slices, two of them with a rejected message; both files of rejected messages stay.
    let expected = [
        (Border::RunBegun, 1),
        (Border::RowsPublished, 8),
        (Border::RejectsPublished, 2),
        (Border::SliceJournalled, 8),
        (Border::SessionJournalled, 1),
        (Border::BlockUploaded, 8),
        (Border::FileDeleted, 8),
    ];
    for (border, count) in expected {
        assert_eq!(passings[&border], count, "{border:?}");
    }
}

#[test]
fn a_run_goes_on_from_a_crash_at_any_border() {
    for write in ["replace", "append"] {
        let job = job_writing(write);
        let crashes = crashes(&passings(&world(), &job));
        assert!(crashes.len() > 30);
        for at in crashes {
            goes_on(write, &job, at);
        }
    }
}

fn goes_on(write: &str, job: &Job, at: Passing) {
    let what = format!("{write}, {at}");
    let world = world();
    let Before { staged, journalled } = crash(&world, job, at);
    let committed = at.border >= Border::CommitAnswered;
    let rows = if committed { truth() } else { Vec::new() };
    assert_eq!(world.table.ids(&day()), rows, "{what}: all or nothing");

    let ended = at.border >= Border::RunEnded;
    let again = world.run(job);
    if ended && write == "append" {
        let error = again.unwrap_err();
        assert!(
            error.to_string().contains("would load messages twice"),
            "{what}: {error}"
        );
        assert_eq!(world.table.ids(&day()), truth(), "{what}");
        return;
    }
    let report = again.unwrap();
    assert_eq!(world.table.ids(&day()), truth(), "{what}");
    assert_eq!(report.windows[0].outcome, WindowOutcome::Committed);
    assert_eq!(
        report.windows[0].rejected.values().sum::<u64>(),
        2,
        "{what}"
    );
    let slices = report.slices;
    let delivered: u64 = world.topic.delivered.lock().unwrap().values().sum();
    assert_eq!(
        delivered,
        slices.read * SLICE_MESSAGES,
        "{what}: {slices:?}"
    );
    assert_eq!(slices.kept + slices.read, slices.planned);
    let commits = world.table.state.lock().unwrap().commits;
    if ended {
        assert!(!report.resumed, "{what}");
        assert_eq!((slices.kept, commits), (0, 2), "{what}");
    } else {
        assert!(report.resumed, "{what}");
        // One that was being written to the journal may be there.
        assert!(
            (journalled..=staged).contains(&slices.kept),
            "{what}: {slices:?}"
        );
        assert_eq!(commits, 1, "{what}");
    }
    assert_only_rejects_are_left(&world, &what);
}

fn assert_only_rejects_are_left(world: &World, what: &str) {
    let mut left: Vec<_> = std::fs::read_dir(world.staging_folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let rejects = left
        .iter()
        .filter(|name| name.ends_with("-rejects.parquet"));
    assert_eq!(rejects.count(), left.len(), "{what}: {left:?}");
}

/// The day has no messages any more, and takes the rows of an earlier load away.
#[test]
fn a_run_that_empties_its_target_goes_on_from_a_crash_at_any_border() {
    let job = job_writing("replace");
    let emptied = || {
        let later = [DAY_END_MS, DAY_END_MS + 1];
        let world = World::new(Topic::new(vec![log(0, &later)]), Table::with_key("ds"));
        let mut state = world.table.state.lock().unwrap();
        state.rows.insert(day(), vec![7, 8]);
        drop(state);
        world
    };
    let crashes = crashes(&passings(&emptied(), &job));
    assert!(crashes.len() > 10);
    for at in crashes {
        let world = emptied();
        crash(&world, &job, at);
        let committed = at.border >= Border::CommitAnswered;
        assert_eq!(world.table.ids(&day()).is_empty(), committed, "{at}");
        let report = world.run(&job).unwrap();
        assert!(world.table.ids(&day()).is_empty(), "{at}");
        let outcome = if at.border >= Border::RunEnded {
            WindowOutcome::Empty
        } else {
            WindowOutcome::Emptied
        };
        assert_eq!(report.windows[0].outcome, outcome, "{at}");
    }
}
