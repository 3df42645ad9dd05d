//! Everything that would keep a job from running, found at once.

mod group;
mod messages;
mod timestamps;

use engine_kafka::{BrokerCheck, TopicConfig};
use engine_load::plan::WindowOrder;
use engine_load::ports::{MessageSource, TargetTable};
use engine_load::{Error, Prepared, SystemClock, check_disk_limit, objections, plan_notes};
use engine_model::job::{Job, WriteMode, explain_path};
use engine_model::{ColumnSource, FieldPath, LoadPlan, PartitionSpec, Step};
use serde::Serialize;

use crate::adapters::kafka::KafkaTopics;
use crate::adapters::tunnel::MaxComputeTable;
use crate::load::now_ms;
use timestamps::Timestamps;

/// What was checked, in order.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CheckReport {
    /// One entry for each thing that was looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What: `brokers`, `topic`, `table` and so on.
    pub subject: String,
    /// How it is.
    pub status: CheckStatus,
    /// What was found, and what to do where it is not good.
    pub found: String,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// Worth knowing; the job runs.
    Note,
    /// Worth changing; the job runs.
    Warning,
    /// The job can't run.
    Error,
}

impl CheckReport {
    /// Whether the job can run.
    pub fn is_good(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.status != CheckStatus::Error)
    }

    pub(crate) fn failed(subject: &str, error: &Error) -> Self {
        let mut report = Self::default();
        report.add(subject, CheckStatus::Error, error.to_string());
        report
    }

    fn add(&mut self, subject: &str, status: CheckStatus, found: impl Into<String>) {
        self.checks.push(Check {
            subject: subject.to_owned(),
            status,
            found: found.into(),
        });
    }

    fn error(&mut self, subject: &str, error: &Error) {
        self.add(subject, CheckStatus::Error, error.to_string());
    }
}

pub(crate) fn check(
    jobs: &[Job],
    source: &KafkaTopics,
    target: &MaxComputeTable,
    lanes: usize,
) -> CheckReport {
    let mut report = CheckReport::default();
    let Some(job) = jobs.first() else {
        return report;
    };
    check_brokers(&mut report, source);
    let timestamps = check_topics(&mut report, job, source);
    if timestamps.is_some() {
        group::check_group(&mut report, job, source);
    }
    let table_is_there = check_table(&mut report, job, target);
    explain_paths(&mut report, job);
    if let Some(timestamps) = timestamps.filter(|_| table_is_there) {
        check_mapping_and_plan(&mut report, jobs, (source, target), lanes, &timestamps);
    }
    report
}

fn check_brokers(report: &mut CheckReport, source: &KafkaTopics) {
    let brokers = source.check_brokers();
    let reachable = brokers.iter().any(|broker| broker.result.is_ok());
    for BrokerCheck { address, result } in brokers {
        match result {
            Ok(Some(release)) => {
                let found = format!("{address} answers, by its protocol {release}");
                report.add("brokers", CheckStatus::Ok, found);
            }
            Ok(None) => report.add("brokers", CheckStatus::Ok, format!("{address} answers")),
            Err(failure) => {
                let status = if reachable {
                    CheckStatus::Warning
                } else {
                    CheckStatus::Error
                };
                report.add("brokers", status, failure.to_string());
            }
        }
    }
}

/// Looks at the topics, and returns what is known of their timestamps; nothing where they aren't there.
fn check_topics(report: &mut CheckReport, job: &Job, source: &KafkaTopics) -> Option<Timestamps> {
    let described = match source.describe() {
        Ok(described) => described,
        Err(error) => {
            report.error("topic", &error);
            return None;
        }
    };
    let cluster = described.cluster_id.as_deref().unwrap_or("unnamed");
    for topic in &job.source.topics {
        let partitions = described.partitions.iter();
        let partitions = partitions
            .filter(|partition| *partition.topic == **topic)
            .count();
        let found = match job.source.partitions {
            Some(_) => {
                format!("{partitions} topic partitions of {topic} are read, in cluster {cluster}")
            }
            None => format!("{topic} has {partitions} topic partitions in cluster {cluster}"),
        };
        report.add("topic", CheckStatus::Ok, found);
    }
    let mut timestamps = Timestamps::default();
    for (topic, config) in source.configs() {
        let config = config.unwrap_or_else(|error| {
            let found = format!("those of {topic} are not known: {error}");
            report.add("timestamps", CheckStatus::Note, found);
            TopicConfig::default()
        });
        timestamps.note(report, job, topic, config.timestamp_type);
        if config.compacted == Some(true) {
            let found = format!(
                "{topic} is compacted: messages of the window may have been replaced by later ones of their key"
            );
            report.add("compaction", CheckStatus::Warning, found);
        }
    }
    Some(timestamps)
}

/// Looks at the table, and says whether it is there.
fn check_table(report: &mut CheckReport, job: &Job, target: &MaxComputeTable) -> bool {
    if let Err(error) = target.check_access() {
        report.error("project", &error);
        return false;
    }
    let project = &job.destination.connection.project;
    report.add(
        "project",
        CheckStatus::Ok,
        format!("{project} answers and takes the access key"),
    );
    match target.columns() {
        Ok(columns) => {
            let keys = columns
                .partition_keys
                .iter()
                .map(|key| key.name.as_str())
                .collect::<Vec<_>>();
            let keys = if keys.is_empty() {
                "none".to_owned()
            } else {
                keys.join(", ")
            };
            let found = format!("{} columns, partition keys: {keys}", columns.columns.len());
            report.add(
                "table",
                CheckStatus::Ok,
                format!("{} has {found}", job.destination.table),
            );
            true
        }
        Err(error) => {
            report.error("table", &error);
            false
        }
    }
}

/// Says what paths mean that people read in another way, by the first of them.
fn explain_paths(report: &mut CheckReport, job: &Job) {
    let keys = |path: &FieldPath| {
        let steps = path.steps().iter();
        steps.filter(|step| matches!(step, Step::Key(_))).count()
    };
    let mut nested = job
        .columns
        .iter()
        .filter_map(|mapping| match &mapping.source {
            ColumnSource::Path(path) if keys(path) > 1 => Some((&mapping.column, path)),
            _ => None,
        });
    if let Some((column, path)) = nested.next() {
        let others = match nested.count() {
            0 => String::new(),
            1 => "; so does one other column".to_owned(),
            others => format!("; so do {others} other columns"),
        };
        let found = format!(
            "column {column:?} goes by dots: {}{others}",
            explain_path(path)
        );
        report.add("paths", CheckStatus::Note, found);
    }
}

fn check_mapping_and_plan(
    report: &mut CheckReport,
    jobs: &[Job],
    (source, target): (&KafkaTopics, &MaxComputeTable),
    lanes: usize,
    timestamps: &Timestamps,
) {
    let Some(job) = jobs.first() else {
        return;
    };
    let prepared = match Prepared::new(jobs, source, target) {
        Ok(prepared) => prepared,
        Err(error) => return report.error("mapping", &error),
    };
    let mapped = job.columns.len();
    let columns = prepared.columns.columns.len();
    report.add(
        "mapping",
        CheckStatus::Ok,
        format!("{mapped} of {columns} columns are mapped; the others get NULL"),
    );
    // Of the parts of a window, one stands for all.
    for window in prepared.windows.iter().take(1) {
        check_target(report, job.destination.write, &window.partition, target);
    }
    let plan = match prepared.plan(job, source, now_ms(), lanes, WindowOrder::OldestFirst) {
        Ok(plan) => plan,
        Err(error) => return report.error("window", &error),
    };
    // What runs have loaded is their state folder's business; `plan` looks at it.
    match objections(
        jobs,
        &plan,
        &prepared.topic,
        target,
        None,
        &SystemClock::start(),
    ) {
        Ok(found) => {
            for why in found {
                let found = format!("the run would be refused now: {why}");
                report.add("window", CheckStatus::Warning, found);
            }
        }
        Err(error) => report.error("window", &error),
    }
    describe_plan(report, job, &plan);
    if let Err(error) = check_disk_limit(job.limits.disk_bytes, &plan, lanes) {
        report.error("limits", &error);
    }
    timestamps.check_exit(report, job, &plan);
    messages::check_messages(report, job, source, &prepared, &plan);
}

/// Looks at the table partition, and tries whether an upload session can be opened on it. Without a commit, a session
/// changes nothing and expires within a day.
fn check_target(
    report: &mut CheckReport,
    write: WriteMode,
    partition: &PartitionSpec,
    target: &MaxComputeTable,
) {
    match target.row_count(partition) {
        Ok(Some(rows)) => {
            let of = if partition.is_empty() {
                String::new()
            } else {
                format!("table partition {partition} of ")
            };
            let found = format!("{of}{} holds {rows} rows", target.name());
            report.add("target", CheckStatus::Ok, found);
        }
        Ok(None) => {
            let found = format!(
                "table partition {partition} does not exist yet; the run creates it, which shows whether the access key \
                 may"
            );
            report.add("target", CheckStatus::Ok, found);
            return;
        }
        Err(error) => return report.error("target", &error),
    }
    let (overwrite, done) = match write {
        WriteMode::Replace => (true, "replace"),
        WriteMode::Append => (false, "append to"),
    };
    match target.open_session(partition, overwrite) {
        Ok(_) => {
            let found = format!("the access key may {done} what it holds");
            report.add("upload", CheckStatus::Ok, found);
        }
        Err(error) => report.error("upload", &error),
    }
}

/// The window, or from the first to the last of several.
fn shown(job: &Job, plan: &LoadPlan) -> String {
    let (Some(first), Some(last)) = (plan.windows.first(), plan.windows.last()) else {
        return job.offsets.shown(job.window);
    };
    let all = first.window.through(last.window);
    match plan.windows.len() {
        1 => job.offsets.shown(all),
        many => format!("{all} in {many} windows"),
    }
}

fn describe_plan(report: &mut CheckReport, job: &Job, plan: &LoadPlan) {
    let (offsets, bytes) = (plan.offsets(), plan.bytes_estimate());
    report.add(
        "window",
        CheckStatus::Ok,
        format!(
            "{}: {offsets} offsets to read, about {bytes} bytes",
            shown(job, plan)
        ),
    );
    for note in plan_notes(plan) {
        report.add("window", CheckStatus::Warning, note);
    }
}
