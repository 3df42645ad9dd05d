//! A day that was sent again after days that came later: every way to load it finds all of it.

use engine_model::job::{Job, Lateness, OnEmpty};
use engine_model::{PartitionSpec, Window};

use crate::simulation::{Table, Topic, ids_in, log};
use crate::{DAY_START_MS, World, job};

const DAY_MS: i64 = 86_400_000;
/// Messages of a day; those of the day that is sent again are twice as many.
const PER_DAY: i64 = 5_400;
/// The day that is sent again, and the day before which that happens.
const AGAIN: i64 = 2;
const BEFORE: i64 = 8;
/// Of the nine days from the first on, as many as the job's day allows to be over.
const LAST: i64 = 9;

/// The messages of a day; the ninth is the day of [`job`].
fn stamps_of(day: i64) -> impl Iterator<Item = i64> {
    let start_ms = DAY_START_MS + (day - LAST) * DAY_MS;
    (0..PER_DAY).map(move |index| start_ms + index * DAY_MS / PER_DAY)
}

fn stamps() -> Vec<i64> {
    let before = (1..BEFORE).flat_map(stamps_of);
    let behind = (BEFORE..=LAST).flat_map(stamps_of);
    before.chain(stamps_of(AGAIN)).chain(behind).collect()
}

fn world() -> World {
    World::new(Topic::new(vec![log(0, &stamps())]), Table::with_key("ds"))
}

fn window(day: i64) -> Window {
    let start_ms = DAY_START_MS + (day - LAST) * DAY_MS;
    Window::new(start_ms, start_ms + DAY_MS).unwrap()
}

fn partition(day: i64) -> PartitionSpec {
    PartitionSpec(vec![("ds".to_owned(), format!("d{day}"))])
}

fn days(days: impl IntoIterator<Item = i64>) -> Vec<Job> {
    let of = |day: i64| {
        let mut job = job("");
        job.window = window(day);
        job.destination.partition = partition(day);
        job.on_empty = OnEmpty::Keep;
        job
    };
    days.into_iter().map(of).collect()
}

#[test]
fn a_day_that_was_sent_again_is_whole_whatever_it_is_loaded_with() {
    let logs = [(0, stamps())];
    for loaded in [1..=LAST, AGAIN..=AGAIN, 1..=AGAIN, AGAIN..=3] {
        let world = world();
        let report = world.run_all(&days(loaded.clone())).unwrap();
        for day in loaded.clone() {
            let expected = ids_in(&logs, window(day));
            let found = world.table.ids(&partition(day));
            assert!(
                found == expected,
                "day {day} of {loaded:?} has {} rows and not the {} of its messages",
                found.len(),
                expected.len()
            );
        }
        let again = usize::try_from(AGAIN - loaded.start()).unwrap();
        assert_eq!(
            report.windows[again].rows,
            2 * PER_DAY.unsigned_abs(),
            "{loaded:?}"
        );
        assert_eq!(report.ledger[0].counts.outside_reach, 0, "{loaded:?}");
        assert_eq!(world.topic.delivered_again(), 0);
        let audit = world.audit(&days(loaded.clone()), Lateness::Exact).unwrap();
        assert!(audit.is_good(), "{loaded:?}: {audit:?}");
    }
}
