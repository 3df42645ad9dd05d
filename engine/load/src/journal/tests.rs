use engine_model::job::OffsetBounds;
use engine_model::{PartitionSpec, PlannedWindow, SLICE_FORMAT, SliceWindowReport, UnmappedFields};

use super::*;

fn targets(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn extent(start: i64, end: i64) -> Extent {
    Extent {
        window: Window::new(start, end).unwrap(),
        offsets: None,
    }
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
    let run = journal
        .begin_run(&targets(&["t"]), "f", "orders", &plan())
        .unwrap();
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
            Some(Change {
                target: "t",
                extent: &extent(1_000, 2_000),
                replaced: true,
            }),
        )
        .unwrap();
    journal.end_run(run, &"report").unwrap();
    assert!(journal.open_run(&targets(&["t"]), "f").unwrap().is_none());
}

#[test]
fn a_new_run_gives_up_the_older_ones_of_its_target() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let first = journal
        .begin_run(&targets(&["t"]), "f", "orders", &plan())
        .unwrap();
    let other = journal
        .begin_run(&targets(&["u"]), "f", "orders", &plan())
        .unwrap();
    let second = journal
        .begin_run(&targets(&["t"]), "g", "orders", &plan())
        .unwrap();
    assert_eq!(journal.open_run_ids().unwrap(), [other, second]);
    assert_ne!(first, second);
    assert!(journal.open_run(&targets(&["t"]), "f").unwrap().is_none());
    assert_eq!(
        journal.open_run(&targets(&["t"]), "g").unwrap().unwrap().id,
        second
    );
    assert_eq!(
        journal.open_run(&targets(&["u"]), "f").unwrap().unwrap().id,
        other
    );
}

#[test]
fn of_a_run_with_several_targets_only_those_of_a_newer_run_are_superseded() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let mut two = plan();
    two.windows.push(PlannedWindow {
        window: Window::new(2_000, 3_000).unwrap(),
        ..two.windows[0].clone()
    });
    let both = targets(&["t", "u"]);
    let first = journal.begin_run(&both, "f", "orders", &two).unwrap();
    journal.slice_staged(first, &slice(3)).unwrap();
    journal
        .begin_run(&targets(&["u"]), "g", "orders", &plan())
        .unwrap();
    let open = journal.open_run(&both, "f").unwrap().unwrap();
    let outcomes: Vec<_> = open.windows.iter().map(|window| window.outcome).collect();
    assert_eq!(outcomes, [None, Some(WindowOutcome::Superseded)]);
    assert_eq!(open.staged.len(), 1);
    assert!(
        journal
            .open_run(&targets(&["u", "t"]), "f")
            .unwrap()
            .is_none()
    );
    journal
        .begin_run(&targets(&["t"]), "h", "orders", &plan())
        .unwrap();
    assert!(
        journal.open_run(&both, "f").unwrap().is_none(),
        "nothing of it is left to load"
    );
}

#[test]
fn what_a_target_holds_of_ours_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    let run = journal
        .begin_run(&targets(&["t"]), "f", "orders", &plan())
        .unwrap();
    assert_eq!(journal.loads_held("t").unwrap(), []);
    let load = |start, end, replaced| {
        let extent = extent(start, end);
        let change = Change {
            target: "t",
            extent: &extent,
            replaced,
        };
        journal
            .window_done(run, 0, WindowOutcome::Committed, Some(change))
            .unwrap();
        Load { run, extent }
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
