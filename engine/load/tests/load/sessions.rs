//! Upload sessions that are gone in the middle of a run, and clocks that jump between attempts.

use std::sync::atomic::Ordering;

use engine_load::ErrorKind;

use crate::borders::{SLICE_MESSAGES, job_writing, truth, world};
use crate::{DAY_END_MS, day};

/// Messages of slices that both lanes may have under way when a session is gone.
const UNDER_WAY_MAX: u64 = 2 * SLICE_MESSAGES;

#[test]
fn a_session_that_is_gone_is_replaced_in_the_same_attempt() {
    for write in ["replace", "append"] {
        let world = world();
        *world.table.faults.forget_after.lock().unwrap() = Some((5, 1));
        let report = world.run(&job_writing(write)).unwrap();
        assert_eq!(world.table.ids(&day()), truth(), "{write}");
        let again = world.topic.delivered_again() as u64;
        assert!(again <= UNDER_WAY_MAX, "{again} messages are read again");
        let slices = report.slices;
        assert_eq!((slices.read, slices.kept), (slices.planned, 0));
        assert!(slices.uploaded >= slices.planned + 5, "{slices:?}");
        assert_eq!(report.windows[0].session.as_deref(), Some("session-1"));
        let told = |warning: &String| warning.contains("session-0 is gone");
        assert!(report.warnings.iter().any(told), "{:?}", report.warnings);
    }
}

#[test]
fn a_session_that_is_gone_when_it_is_to_be_committed_is_replaced_too() {
    for write in ["replace", "append"] {
        let world = world();
        world
            .table
            .faults
            .forget_at_commit
            .store(true, Ordering::Relaxed);
        let report = world.run(&job_writing(write)).unwrap();
        assert_eq!(world.table.ids(&day()), truth(), "{write}");
        assert_eq!(report.slices.uploaded, 2 * report.slices.planned);
        assert_eq!(world.table.state.lock().unwrap().commits, 1);
    }
}

#[test]
fn a_server_that_loses_every_session_is_given_up() {
    let world = world();
    *world.table.faults.forget_after.lock().unwrap() = Some((3, u64::MAX));
    let error = world.run(&job_writing("replace")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SessionGone);
    assert!(
        error.to_string().contains("run the same command"),
        "{error}"
    );
    assert!(world.table.ids(&day()).is_empty());
    let again = world.topic.delivered_again() as u64;
    assert!(
        again <= 4 * UNDER_WAY_MAX,
        "{again} messages are read again"
    );

    *world.table.faults.forget_after.lock().unwrap() = None;
    let report = world.run(&job_writing("replace")).unwrap();
    assert_eq!(world.table.ids(&day()), truth());
    assert!(
        report.resumed && report.slices.kept > 0,
        "{:?}",
        report.slices
    );
}

/// The files of uploaded blocks made room for others, so that their slices are read again.
#[test]
fn slices_whose_files_made_room_are_read_again_for_a_new_session() {
    let world = world();
    let job = crate::job_of(
        "partition: { ds: \"20261122\" }",
        "rejects: 2\nlimits: { concurrency: 1, disk: 16MiB }",
    );
    *world.table.faults.forget_after.lock().unwrap() = Some((2, 1));
    let report = world.run(&job).unwrap();
    assert_eq!(world.table.ids(&day()), truth());
    assert!(world.topic.delivered_again() > 0);
    assert_eq!(report.slices.read, report.slices.planned);
}

/// Whatever the wall clock says, a plan that was made when the window was over stays.
#[test]
fn a_wall_clock_that_jumps_between_attempts_costs_no_slice() {
    let years = jiff::SignedDuration::from_hours(10 * 365 * 24);
    let too_early = jiff::Timestamp::from_millisecond(DAY_END_MS - 1).unwrap();
    for write in ["replace", "append"] {
        let mut world = world();
        let job = job_writing(write);
        *world.table.faults.fail_uploads_after.lock().unwrap() = Some(5);
        world.run(&job).unwrap_err();
        *world.table.faults.fail_uploads_after.lock().unwrap() = None;
        let then = world.now;
        world.now = too_early;
        let error = world.run(&job).unwrap_err();
        assert!(error.to_string().contains("ends in the future"), "{error}");
        world.now = then + years;
        let report = world.run(&job).unwrap();
        assert!(report.resumed && report.slices.kept > 0 && !report.open);
        assert_eq!(report.slices.uploaded_before, 5);
        assert_eq!(world.table.ids(&day()), truth(), "{write}");
    }
}
