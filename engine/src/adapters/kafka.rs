//! A Kafka topic as the pipeline's message source.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use engine_kafka::{
    BrokerCheck, Client, GroupMember, PartitionMetadata, STALL_TIMEOUT, Settings, TopicConfig,
};
use engine_load::ports::{MessageReader, MessageSource, TopicDescription};
use engine_load::{Cancel, Error, ErrorKind, MemoryShares};
use engine_model::job::{Exit, Job, KafkaSource, OnRetentionGap};
use engine_model::limits::{BLOCK_BYTES_TARGET, BLOCK_ROWS_MAX};
use engine_model::{
    ColumnSource, Message, MessageBlock, MetadataField, OffsetRange, TopicPartition,
};

use crate::sample::Place;

/// What is before a job's name where it sets a group's position.
const SETTER_PREFIX: &str = "tidegate ";

/// Longest wait for messages before the caller may look whether it was asked to stop.
const READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Messages that planning looks at for their size.
const SAMPLE_MESSAGES: usize = 50;
/// Bytes that a reader for a few messages fetches ahead.
const PEEK_FETCH_BYTES: usize = 1 << 20;

/// The job's topics.
pub(crate) struct KafkaTopics {
    settings: Settings,
    client: Client,
    /// Another for where logs end that transactions are written to, once that was asked for.
    uncommitted: OnceLock<Client>,
    topics: Vec<String>,
    /// The numbers of the topic partitions to read, where not all are.
    partitions: Option<Vec<i32>>,
    group: Option<String>,
    /// The job, as it calls itself where it sets the group's position.
    setter: String,
    fetch_bytes: usize,
    block_bytes: usize,
    /// Whether what retention deletes before it is read is passed over.
    skips_deleted: bool,
    /// Ends what asks the brokers often.
    cancel: Cancel,
    /// Whether it is read to load it.
    for_run: bool,
    /// Readers for a few messages, to be used again: connecting takes longer than reading.
    peekers: Mutex<Vec<engine_kafka::Reader>>,
}

impl KafkaTopics {
    /// Sets clients up; nothing is sent yet. Readers keep to their `shares`.
    pub(crate) fn new(job: &Job, shares: &MemoryShares, cancel: Cancel) -> Result<Self, Error> {
        let wants_headers =
            |source: &ColumnSource| *source == ColumnSource::Metadata(MetadataField::Headers);
        let headers = job
            .columns
            .iter()
            .any(|mapping| wants_headers(&mapping.source));
        let mut topics = Self::of_source(&job.source, headers, shares.fetch_bytes_per_lane)?;
        topics.block_bytes = shares.block_bytes_each;
        topics.setter = setter(&job.name);
        topics.cancel = cancel;
        topics.skips_deleted = job.on_retention_gap == OnRetentionGap::Warn;
        if let Exit::Idle(idle) = job.exit {
            // The run ends before a read may fail for want of messages.
            let stall_timeout = STALL_TIMEOUT.max(idle + STALL_TIMEOUT);
            topics.settings = topics.settings.with_stall_timeout(stall_timeout);
        }
        Ok(topics)
    }

    /// The same without the rest of a job; messages come with their headers where these are wanted.
    pub(crate) fn of_source(
        source: &KafkaSource,
        headers: bool,
        fetch_bytes: usize,
    ) -> Result<Self, Error> {
        let KafkaSource {
            brokers,
            topics,
            partitions,
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
            uncommitted: OnceLock::new(),
            topics: topics.clone(),
            partitions: partitions.clone(),
            group: group.clone(),
            setter: String::new(),
            fetch_bytes,
            block_bytes: BLOCK_BYTES_TARGET,
            skips_deleted: false,
            cancel: Cancel::default(),
            for_run: false,
            peekers: Mutex::default(),
        })
    }

    /// The same for a run, whose errors say how it goes on.
    pub(crate) fn for_run(self) -> Self {
        Self {
            for_run: true,
            ..self
        }
    }

    /// Tries each configured address by itself.
    pub(crate) fn check_brokers(&self) -> Vec<BrokerCheck> {
        let topic = self.topics.first().map_or("", String::as_str);
        engine_kafka::check_brokers(&self.settings, topic)
    }

    /// The topics' names and settings, as far as the broker tells them.
    pub(crate) fn configs(&self) -> impl Iterator<Item = (&str, Result<TopicConfig, Error>)> {
        self.topics.iter().map(|topic| {
            let config = self.client.topic_config(topic).map_err(source_error);
            (topic.as_str(), config)
        })
    }

    /// Who is in the job's consumer group; nobody where it has none.
    pub(crate) fn group_members(&self) -> Result<Vec<GroupMember>, Error> {
        let group = self.group.as_deref();
        let members = group.map(|group| engine_kafka::group_members(&self.settings, group));
        members
            .transpose()
            .map(Option::unwrap_or_default)
            .map_err(source_error)
    }

    /// Who has set positions of the job's consumer group in the job's topics, and isn't the job: other jobs by their names, and
    /// whether there are others.
    pub(crate) fn group_setters(&self) -> Result<(BTreeSet<String>, bool), Error> {
        let Some(group) = &self.group else {
            return Ok((BTreeSet::new(), false));
        };
        let partitions = self.describe()?.partitions;
        let setters = engine_kafka::group_setters(&self.settings, group, &partitions);
        let mut setters: BTreeSet<_> = setters.map_err(source_error)?.into_values().collect();
        setters.remove(&self.setter);
        let all = setters.len();
        let jobs = setters.into_iter();
        let jobs: BTreeSet<_> = jobs
            .filter_map(|name| Some(name.strip_prefix(SETTER_PREFIX)?.to_owned()))
            .collect();
        let others = jobs.len() < all;
        Ok((jobs, others))
    }

    /// Where the log of each topic partition begins and ends.
    pub(crate) fn logs(&self) -> Result<Vec<(TopicPartition, OffsetRange)>, Error> {
        let partitions = self.describe()?.partitions;
        let logs = self.log_ends(&partitions)?;
        Ok(partitions.into_iter().zip(logs).collect())
    }

    /// Shows the messages at `places` to `visit`, in their order.
    pub(crate) fn read_places(
        &self,
        places: &[Place],
        mut visit: impl FnMut(&TopicPartition, &Message<'_>),
    ) -> Result<(), Error> {
        for place in places {
            let partition = &place.topic_partition;
            let block = self.peek(partition, place.range, place.messages)?;
            for message in block.iter() {
                visit(partition, &message);
            }
        }
        Ok(())
    }

    /// The client that sees what transactions keep back.
    fn uncommitted(&self) -> Result<&Client, Error> {
        if !self.settings.read_committed() {
            return Ok(&self.client);
        }
        if let Some(client) = self.uncommitted.get() {
            return Ok(client);
        }
        let client = Client::read_uncommitted(&self.settings).map_err(source_error)?;
        Ok(self.uncommitted.get_or_init(|| client))
    }

    fn take_peeker(&self) -> Result<engine_kafka::Reader, Error> {
        let idle = self.lock_peekers().pop();
        match idle {
            Some(reader) => Ok(reader),
            None => {
                engine_kafka::Reader::new(&self.settings, PEEK_FETCH_BYTES).map_err(source_error)
            }
        }
    }

    fn lock_peekers(&self) -> MutexGuard<'_, Vec<engine_kafka::Reader>> {
        self.peekers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partitions of one topic that are to be read, by number.
    fn partitions_of(
        &self,
        topic: &str,
        known: &[PartitionMetadata],
    ) -> Result<Vec<TopicPartition>, Error> {
        let mut numbers: Vec<i32> = known.iter().map(|known| known.partition).collect();
        numbers.sort_unstable();
        if let Some(wanted) = &self.partitions {
            if let Some(unknown) = wanted.iter().find(|wanted| !numbers.contains(wanted)) {
                let message = format!(
                    "topic {topic:?} has no topic partition {unknown}, which `source.kafka.partitions` lists; it has {}",
                    numbers.len()
                );
                return Err(Error::new(ErrorKind::Job, message));
            }
            numbers.clone_from(wanted);
        }
        let name: Arc<str> = topic.into();
        let named = |number| TopicPartition::new(Arc::clone(&name), number);
        Ok(numbers.into_iter().map(named).collect())
    }
}

impl MessageSource for KafkaTopics {
    fn describe(&self) -> Result<TopicDescription, Error> {
        let mut described = TopicDescription {
            cluster_id: None,
            topic_id: None,
            partitions: Vec::new(),
        };
        let mut ids = Vec::with_capacity(self.topics.len());
        for name in &self.topics {
            let topic = self.client.topic(name).map_err(source_error)?;
            let partitions = self.partitions_of(name, &topic.partitions)?;
            described.partitions.extend(partitions);
            ids.push(self.client.topic_id(&topic).map_err(source_error)?);
            described.cluster_id = topic.cluster_id;
        }
        let ids: Option<Vec<_>> = ids.into_iter().collect();
        described.topic_id = ids.map(|ids| ids.join(","));
        Ok(described)
    }

    fn log_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>, Error> {
        let logs = self.client.log_ends(partitions).map_err(source_error)?;
        let ranges = logs.into_iter().map(|log| OffsetRange {
            start: log.log_start,
            end: log.high_watermark,
        });
        Ok(ranges.collect())
    }

    fn written_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<i64>, Error> {
        let logs = self.uncommitted()?.log_ends(partitions);
        let logs = logs.map_err(source_error)?;
        Ok(logs.into_iter().map(|log| log.high_watermark).collect())
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<Vec<Option<i64>>, Error> {
        self.cancel.check()?;
        let found = self.client.offsets_at(partitions, timestamp_ms);
        found.map_err(source_error)
    }

    fn is_compacted(&self, topic: &str) -> Option<bool> {
        self.client.topic_config(topic).ok()?.compacted
    }

    fn group_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, Error> {
        let group = self.group.as_deref().unwrap_or_default();
        let found = engine_kafka::group_offsets(&self.settings, group, partitions);
        found.map_err(source_error)
    }

    fn peek(
        &self,
        partition: &TopicPartition,
        range: OffsetRange,
        messages: usize,
    ) -> Result<MessageBlock, Error> {
        self.cancel.check()?;
        let mut reader = self.take_peeker()?;
        let block = reader
            .read_some(partition, range, messages)
            .map_err(source_error)?;
        self.lock_peekers().push(reader);
        Ok(block)
    }

    fn sample(&self, partition: &TopicPartition, range: OffsetRange) -> Result<Option<u64>, Error> {
        let mut reader = self.take_peeker()?;
        let mean = reader
            .sample_message_bytes(partition, range, SAMPLE_MESSAGES)
            .map_err(source_error)?;
        self.lock_peekers().push(reader);
        Ok(mean)
    }

    fn reader(&self) -> Result<Box<dyn MessageReader>, Error> {
        let reader =
            engine_kafka::Reader::new(&self.settings, self.fetch_bytes).map_err(source_error)?;
        Ok(Box::new(LaneReader {
            reader,
            block_bytes: self.block_bytes,
            open: None,
            deleted: Vec::new(),
            skips_deleted: self.skips_deleted,
            for_run: self.for_run,
        }))
    }

    fn set_group_position(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), Error> {
        let Some(group) = &self.group else {
            return Ok(());
        };
        let offsets = offsets.iter().cloned().collect();
        engine_kafka::set_group_position(&self.settings, group, &offsets, &self.setter).map_err(
            |error| {
                let message = format!(
                    "the load is done, but the position of group {group:?} was not set: {error}"
                );
                Error::with_source(ErrorKind::Source, message, error)
            },
        )?;
        Ok(())
    }
}

/// What a job calls itself beside the positions that it sets.
fn setter(job: &str) -> String {
    format!("{SETTER_PREFIX}{job}")
}

struct LaneReader {
    reader: engine_kafka::Reader,
    open: Option<(TopicPartition, OffsetRange)>,
    /// What of the open range was passed over.
    deleted: Vec<OffsetRange>,
    block_bytes: usize,
    skips_deleted: bool,
    for_run: bool,
}

impl LaneReader {
    /// Turns to the first offset that is kept, where `error` is about one before it that the job can do without. What
    /// lies between is then among the range's holes.
    fn skip_deleted(&mut self, error: engine_kafka::Error) -> Result<(), engine_kafka::Error> {
        let (Some((partition, range)), Some(offset), true) =
            (&self.open, error.offset(), self.skips_deleted)
        else {
            return Err(error);
        };
        let deleted = error.log_start().filter(|log_start| *log_start > offset);
        let Some(log_start) = deleted else {
            return Err(error);
        };
        let left = OffsetRange {
            start: log_start.min(range.end),
            end: range.end,
        };
        let deleted = OffsetRange::new(offset.max(range.start), left.start);
        self.reader.open(partition, left)?;
        self.deleted.extend(deleted);
        Ok(())
    }
}

impl MessageReader for LaneReader {
    fn open(&mut self, partition: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
        self.open = Some((partition.clone(), range));
        self.deleted.clear();
        self.reader.open(partition, range).map_err(source_error)
    }

    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
        let read = self
            .reader
            .read(block, BLOCK_ROWS_MAX, self.block_bytes, READ_TIMEOUT);
        match read {
            Ok(progress) => Ok(progress.done),
            // What was read up to there is in the block.
            Err(error) => match self.skip_deleted(error) {
                Ok(()) => Ok(false),
                Err(error) if self.for_run => Err(changed_topic(error)),
                Err(error) => Err(source_error(error)),
            },
        }
    }

    fn deleted(&self) -> &[OffsetRange] {
        &self.deleted
    }
}

/// The error for a run's read that its plan does not fit any more.
fn changed_topic(error: engine_kafka::Error) -> Error {
    let advice = match error.kind() {
        engine_kafka::ErrorKind::OffsetOutOfRange => {
            "; with `on_retention_gap: warn` the same command goes on with what is staged and what is left, and --replan plans \
             anew where the targets hold no rows yet"
        }
        engine_kafka::ErrorKind::Truncated => "; --replan does that",
        _ => return source_error(error),
    };
    Error::with_source(ErrorKind::Source, format!("{error}{advice}"), error)
}

fn source_error(error: engine_kafka::Error) -> Error {
    let kind = match error.kind() {
        engine_kafka::ErrorKind::InvalidOption => ErrorKind::Job,
        _ => ErrorKind::Source,
    };
    Error::with_source(kind, error.to_string(), error)
}
