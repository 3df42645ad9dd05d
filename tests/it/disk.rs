//! The bound on staged bytes.

use std::fs;
use std::iter::repeat_with;
use std::path::Path;
use std::process::Child;
use std::thread;

use tests::embedded::EmbeddedBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::GeneratedMessage;
use tests::produce::produce;
use tests::program::{self, Ended};
use tests::server::ACCESS_SECRET;

const START_MS: i64 = 1_795_276_800_000;
const MESSAGES: i64 = 1_000;
const MESSAGE_BYTES: usize = 100 << 10;
/// A fifth of what is staged, and one slice more than fits beside another.
const DISK_BYTES: u64 = 19 << 20;

/// Text that takes as many bytes in a staged file as in the topic.
fn noise(rng: &mut fastrand::Rng) -> Vec<u8> {
    let text = repeat_with(|| rng.alphanumeric()).take(MESSAGE_BYTES);
    text.collect::<String>().into_bytes()
}

/// The bytes of all files in the staging folder, also of those that are being written.
fn staged_bytes(folder: &Path) -> u64 {
    let Ok(files) = fs::read_dir(folder) else {
        return 0;
    };
    // A file may be gone since it was listed.
    let sizes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
    sizes.sum()
}

/// The most that lay in the folder whenever it was looked at, until the run ended.
fn peak_until_end(run: &mut Child, folder: &Path) -> u64 {
    let mut peak = 0;
    while run.try_wait().unwrap().is_none() {
        peak = peak.max(staged_bytes(folder));
        thread::yield_now();
    }
    peak
}

#[test]
fn a_window_of_five_times_the_disk_is_loaded_within_it() {
    let broker = EmbeddedBroker::start(1);
    let mut rng = fastrand::Rng::with_seed(1);
    let messages =
        (0..MESSAGES).map(|number| GeneratedMessage::row(0, START_MS + number, noise(&mut rng)));
    produce(&broker.client(), "noise", messages);
    let loader = Loader::with_table();
    loader
        .server
        .sql("CREATE TABLE noise (text STRING) PARTITIONED BY (ds STRING);");
    let window = START_MS..START_MS + MESSAGES;
    let endpoint = loader.server.endpoint();
    let mut job = JobFile::new(broker.bootstrap(), "noise", endpoint, window);
    "noise".clone_into(&mut job.table);
    "value: string".clone_into(&mut job.kafka);
    job.columns = vec!["text: __value__".to_owned()];
    job.more = format!("limits: {{ disk: {DISK_BYTES}, concurrency: 1 }}");

    let path = job.write(loader.folder.path());
    let state = loader.state();
    let plan = [
        "plan",
        path.to_str().unwrap(),
        "--at",
        "2026-11-23T00:15:00",
        "--state",
        state.to_str().unwrap(),
    ];
    let planned = program::run(&plan, ACCESS_SECRET);
    let estimate = "about 97.6";
    assert!(planned.stdout.contains(estimate), "{planned:#?}");
    assert!(planned.stdout.contains("limit 19.00 MiB"), "{planned:#?}");

    let mut run = loader.start(&job);
    let peak = peak_until_end(&mut run, &state.join("staging"));
    let report = Ended::from(run.wait_with_output().unwrap()).json();
    let staged = report["steps"]["stage"]["bytes"].as_u64().unwrap();
    assert!(staged >= 5 * DISK_BYTES, "{staged} bytes were staged");
    assert!(
        peak > DISK_BYTES / 2 && peak <= DISK_BYTES,
        "{peak} bytes lay there at once"
    );
    assert_eq!(report["windows"][0]["rows"], MESSAGES);
    assert_eq!(report["slices"]["read"], report["slices"]["planned"]);
    let counted = loader
        .server
        .sql("SELECT COUNT(*), COUNT(DISTINCT text) FROM noise WHERE ds = '20261122'");
    let all = Some(MESSAGES.to_string());
    assert_eq!(counted[0], [all.clone(), all]);
}
