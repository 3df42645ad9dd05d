//! Appends record batches.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::produce_request::PartitionProduceData;
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse};
use kafka_protocol::records::Compression;

use crate::broker::clock::now_ms;
use crate::broker::cluster::{Cluster, TopicKey};
use crate::broker::incoming::IncomingBatch;
use crate::broker::log::Appended;
use crate::broker::refusal::Refusal;
use crate::broker::topics::{Topic, unknown_topic};

/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;

/// First version whose producers may compress with zstd.
const ZSTD_VERSION: i16 = 7;

/// Appends each batch, or says why not. With acks 0 nobody reads the response; the caller decides what to do with
/// [refusals](first_refusal).
pub(in crate::broker) fn answer(
    cluster: &Cluster,
    request: &ProduceRequest,
    version: i16,
) -> ProduceResponse {
    let responses = request.topic_data.iter().map(|data| {
        let topic = check_acks(request.acks).and_then(|()| {
            cluster.topic(if version >= TOPIC_ID_VERSION {
                TopicKey::Id(data.topic_id)
            } else {
                TopicKey::Name(&data.name)
            })
        });
        let partitions = data.partition_data.iter().map(|partition| {
            let appended = match &topic {
                Ok(topic) => append(topic, partition, version),
                Err(refusal) => Err(refusal.clone()),
            };
            respond(partition.index, appended)
        });
        TopicProduceResponse::default()
            .with_name(data.name.clone())
            .with_topic_id(data.topic_id)
            .with_partition_responses(partitions.collect())
    });
    let response = ProduceResponse::default().with_responses(responses.collect());
    cluster.changed();
    response
}

/// The first topic partition that was refused, as a sentence.
pub(in crate::broker) fn first_refusal(response: &ProduceResponse) -> Option<String> {
    let mut partitions = response.responses.iter().flat_map(|topic| {
        topic
            .partition_responses
            .iter()
            .map(move |partition| (topic, partition))
    });
    partitions
        .find(|(_, partition)| partition.error_code != 0)
        .map(|(topic, partition)| {
            format!(
                "topic {} partition {}: error {}: {}",
                topic.name.0,
                partition.index,
                partition.error_code,
                partition
                    .error_message
                    .as_ref()
                    .map_or("", |message| message.as_str())
            )
        })
}

fn append(
    topic: &Topic,
    partition: &PartitionProduceData,
    version: i16,
) -> Result<Appended, Refusal> {
    let log = topic.partition(partition.index).ok_or_else(unknown_topic)?;
    let records = partition.records.clone().unwrap_or_default();
    let batch = IncomingBatch::check(records, topic.config.batch_bytes_max())?;
    if version < ZSTD_VERSION && batch.header().compression() == Some(Compression::Zstd) {
        return Err(Refusal::new(
            ResponseError::UnsupportedCompressionType,
            format!("zstd needs produce version {ZSTD_VERSION}, the request has {version}"),
        ));
    }
    log.append(&batch, topic.config.timestamps(), now_ms)
}

fn check_acks(acks: i16) -> Result<(), Refusal> {
    if (-1..=1).contains(&acks) {
        return Ok(());
    }
    Err(Refusal::new(
        ResponseError::InvalidRequiredAcks,
        format!("acks is -1, 0 or 1, not {acks}"),
    ))
}

fn respond(index: i32, appended: Result<Appended, Refusal>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match appended {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time.unwrap_or(-1))
            .with_log_start_offset(appended.log_start_offset),
        Err(refusal) => response
            .with_error_code(refusal.code())
            .with_error_message(Some(refusal.message()))
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1),
    }
}
