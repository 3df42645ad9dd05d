use std::process::Child;
use std::time::Duration;

use tests::broker::{BrokerOptions, KafkaBroker, KafkaCluster, Listener};
use tests::job::JobFile;
use tests::loader::Loader;
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::program::Ended;
use tests::proxy::{Proxy, Trouble};
use tests::stopped::StoppedRun;
use tests::truth::TopicTruth;

const DAY: Option<&str> = Some("ds=20261122");

fn plan(partitions: i32, messages: u64) -> MessagePlan {
    MessagePlan {
        partitions,
        malformed_per_mille: 0,
        ..MessagePlan::new(20_261_127, messages)
    }
}

/// A job that loads all that `plan` has sent to `topic`, with a single lane.
fn whole(bootstrap: &str, topic: &str, loader: &Loader, plan: &MessagePlan) -> JobFile {
    let window = plan.start_ms..plan.start_ms + plan.span_ms;
    JobFile {
        more: "limits: { concurrency: 1 }".to_owned(),
        ..JobFile::new(bootstrap, topic, loader.server.endpoint(), window)
    }
}

/// The table has each message once, and nothing else.
#[track_caller]
fn assert_whole(loader: &Loader, truth: &TopicTruth, plan: &MessagePlan) {
    assert_eq!(truth.table.rows, plan.messages);
    assert_eq!(loader.table_truth(DAY), truth.table);
}

/// The job's run, which holds still with its first slice staged.
#[track_caller]
fn stopped(loader: &Loader, job: &JobFile) -> StoppedRun {
    let run = StoppedRun::start(loader.command(job), "slice_journalled:1");
    assert_eq!(loader.staged_slices(), 1);
    run
}

/// The run ends well, and had slices before it when it held still: it may have begun with the second one.
#[track_caller]
fn assert_missed(run: Child) {
    let report = Ended::from(run.wait_with_output().unwrap()).json();
    let planned = report["slices"]["planned"].as_u64().unwrap();
    assert!(planned > 2, "{planned} slices");
}

#[test]
fn brokers_of_a_cluster_may_die_and_come_back_while_it_is_read() {
    let mut cluster = KafkaCluster::start();
    let topic = "brokers_of_a_cluster_may_die_and_come_back_while_it_is_read";
    cluster.create_topic(topic, 4);
    let plan = plan(4, 100_000);
    produce(&cluster.client(), topic, plan.messages());
    let bootstrap = cluster.bootstrap();

    // One dies and stays away: another has to serve what it served.
    let loader = Loader::with_table();
    let job = whole(&bootstrap, topic, &loader, &plan);
    let last = 3;
    let died = cluster.leader(topic, last).unwrap();
    let run = stopped(&loader, &job);
    cluster.broker(died).kill();
    assert_missed(run.go_on());
    let heir = cluster.leader(topic, last).unwrap();
    assert_ne!(heir, died, "the leader of the last topic partition moved");
    let truth = loader.topic_truth(&job, &bootstrap);
    assert_whole(&loader, &truth, &plan);

    // One more is away for a while.
    cluster.broker(died).restart();
    cluster.wait_until_in_sync(topic);
    let loader = Loader::with_table();
    let job = whole(&bootstrap, topic, &loader, &plan);
    let run = stopped(&loader, &job);
    cluster.broker(heir).kill();
    let run = run.go_on();
    cluster.broker(heir).restart();
    assert_missed(run);
    assert_whole(&loader, &truth, &plan);
}

/// A broker whose clients are told to come through `proxy`.
fn broker_behind(proxy: &Proxy) -> KafkaBroker {
    let listener = Listener {
        advertised: Some(proxy.address().to_owned()),
        ..Listener::new("PROXY", "PLAINTEXT")
    };
    let broker = KafkaBroker::start_with(&BrokerOptions {
        listeners: vec![listener],
        ..BrokerOptions::default()
    });
    proxy.lead_to(broker.address("PROXY"));
    broker
}

#[test]
fn slow_connections_that_break_lose_and_repeat_nothing() {
    let trouble = Trouble {
        delay: Duration::from_millis(2),
        cut_every_bytes: 1 << 20,
        cuts: 3,
    };
    let proxy = Proxy::start(trouble);
    let broker = broker_behind(&proxy);
    let topic = "slow_connections_that_break_lose_and_repeat_nothing";
    broker.create_topic(topic, 2, &[]);
    let plan = plan(2, 30_000);
    produce(&broker.client(), topic, plan.messages());
    let loader = Loader::with_table();
    let job = whole(proxy.address(), topic, &loader, &plan);
    loader.run(&job).json();
    assert_eq!(proxy.cuts(), trouble.cuts);
    let truth = loader.topic_truth(&job, broker.bootstrap());
    assert_whole(&loader, &truth, &plan);
}
