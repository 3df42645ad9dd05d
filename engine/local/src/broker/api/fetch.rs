//! Reads record batches, and waits for them.
//!
//! Fetch sessions are declined: every request names all topic partitions that it wants. There are no transactions, so
//! the last stable offset is the high watermark and both isolation levels read the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, FetchResponse};
use tokio::time::{Instant, sleep_until};

use crate::broker::cluster::{Cluster, TopicKey, check_leader_epoch};
use crate::broker::limits::{FETCH_BYTES_MAX, FETCH_WAIT_MAX};
use crate::broker::log::{Bounds, PartitionLog};
use crate::broker::refusal::Refusal;
use crate::broker::stop::Stop;
use crate::broker::topics::unknown_topic;

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// Waits until there is as much to read as the request wants, or its time is over, or the broker stops. A topic
/// partition that will be answered with an error ends it too.
pub(in crate::broker) async fn wait(
    cluster: &Cluster,
    request: &FetchRequest,
    version: i16,
    stop: &mut Stop,
) {
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
    let deadline = Instant::now() + wait.min(FETCH_WAIT_MAX);
    let mut changes = cluster.changes();
    while !is_ready(cluster, request, version) {
        tokio::select! {
            woken = changes.changed() => if woken.is_err() { return },
            () = sleep_until(deadline) => return,
            () = stop.told() => return,
        }
    }
}

/// Reads the batches of each topic partition within the request's limits.
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &FetchRequest,
    version: i16,
) -> FetchResponse {
    if request.session_id != 0 {
        return FetchResponse::default()
            .with_error_code(ResponseError::FetchSessionIdNotFound.code());
    }
    let mut budget = Budget::new(request);
    let responses = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let data = PartitionData::default().with_partition_index(partition.partition);
            match read(cluster, topic, partition, version, &mut budget) {
                Ok((bounds, records)) => data
                    .with_high_watermark(bounds.high_watermark)
                    .with_last_stable_offset(bounds.high_watermark)
                    .with_log_start_offset(bounds.log_start_offset)
                    .with_records(Some(records)),
                Err(refusal) => data.with_error_code(refusal.code()).with_high_watermark(-1),
            }
        });
        FetchableTopicResponse::default()
            .with_topic(topic.topic.clone())
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    });
    let responses = responses.collect();
    FetchResponse::default().with_responses(responses)
}

/// What is left of the bytes that one response may have.
struct Budget {
    bytes_left: usize,
    nothing_read: bool,
}

impl Budget {
    fn new(request: &FetchRequest) -> Self {
        Self {
            bytes_left: byte_count(request.max_bytes).min(FETCH_BYTES_MAX),
            nothing_read: true,
        }
    }
}

fn read(
    cluster: &Cluster,
    topic: &FetchTopic,
    partition: &FetchPartition,
    version: i16,
    budget: &mut Budget,
) -> Result<(Bounds, Bytes), Refusal> {
    let log = find(cluster, topic, partition, version)?;
    let read = log.read(
        partition.fetch_offset,
        byte_count(partition.partition_max_bytes).min(budget.bytes_left),
        budget.nothing_read,
    )?;
    budget.bytes_left = budget.bytes_left.saturating_sub(read.len());
    budget.nothing_read &= read.is_empty();
    // Taken after the read: no batch may lie behind the high watermark that is told with it.
    Ok((log.bounds(), read))
}

fn is_ready(cluster: &Cluster, request: &FetchRequest, version: i16) -> bool {
    let enough = byte_count(request.min_bytes);
    let mut available = 0;
    for topic in &request.topics {
        for partition in &topic.partitions {
            let bytes_max = byte_count(partition.partition_max_bytes);
            match find(cluster, topic, partition, version)
                .ok()
                .and_then(|log| log.available(partition.fetch_offset, bytes_max))
            {
                Some(bytes) => available += bytes,
                None => return true,
            }
        }
    }
    // Without a topic partition there is nothing to wait for.
    available >= enough || request.topics.is_empty() || available >= FETCH_BYTES_MAX
}

fn find(
    cluster: &Cluster,
    topic: &FetchTopic,
    partition: &FetchPartition,
    version: i16,
) -> Result<Arc<PartitionLog>, Refusal> {
    let found = cluster.topic(if version >= TOPIC_ID_VERSION {
        TopicKey::Id(topic.topic_id)
    } else {
        TopicKey::Name(&topic.topic)
    })?;
    let log = found
        .partition(partition.partition)
        .ok_or_else(unknown_topic)?;
    check_leader_epoch(partition.current_leader_epoch)?;
    Ok(Arc::clone(log))
}

/// A byte count of the protocol; a negative one is none.
fn byte_count(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}
