//! What crash tests load: a small window in many slices, and what a table partition must hold then.

use std::collections::BTreeMap;

use crate::broker::KafkaBroker;
use crate::job::JobFile;
use crate::loader::Loader;
use crate::messages::{GeneratedMessage, MessageKind, MessagePlan};
use crate::produce::produce;
use crate::server::{Server, TestServer};

/// Messages of each topic partition that planning looks at for their size.
const SAMPLED: usize = 50;
/// What makes these large, in bytes: planning then expects all to be so, and makes a slice of a few hundred of them.
const FILLER_BYTES: usize = 64 << 10;
/// Fewer slices than are made at least, on four lanes.
const SLICES_MIN: u64 = 10;
/// Topic partitions.
const PARTITIONS: i32 = 2;

/// What is asked of a table partition: rows, different messages among them, and sums over several columns.
const FIGURES: &str = "COUNT(*), COUNT(DISTINCT kafka_partition * 1000000 + kafka_offset), SUM(kafka_offset), \
     SUM(kafka_timestamp), SUM(total), SUM(LENGTH(address)), SUM(LENGTH(items)), SUM(LENGTH(kafka_key)), COUNT(gift)";

/// What a table partition holds, for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures(Vec<Option<String>>);

impl Figures {
    /// Rows.
    pub fn rows(&self) -> u64 {
        self.number(0)
    }

    /// Different messages that the rows come from.
    pub fn messages(&self) -> u64 {
        self.number(1)
    }

    fn number(&self, column: usize) -> u64 {
        let text = self.0.get(column).and_then(Option::as_deref);
        text.and_then(|text| text.parse().ok()).expect("a count")
    }
}

/// A topic on the shared broker, a server, and a state folder.
#[derive(Debug)]
pub struct CrashScene<S = Server> {
    /// Loads the whole topic into `ds=whole`; see [`job`](Self::job) for others.
    pub job: JobFile,
    /// Where it is loaded, and with what state.
    pub loader: Loader<S>,
    /// What any table partition must hold after a load.
    pub truth: Figures,
}

impl CrashScene {
    /// As [`on`](Self::on), with a server in a process of its own.
    ///
    /// # Panics
    ///
    /// When any of it fails.
    pub fn new(topic: &str, messages: u64) -> Self {
        Self::on(Server::start(), topic, messages)
    }
}

impl<S: TestServer> CrashScene<S> {
    /// Makes a topic with so many messages, some of them malformed, and loads it once without a crash. The judge says
    /// that this is right, so that all other loads need only be compared with it.
    ///
    /// # Panics
    ///
    /// When any of it fails.
    pub fn on(server: S, topic: &str, messages: u64) -> Self {
        let broker = KafkaBroker::shared();
        broker.create_topic(topic, PARTITIONS, &[]);
        let plan = MessagePlan {
            partitions: PARTITIONS,
            ..MessagePlan::new(20_261_127, messages)
        };
        produce(&broker.client(), topic, in_small_slices(plan.messages()));
        let loader = Loader::on(server);
        let job = JobFile {
            partition: "{ ds: whole }".to_owned(),
            more: "rejects: 1%\nlimits: { concurrency: 4 }".to_owned(),
            ..JobFile::new(
                broker.bootstrap(),
                topic,
                loader.server.endpoint(),
                plan.start_ms..plan.start_ms + plan.span_ms,
            )
        };
        let report = loader.run(&job).json();
        let slices = report["slices"]["planned"].as_u64();
        assert!(slices.is_some_and(|slices| slices > SLICES_MIN), "{report}");
        let judged = loader.topic_truth(&job, broker.bootstrap());
        assert_eq!(loader.table_truth(Some("ds=whole")), judged.table);
        let truth = figures(&loader, "whole");
        assert_eq!(
            (truth.rows(), truth.messages()),
            (judged.table.rows, judged.table.rows)
        );
        assert!(judged.rejects.values().sum::<u64>() > 1, "{judged:?}");
        Self { job, loader, truth }
    }

    /// The job that writes the window to another table partition, `replace` or `append`.
    pub fn job(&self, partition: &str, write: &str) -> JobFile {
        JobFile {
            partition: format!("{{ ds: {partition} }}"),
            maxcompute: format!("write: {write}"),
            ..self.job.clone()
        }
    }

    /// What a table partition holds.
    ///
    /// # Panics
    ///
    /// When the query fails.
    #[track_caller]
    pub fn figures(&self, partition: &str) -> Figures {
        figures(&self.loader, partition)
    }
}

#[track_caller]
fn figures<S: TestServer>(loader: &Loader<S>, partition: &str) -> Figures {
    let query = format!("SELECT {FIGURES} FROM orders WHERE ds = '{partition}'");
    let rows = loader.server.sql(&query);
    Figures(rows.into_iter().next().expect("sums are one row"))
}

/// Makes the first messages of each topic partition large, by a field that nobody maps.
fn in_small_slices(
    messages: impl Iterator<Item = GeneratedMessage>,
) -> impl Iterator<Item = GeneratedMessage> {
    let filler = format!("{{\"filler\":\"{}\",", "x".repeat(FILLER_BYTES));
    let mut seen: BTreeMap<i32, usize> = BTreeMap::new();
    messages.map(move |mut message| {
        let number = seen.entry(message.partition).or_default();
        *number += 1;
        if *number <= SAMPLED && message.kind == MessageKind::Order {
            let payload = message.payload.take().unwrap_or_default();
            let members = payload.get(1..).unwrap_or_default();
            message.payload = Some([filler.as_bytes(), members].concat());
        }
        message
    })
}
