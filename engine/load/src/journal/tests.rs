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
    let run = journal.begin_run("t", "f", "orders", &plan()).unwrap();
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
            }),
        )
        .unwrap();
    journal.end_run(run, &"report").unwrap();
    assert!(journal.open_run("t", "f").unwrap().is_none());
}

#[test]
fn a_new_run_gives_up_the_older_ones_of_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let first = journal.begin_run("t", "f", "orders", &plan()).unwrap();
    let other = journal.begin_run("u", "f", "orders", &plan()).unwrap();
    let second = journal.begin_run("t", "g", "orders", &plan()).unwrap();
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
    let run = journal.begin_run("t", "f", "orders", &plan()).unwrap();
    assert_eq!(journal.loads_held("t").unwrap(), []);
    let load = |start, end, replaced| {
        let window = Window::new(start, end).unwrap();
        let change = Change {
            target: "t",
            window,
            replaced,
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
fn a_full_disk_is_named_and_what_was_written_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let run = journal.begin_run("t", "f", "orders", &plan()).unwrap();
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
    let open = journal.open_run("t", "f").unwrap().unwrap();
    assert!(kept > 0 && open.staged.keys().copied().eq(0..kept));
}
