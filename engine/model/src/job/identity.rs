//! What makes two runs of a job the same.

use serde::Serialize;

use crate::{ColumnMapping, ColumnSource, MessageFormat, PartitionSpec, TableName, Window};

use super::checked::{
    Exit, Job, Lateness, OffsetBound, OffsetBounds, OptionValue, Tombstones, Validation, WriteMode,
};

/// Everything of a job that affects the rows of its target, and nothing else: no secrets, no limits, no addresses.
///
/// Its JSON is deterministic, so a hash of it tells whether a run that was left unfinished is the one to go on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobIdentity {
    /// The topics.
    pub topics: Vec<String>,
    /// The topic partitions to read, where they are chosen.
    pub partitions: Option<Vec<i32>>,
    /// How the bytes of messages are read.
    pub format: MessageFormat,
    /// librdkafka's `isolation.level`, which decides whether messages of aborted transactions are read; nothing for
    /// the default.
    pub isolation_level: Option<String>,
    /// The message timestamps to load.
    pub window: Window,
    /// The bounds that are no timestamps.
    pub offsets: OffsetBounds,
    /// The consumer group, where a bound is its position.
    pub group: Option<String>,
    /// How far to read for late messages.
    pub lateness: Lateness,
    /// When reading ends.
    pub exit: Exit,
    /// The table.
    pub table: TableName,
    /// The table partition.
    pub partition: PartitionSpec,
    /// What becomes of the rows that the target has.
    pub write: WriteMode,
    /// The mapped columns in the file's order.
    pub columns: Vec<ColumnMapping>,
    /// What becomes of messages without a payload.
    pub tombstones: Tombstones,
    /// How much of a payload is checked.
    pub validation: Validation,
    /// Whether empty strings of messages become NULL.
    pub empty_as_null: bool,
    /// The zone of local times, by name or offset.
    pub time_zone: String,
}

impl Job {
    /// What makes this job, for its scheduled time, the same as another.
    pub fn identity(&self) -> JobIdentity {
        let isolation_level = match self.source.options.get("isolation.level") {
            Some(OptionValue::Plain(level)) => Some(level.clone()),
            Some(OptionValue::Secret(_)) | None => None,
        };
        let by_group = [&self.offsets.start, &self.offsets.end]
            .into_iter()
            .any(|bound| *bound == Some(OffsetBound::Group));
        JobIdentity {
            topics: self.source.topics.clone(),
            partitions: self.source.partitions.clone(),
            format: self.source.format.clone(),
            isolation_level,
            window: self.window,
            offsets: self.offsets.clone(),
            group: self.source.group.clone().filter(|_| by_group),
            lateness: self.lateness,
            exit: self.exit,
            table: self.destination.table.clone(),
            partition: self.destination.partition.clone(),
            write: self.destination.write,
            columns: self.columns.clone(),
            tombstones: self.tombstones,
            validation: self.validation,
            empty_as_null: self.empty_as_null,
            time_zone: super::time_zone::name(&self.time_zone),
        }
    }
}

impl JobIdentity {
    /// The same without what windows of one pass may differ in: the window, the table partition and constants.
    #[must_use]
    pub fn alike(&self) -> Self {
        let mut alike = Self {
            window: Window::ALL,
            partition: PartitionSpec::default(),
            ..self.clone()
        };
        for mapping in &mut alike.columns {
            if let ColumnSource::Constant(constant) = &mut mapping.source {
                constant.clear();
            }
        }
        alike
    }
}
