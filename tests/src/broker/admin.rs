//! What topics are made of, and what becomes of them.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};

/// Longest wait for what a broker was asked to do.
const WITHIN: Duration = Duration::from_secs(30);

/// Creates a topic with so many topic partitions and replicas of each.
pub(super) fn create_topic(
    client: &ClientConfig,
    topic: &str,
    (partitions, replicas): (i32, i32),
    settings: &[(&str, &str)],
) {
    let mut wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(replicas));
    for (key, value) in settings {
        wanted = wanted.set(key, value);
    }
    let results = block_on(admin(client).create_topics([&wanted], &options()))
        .unwrap_or_else(|error| panic!("can't create topic {topic:?}: {error}"));
    for result in results {
        if let Err((name, code)) = result {
            panic!("can't create topic {name:?}: {code}");
        }
    }
}

/// Deletes a topic, and returns once the broker has done so.
pub(super) fn delete_topic(client: &ClientConfig, topic: &str) {
    let results = block_on(admin(client).delete_topics(&[topic], &options()))
        .unwrap_or_else(|error| panic!("can't delete topic {topic:?}: {error}"));
    for result in results {
        if let Err((_, code)) = result {
            panic!("can't delete topic {topic:?}: {code}");
        }
    }
}

/// Gives a topic so many topic partitions in all.
pub(super) fn grow_topic(client: &ClientConfig, topic: &str, partitions: usize) {
    let wanted = NewPartitions::new(topic, partitions);
    let results = block_on(admin(client).create_partitions([&wanted], &options()))
        .unwrap_or_else(|error| panic!("can't add to topic {topic:?}: {error}"));
    for result in results {
        if let Err((_, code)) = result {
            panic!("can't add to topic {topic:?}: {code}");
        }
    }
}

/// Gives a topic these settings in place of those that it has.
pub(super) fn set_topic(client: &ClientConfig, topic: &str, settings: &[(&str, &str)]) {
    let mut wanted = AlterConfig::new(ResourceSpecifier::Topic(topic));
    for (key, value) in settings {
        wanted = wanted.set(key, value);
    }
    let results = block_on(admin(client).alter_configs([&wanted], &options()))
        .unwrap_or_else(|error| panic!("can't change topic {topic:?}: {error}"));
    for result in results {
        if let Err((_, code)) = result {
            panic!("can't change topic {topic:?}: {code}");
        }
    }
}

/// Deletes the messages of a topic partition before offset `before`.
pub(super) fn delete_records(client: &ClientConfig, topic: &str, partition: i32, before: i64) {
    let mut offsets = TopicPartitionList::new();
    offsets
        .add_partition_offset(topic, partition, Offset::Offset(before))
        .expect("an offset");
    let deleted = block_on(admin(client).delete_records(&offsets, &options()))
        .unwrap_or_else(|error| panic!("can't delete messages of topic {topic:?}: {error}"));
    for element in deleted.elements() {
        if let Err(error) = element.error() {
            panic!("can't delete messages of topic {topic:?}: {error}");
        }
    }
}

fn admin(client: &ClientConfig) -> AdminClient<DefaultClientContext> {
    client.create().expect("an admin client")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(WITHIN))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime of one thread")
        .block_on(future)
}
