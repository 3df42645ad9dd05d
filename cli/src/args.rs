//! What can be typed: names, texts and help of all commands and flags.

mod column;
mod ddl;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use engine::local::{LOCAL_KAFKA_PORT, LOCAL_MAXCOMPUTE_PORT};
use engine::model::job::{Every, Lateness, Verify};
use engine::{Assume, LoadOptions, WindowOrder};

pub(crate) use ddl::DdlArgs;

const AFTER_HELP: &str = "\
Exit codes: 0 done, 1 failed, 2 usage or job file, and 3 where somebody should look: at a good run with `--strict`, or at \
windows that `audit` found to lack messages.";

/// Loads timestamp windows of Kafka topics into MaxCompute tables
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Print one JSON document on standard output, also for an error
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Check(CheckArgs),
    Plan(PlanArgs),
    Preview(PreviewArgs),
    Bench(BenchArgs),
    Run(RunArgs),
    Backfill(BackfillArgs),
    Audit(AuditArgs),
    History(HistoryArgs),
    Report(ReportArgs),
    Rejects(RejectsArgs),
    Params(ParamsArgs),
    Ddl(DdlArgs),
    Sql(SqlArgs),
    Local(LocalArgs),
}

/// Show everything in one process: a broker with orders, the daily job, its report, and every count compared
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate demo --keep demo-data")]
pub(crate) struct DemoArgs {
    /// Messages to produce
    #[arg(long, value_name = "N", default_value = "300000",
        value_parser = clap::value_parser!(u64).range(1_000..=50_000_000))]
    pub(crate) messages: u64,
    /// Keep topic, table, job file and state in this folder, which must be empty or missing
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Expect one row more than was produced, to see the comparison fail
    #[arg(long)]
    pub(crate) flip_count: bool,
}

/// Serve a Kafka broker and a MaxCompute-compatible server until Ctrl-C: both, or the one that is named
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate local --data demo-data",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
pub(crate) struct LocalArgs {
    #[command(subcommand)]
    pub(crate) server: Option<LocalServer>,
    /// Folder of the servers' data; made where it is missing
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) data: Option<PathBuf>,
    /// Port of the broker; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = LOCAL_KAFKA_PORT)]
    pub(crate) kafka_port: u16,
    /// Port of the MaxCompute-compatible server; 0 for a free one
    #[arg(long, value_name = "PORT", default_value_t = LOCAL_MAXCOMPUTE_PORT)]
    pub(crate) maxcompute_port: u16,
    #[command(flatten)]
    pub(crate) project: LocalProjectArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalServer {
    Kafka(LocalKafkaArgs),
    Maxcompute(LocalMaxComputeArgs),
}

/// Serve a Kafka broker until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate local kafka --data demo-data")]
pub(crate) struct LocalKafkaArgs {
    /// Folder of the servers' data; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Address to listen on; port 0 for a free one
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(LOCAL_KAFKA_PORT))]
    pub(crate) listen: SocketAddr,
    /// Host that clients are told to connect to; needed beyond loopback, where the broker is open to everyone
    #[arg(long, value_name = "HOST")]
    pub(crate) advertised_host: Option<String>,
}

/// Serve a MaxCompute-compatible server until Ctrl-C
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate local maxcompute --data demo-data --listen 127.0.0.1:18090 --project shop"
)]
pub(crate) struct LocalMaxComputeArgs {
    /// Folder of the servers' data; made where it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Address to listen on; port 0 for a free one. Beyond loopback it needs an access id
    #[arg(long, value_name = "ADDRESS", default_value_t = loopback(LOCAL_MAXCOMPUTE_PORT))]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) project: LocalProjectArgs,
}

/// The project of the MaxCompute-compatible server, and who may use it.
#[derive(Debug, Args)]
pub(crate) struct LocalProjectArgs {
    /// The project that the server has
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub(crate) project: String,
    /// Access id to ask for; without one, any is taken
    #[arg(long, value_name = "ID", requires = "secret_from_env")]
    pub(crate) access_id: Option<String>,
    /// Environment variable that holds the secret that goes with it
    #[arg(long, value_name = "VARIABLE", requires = "access_id")]
    pub(crate) secret_from_env: Option<String>,
    /// Environment variable that holds the token that goes with it, as temporary access keys have one
    #[arg(long, value_name = "VARIABLE", requires = "access_id")]
    pub(crate) token_from_env: Option<String>,
}

/// The job and what it is resolved with.
#[derive(Debug, Args)]
pub(crate) struct JobArgs {
    /// The job file
    pub(crate) job: PathBuf,
    /// Environment whose data sources are used; needed where there are several
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Data sources by environment [default: `sources.yaml` beside the job file]
    #[arg(long, value_name = "FILE")]
    pub(crate) sources: Option<PathBuf>,
    /// Set a declared parameter, in place of its value in the file; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
}

/// Where runs keep what outlives them.
#[derive(Debug, Args)]
pub(crate) struct StateArgs {
    /// Folder of journal, staged files and locks, on a local disk
    /// [default: `$XDG_STATE_HOME/tidegate`, else `~/.local/state/tidegate`]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

/// Check job file, connections and mapping; show every finding at once
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate check orders.yaml --env dev")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Scheduled time: local in the job's zone, or with an offset [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
}

/// Show what a run would read and load; touch nothing
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate plan orders.yaml --at 2026-11-23T00:15:00")]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Scheduled time: local in the job's zone, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(crate) at: String,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Decode the first messages of the window and show their rows
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate preview orders.yaml -n 5")]
pub(crate) struct PreviewArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Scheduled time: local in the job's zone, or with an offset [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Messages to show
    #[arg(short = 'n', long, value_name = "N", default_value = "10")]
    pub(crate) rows: NonZeroUsize,
}

/// Measure the steps of a run on this machine and say what binds; load nothing
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate bench orders.yaml --at 2026-11-23T00:15:00\n\n\
    The same messages are read once to warm up, and then once for each step: reading alone, with decoding, with staging on the \
    disk of the state folder, and with encoding of the blocks, which are dropped. Each step contains those before it, and runs \
    as in a run. MaxCompute is asked for the table's columns and for nothing else; no file is left. Bytes are those of keys, payloads and headers."
)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Scheduled time: local in the job's zone, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(crate) at: String,
    /// About how many messages to measure, cut from all over the window; all where it holds no more
    #[arg(long, value_name = "N", default_value = "2000000",
        value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: u64,
    /// Measure all steps so many times, one after the other, and take the median of each
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) repetitions: NonZeroUsize,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Load the window, or go on with a run that did not end
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate run orders.yaml --at 2026-11-23T00:15:00\n\n\
    Ctrl-C stops at the next border and leaves a run that the same command resumes; a second one kills."
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Scheduled time: local in the job's zone, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(crate) at: String,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Load many windows in one pass over the topic, each with a commit of its own, or go on with a run that did not end
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate backfill orders.yaml --from 2026-10-01 --to 2026-11-01 --only-missing\n\n\
    The windows that start at or after --from and before --to are loaded: 31 days of October."
)]
pub(crate) struct BackfillArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// First start of a window: local in the job's zone, or with an offset
    #[arg(long, value_name = "TIME")]
    pub(crate) from: String,
    /// Windows that start then or later are left out
    #[arg(long, value_name = "TIME")]
    pub(crate) to: String,
    /// From one scheduled time to the next, such as `1d`, `1h` or `1mo` [default: the cycle of the job's schedule]
    #[arg(long, value_name = "LENGTH")]
    pub(crate) every: Option<Every>,
    /// Leave out windows whose table partitions hold rows already; a backfill that did not end goes on where it loads the others
    #[arg(long)]
    pub(crate) only_missing: bool,
    /// Which windows are complete first
    #[arg(long, value_enum, value_name = "ORDER", default_value_t = OrderArg::Asc)]
    pub(crate) order: OrderArg,
    /// Show what would be read and loaded; touch nothing
    #[arg(long, conflicts_with_all = OF_LOADING)]
    pub(crate) plan: bool,
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

/// Which of several windows are complete first.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OrderArg {
    /// The oldest
    Asc,
    /// The newest
    Desc,
}

impl From<OrderArg> for WindowOrder {
    fn from(argument: OrderArg) -> Self {
        match argument {
            OrderArg::Asc => Self::OldestFirst,
            OrderArg::Desc => Self::NewestFirst,
        }
    }
}

/// The flags of [`LoadArgs`] that a plan would have to ignore.
const OF_LOADING: [&str; 6] = [
    "allow_open_window",
    "replace_other_window",
    "replan",
    "assume",
    "verify",
    "strict",
];

/// How windows are loaded.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) state: StateArgs,
    /// Load what is there of a window whose end is still to come
    #[arg(long)]
    pub(crate) allow_open_window: bool,
    /// Replace a table partition although it last got a window that this one does not contain
    #[arg(long)]
    pub(crate) replace_other_window: bool,
    /// Begin anew where a run that did not end would be gone on with; a commit of it that was sent is settled first
    #[arg(long)]
    pub(crate) replan: bool,
    /// Settle a commit that nobody can tell about any more
    #[arg(long, value_name = "STATE")]
    pub(crate) assume: Option<AssumeArg>,
    /// Count the table's rows after the commit, and compare them with those that were committed; as `verify: count` in the
    /// job does
    #[arg(long)]
    pub(crate) verify: bool,
    /// Exit with 3 where the run is good and needs a look: warnings, or rejected messages
    #[arg(long)]
    pub(crate) strict: bool,
}

impl LoadArgs {
    /// The same as options, to load in this order.
    pub(crate) fn options(&self, order: WindowOrder) -> LoadOptions {
        LoadOptions {
            allow_open_window: self.allow_open_window,
            replace_other_window: self.replace_other_window,
            replan: self.replan,
            order,
            assume: self.assume.map(Into::into),
            verify: if self.verify {
                Verify::Count
            } else {
                Verify::None
            },
            halts: Vec::new(),
        }
    }
}

/// Look for messages of loaded windows that their runs did not read, because they came later or lay too far away
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate audit orders.yaml --from 2026-11-01 --to 2026-11-08 --repair\n\n\
    Only what the runs did not read is read. Exit code 3 says that windows lack messages, or were never loaded."
)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,
    /// Scheduled time of the run to audit: local in the job's zone, or with an offset
    #[arg(long, value_name = "TIME", required_unless_present = "from", conflicts_with_all = ["from", "to", "every"])]
    pub(crate) at: Option<String>,
    /// First start of a window, to audit many as `backfill` loads them
    #[arg(long, value_name = "TIME", requires = "to")]
    pub(crate) from: Option<String>,
    /// Windows that start then or later are left out
    #[arg(long, value_name = "TIME", requires = "from")]
    pub(crate) to: Option<String>,
    /// From one scheduled time to the next, such as `1d`, `1h` or `1mo` [default: the cycle of the job's schedule]
    #[arg(long, value_name = "LENGTH", requires = "from")]
    pub(crate) every: Option<Every>,
    /// How far from a window its messages are looked for: a length of message time such as `3d`, or `exact` for all of the
    /// log [default: 1d, or the job's own where that is more]
    #[arg(long, value_name = "LATENESS", value_parser = audit_lateness)]
    pub(crate) lateness: Option<Lateness>,
    /// Load the windows that lack messages again, each by a run that looks as far as the audit
    #[arg(long)]
    pub(crate) repair: bool,
    /// Count the table's rows after each repair, and compare them with those that were committed
    #[arg(long, requires = "repair")]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Reads how far an audit looks: no less than a window's own messages.
fn audit_lateness(text: &str) -> Result<Lateness, String> {
    match text.parse()? {
        Lateness::None => {
            Err("an audit that looks no farther than the run finds nothing".to_owned())
        }
        lateness => Ok(lateness),
    }
}

/// List the runs of the state folder, the newest first
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate history --job orders_daily\n\n\
    An open run is under way, or its process was killed; the same command goes on with it.")]
pub(crate) struct HistoryArgs {
    /// Only runs of the job of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) job: Option<String>,
    /// Runs to list; 0 for all of them
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Show the report of a run again, or how far one is that did not end
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate report 12")]
pub(crate) struct ReportArgs {
    /// The run [default: the last one]
    pub(crate) run: Option<i64>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// Show the messages that a run rejected, and why
#[derive(Debug, Args)]
#[command(after_help = "Example: tidegate rejects --export rejected.jsonl")]
pub(crate) struct RejectsArgs {
    /// The run [default: the last one that rejected a message]
    #[arg(long, value_name = "N")]
    pub(crate) run: Option<i64>,
    /// Only runs of the job of this name
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pub(crate) job: Option<String>,
    /// Messages to show
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) messages: usize,
    /// Write all of them with their keys and payloads to this new file, a JSON document a line
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) state: StateArgs,
}

/// What to take for true about a commit.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AssumeArg {
    /// The rows are in the table
    Committed,
    /// The rows are not in the table
    NotCommitted,
}

impl From<AssumeArg> for Assume {
    fn from(argument: AssumeArg) -> Self {
        match argument {
            AssumeArg::Committed => Self::Committed,
            AssumeArg::NotCommitted => Self::NotCommitted,
        }
    }
}

/// Evaluate a scheduling expression, explain its parts, and say what may not be meant
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate params '$[yyyymmdd-1]' --at 2026-11-23T00:15:00 --time-zone Asia/Shanghai"
)]
pub(crate) struct ParamsArgs {
    /// The expression; in single quotes, or the shell reads its `$`
    #[arg(value_name = "EXPR")]
    pub(crate) expression: String,
    /// Scheduled time: local in the zone, or with an offset [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Time zone, such as `Asia/Shanghai` or `+08:00` [default: the machine's]
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
}

/// Run one SQL statement on a project and show its result
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tidegate sql 'SELECT COUNT(*) FROM orders WHERE ds = 20261122' --job orders.yaml\n\
    Example: tidegate sql 'SHOW TABLES' --endpoint http://127.0.0.1:18090/api --project shop \
    --access-id ID --secret-from-env ODPS_SECRET"
)]
pub(crate) struct SqlArgs {
    /// The statement
    pub(crate) statement: String,
    /// Ask the project of this job's destination, as the job does
    #[arg(long, value_name = "FILE", conflicts_with = "ProjectArgs")]
    pub(crate) job: Option<PathBuf>,
    /// Environment of the job's data sources; needed where there are several
    #[arg(
        long,
        value_name = "NAME",
        requires = "job",
        conflicts_with = "ProjectArgs"
    )]
    pub(crate) env: Option<String>,
    /// Data sources by environment [default: `sources.yaml` beside the job file]
    #[arg(
        long,
        value_name = "FILE",
        requires = "job",
        conflicts_with = "ProjectArgs"
    )]
    pub(crate) sources: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) project: Option<ProjectArgs>,
}

/// A project, and who asks.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    /// REST endpoint
    #[arg(long, value_name = "URL", required_unless_present = "job")]
    pub(crate) endpoint: String,
    /// Project
    #[arg(long, value_name = "NAME", required_unless_present = "job")]
    pub(crate) project: String,
    /// Schema, in a project that has three levels
    #[arg(long, value_name = "NAME")]
    pub(crate) schema: Option<String>,
    /// Region, for requests signed with version 4
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Id of the access key [default: that of a profile, or of the environment]
    #[arg(long, value_name = "ID", requires = "secret_from_env")]
    pub(crate) access_id: Option<String>,
    /// Environment variable that holds the secret of the access key
    #[arg(long, value_name = "VARIABLE", requires = "access_id")]
    pub(crate) secret_from_env: Option<String>,
    /// Environment variable that holds the token of temporary credentials
    #[arg(long, value_name = "VARIABLE", requires = "access_id")]
    pub(crate) token_from_env: Option<String>,
    /// Profile of Alibaba Cloud's own tools that has the access key
    #[arg(long, value_name = "NAME", conflicts_with = "access_id")]
    pub(crate) profile: Option<String>,
    /// File with the profile [default: ~/.aliyun/config.json, or ~/.alibabacloud/credentials]
    #[arg(long, value_name = "FILE", conflicts_with = "access_id")]
    pub(crate) credentials_file: Option<PathBuf>,
    /// File with certificates of authorities that are trusted beside the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// HTTP proxy [default: that of the environment]
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// `name=value`; the value may hold more `=` and may be empty.
fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.to_owned()))
        }
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests;
