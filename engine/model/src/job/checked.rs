//! A job in which everything is resolved and nothing is left to check.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::params::{ScheduledTime, Values};
use crate::{ColumnMapping, MessageFormat, PartitionSpec, TableName, Window};

use super::secret::Secret;

/// One job for one scheduled time.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The name, for reports and state; letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// The zone of parameters, bounds and local times.
    pub time_zone: TimeZone,
    /// What the parameters were computed from, in `time_zone`.
    pub scheduled_time: ScheduledTime,
    /// The environment whose data sources are used; nothing where there are no environments.
    pub environment: Option<String>,
    /// What to read.
    pub source: KafkaSource,
    /// The message timestamps to load.
    pub window: Window,
    /// How far to read for messages of the window that lie behind its end in the log.
    pub lateness: Lateness,
    /// Where to load into.
    pub destination: MaxComputeTarget,
    /// The mapped columns in the file's order; at least one, and no two of the same name in any case.
    pub columns: Vec<ColumnMapping>,
    /// The values of the parameters. Those from the environment say so, and stay out of reports.
    pub parameters: Values,
    /// What becomes of messages without a payload.
    pub tombstones: Tombstones,
    /// How much of a payload is checked.
    pub validation: Validation,
    /// Whether empty strings of messages become NULL.
    pub empty_as_null: bool,
    /// How many messages may be rejected before the run fails.
    pub rejects: RejectLimit,
    /// What to do when the window holds no rows and the target does.
    pub on_empty: OnEmpty,
    /// What to do when part of the window may have been deleted from the topic.
    pub on_retention_gap: OnRetentionGap,
    /// What is compared with the table after the commit.
    pub verify: Verify,
    /// Bounds on memory, disk and parallelism.
    pub limits: Limits,
}

/// A Kafka topic and how its messages are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSource {
    /// Addresses, `host` or `host:port`; at least one.
    pub brokers: Vec<String>,
    /// The topic.
    pub topic: String,
    /// The consumer group whose offsets are set after the commit, for lag monitors.
    pub group: Option<String>,
    /// How the bytes of messages are read.
    pub format: MessageFormat,
    /// librdkafka's options by name, without those that the engine sets itself.
    pub options: BTreeMap<String, OptionValue>,
}

impl KafkaSource {
    /// A topic of JSON payloads on brokers that ask for nothing else.
    pub fn new(brokers: Vec<String>, topic: impl Into<String>) -> Self {
        Self {
            brokers,
            topic: topic.into(),
            group: None,
            format: MessageFormat::default(),
            options: BTreeMap::new(),
        }
    }
}

/// The value of one of librdkafka's options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionValue {
    /// A value that may be shown.
    Plain(String),
    /// A password, a key, or a value from the environment.
    Secret(Secret),
}

impl OptionValue {
    /// The value, for the client that it configures; keep it out of reports and errors.
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Secret(secret) => secret.expose(),
        }
    }
}

/// Where rows go, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaxComputeTarget {
    /// How the service is reached.
    pub connection: MaxComputeConnection,
    /// The table, in the connection's project and schema.
    pub table: TableName,
    /// The table partition as the file gives it, in the file's order; its keys are not compared with the table's yet.
    pub partition: PartitionSpec,
    /// What becomes of the rows that the target has.
    pub write: WriteMode,
}

/// How MaxCompute is reached. What is left out, the environment or the service itself knows.
#[derive(Clone, PartialEq, Eq)]
pub struct MaxComputeConnection {
    /// The REST endpoint, without a slash at the end.
    pub endpoint: String,
    /// The tunnel's endpoint, without a slash at the end; the service tells it otherwise.
    pub tunnel_endpoint: Option<String>,
    /// The project.
    pub project: String,
    /// The schema, in projects that have the three-level model on.
    pub schema: Option<String>,
    /// The tunnel quota to use.
    pub quota: Option<String>,
    /// The region, for requests signed with version 4.
    pub region: Option<String>,
    /// The form in which blocks are sent.
    pub block_format: BlockFormat,
    /// How blocks are compressed on their way.
    pub compression: Compression,
    /// The access key's id; with a secret if it is there.
    pub access_id: Option<String>,
    /// The access key's secret; with an id if it is there.
    pub access_secret: Option<Secret>,
    /// The token of temporary credentials; only with an id and a secret.
    pub security_token: Option<Secret>,
    /// The profile that has the access key; only without one of its own.
    pub profile: Option<String>,
    /// The file of profiles; only without an access key.
    pub credentials_file: Option<PathBuf>,
    /// A file with certificates of authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy to go through, without a slash at the end.
    pub proxy: Option<String>,
}

impl MaxComputeConnection {
    /// The connection to a project at a REST endpoint, with nothing else known.
    pub fn new(endpoint: &str, project: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            tunnel_endpoint: None,
            project: project.into(),
            schema: None,
            quota: None,
            region: None,
            block_format: BlockFormat::default(),
            compression: Compression::default(),
            access_id: None,
            access_secret: None,
            security_token: None,
            profile: None,
            credentials_file: None,
            ca_file: None,
            proxy: None,
        }
    }
}

/// Without the access id and the profile, which may come from the environment.
impl fmt::Debug for MaxComputeConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaxComputeConnection")
            .field("endpoint", &self.endpoint)
            .field("tunnel_endpoint", &self.tunnel_endpoint)
            .field("project", &self.project)
            .field("schema", &self.schema)
            .field("quota", &self.quota)
            .field("region", &self.region)
            .field("block_format", &self.block_format)
            .field("compression", &self.compression)
            .field("credentials_file", &self.credentials_file)
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

/// The form in which rows travel in a block, up or down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BlockFormat {
    /// Arrow's record batches in chunks with checksums.
    #[default]
    Arrow,
    /// A record for each row, a field for each cell, and a checksum for each record.
    Record,
}

/// How a block is compressed on its way; what the service stores doesn't depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// A zlib stream.
    Deflate,
    /// Zstandard.
    Zstd,
    /// An LZ4 frame.
    Lz4,
    /// Snappy's framing format.
    Snappy,
}

/// What becomes of the rows that the target has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WriteMode {
    /// The commit replaces them, so a rerun does no harm.
    #[default]
    Replace,
    /// They stay.
    Append,
}

/// How far to read for messages of the window that lie behind its end in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// To the end of each topic partition as planned: finds all of them.
    #[default]
    Exact,
    /// To the first message at or after the window's end: misses those behind it, as the service does.
    None,
}

/// How much of a JSON payload is checked, where fields of it are mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// All of it: a payload that isn't JSON is rejected.
    #[default]
    Full,
    /// The mapped fields and the way to them; the rest is skipped unread, which is faster.
    Mapped,
}

/// What is compared with the table after the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verify {
    /// Nothing: the server's list of blocks was compared before the commit.
    #[default]
    None,
    /// The rows that a query counts with those that were committed.
    Count,
}

/// What becomes of messages without a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tombstones {
    /// A row in which the payload and its fields are NULL.
    #[default]
    Keep,
    /// No row; they are counted.
    Skip,
}

/// How many messages of a window may be rejected; judged before the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectLimit {
    /// So many.
    Count(u64),
    /// So many of the window's messages, in millionths of a percent: 500,000 for `0.5%`; at most 100,000,000.
    Share(u32),
}

impl RejectLimit {
    /// Millionths of a percent in the whole.
    pub(super) const WHOLE: u32 = 100_000_000;

    /// Whether `rejected` of the window's `messages` are within the limit. Exact: no fraction is rounded.
    pub fn allows(self, rejected: u64, messages: u64) -> bool {
        match self {
            Self::Count(count) => rejected <= count,
            Self::Share(share) => {
                let allowed = u128::from(messages) * u128::from(share);
                u128::from(rejected) * u128::from(Self::WHOLE) <= allowed
            }
        }
    }
}

impl Default for RejectLimit {
    fn default() -> Self {
        Self::Count(0)
    }
}

/// What to do when the window holds no rows and the target has some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnEmpty {
    /// The run fails and the target stays as it is.
    #[default]
    Fail,
    /// The target becomes empty.
    Replace,
    /// The target stays as it is, and the run is good.
    Keep,
}

/// What to do when part of the window may have been deleted from the topic before it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnRetentionGap {
    /// Fail where rows would be replaced, else warn.
    #[default]
    Auto,
    /// Fail before the table is touched.
    Fail,
    /// Load what is there and warn.
    Warn,
}

/// Bounds on what a run uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that the engine accounts for, at least [`MEMORY_BYTES_MIN`](crate::limits::MEMORY_BYTES_MIN).
    pub memory_bytes: u64,
    /// Bytes of staged files; nothing for as much as the disk has.
    pub disk_bytes: Option<u64>,
    /// Lanes; nothing for as many as the cores suggest.
    pub concurrency: Option<NonZeroUsize>,
}
