//! What can be typed behind `tidegate ddl`.

use std::path::PathBuf;

use clap::Args;
use engine::model::Column;
use engine::model::limits::LIFECYCLE_DAYS_DEFAULT;

use super::column::{PartitionKeys, parse};
use super::{JobArgs, assignment};

/// Most messages that can be sampled: more show nothing new, and each is parsed.
const SAMPLE_MAX: u32 = 1_000_000;

/// Print the CREATE TABLE statement of a table for a topic; with --infer, columns for what its messages hold
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate ddl --topic orders --column order_id:BIGINT --column 'price:DECIMAL(18,2)'\n\
    Example: tidegate ddl --topic orders --brokers 127.0.0.1:9092 --infer 1000\n\
    Example: tidegate ddl orders.yaml --infer 1000"
)]
pub(crate) struct DdlArgs {
    /// Job file that names topic, table and partition keys; other parts of it may still be missing
    #[arg(conflicts_with = "topic")]
    pub(crate) job: Option<PathBuf>,
    /// Environment of the job's data sources; needed where there are several
    #[arg(long, value_name = "NAME", requires = "job", conflicts_with = "topic")]
    pub(crate) env: Option<String>,
    /// Data sources by environment [default: `sources.yaml` beside the job file]
    #[arg(long, value_name = "FILE", requires = "job", conflicts_with = "topic")]
    pub(crate) sources: Option<PathBuf>,
    /// Set a declared parameter of the job, in place of its value in the file; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment, requires = "job", conflicts_with = "topic")]
    pub(crate) set: Vec<(String, String)>,
    /// The topic, in place of a job; the table is named after it
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// Brokers of the topic, with commas between them; those that ask for more than an address need a job
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', requires_all = ["topic", "infer"])]
    pub(crate) brokers: Vec<String>,
    /// Look at so many messages, from the start, the middle and the end of the topic, and propose a column for each field
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SAMPLE_MAX)))]
    pub(crate) infer: Option<u32>,
    /// A column before those of the message itself; may be repeated
    #[arg(long, value_name = "NAME:TYPE", value_parser = parse)]
    pub(crate) column: Vec<Column>,
    /// Partition keys from the outermost level in, with commas between them; '' for none. They are strings
    /// [default: the job's, or ds]
    #[arg(long, value_name = "KEYS")]
    pub(crate) partition_by: Option<PartitionKeys>,
    /// Days after which the service may drop data that nobody changed
    #[arg(long, value_name = "DAYS", default_value_t = LIFECYCLE_DAYS_DEFAULT,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lifecycle: u32,
    /// Leave out the six columns of the message: key, value, partition, headers, offset, timestamp
    #[arg(long)]
    pub(crate) no_metadata: bool,
}

impl DdlArgs {
    /// The job, where one is named.
    pub(crate) fn job(&self) -> Option<JobArgs> {
        Some(JobArgs {
            job: self.job.clone()?,
            env: self.env.clone(),
            sources: self.sources.clone(),
            set: self.set.clone(),
        })
    }
}
