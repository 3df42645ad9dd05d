//! A Kafka topic as the pipeline's message source.

use std::time::Duration;

use engine_kafka::{BrokerCheck, Client, Settings, TopicConfig};
use engine_load::ports::{MessageReader, MessageSource, PartitionOffsets, TopicDescription};
use engine_load::{Error, ErrorKind};
use engine_model::job::{Job, KafkaSource};
use engine_model::limits::{BLOCK_BYTES_TARGET, BLOCK_ROWS_MAX};
use engine_model::{
    ColumnSource, Message, MessageBlock, MetadataField, OffsetRange, TopicPartition, Window,
};

use crate::sample::Place;

/// Longest wait for messages before the caller may look whether it was asked to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Messages that planning looks at for their size.
const SAMPLE_MESSAGES: usize = 50;

/// The job's topic.
pub(crate) struct KafkaTopic {
    settings: Settings,
    client: Client,
    topic: String,
    group: Option<String>,
    fetch_bytes: usize,
}

impl KafkaTopic {
    /// Sets clients up; nothing is sent yet. Each reader may fetch `fetch_bytes` ahead.
    pub(crate) fn new(job: &Job, fetch_bytes: usize) -> Result<Self, Error> {
        let wants_headers =
            |source: &ColumnSource| *source == ColumnSource::Metadata(MetadataField::Headers);
        let headers = job
            .columns
            .iter()
            .any(|mapping| wants_headers(&mapping.source));
        Self::of_source(&job.source, headers, fetch_bytes)
    }

    /// The same without the rest of a job; messages come with their headers where these are wanted.
    pub(crate) fn of_source(
        source: &KafkaSource,
        headers: bool,
        fetch_bytes: usize,
    ) -> Result<Self, Error> {
        let KafkaSource {
            brokers,
            topic,
            group,
            options,
            ..
        } = source;
        let settings = Settings::new(brokers, options)
            .map_err(source_error)?
            .with_headers(headers);
        let client = Client::new(&settings).map_err(source_error)?;
        Ok(Self {
            settings,
            client,
            topic: topic.clone(),
            group: group.clone(),
            fetch_bytes,
        })
    }

    /// Tries each configured address by itself.
    pub(crate) fn check_brokers(&self) -> Vec<BrokerCheck> {
        engine_kafka::check_brokers(&self.settings, &self.topic)
    }

    /// The topic's settings, as far as the broker tells them.
    pub(crate) fn config(&self) -> Result<TopicConfig, Error> {
        self.client.topic_config(&self.topic).map_err(source_error)
    }

    /// Up to `messages` messages of `range`.
    pub(crate) fn read_some(
        &self,
        partition: &TopicPartition,
        range: OffsetRange,
        messages: usize,
    ) -> Result<MessageBlock, Error> {
        let mut reader =
            engine_kafka::Reader::new(&self.settings, self.fetch_bytes).map_err(source_error)?;
        reader
            .read_some(partition, range, messages)
            .map_err(source_error)
    }

    /// Where the log of each topic partition begins and ends.
    pub(crate) fn logs(&self) -> Result<Vec<(TopicPartition, OffsetRange)>, Error> {
        let partitions = self.describe()?.partitions;
        let logs = self.client.log_ends(&partitions).map_err(source_error)?;
        let ranges = logs.into_iter().map(|log| OffsetRange {
            start: log.log_start,
            end: log.high_watermark,
        });
        Ok(partitions.into_iter().zip(ranges).collect())
    }

    /// Shows the messages at `places` to `visit`, in their order.
    pub(crate) fn read_places(
        &self,
        places: &[Place],
        mut visit: impl FnMut(&TopicPartition, &Message<'_>),
    ) -> Result<(), Error> {
        let mut reader =
            engine_kafka::Reader::new(&self.settings, self.fetch_bytes).map_err(source_error)?;
        for place in places {
            let partition = &place.topic_partition;
            let block = reader
                .read_some(partition, place.range, place.messages)
                .map_err(source_error)?;
            for message in block.iter() {
                visit(partition, &message);
            }
        }
        Ok(())
    }
}

impl MessageSource for KafkaTopic {
    fn describe(&self) -> Result<TopicDescription, Error> {
        let topic = self.client.topic(&self.topic).map_err(source_error)?;
        let mut numbers: Vec<_> = topic
            .partitions
            .iter()
            .map(|partition| partition.partition)
            .collect();
        numbers.sort_unstable();
        let name: std::sync::Arc<str> = self.topic.as_str().into();
        let partitions = numbers
            .into_iter()
            .map(|number| TopicPartition::new(std::sync::Arc::clone(&name), number));
        Ok(TopicDescription {
            cluster_id: topic.cluster_id,
            // librdkafka does not tell topic ids.
            topic_id: None,
            partitions: partitions.collect(),
        })
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        window: Window,
    ) -> Result<Vec<PartitionOffsets>, Error> {
        // First: what is written while the rest is looked up lies behind the high watermark, and is not of this plan. Asked
        // for last, it could take in a message that no look-up saw.
        let logs = self.client.log_ends(partitions).map_err(source_error)?;
        let first = self
            .client
            .offsets_at(partitions, 0)
            .map_err(source_error)?;
        let starts = self
            .client
            .offsets_at(partitions, window.start_ms)
            .map_err(source_error)?;
        let ends = self
            .client
            .offsets_at(partitions, window.end_ms)
            .map_err(source_error)?;
        let found = first
            .into_iter()
            .zip(starts.into_iter().zip(ends))
            .zip(logs);
        let offsets = found.map(|((first, (start, end)), log)| PartitionOffsets {
            log_start: log.log_start,
            high_watermark: log.high_watermark,
            first,
            start,
            end,
        });
        Ok(offsets.collect())
    }

    fn sample(&self, partition: &TopicPartition, range: OffsetRange) -> Result<Option<u64>, Error> {
        let mut reader =
            engine_kafka::Reader::new(&self.settings, self.fetch_bytes).map_err(source_error)?;
        reader
            .sample_message_bytes(partition, range, SAMPLE_MESSAGES)
            .map_err(source_error)
    }

    fn reader(&self) -> Result<Box<dyn MessageReader>, Error> {
        let reader =
            engine_kafka::Reader::new(&self.settings, self.fetch_bytes).map_err(source_error)?;
        Ok(Box::new(LaneReader(reader)))
    }

    fn set_group_position(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), Error> {
        let Some(group) = &self.group else {
            return Ok(());
        };
        let offsets = offsets.iter().cloned().collect();
        engine_kafka::set_group_position(&self.settings, group, &offsets).map_err(|error| {
            let message = format!(
                "the load is done, but the position of group {group:?} was not set: {error}"
            );
            Error::with_source(ErrorKind::Source, message, error)
        })?;
        Ok(())
    }
}

struct LaneReader(engine_kafka::Reader);

impl MessageReader for LaneReader {
    fn open(&mut self, partition: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
        self.0.open(partition, range).map_err(source_error)
    }

    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
        let read = self
            .0
            .read(block, BLOCK_ROWS_MAX, BLOCK_BYTES_TARGET, READ_TIMEOUT);
        read.map(|progress| progress.done).map_err(source_error)
    }
}

fn source_error(error: engine_kafka::Error) -> Error {
    let kind = match error.kind() {
        engine_kafka::ErrorKind::InvalidOption => ErrorKind::Job,
        _ => ErrorKind::Source,
    };
    Error::with_source(kind, error.to_string(), error)
}
