//! Attempts that end half-way, and what the next one makes of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use engine_load::ports::{BlockReceipt, BlockSource, SessionState, TargetTable};
use engine_load::{Assume, Border, Cancel, Error, ErrorKind};
use engine_model::job::Job;
use engine_model::{PartitionSpec, TableColumns};

use crate::simulation::{Table, Topic, log};
use crate::{DAY_START_MS, World, day, job, job_of};

const MESSAGES: i64 = 200;

fn world() -> World {
    let timestamps: Vec<_> = (0..MESSAGES)
        .map(|minute| DAY_START_MS + minute * 60_000)
        .collect();
    World::new(Topic::new(vec![log(0, &timestamps)]), Table::with_key("ds"))
}

fn job_writing(write: &str) -> Job {
    let keys = format!("partition: {{ ds: \"20261122\" }}\n    write: {write}");
    job_of(&keys, "")
}

#[track_caller]
fn assert_loaded_once(world: &World) {
    assert_eq!(world.table.ids(&day()), (0..MESSAGES).collect::<Vec<_>>());
}

fn fail_uploads_after(world: &World, blocks: Option<u64>) {
    *world.table.faults.fail_uploads_after.lock().unwrap() = blocks;
}

/// Lets a fault of the table happen.
fn arm(fault: &AtomicBool) {
    fault.store(true, Ordering::Relaxed);
}

#[test]
fn what_was_staged_and_uploaded_is_not_done_again() {
    let world = world();
    fail_uploads_after(&world, Some(5));
    let error = world.run(&job("")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server is down; once that is over, the same command goes on from what is staged"
    );
    assert!(world.table.ids(&day()).is_empty());

    fail_uploads_after(&world, None);
    let report = world.run(&job("")).unwrap();
    assert_loaded_once(&world);
    assert!(report.resumed);
    assert!(report.slices.kept > 0, "{:?}", report.slices);
    assert_eq!(
        report.slices.kept + report.slices.read,
        report.slices.planned
    );
    assert_eq!(report.slices.uploaded_before, 5);
    assert_eq!(report.slices.uploaded + 5, report.slices.planned);
    // Slices that were under way are read from their start again; a slice has 25 messages at most.
    assert!(world.topic.delivered_again() as u64 <= report.slices.read * 25);
}

#[test]
fn a_resumed_run_names_the_same_unmapped_fields() {
    let world_with_coupons = || {
        let mut world = world();
        let topic = std::sync::Arc::get_mut(&mut world.topic).unwrap();
        for message in topic.partitions.iter_mut().flatten() {
            let id = message.offset;
            message.payload = Some(format!("{{\"id\": {id}, \"coupon\": {{\"code\": 7}}}}"));
        }
        world
    };
    let at_once = world_with_coupons().run(&job("")).unwrap();
    let seen = &at_once.unmapped_fields;
    assert_eq!(seen.by_messages(), [("coupon", seen.messages)]);
    let slices = at_once.slices.planned;
    assert!(
        seen.messages > slices && seen.messages <= slices * 16,
        "{seen:?}"
    );

    let world = world_with_coupons();
    fail_uploads_after(&world, Some(5));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    let resumed = world.run(&job("")).unwrap();
    assert!(resumed.slices.kept > 0, "{:?}", resumed.slices);
    assert_eq!(resumed.unmapped_fields, *seen);
}

#[test]
fn a_session_that_is_gone_gets_its_blocks_again_from_the_staged_files() {
    let world = world();
    fail_uploads_after(&world, Some(5));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    world.table.forget_sessions();
    let report = world.run(&job("")).unwrap();
    assert_loaded_once(&world);
    assert_eq!(
        (report.slices.uploaded_before, report.slices.uploaded),
        (0, report.slices.planned)
    );
}

/// The session of a first attempt has a block of a slice that is lost, read again by a second attempt, and without rows
/// by then. The second one ends before it has a session of its own.
#[test]
fn a_block_of_a_slice_that_has_no_rows_any_more_is_not_committed() {
    let mut world = world();
    fail_uploads_after(&world, Some(5));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    let uploaded: Vec<_> = {
        let state = world.table.state.lock().unwrap();
        state.sessions["session-0"].blocks.keys().copied().collect()
    };
    let compacted = uploaded.into_iter().find(|block| (1..7).contains(block));
    let compacted = i64::from(compacted.unwrap());
    let gone = compacted * 25..(compacted + 1) * 25;
    let topic = std::sync::Arc::get_mut(&mut world.topic).unwrap();
    topic.partitions[0].retain(|message| !gone.contains(&message.offset));

    // A server that doesn't tell rows gets all blocks again, and their files are gone.
    arm(&world.table.faults.hide_rows);
    for entry in std::fs::read_dir(world.staging_folder()).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let journalled = AtomicU64::new(0);
    let crash = |border| match border {
        Border::SliceJournalled => {
            journalled.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
        Border::SessionNeeded => {
            while journalled.load(Ordering::SeqCst) < 8 {
                std::thread::yield_now();
            }
            Err(Error::new(ErrorKind::Internal, "crashed"))
        }
        _ => Ok(()),
    };
    let cancel = Cancel::default();
    let crashed = world.run_watched(&job(""), &world.table, &cancel, &crash);
    assert_eq!(crashed.unwrap_err().to_string(), "crashed");

    world.table.faults.hide_rows.store(false, Ordering::Relaxed);
    world.run(&job("")).unwrap();
    let left: Vec<_> = (0..MESSAGES).filter(|id| !gone.contains(id)).collect();
    assert_eq!(world.table.ids(&day()), left);
}

#[test]
fn a_staged_file_that_was_damaged_is_read_again() {
    let world = world();
    // Every slice is staged, and no session has its block.
    arm(&world.table.faults.lose_commit);
    world.run(&job("")).unwrap_err();
    world.table.forget_sessions();
    let staged: Vec<_> = std::fs::read_dir(world.staging_folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(staged.len() > 2);
    std::fs::write(&staged[0], b"damaged").unwrap();
    std::fs::remove_file(&staged[1]).unwrap();
    let report = world.run(&job("")).unwrap();
    assert_loaded_once(&world);
    assert!(report.slices.read >= 2);
}

#[test]
fn a_damaged_file_whose_block_is_uploaded_is_not_missed() {
    let world = world();
    fail_uploads_after(&world, Some(5));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    for entry in std::fs::read_dir(world.staging_folder()).unwrap() {
        std::fs::write(entry.unwrap().path(), b"damaged").unwrap();
    }
    let report = world.run(&job("")).unwrap();
    assert_loaded_once(&world);
    assert_eq!(report.slices.uploaded_before, 5);
}

#[test]
fn a_commit_that_happened_without_an_answer_is_found_out() {
    let world = world();
    arm(&world.table.faults.lose_commit_answer);
    let error = world.run(&job("")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CommitUnknown);
    let report = world.run(&job("")).unwrap();
    assert_loaded_once(&world);
    assert_eq!(
        (
            report.slices.read,
            world.table.state.lock().unwrap().commits
        ),
        (0, 1)
    );
    assert_eq!(report.windows[0].session.as_deref(), Some("session-0"));
}

#[test]
fn a_session_that_was_committed_with_other_blocks_is_never_loaded_again() {
    for write in ["replace", "append"] {
        let mut world = world();
        let job = job_writing(write);
        arm(&world.table.faults.lose_commit_answer);
        world.run(&job).unwrap_err();
        let mut state = world.table.state.lock().unwrap();
        let session = state.sessions.values_mut().next().unwrap();
        session.blocks.pop_last().unwrap();
        drop(state);
        for _ in 0..2 {
            let error = world.run(&job).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CommittedDiffers);
            assert!(error.to_string().contains("--assume committed"), "{error}");
        }
        world.options.assume = Some(Assume::Committed);
        world.run(&job).unwrap();
        assert_loaded_once(&world);
        assert_eq!(world.table.state.lock().unwrap().commits, 1);
    }
}

/// The commit of a first attempt is still under way while a second one is refused.
#[test]
fn a_commit_that_may_still_happen_is_not_forgotten() {
    for write in ["replace", "append"] {
        let world = world();
        let job = job_writing(write);
        arm(&world.table.faults.lose_commit);
        world.run(&job).unwrap_err();
        arm(&world.table.faults.refuse_commit);
        assert_eq!(world.run(&job).unwrap_err().kind(), ErrorKind::Target);
        // Now it lands.
        let blocks = {
            let state = world.table.state.lock().unwrap();
            let session = state.sessions.values().next().unwrap();
            let rows = |(id, ids): (&u32, &Vec<i64>)| (*id, ids.len() as u64);
            session.blocks.iter().map(rows).collect()
        };
        world.table.commit(&day(), "session-0", &blocks).unwrap();
        world.run(&job).unwrap();
        assert_loaded_once(&world);
        assert_eq!(world.table.state.lock().unwrap().sessions.len(), 1);
    }
}

#[test]
fn a_commit_that_is_under_way_is_waited_for() {
    for write in ["replace", "append"] {
        let world = world();
        arm(&world.table.faults.commit_slowly);
        world.run(&job_writing(write)).unwrap_err();
        let report = world.run(&job_writing(write)).unwrap();
        assert_loaded_once(&world);
        assert_eq!((report.slices.read, report.slices.uploaded), (0, 0));
    }
}

#[test]
fn a_commit_that_did_not_happen_is_sent_again() {
    let world = world();
    arm(&world.table.faults.lose_commit);
    assert_eq!(
        world.run(&job("")).unwrap_err().kind(),
        ErrorKind::CommitUnknown
    );
    assert!(world.table.ids(&day()).is_empty());
    let report = world.run(&job("")).unwrap();
    assert_loaded_once(&world);
    assert_eq!(report.slices.uploaded, 0);
}

#[test]
fn an_append_that_nobody_knows_about_asks_a_person() {
    for (happened, assume) in [(true, Assume::Committed), (false, Assume::NotCommitted)] {
        let mut world = world();
        let append = job_writing("append");
        let fault = if happened {
            &world.table.faults.lose_commit_answer
        } else {
            &world.table.faults.lose_commit
        };
        arm(fault);
        world.run(&append).unwrap_err();
        world.table.forget_sessions();
        let error = world.run(&append).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommitUnknown);
        assert!(error.to_string().contains("--assume committed"), "{error}");
        world.options.assume = Some(assume);
        world.run(&append).unwrap();
        assert_loaded_once(&world);
    }
}

#[test]
fn a_changed_job_starts_anew() {
    let world = world();
    fail_uploads_after(&world, Some(5));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    let report = world.run(&job("tombstones: skip")).unwrap();
    assert!(!report.resumed);
    assert_eq!(report.slices.kept, 0);
    assert_loaded_once(&world);
}

/// Whether the commit happened, is under way or did not happen: the next window settles it, and nothing is loaded twice.
#[test]
fn an_append_whose_commit_nobody_saw_is_settled_before_the_next_window() {
    let faults: [fn(&Table) -> &AtomicBool; 3] = [
        |table| &table.faults.lose_commit_answer,
        |table| &table.faults.commit_slowly,
        |table| &table.faults.lose_commit,
    ];
    for fault in faults {
        let mut world = world();
        let append = job_writing("append");
        arm(fault(&world.table));
        world.run(&append).unwrap_err();
        let mut next = append.clone();
        next.window.start_ms = append.window.end_ms;
        next.window.end_ms = append.window.end_ms + 86_400_000;
        world.now += jiff::SignedDuration::from_hours(24);
        world.run(&next).unwrap();
        let report = world.run(&append).unwrap();
        assert_eq!((report.run, report.slices.read), (1, 0), "it is done");
        assert_loaded_once(&world);
        let error = world.run(&append).unwrap_err();
        assert!(
            error.to_string().contains("would load messages twice"),
            "{error}"
        );
    }
}

#[test]
fn an_append_that_can_not_be_finished_stands_in_the_next_ones_way() {
    let mut world = world();
    let append = job_writing("append");
    arm(&world.table.faults.lose_commit);
    world.run(&append).unwrap_err();
    let mut next = append.clone();
    next.window.start_ms = append.window.end_ms;
    next.window.end_ms = append.window.end_ms + 86_400_000;
    world.now += jiff::SignedDuration::from_hours(24);
    arm(&world.table.faults.refuse_commit);
    let error = world.run(&next).unwrap_err();
    assert!(
        error.to_string().contains("has to be settled first"),
        "{error}"
    );
    world.options.assume = Some(Assume::NotCommitted);
    world.run(&next).unwrap();
    assert!(world.table.ids(&day()).is_empty());
}

#[test]
fn a_run_whose_commit_was_sent_can_be_planned_anew() {
    let mut world = world();
    arm(&world.table.faults.lose_commit);
    world.run(&job("")).unwrap_err();
    world.options.replan = true;
    let report = world.run(&job("")).unwrap();
    assert!(!report.resumed);
    assert_loaded_once(&world);
}

#[test]
fn a_run_that_was_planned_too_early_is_planned_again() {
    let mut world = world();
    world.now = jiff::Timestamp::from_millisecond(crate::DAY_END_MS - 1).unwrap();
    world.options.allow_open_window = true;
    fail_uploads_after(&world, Some(2));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    let open = world.run(&job("")).unwrap();
    assert!(
        open.resumed && open.open,
        "the window is still open, and the report says so"
    );

    fail_uploads_after(&world, Some(2));
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    world.now = jiff::Timestamp::from_millisecond(crate::DAY_END_MS).unwrap();
    let report = world.run(&job("")).unwrap();
    assert!(!report.resumed && !report.open);
    assert_loaded_once(&world);
}

#[test]
fn a_topic_that_was_made_anew_is_not_mixed_with_what_is_staged() {
    for committing in [false, true] {
        not_mixed(committing);
    }
}

/// `committing`: the commit was sent, and its session is no longer known.
fn not_mixed(committing: bool) {
    let mut world = world();
    if committing {
        arm(&world.table.faults.lose_commit);
    } else {
        fail_uploads_after(&world, Some(0));
    }
    world.run(&job("")).unwrap_err();
    fail_uploads_after(&world, None);
    world.table.forget_sessions();
    let staged = std::fs::read_dir(world.staging_folder())
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    std::fs::remove_file(staged.path()).unwrap();
    let timestamps: Vec<_> = (0..MESSAGES)
        .map(|minute| DAY_START_MS + minute * 30_000)
        .collect();
    let shorter = log(1_000, &timestamps[..150]);
    world.topic = std::sync::Arc::new(Topic::new(vec![shorter]));
    let error = world.run(&job("")).unwrap_err();
    assert!(error.to_string().contains("pass --replan"), "{error}");
    assert!(world.table.ids(&day()).is_empty());
    world.options.replan = true;
    assert!(!world.run(&job("")).unwrap().resumed);
    assert_eq!(world.table.ids(&day()), (1_000..1_150).collect::<Vec<_>>());
}

/// Asks the run to stop when the third block is uploaded.
struct StopAtThirdBlock<'a> {
    table: &'a Table,
    blocks: AtomicU64,
    cancel: Cancel,
}

impl TargetTable for StopAtThirdBlock<'_> {
    fn name(&self) -> String {
        self.table.name()
    }
    fn columns(&self) -> Result<TableColumns, Error> {
        self.table.columns()
    }
    fn row_count(&self, partition: &PartitionSpec) -> Result<Option<u64>, Error> {
        self.table.row_count(partition)
    }
    fn count_rows(&self, partition: &PartitionSpec) -> Result<u64, Error> {
        self.table.count_rows(partition)
    }
    fn create_partition(&self, partition: &PartitionSpec) -> Result<(), Error> {
        self.table.create_partition(partition)
    }
    fn open_session(&self, partition: &PartitionSpec, overwrite: bool) -> Result<String, Error> {
        self.table.open_session(partition, overwrite)
    }
    fn session(&self, partition: &PartitionSpec, session: &str) -> Result<SessionState, Error> {
        self.table.session(partition, session)
    }
    fn put_block(
        &self,
        partition: &PartitionSpec,
        session: &str,
        block: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt, Error> {
        if self.blocks.fetch_add(1, Ordering::Relaxed) == 2 {
            self.cancel.cancel();
        }
        self.table.put_block(partition, session, block, rows)
    }
    fn commit(
        &self,
        partition: &PartitionSpec,
        session: &str,
        blocks: &BTreeMap<u32, u64>,
    ) -> Result<(), Error> {
        self.table.commit(partition, session, blocks)
    }
}

#[test]
fn a_run_that_is_asked_to_stop_leaves_one_that_can_go_on() {
    let world = world();
    let cancel = Cancel::default();
    let target = StopAtThirdBlock {
        table: &world.table,
        blocks: AtomicU64::new(0),
        cancel: cancel.clone(),
    };
    let error = world.run_with(&job(""), &target, &cancel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stopped);
    assert!(world.table.ids(&day()).is_empty());
    let report = world.run(&job("")).unwrap();
    assert!(report.resumed && report.slices.kept > 0);
    assert_loaded_once(&world);
}
