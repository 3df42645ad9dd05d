use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::broker::KafkaBroker;
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::program::Ended;

/// The longest way to the next border, here a read of half a second.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);

#[test]
fn a_signal_stops_a_run_and_the_same_command_goes_on() {
    let broker = KafkaBroker::shared();
    let topic = "a_signal_stops_a_run_and_the_same_command_goes_on";
    broker.create_topic(topic, 4, &[]);
    let plan = MessagePlan {
        partitions: 4,
        malformed_per_mille: 0,
        ..MessagePlan::new(20_261_125, 100_000)
    };
    produce(&broker.client(), topic, plan.messages());
    let window = plan.start_ms..plan.start_ms + plan.span_ms;
    let mut truth = None;
    for signal in [Signal::TERM, Signal::INT] {
        let loader = Loader::with_table();
        let endpoint = loader.server.endpoint();
        let job = JobFile {
            more: "limits: { concurrency: 1 }".to_owned(),
            ..JobFile::new(broker.bootstrap(), topic, endpoint, window.clone())
        };
        let mut run = loader.start(&job);
        loader.wait_for_slices(&mut run, 2);
        kill_process(Pid::from_child(&run), signal).unwrap();
        let asked = Instant::now();
        let stopped = Ended::from(run.wait_with_output().unwrap());
        let took = asked.elapsed();
        assert_eq!(stopped.code, Some(1), "{signal:?}: {stopped:#?}");
        assert!(took < STOPPED_WITHIN, "{signal:?}: it took {took:?}");
        let said = format!("{}{}", stopped.stdout, stopped.stderr);
        assert!(
            said.contains("run the same command to go on"),
            "{signal:?}: {said}"
        );
        assert_eq!(
            loader.server.count("orders", ""),
            0,
            "a stopped run shows nothing"
        );

        let report = loader.run(&job).json();
        assert_eq!(report["resumed"], true);
        let kept = report["slices"]["kept"].as_u64().unwrap();
        assert!(
            kept > 0,
            "{signal:?}: staged slices are not read again: {report}"
        );
        let truth = truth.get_or_insert_with(|| loader.topic_truth(&job, broker.bootstrap()));
        assert_eq!(truth.table.rows, plan.messages);
        assert_eq!(
            loader.table_truth(Some("ds=20261122")),
            truth.table,
            "{signal:?}"
        );
    }
}
