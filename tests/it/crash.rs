use engine::{Border, Passing};
use tests::crashes::CrashScene;
use tests::job::JobFile;
use tests::program::{Ended, program};
use tests::server::ACCESS_SECRET;

const MESSAGES: u64 = 3_000;

/// Runs until the program aborts.
#[track_caller]
fn crash(scene: &CrashScene, job: &JobFile, at: Passing) {
    let mut command = scene.loader.command(job);
    let ended = command.env("TIDEGATE_CRASH_AT", at.to_string()).output();
    let ended = Ended::from(ended.unwrap());
    assert_eq!(ended.code, None, "{at}: a signal ended it: {ended:#?}");
}

/// Whether a border is passed for each slice.
fn is_of_slices(border: Border) -> bool {
    use Border::{BlockReady, BlockUploaded, FileDeleted, RowsPublished, RowsWritten};
    use Border::{RejectsPublished, RejectsWritten, SliceJournalled, SliceStaged};
    [
        RowsWritten,
        RowsPublished,
        RejectsWritten,
        RejectsPublished,
        SliceStaged,
        SliceJournalled,
        BlockReady,
        BlockUploaded,
        FileDeleted,
    ]
    .contains(&border)
}

#[test]
fn the_program_goes_on_from_a_crash_at_any_border() {
    let scene = CrashScene::new("the_program_goes_on_from_a_crash_at_any_border", MESSAGES);
    let mut tried = 0;
    for (border, name) in Border::ALL {
        let number = if is_of_slices(border) { 3 } else { 1 };
        let at = Passing { border, number };
        let writes: &[&str] = if border < Border::CommitReady {
            &["replace"]
        } else {
            &["replace", "append"]
        };
        for write in writes {
            goes_on(&scene, at, name, write);
            tried += 1;
        }
    }
    assert_eq!(tried, 13 + 2 * 8);
}

fn goes_on(scene: &CrashScene, at: Passing, name: &str, write: &str) {
    let what = format!("{at}, {write}");
    let partition = format!("{name}_{write}");
    let job = scene.job(&partition, write);
    crash(scene, &job, at);
    if at.border >= Border::CommitAnswered {
        assert_eq!(scene.figures(&partition), scene.truth, "{what}: all");
    } else {
        assert_eq!(scene.figures(&partition).rows(), 0, "{what}: or nothing");
    }

    let ended = at.border >= Border::RunEnded;
    let again = scene.loader.run(&job);
    if ended && write == "append" {
        assert_eq!(again.code, Some(1), "{what}: {again:#?}");
        assert!(
            again.stdout.contains("would load messages twice"),
            "{what}: {again:#?}"
        );
    } else {
        let report = again.json();
        let kept = report["slices"]["kept"].as_u64().unwrap();
        assert_eq!(report["resumed"], !ended, "{what}: {report}");
        let journalled = at.border >= Border::SessionNeeded && !ended;
        assert!(!journalled || kept > 0, "{what}: {report}");
        assert!(!ended || kept == 0, "{what}: {report}");
        let passed = at.border == Border::SliceJournalled;
        assert!(!passed || kept >= at.number, "{what}: {report}");
    }
    assert_eq!(scene.figures(&partition), scene.truth, "{what}");
}

#[test]
fn a_border_that_is_not_there_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = "127.0.0.1:1";
    let job = JobFile::new(nowhere, "orders", "http://127.0.0.1:1/api", 0..1);
    let job = job.write(folder.path());
    let state = folder.path().join("state");
    let arguments = [
        "run",
        job.to_str().unwrap(),
        "--at",
        "2026-11-23T00:15",
        "--state",
        state.to_str().unwrap(),
        "--json",
    ];
    let mut command = program(&arguments, ACCESS_SECRET);
    let ended = command.env("TIDEGATE_CRASH_AT", "block_lost:1").output();
    let ended = Ended::from(ended.unwrap());
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    assert!(ended.stdout.contains("block_uploaded"), "{ended:#?}");
}
