use engine_model::job::{OffsetBounds, WriteMode};
use engine_model::{
    Checksum, OffsetRange, PartitionSpec, PlannedWindow, SLICE_FORMAT, SliceWindowReport,
    TopicPartition, UnmappedFields, Window,
};

use super::loads::Load;
use super::*;
use crate::extent::{Extent, PartitionRead};

fn targets(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn extent(start: i64, end: i64) -> Extent {
    Extent {
        window: Window::new(start, end).unwrap(),
        offsets: None,
    }
}

fn reads() -> Vec<PartitionRead> {
    vec![PartitionRead {
        topic_partition: TopicPartition::new("orders", 1),
        written_end: 90,
        ranges: vec![
            OffsetRange { start: 5, end: 20 },
            OffsetRange { start: 30, end: 40 },
        ],
        deleted: vec![OffsetRange { start: 0, end: 5 }],
    }]
}

fn plan() -> LoadPlan {
    let window = PlannedWindow {
        window: Window::new(1_000, 2_000).unwrap(),
        partition: PartitionSpec(vec![("ds".into(), "20261122".into())]),
    };
    LoadPlan {
        windows: vec![window],
        bounds: OffsetBounds::default(),
        newest_first: false,
        partitions: Vec::new(),
        slices: Vec::new(),
        message_bytes_mean: 7,
        planned_at_ms: 3_000,
    }
}

fn begin(journal: &Journal, target: &str, fingerprint: &str) -> i64 {
    begin_all(journal, &[target], fingerprint, &plan())
}

fn begin_all(journal: &Journal, names: &[&str], fingerprint: &str, plan: &LoadPlan) -> i64 {
    let new = NewRun {
        targets: &targets(names),
        fingerprint,
        job: "orders",
        scheduled_time: "2026-11-23T00:15:00+08:00[Asia/Shanghai]",
        begun_ms: 3_000,
        topic_id: Some("id"),
        write: WriteMode::Replace,
        plan,
    };
    journal.begin_run(&new).unwrap()
}

fn slice(number: u32) -> SliceReport {
    SliceReport {
        format: SLICE_FORMAT,
        number,
        ranges: Vec::new(),
        windows: [(0, SliceWindowReport::default())].into(),
        unmapped_fields: UnmappedFields {
            messages: 16,
            fields: [("coupon".to_owned(), 3)].into(),
            more: false,
        },
    }
}

#[test]
fn an_open_run_is_found_again_with_all_it_had_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let run = begin(&journal, "t", "f");
    journal.slice_staged(run, &slice(3)).unwrap();
    journal.slice_staged(run, &slice(4)).unwrap();
    journal.slice_lost(run, 4).unwrap();
    journal.session_opened(run, 0, "s-1").unwrap();
    journal.set_phase(run, 0, Phase::Committing).unwrap();
    drop(journal);

    let journal = Journal::open(&path).unwrap();
    let open = journal.open_run(&targets(&["t"]), "f").unwrap().unwrap();
    assert_eq!((open.id, open.plan), (run, plan()));
    assert_eq!(
        open.windows,
        [WindowState {
            phase: Phase::Committing,
            session: Some("s-1".into()),
            outcome: None,
        }]
    );
    assert_eq!(open.staged.into_iter().collect::<Vec<_>>(), [(3, slice(3))]);
    assert!(
        journal
            .open_run(&targets(&["t"]), "other")
            .unwrap()
            .is_none()
    );
    assert_eq!(journal.undecided_runs("t").unwrap().len(), 1);
    assert!(journal.undecided_runs("u").unwrap().is_empty());

    journal
        .window_done(
            run,
            0,
            WindowOutcome::Committed,
            &reads(),
            Some(Change {
                target: "t",
                extent: &extent(1_000, 2_000),
                replaced: true,
                rows: 5,
                checksum: Some(Checksum(9)),
            }),
        )
        .unwrap();
    journal.end_run(run, 9_000, &"report").unwrap();
    assert!(journal.open_run(&targets(&["t"]), "f").unwrap().is_none());
}

#[test]
fn what_was_read_of_a_window_is_known_after_its_run() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let window = plan().windows[0].window;
    let first = begin(&journal, "t", "f");
    assert_eq!(journal.last_read("t", window).unwrap(), None);
    let done = |run, outcome| {
        journal
            .window_done(run, 0, outcome, &reads(), None)
            .unwrap();
        journal.end_run(run, 9_000, &"report").unwrap();
    };
    done(first, WindowOutcome::Empty);
    // It has read nothing that counts.
    begin(&journal, "t", "g");
    let last = begin(&journal, "t", "h");
    let read = |run, outcome| {
        Some(LastRead {
            topic_id: Some("id".to_owned()),
            run,
            outcome,
            reads: reads(),
        })
    };
    assert_eq!(
        journal.last_read("t", window).unwrap(),
        read(first, WindowOutcome::Empty)
    );
    done(last, WindowOutcome::Kept);
    assert_eq!(
        journal.last_read("t", window).unwrap(),
        read(last, WindowOutcome::Kept)
    );
    assert_eq!(journal.last_read("u", window).unwrap(), None);
    let other = Window::new(1_000, 2_001).unwrap();
    assert_eq!(journal.last_read("t", other).unwrap(), None);
}

/// Records that a window of a run is in the table.
fn loaded(journal: &Journal, run: i64, window: u32, target: &str, replaced: bool) {
    let change = Change {
        target,
        extent: &extent(1_000, 2_000),
        replaced,
        rows: 5,
        checksum: None,
    };
    journal
        .window_done(
            run,
            window,
            WindowOutcome::Committed,
            &reads(),
            Some(change),
        )
        .unwrap();
}

#[test]
fn a_run_that_is_begun_anew_gives_up_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let first = begin(&journal, "t", "f");
    let other = begin(&journal, "u", "f");
    journal.slice_staged(first, &slice(3)).unwrap();
    let second = begin(&journal, "t", "f");
    assert_eq!(journal.open_run_ids().unwrap(), [other, second]);
    let id = |target, fingerprint| {
        let open = journal.open_run(&targets(&[target]), fingerprint);
        open.unwrap().map(|open| open.id)
    };
    assert_eq!((id("t", "f"), id("u", "f")), (Some(second), Some(other)));
    assert_eq!(journal.slices(first).unwrap(), None);
}

#[test]
fn a_run_stays_open_until_another_has_replaced_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let first = begin(&journal, "t", "f");
    let second = begin(&journal, "t", "g");
    let elsewhere = begin(&journal, "u", "h");
    loaded(&journal, elsewhere, 0, "u", true);
    assert_eq!(
        journal.open_run_ids().unwrap(),
        [first, second, elsewhere],
        "nothing has come to the target"
    );
    let append = |start, end| {
        let change = Change {
            target: "t",
            extent: &extent(start, end),
            replaced: false,
            rows: 5,
            checksum: None,
        };
        let outcome = WindowOutcome::Committed;
        journal
            .window_done(second, 0, outcome, &reads(), Some(change))
            .unwrap();
    };
    append(7_000, 8_000);
    assert_eq!(
        journal.open_run_ids().unwrap(),
        [first, second, elsewhere],
        "another window is beside it"
    );
    append(1_000, 2_000);
    assert_eq!(journal.open_run_ids().unwrap(), [second, elsewhere]);
    let third = begin(&journal, "t", "i");
    loaded(&journal, second, 0, "t", true);
    assert_eq!(journal.open_run_ids().unwrap(), [second, elsewhere]);
    assert!(third > second);
}

#[test]
fn of_a_run_with_several_targets_only_those_that_another_replaced_are_superseded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let mut three = plan();
    for _ in 0..2 {
        three.windows.push(PlannedWindow {
            window: Window::new(2_000, 3_000).unwrap(),
            ..three.windows[0].clone()
        });
    }
    let names = ["t", "u", "v"];
    let all = targets(&names);
    let first = begin_all(&journal, &names, "f", &three);
    journal.slice_staged(first, &slice(3)).unwrap();
    loaded(&journal, first, 2, "v", true);
    loaded(&journal, begin(&journal, "u", "g"), 0, "u", true);
    loaded(&journal, begin(&journal, "v", "i"), 0, "v", true);
    let open = journal.open_run(&all, "f").unwrap().unwrap();
    let outcomes: Vec<_> = open.windows.iter().map(|window| window.outcome).collect();
    let (superseded, committed) = (WindowOutcome::Superseded, WindowOutcome::Committed);
    assert_eq!(outcomes, [None, Some(superseded), Some(committed)]);
    assert_eq!(open.staged.len(), 1);
    assert!(
        journal
            .open_run(&targets(&["u", "t", "v"]), "f")
            .unwrap()
            .is_none()
    );
    loaded(&journal, begin(&journal, "t", "h"), 0, "t", true);
    assert!(
        journal.open_run(&all, "f").unwrap().is_some(),
        "it has loaded a window, and has to report that"
    );
}

#[test]
fn what_a_target_holds_of_ours_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let run = begin(&journal, "t", "f");
    assert_eq!(journal.loads_held("t").unwrap(), []);
    let load = |start, end, replaced| {
        let extent = extent(start, end);
        let change = Change {
            target: "t",
            extent: &extent,
            replaced,
            rows: 5,
            checksum: Some(Checksum(9)),
        };
        journal
            .window_done(run, 0, WindowOutcome::Committed, &reads(), Some(change))
            .unwrap();
        Load {
            run,
            extent,
            rows: 5,
        }
    };
    let appended = [load(5_000, 6_000, false), load(6_000, 7_000, false)];
    assert_eq!(journal.loads_held("t").unwrap(), appended);
    let held = [load(1_000, 2_000, true), load(7_000, 8_000, false)];
    assert_eq!(journal.loads_held("t").unwrap(), held);
    assert_eq!(journal.loads_held("u").unwrap(), []);

    let window = Window::new(5_000, 6_000).unwrap();
    let last = |target, window, run| journal.last_load(target, window, run).unwrap();
    assert_eq!(last("t", window, run + 1), Some((run, 5, Checksum(9))));
    assert_eq!(last("t", window, run), None, "a run is not its own past");
    assert_eq!(last("u", window, run + 1), None);
    assert_eq!(last("t", plan().windows[0].window, run + 1).unwrap().0, run);
    let other = Window::new(5_000, 6_001).unwrap();
    assert_eq!(last("t", other, run + 1), None);
}

#[test]
fn a_journal_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let error = Journal::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Journal);
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn history_tells_of_every_run_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    assert_eq!(journal.history(None, None).unwrap(), []);
    let none = journal.record(1).unwrap_err();
    assert_eq!(
        none.to_string(),
        "there is no run 1; there is none at all yet"
    );

    let first = begin(&journal, "t", "g");
    let second = begin(&journal, "t", "g");
    let other = begin(&journal, "u", "f");
    let full = Error::new(ErrorKind::Staging, "the disk is full\nand more");
    journal.attempt_failed(second, &full).unwrap();
    journal.slice_staged(other, &slice(0)).unwrap();
    let records = journal.history(None, None).unwrap();
    let states: Vec<_> = records
        .iter()
        .map(|record| (record.run, record.state, record.ended_ms))
        .collect();
    assert_eq!(
        states,
        [
            (other, RunState::Open, None),
            (second, RunState::Failed, None),
            (first, RunState::GivenUp, Some(3_000)),
        ]
    );
    assert_eq!(
        records[1].error.as_deref(),
        Some("the disk is full\nand more")
    );
    assert_eq!(
        records[1].windows,
        [WindowRecord {
            window: plan().windows[0].window,
            phase: Phase::Loading,
            outcome: None,
        }]
    );
    assert_eq!(journal.history(None, Some(1)).unwrap(), records[..1]);
    assert_eq!(journal.history(Some("orders"), None).unwrap(), records);
    assert_eq!(journal.history(Some("order"), None).unwrap(), []);
    assert_eq!(journal.runs_of("orders").unwrap(), [first, second, other]);
    assert_eq!(journal.runs_of("order").unwrap(), [0; 0]);
    let slices = SliceProgress {
        planned: 0,
        staged: 1,
    };
    assert_eq!(journal.slices(other).unwrap(), Some(slices));
    assert_eq!(journal.slices(first).unwrap(), None);
    assert_eq!(journal.report(other).unwrap(), None);

    // The next attempt is under way.
    journal.begin_attempt(second).unwrap();
    assert_eq!(journal.record(second).unwrap().state, RunState::Open);
    let unknown = journal.record(99).unwrap_err().to_string();
    assert!(unknown.contains("there are runs 1 to 3"), "{unknown}");
}

#[test]
fn a_full_disk_is_named_and_what_was_written_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let run = begin(&journal, "t", "f");
    let pages: i64 = {
        let connection = journal.lock();
        connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap()
    };
    journal
        .lock()
        .pragma_update(None, "max_page_count", pages + 2)
        .unwrap();
    let full = (0..).find_map(|number| {
        let error = journal.slice_staged(run, &slice(number)).err()?;
        Some((number, journal.named(error)))
    });
    let (kept, error) = full.unwrap();
    assert_eq!(error.kind(), ErrorKind::Journal);
    let said = error.to_string();
    let names = format!("; the journal is {}; see that its disk", path.display());
    assert!(said.contains("is full") && said.contains(&names), "{said}");
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    let open = journal.open_run(&targets(&["t"]), "f").unwrap().unwrap();
    assert!(kept > 0 && open.staged.keys().copied().eq(0..kept));
}
