//! A job in which everything is resolved and nothing is left to check.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Span;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::limits::LATENESS_MARGIN_MS_DEFAULT;
use crate::params::{ScheduledTime, Values};
use crate::window::Bound;
use crate::{ByteRate, ColumnMapping, MessageFormat, PartitionSpec, TableName, Window};

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
    /// The message timestamps to load; without a bound on a side that `offsets` bounds.
    pub window: Window,
    /// The bounds of the window that are no timestamps.
    pub offsets: OffsetBounds,
    /// How far to read for messages of the window that lie behind its end in the log.
    pub lateness: Lateness,
    /// When reading ends.
    pub exit: Exit,
    /// Longest wait, before planning, for messages after the window's end in every topic partition.
    pub wait_closed: Option<Duration>,
    /// How long the parts are that the window is cut into, in its zone's calendar.
    pub split: Option<Every>,
    /// When the job is due.
    pub schedule: Option<Schedule>,
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

/// Kafka topics and how their messages are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaSource {
    /// Addresses, `host` or `host:port`; at least one.
    pub brokers: Vec<String>,
    /// The topics; at least one, and none twice.
    pub topics: Vec<String>,
    /// Numbers of the topic partitions to read, in order; nothing for all. Only with a single topic.
    pub partitions: Option<Vec<i32>>,
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
            topics: vec![topic.into()],
            partitions: None,
            group: None,
            format: MessageFormat::default(),
            options: BTreeMap::new(),
        }
    }

    /// The topics' names, for messages.
    pub fn topic_list(&self) -> String {
        self.topics.join(", ")
    }
}

/// Bounds of a window that are places in the log. A side without one is bounded by time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct OffsetBounds {
    /// Where reading begins.
    pub start: Option<OffsetBound>,
    /// Where reading ends: the first offset that is not read.
    pub end: Option<OffsetBound>,
}

impl OffsetBounds {
    /// Whether the windows of one run after another follow each other by the position of the consumer group.
    pub fn starts_at_group(&self) -> bool {
        self.start == Some(OffsetBound::Group)
    }

    /// Whether a bound is the position of the consumer group.
    pub fn has_group(&self) -> bool {
        [&self.start, &self.end]
            .into_iter()
            .any(|bound| *bound == Some(OffsetBound::Group))
    }

    /// Whether a topic partition of this number is not read, as a bound names others and not this one.
    pub fn leaves_out(&self, partition: i32) -> bool {
        let named = |bound: &Option<OffsetBound>| match bound {
            Some(OffsetBound::Each(offsets)) => offsets.contains_key(&partition),
            _ => true,
        };
        !named(&self.start) || !named(&self.end)
    }

    /// The window with these bounds in place of those that are no timestamps.
    pub fn shown(&self, window: Window) -> String {
        let side = |offset: &Option<OffsetBound>, ms| match offset {
            Some(offset) => offset.to_string(),
            None => Bound(ms).to_string(),
        };
        let start = side(&self.start, window.start_ms);
        format!("[{start}, {})", side(&self.end, window.end_ms))
    }
}

/// A place in the log of every topic partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetBound {
    /// The log start offset at planning.
    Earliest,
    /// The high watermark at planning.
    Latest,
    /// The position of the source's consumer group at planning.
    Group,
    /// The same offset everywhere.
    At(i64),
    /// Offsets by the topic partition's number; those that are left out are not read.
    Each(BTreeMap<i32, i64>),
}

/// As people say it; of offsets for each topic partition, how many there are.
impl fmt::Display for OffsetBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::Group => f.write_str("the group's position"),
            Self::At(offset) => write!(f, "offset {offset}"),
            Self::Each(offsets) => match offsets.iter().next() {
                Some((partition, offset)) if offsets.len() == 1 => {
                    write!(f, "offset {offset} of topic partition {partition}")
                }
                _ => write!(f, "offsets of {} topic partitions", offsets.len()),
            },
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lateness {
    /// As far as messages of the window are found by looks at the log, and so many ms of message time further. `auto` is
    /// [`LATENESS_MARGIN_MS_DEFAULT`](crate::limits::LATENESS_MARGIN_MS_DEFAULT).
    Margin(i64),
    /// To the end of each topic partition as planned: finds all of them.
    Exact,
    /// To the first message at or after the window's end: misses those behind it, as the service does.
    None,
}

impl Default for Lateness {
    fn default() -> Self {
        Self::Margin(LATENESS_MARGIN_MS_DEFAULT)
    }
}

/// A length of time that may follow the calendar.
#[derive(Clone, Copy, Debug)]
pub struct Every(pub Span);

/// Equal where they are written in the same units.
impl PartialEq for Every {
    fn eq(&self, other: &Self) -> bool {
        self.0.fieldwise() == other.0.fieldwise()
    }
}

impl FromStr for Every {
    type Err = String;

    /// Reads `1d`, `2h`, `30m`, `1w`, `1mo` or `1y`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let span: Option<Span> = text.trim().parse().ok();
        span.filter(Span::is_positive).map(Self).ok_or_else(|| {
            format!("{text:?} is no length of time; write one such as `1d`, `1h` or `30m`")
        })
    }
}

/// When a job is due.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// From one time to the next; nothing for a cycle of minutes, whose length the file doesn't say.
    pub every: Option<Every>,
    /// The time of day; of an hour only its minutes count.
    pub at: Option<Time>,
}

/// When reading ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// At the offsets that were planned.
    #[default]
    Planned,
    /// There, or when no topic partition delivered a message for so long.
    Idle(Duration),
}

impl Exit {
    /// After how much silence reading ends; nothing for never.
    pub fn idle(self) -> Option<Duration> {
        match self {
            Self::Planned => None,
            Self::Idle(after) => Some(after),
        }
    }
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
    /// Bytes in a second.
    pub bandwidth: Bandwidth,
}

/// How fast a run reads and uploads, at most; nothing for as fast as it can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Keys, payloads and headers of the messages that all lanes read together.
    pub read: Option<ByteRate>,
    /// Bodies of the blocks that all uploads send together, as they are sent.
    pub upload: Option<ByteRate>,
}
