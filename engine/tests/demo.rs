//! The demonstration, small: every count agrees, and the comparison can fail.

#![cfg(all(feature = "kafka", feature = "local"))]
#![expect(clippy::unwrap_used, reason = "this is how a test fails")]

use std::path::Path;

use engine::demo::{Demo, Produced};
use engine::model::job::Job;
use engine::model::{ColumnSource, RunReport};
use engine::{Cancel, CheckReport, Engine, LoadOptions, Progress, StateFolder, WindowOrder};

const OLDEST: WindowOrder = WindowOrder::OldestFirst;

#[test]
fn every_count_agrees_with_what_was_produced() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(&folder.path().join("data")).unwrap();
    let produced = demo.produce(20_000).unwrap().clone();
    assert_eq!(produced.messages, 20_000);
    demo.create_table().unwrap();
    let job = demo.job().unwrap();

    let engine = Engine::new(2).unwrap();
    let state = StateFolder::open(folder.path().join("state")).unwrap();
    let check = engine.check(std::slice::from_ref(&job));
    assert!(check.is_good(), "{check:?}");
    let plan = engine
        .plan(std::slice::from_ref(&job), state.path(), OLDEST)
        .unwrap();
    assert!(
        plan.offsets > 15_000 && plan.bytes_estimate > plan.offsets * 100,
        "{plan:?}"
    );
    let preview = engine.preview(&job, 5).unwrap();
    assert_eq!(preview.rows.len(), 5);

    let (progress, cancel) = (Progress::default(), Cancel::default());
    let report = engine
        .run(
            std::slice::from_ref(&job),
            &state,
            &LoadOptions::default(),
            &progress,
            &cancel,
        )
        .unwrap();
    check_rejects(&state, folder.path(), &produced, &report);
    check_unmapped(&engine, &job, &check, &report);

    let comparisons = demo.compare(&report, false).unwrap();
    assert!(
        comparisons.iter().all(engine::demo::Comparison::agrees),
        "{comparisons:#?}"
    );
    let flipped = demo.compare(&report, true).unwrap();
    assert_eq!(
        flipped
            .iter()
            .filter(|comparison| !comparison.agrees())
            .count(),
        1
    );

    check_objections(&engine, &job, &state);

    let cities = demo.sql(Demo::query()).unwrap();
    assert_eq!(cities.columns, ["city", "orders", "amount", "heaviest"]);
    assert_eq!(cities.rows.len(), 8);
    demo.shutdown();
}

/// What was rejected can be read back, all of it.
fn check_rejects(state: &StateFolder, folder: &Path, produced: &Produced, report: &RunReport) {
    let malformed: u64 = produced
        .window
        .values()
        .map(|window| window.malformed)
        .sum();
    let exported = folder.join("rejected.jsonl");
    let rejected = state
        .rejected(None, Some("orders_daily"), 2, Some(&exported))
        .unwrap();
    assert_eq!(rejected.run, Some(report.run));
    assert_eq!(
        rejected.reasons,
        [("invalid_json".to_owned(), malformed)].into()
    );
    assert!(malformed > 0);
    assert_eq!(rejected.messages.len() as u64, malformed.min(2));
    let lines = std::fs::read_to_string(&exported).unwrap();
    assert_eq!(lines.lines().count() as u64, malformed);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert!(
        first["payload"].as_str().unwrap().starts_with('{'),
        "{first}"
    );
    let again = state.rejected(None, None, 2, Some(&exported)).unwrap_err();
    assert!(again.to_string().contains("isn't there yet"), "{again}");
    let other = state.rejected(None, Some("orders"), 2, None).unwrap();
    assert_eq!(other.run, None);
    let unknown = state.rejected(Some(99), None, 2, None).unwrap_err();
    assert!(
        unknown
            .to_string()
            .contains("run 99 keeps no rejected messages"),
        "{unknown}"
    );
}

/// Check, report and sample agree about the fields that the job leaves out.
fn check_unmapped(engine: &Engine, job: &Job, check: &CheckReport, report: &RunReport) {
    let sample = engine.sample(&job.source, &job.time_zone, 1_000).unwrap();
    assert_eq!((sample.messages, sample.topic_partitions), (1_000, 4));
    let mapped = job
        .columns
        .iter()
        .filter_map(|mapping| match &mapping.source {
            ColumnSource::Path(path) => Some(path),
            _ => None,
        });
    for path in mapped {
        assert!(sample.payloads.messages_with(path) > 500, "{path}");
    }
    let note = check
        .checks
        .iter()
        .find(|check| check.subject == "unmapped")
        .unwrap();
    let seen = &report.unmapped_fields;
    assert!(seen.messages > 0 && !seen.fields.is_empty(), "{seen:?}");
    for (path, messages) in seen.by_messages() {
        let path_steps = path.parse().unwrap();
        assert!(sample.payloads.messages_with(&path_steps) > 0, "{path}");
        assert!(
            messages < seen.messages || note.found.contains(path),
            "{path}: {note:?}"
        );
    }
}

/// A plan says what a run would be refused for, and touches nothing.
fn check_objections(engine: &Engine, job: &Job, state: &StateFolder) {
    let mut narrower = job.clone();
    narrower.window.end_ms -= 3_600_000;
    let mut later = job.clone();
    later.window.end_ms = 4_102_444_800_000;
    for (job, flag) in [
        (&narrower, "--replace-other-window"),
        (&later, "--allow-open-window"),
    ] {
        let notes = engine
            .plan(std::slice::from_ref(job), state.path(), OLDEST)
            .unwrap()
            .notes
            .join("\n");
        assert!(notes.contains("the run would be refused: "), "{notes}");
        assert!(notes.contains(flag), "{notes}");
        let elsewhere = state.path().join("nothing");
        let unknown = engine
            .plan(std::slice::from_ref(job), &elsewhere, OLDEST)
            .unwrap()
            .notes
            .join("\n");
        assert_eq!(
            unknown.contains(flag),
            flag == "--allow-open-window",
            "{unknown}"
        );
        assert!(!elsewhere.try_exists().unwrap(), "a plan touches nothing");
    }
    assert!(
        engine
            .plan(std::slice::from_ref(job), state.path(), OLDEST)
            .unwrap()
            .notes
            .is_empty()
    );
}
