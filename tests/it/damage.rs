use std::fs;
use std::path::{Path, PathBuf};

use engine::{Border, Passing};
use tests::crashes::CrashScene;
use tests::disk::SmallDisk;
use tests::job::JobFile;
use tests::program::Ended;
use tests::skip::skipped;

const MESSAGES: u64 = 3_000;

/// Runs until the program aborts.
#[track_caller]
fn crash(scene: &CrashScene, job: &JobFile, border: Border, number: u64) {
    let at = Passing { border, number };
    let mut command = scene.loader.command(job);
    let ended = command.env("TIDEGATE_CRASH_AT", at.to_string()).output();
    let ended = Ended::from(ended.unwrap());
    assert_eq!(ended.code, None, "{at}: a signal ended it: {ended:#?}");
}

/// The files of staged rows, the newest last.
fn staged(state: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.join("staging")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            entry
                .file_name()
                .to_str()
                .unwrap()
                .ends_with("-rows.parquet")
        })
        .map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
        .collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// What happens to the state folder between a crash and the next run.
type Damage = (&'static str, fn(&Path));

#[test]
fn what_a_power_loss_leaves_is_read_again_or_found_out() {
    let scene = CrashScene::new("what_a_power_loss_leaves_is_read_again", MESSAGES);
    let damages: [Damage; 8] = [
        ("the newest file is cut", |state| {
            let newest = staged(state).pop().unwrap();
            let bytes = fs::read(&newest).unwrap();
            fs::write(newest, &bytes[..fastrand::usize(..bytes.len())]).unwrap();
        }),
        ("the newest file is zeros", |state| {
            let newest = staged(state).pop().unwrap();
            let bytes = fs::read(&newest).unwrap().len();
            fs::write(newest, vec![0; bytes]).unwrap();
        }),
        ("a bit of the oldest file is wrong", |state| {
            let oldest = staged(state).swap_remove(0);
            let mut bytes = fs::read(&oldest).unwrap();
            let at = fastrand::usize(..bytes.len());
            bytes[at] ^= 1;
            fs::write(oldest, bytes).unwrap();
        }),
        ("the staging folder is gone", |state| {
            fs::remove_dir_all(state.join("staging")).unwrap();
        }),
        ("there is a file that nobody knows", |state| {
            let newest = staged(state).pop().unwrap();
            let name = newest.file_name().unwrap().to_str().unwrap();
            let (run, _) = name.split_once("slice-").unwrap();
            let unknown = format!("{run}slice-09999-window-0-rows.parquet");
            fs::copy(&newest, newest.with_file_name(unknown)).unwrap();
        }),
        ("the write-ahead log is cut", |state| {
            let log = state.join("journal.sqlite-wal");
            let bytes = fs::read(&log).unwrap();
            fs::write(log, &bytes[..fastrand::usize(..bytes.len())]).unwrap();
        }),
        ("the write-ahead log's last page is torn", |state| {
            let log = state.join("journal.sqlite-wal");
            let mut bytes = fs::read(&log).unwrap();
            let half = bytes.len() - 2_000;
            bytes[half..].fill(0);
            fs::write(log, bytes).unwrap();
        }),
        ("the write-ahead log's index is gone", |state| {
            fs::remove_file(state.join("journal.sqlite-shm")).unwrap();
        }),
    ];
    let state = scene.loader.state();
    for (number, (what, damage)) in damages.into_iter().enumerate() {
        let partition = format!("damaged{number}");
        let job = scene.job(&partition, "append");
        crash(&scene, &job, Border::BlockReady, 3);
        damage(&state);
        let report = scene.loader.run(&job).json();
        assert_eq!(scene.figures(&partition), scene.truth, "{what}: {report}");
        assert_eq!(staged(&state), Vec::<PathBuf>::new(), "{what}");
    }
}

#[test]
fn a_damaged_journal_is_named_and_moving_it_away_helps() {
    let scene = CrashScene::new("a_damaged_journal_is_named", MESSAGES);
    let (job, state) = (scene.job("damaged", "replace"), scene.loader.state());
    crash(&scene, &job, Border::BlockUploaded, 3);
    let journal = state.join("journal.sqlite");
    let mut bytes = fs::read(&journal).unwrap();
    // Its first pages are in the write-ahead log as well, if that is there.
    fs::remove_file(state.join("journal.sqlite-wal")).unwrap();
    bytes[4_096..].fill(0x55);
    fs::write(&journal, bytes).unwrap();

    let refused = scene.loader.run(&job);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for says in [journal.to_str().unwrap(), "damaged", "move it"] {
        assert!(refused.stdout.contains(says), "{says}: {refused:#?}");
    }
    assert_eq!(scene.figures("damaged").rows(), 0);

    fs::remove_file(&journal).unwrap();
    let report = scene.loader.run(&job).json();
    assert_eq!(report["resumed"], false);
    assert_eq!(scene.figures("damaged"), scene.truth);
}

/// A disk is nearly full, with more and more space: the run ends at its beginning, in the journal, in a staged file.
#[test]
fn a_full_disk_at_any_point_is_named_and_the_run_goes_on_once_there_is_space() {
    let Some(disk) = SmallDisk::mount("16m") else {
        skipped("this machine lets nobody mount a tmpfs; no full disk was tried with the program");
        return;
    };
    let scene = CrashScene::new("a_full_disk_at_any_point_is_named", MESSAGES);
    let job = scene.job("full", "append");
    let run = || {
        let mut command = scene.loader.command_with_state(&job, disk.path());
        Ended::from(command.output().unwrap())
    };
    let mut failed_in = [0, 0, 0];
    let mut left = 0;
    let report = loop {
        disk.leave(left);
        let ended = run();
        if ended.code == Some(0) {
            break ended.json();
        }
        assert_eq!(ended.code, Some(1), "{left} bytes left: {ended:#?}");
        let said = &ended.stdout;
        let at = ["the journal is", "staging folder", "can't be "];
        let at = at.iter().position(|place| said.contains(place));
        failed_in[at.unwrap_or_else(|| panic!("{left} bytes left: {said}"))] += 1;
        let names = said.contains(disk.path().to_str().unwrap());
        assert!(names && said.contains("space"), "{left} bytes left: {said}");
        assert_eq!(scene.figures("full").rows(), 0, "{left} bytes left");
        left += 5_000;
    };
    assert_eq!(scene.figures("full"), scene.truth);
    assert!(
        failed_in.iter().all(|failures| *failures > 0),
        "{failed_in:?}"
    );
    assert_eq!(report["resumed"], true, "{report}");
    assert!(report["slices"]["kept"].as_u64() > Some(0), "{report}");
}

#[test]
fn a_folder_that_can_not_be_written_is_named_and_costs_nothing() {
    let Some(disk) = SmallDisk::mount("16m") else {
        skipped("this machine lets nobody mount a tmpfs; no read-only state folder was tried");
        return;
    };
    let scene = CrashScene::new("a_folder_that_can_not_be_written", MESSAGES);
    let job = scene.job("read_only", "append");
    let mut crashing = scene.loader.command_with_state(&job, disk.path());
    crashing.env("TIDEGATE_CRASH_AT", "block_uploaded:3");
    assert_eq!(Ended::from(crashing.output().unwrap()).code, None);

    disk.read_only(true);
    let mut command = scene.loader.command_with_state(&job, disk.path());
    let refused = Ended::from(command.output().unwrap());
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for says in [disk.path().to_str().unwrap(), "Read-only", "--state"] {
        assert!(refused.stdout.contains(says), "{says}: {refused:#?}");
    }
    assert_eq!(scene.figures("read_only").rows(), 0);

    disk.read_only(false);
    let report = Ended::from(command.output().unwrap()).json();
    assert!(report["slices"]["kept"].as_u64() > Some(0), "{report}");
    assert_eq!(scene.figures("read_only"), scene.truth);
}
