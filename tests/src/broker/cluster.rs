//! Several brokers that hold copies of each other's topics.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::metadata::MetadataPartition;

use super::kraft::Node;
use super::{BrokerOptions, KafkaBroker, admin, retry_ports};

/// How many brokers a cluster has: the fewest of which one may be missing.
const BROKERS: usize = 3;

/// Longest wait for the cluster's answer to one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How often a topic's copies are asked for four times a second.
const IN_SYNC_ATTEMPTS_MAX: u32 = 480;

/// Three running KRaft brokers of the newest release.
#[derive(Debug)]
pub struct KafkaCluster {
    /// By their numbers, which begin with 1.
    brokers: [KafkaBroker; BROKERS],
}

impl KafkaCluster {
    /// Starts the brokers and waits until they know each other.
    ///
    /// # Panics
    ///
    /// When one of them doesn't come up: then the message ends with its log.
    pub fn start() -> Self {
        let property = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let options = BrokerOptions {
            properties: vec![
                property("offsets.topic.replication.factor", "3"),
                // After this long without a sign a broker counts as dead; 9 s otherwise.
                property("broker.session.timeout.ms", "3000"),
                property("broker.heartbeat.interval.ms", "500"),
            ],
            ..BrokerOptions::default()
        };
        retry_ports(|| {
            let mut brokers =
                Node::cluster::<BROKERS>().map(|node| KafkaBroker::spawn(&options, &node));
            for broker in &mut brokers {
                broker.wait_until_ready(BROKERS)?;
            }
            Ok(Self { brokers })
        })
    }

    /// The addresses of all brokers, with commas between them.
    pub fn bootstrap(&self) -> String {
        self.brokers
            .each_ref()
            .map(KafkaBroker::bootstrap)
            .join(",")
    }

    /// librdkafka settings that reach the cluster whichever broker is missing.
    pub fn client(&self) -> ClientConfig {
        let mut config = self.brokers[0].client();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// Creates a topic with a copy on each broker.
    ///
    /// # Panics
    ///
    /// When the brokers refuse.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let copies = i32::try_from(BROKERS).expect("a few");
        admin::create_topic(&self.client(), topic, (partitions, copies), &[]);
    }

    /// The number of the broker that serves a topic partition; none while there is none.
    ///
    /// # Panics
    ///
    /// When nobody answers, or there is no such topic partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Option<usize> {
        let client: BaseConsumer = self.client().create().expect("a client");
        ask(&client, topic, |partitions| {
            let found = partitions.iter().find(|found| found.id() == partition);
            let leader = found.expect("a topic partition of the topic").leader();
            usize::try_from(leader).ok()
        })
    }

    /// Waits until every broker has all of a topic's messages.
    ///
    /// # Panics
    ///
    /// When that takes minutes.
    pub fn wait_until_in_sync(&self, topic: &str) {
        let client: BaseConsumer = self.client().create().expect("a client");
        let complete = |one: &MetadataPartition| one.isr().len() == BROKERS;
        for _ in 0..IN_SYNC_ATTEMPTS_MAX {
            if ask(&client, topic, |partitions| partitions.iter().all(complete)) {
                return;
            }
            // Nothing is heard of here but errors, which `ask` would meet too.
            drop(client.poll(Duration::from_millis(250)));
        }
        panic!("the copies of topic {topic:?} stay behind");
    }

    /// The broker with this number.
    pub fn broker(&mut self, number: usize) -> &mut KafkaBroker {
        &mut self.brokers[number - 1]
    }
}

/// What the cluster says of a topic's partitions.
fn ask<T>(client: &BaseConsumer, topic: &str, about: impl Fn(&[MetadataPartition]) -> T) -> T {
    let metadata = client
        .fetch_metadata(Some(topic), ANSWER_WITHIN)
        .unwrap_or_else(|error| panic!("nobody tells of topic {topic:?}: {error}"));
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    about(found.expect("the topic that was asked for").partitions())
}
