//! Reading as programs commonly do it: a consumer that is polled for one message after the other.

use std::thread;
use std::time::Duration;

use engine_model::{OffsetRange, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use crate::Result;

/// Longest wait for a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Polls the messages of `ranges`, shared by so many threads with a consumer each, and tells how many there were.
///
/// # Errors
///
/// Those of a consumer, or none came for 10 seconds.
pub fn poll(
    brokers: &str,
    ranges: &[(TopicPartition, OffsetRange)],
    threads: usize,
) -> Result<usize> {
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..threads)
            .map(|lane| {
                let ranges = ranges.iter().skip(lane).step_by(threads);
                scope.spawn(move || poll_all(brokers, ranges))
            })
            .collect();
        let ended = lanes
            .into_iter()
            .map(|lane| lane.join().map_err(|_| "a consumer panicked")?);
        ended.sum()
    })
}

fn poll_all<'a>(
    brokers: &str,
    ranges: impl Iterator<Item = &'a (TopicPartition, OffsetRange)>,
) -> Result<usize> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut list = TopicPartitionList::new();
    let mut wanted = 0;
    for (at, range) in ranges {
        list.add_partition_offset(&at.topic, at.partition, Offset::Offset(range.start))?;
        wanted += usize::try_from(range.len())?;
    }
    consumer.assign(&list)?;
    let (mut messages, mut bytes) = (0, 0);
    while messages < wanted {
        let message = consumer.poll(TIMEOUT).ok_or("no message came")??;
        messages += 1;
        bytes += message.payload().map_or(0, <[u8]>::len);
    }
    if bytes == 0 {
        return Err("the messages are empty".into());
    }
    Ok(messages)
}
