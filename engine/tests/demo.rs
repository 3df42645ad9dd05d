//! The demonstration, small: every count agrees, and the comparison can fail.

#![cfg(all(feature = "kafka", feature = "local"))]

use engine::demo::Demo;
use engine::{Cancel, Engine, LoadOptions, Progress, StateFolder};

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
    let check = engine.check(&job);
    assert!(check.is_good(), "{check:?}");
    let plan = engine.plan(&job, state.path()).unwrap();
    assert!(
        plan.offsets > 15_000 && plan.bytes_estimate > plan.offsets * 100,
        "{plan:?}"
    );
    let preview = engine.preview(&job, 5).unwrap();
    assert_eq!(preview.rows.len(), 5);

    let (progress, cancel) = (Progress::default(), Cancel::default());
    let report = engine
        .run(&job, &state, &LoadOptions::default(), &progress, &cancel)
        .unwrap();
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

    let cities = demo.sql(Demo::query()).unwrap();
    assert_eq!(cities.columns, ["city", "orders", "amount", "heaviest"]);
    assert_eq!(cities.rows.len(), 8);
    demo.shutdown();
}
