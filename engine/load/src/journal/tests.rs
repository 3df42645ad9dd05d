use engine_model::{PartitionSpec, PlannedWindow, SLICE_FORMAT, SliceWindowReport, UnmappedFields};

use super::*;

fn plan() -> LoadPlan {
    let window = PlannedWindow {
        window: Window::new(1_000, 2_000).unwrap(),
        partition: PartitionSpec(vec![("ds".into(), "20261122".into())]),
    };
    LoadPlan {
        windows: vec![window],
        partitions: Vec::new(),
        slices: Vec::new(),
        message_bytes_mean: 7,
        planned_at_ms: 3_000,
    }
}

fn begin(journal: &Journal, target: &str, fingerprint: &str) -> i64 {
    let new = NewRun {
        target,
        fingerprint,
        job: "orders",
        scheduled_time: "2026-11-23T00:15:00+08:00[Asia/Shanghai]",
        begun_ms: 3_000,
        plan: &plan(),
    };
    journal.begin_run(&new).unwrap()
}

fn slice(number: u32) -> SliceReport {
    let windows = vec![SliceWindowReport::default()];
    SliceReport {
        format: SLICE_FORMAT,
        number,
        ranges: Vec::new(),
        windows,
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
    let open = journal.open_run("t", "f").unwrap().unwrap();
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
    assert!(journal.open_run("t", "other").unwrap().is_none());
    assert_eq!(journal.undecided_runs("t").unwrap().len(), 1);
    assert!(journal.undecided_runs("u").unwrap().is_empty());

    journal
        .window_done(
            run,
            0,
            WindowOutcome::Committed,
            Some(Change {
                target: "t",
                window: plan().windows[0].window,
                replaced: true,
                rows: 5,
                checksum: Some(Checksum(9)),
            }),
        )
        .unwrap();
    journal.end_run(run, 9_000, &"report").unwrap();
    assert!(journal.open_run("t", "f").unwrap().is_none());
}

#[test]
fn a_new_run_gives_up_the_older_ones_of_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let first = begin(&journal, "t", "f");
    let other = begin(&journal, "u", "f");
    let second = begin(&journal, "t", "g");
    assert_eq!(journal.open_run_ids().unwrap(), [other, second]);
    assert_ne!(first, second);
    assert!(journal.open_run("t", "f").unwrap().is_none());
    assert_eq!(journal.open_run("t", "g").unwrap().unwrap().id, second);
    assert_eq!(journal.open_run("u", "f").unwrap().unwrap().id, other);
}

#[test]
fn what_a_target_holds_of_ours_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let run = begin(&journal, "t", "f");
    assert_eq!(journal.loads_held("t").unwrap(), []);
    let load = |start, end, replaced| {
        let window = Window::new(start, end).unwrap();
        let change = Change {
            target: "t",
            window,
            replaced,
            rows: 5,
            checksum: Some(Checksum(9)),
        };
        journal
            .window_done(run, 0, WindowOutcome::Committed, Some(change))
            .unwrap();
        Load { run, window }
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

    let first = begin(&journal, "t", "f");
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

/// The tables of version 2, with a run of that time.
const VERSION_2: &str = "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        fingerprint TEXT NOT NULL,
        job TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('open', 'done', 'given up')),
        plan TEXT NOT NULL,
        report TEXT
    );
    CREATE INDEX runs_by_target ON runs (target, state);
    CREATE TABLE windows (
        run INTEGER NOT NULL REFERENCES runs (id),
        number INTEGER NOT NULL,
        phase TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        partition TEXT NOT NULL,
        session TEXT,
        outcome TEXT,
        PRIMARY KEY (run, number)
    );
    CREATE TABLE slices (
        run INTEGER NOT NULL REFERENCES runs (id),
        number INTEGER NOT NULL,
        report TEXT NOT NULL,
        PRIMARY KEY (run, number)
    );
    CREATE TABLE loads (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        run INTEGER NOT NULL REFERENCES runs (id),
        start_ms INTEGER NOT NULL,
        end_ms INTEGER NOT NULL,
        replaced INTEGER NOT NULL
    );
    CREATE INDEX loads_by_target ON loads (target);
    INSERT INTO runs VALUES (7, 't', 'f', 'orders', 'done', '', NULL);
    INSERT INTO windows VALUES (7, 0, 'done', 1000, 2000, 'ds=20261122', 's-1', '\"committed\"');
    INSERT INTO loads VALUES (3, 't', 7, 1000, 2000, 1);
    PRAGMA user_version = 2;
";

#[test]
fn a_journal_of_version_2_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    Connection::open(&path)
        .unwrap()
        .execute_batch(VERSION_2)
        .unwrap();
    for _ in 0..2 {
        let journal = Journal::open(&path).unwrap();
        let old = journal.record(7).unwrap();
        assert_eq!((old.state, old.begun_ms), (RunState::Done, None));
        assert_eq!(old.windows[0].outcome, Some(WindowOutcome::Committed));
        assert_eq!(journal.loads_held("t").unwrap().len(), 1);
        let window = plan().windows[0].window;
        assert_eq!(journal.last_load("t", window, 99).unwrap(), None);
    }
    let journal = Journal::open(&path).unwrap();
    let run = begin(&journal, "t", "f");
    assert_eq!(journal.record(run).unwrap().begun_ms, Some(3_000));
}
