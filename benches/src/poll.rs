//! Reading as programs commonly do it: a consumer that is polled for one message after the other.

use std::time::Duration;

use engine_model::{OffsetRange, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use crate::Result;

/// Longest wait for a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Polls the messages of `ranges` with one consumer, and tells how many there were.
///
/// # Errors
///
/// Those of the consumer, or none came for 10 seconds.
pub fn poll<'a>(
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
