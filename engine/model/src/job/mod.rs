//! The job file: what to load into where, and when.
//!
//! [`JobSpec::parse`] reads a file into a tree that knows its places; [`JobSpec::check`] makes a [`Job`] of it for one
//! scheduled time, or says everything that is wrong at once. Nothing here reads files, the clock or the environment:
//! they are part of the [`Setting`].
//!
//! ```
//! use engine_model::job::{JobSpec, Setting};
//! use engine_model::params::ScheduledTime;
//! use jiff::tz::TimeZone;
//!
//! let spec = JobSpec::parse("orders.yaml", r#"
//! job: orders_daily
//! time_zone: Asia/Shanghai
//! source: { kafka: { brokers: ["127.0.0.1:9092"], topic: orders } }
//! window: { start: "${day}000000", end: "${dayAfter}000000" }
//! destination:
//!   maxcompute: { endpoint: "http://127.0.0.1:18090/api", project: shop, table: orders, partition: { ds: "${day}" } }
//! columns: { order_id: order.id, raw: __value__ }
//! parameters: { day: "$[yyyymmdd-1]", dayAfter: "$[yyyymmdd]" }
//! "#)?;
//! let zone = spec.time_zone(&TimeZone::UTC)?;
//! let checked = spec.check(&Setting {
//!     scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &zone)?,
//!     environment: None,
//!     sources: None,
//!     overrides: &[],
//!     env: &|_| None,
//!     default_time_zone: &TimeZone::UTC,
//! })?;
//! assert_eq!(checked.job.window.to_string(), "[2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **References.** In the file's values `${name}` of a declared parameter and `${env.NAME}` are replaced, once, on the
//! parsed tree: what is put in can't become a key, a list or another reference. Keys are taken as they are.
//!
//! **Secrets.** A value from the environment may be one, so it never is in findings or in a [`JobIdentity`], and it is
//! refused where rows, names and reports are made of it: topic, window, columns, project, table, table partition.
//! Passwords, keys and tokens are [`Secret`]s wherever they come from. Addresses (`brokers`, `endpoint`) are plain text
//! even from the environment, for an error that hides the server that refused would help nobody.

mod checked;
mod columns;
mod draft;
mod identity;
mod kafka;
mod limits;
mod maxcompute;
mod message_format;
mod parameters;
mod secret;
mod size;
mod sources;
mod substitute;
mod time_zone;
mod walk;
mod window;
mod windows;
mod write;
mod yaml;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::finding::{Finding, Findings};
use crate::params::ScheduledTime;
use crate::{ColumnMapping, ColumnSource, PayloadType, Window};

pub use checked::{
    Bandwidth, BlockFormat, Compression, Every, Exit, Job, KafkaSource, Lateness, Limits,
    MaxComputeConnection, MaxComputeTarget, OffsetBound, OffsetBounds, OnEmpty, OnRetentionGap,
    OptionValue, RejectLimit, Schedule, Tombstones, Validation, Verify, WriteMode,
};
pub use columns::explain_path;
pub use draft::Draft;
pub use identity::JobIdentity;
pub use secret::Secret;
pub(crate) use size::show as shown_size;
pub use sources::SourcesSpec;
pub use walk::nearest;
pub use windows::CheckedWindows;
pub use write::{columns_section, is_writable};

use parameters::ParameterTable;
use sources::Environment;
use walk::{Field, Section, Walk, shown};
use yaml::{Node, Place, Value};

/// All keys of a job file.
const KEYS: [&str; 16] = [
    "job",
    "time_zone",
    "source",
    "window",
    "destination",
    "columns",
    "parameters",
    "schedule",
    "rejects",
    "tombstones",
    "validation",
    "empty_as_null",
    "on_empty",
    "on_retention_gap",
    "verify",
    "limits",
];

/// Longest name of a job; it becomes part of file names.
const JOB_NAME_BYTES_MAX: usize = 128;

const TOMBSTONES: [(&str, Tombstones); 2] =
    [("keep", Tombstones::Keep), ("skip", Tombstones::Skip)];

const VALIDATIONS: [(&str, Validation); 2] =
    [("full", Validation::Full), ("mapped", Validation::Mapped)];

const EMPTY_AS_NULL: [(&str, bool); 2] = [("false", false), ("true", true)];

const ON_EMPTY: [(&str, OnEmpty); 3] = [
    ("fail", OnEmpty::Fail),
    ("replace", OnEmpty::Replace),
    ("keep", OnEmpty::Keep),
];

const VERIFY: [(&str, Verify); 2] = [("none", Verify::None), ("count", Verify::Count)];

const ON_RETENTION_GAP: [(&str, OnRetentionGap); 3] = [
    ("auto", OnRetentionGap::Auto),
    ("fail", OnRetentionGap::Fail),
    ("warn", OnRetentionGap::Warn),
];

/// A job file as it was written.
#[derive(Clone)]
pub struct JobSpec {
    file: Arc<str>,
    root: Arc<Node>,
}

/// Only the file's name: its values may be secrets.
impl fmt::Debug for JobSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobSpec")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// What a job is checked with, besides its file.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// When the run is due. Read it in the zone that [`JobSpec::time_zone`] gives.
    pub scheduled_time: &'a ScheduledTime,
    /// The environment whose data sources are used. Without a name, the only one there is.
    pub environment: Option<&'a str>,
    /// The data sources, for jobs that name some.
    pub sources: Option<&'a SourcesSpec>,
    /// Parameters' names and values that win over the file; the last one of a name counts.
    pub overrides: &'a [(String, String)],
    /// Looks an environment variable up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The zone of jobs that name none: the machine's.
    pub default_time_zone: &'a TimeZone,
}

impl fmt::Debug for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("scheduled_time", &self.scheduled_time)
            .field("environment", &self.environment)
            .field("sources", &self.sources)
            .field("default_time_zone", &self.default_time_zone)
            .finish_non_exhaustive()
    }
}

/// A good job, and what somebody should look at nevertheless.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The job.
    pub job: Job,
    /// Warnings only, ordered by place.
    pub warnings: Vec<Finding>,
}

impl JobSpec {
    /// Reads a job file; `file` is its name in findings.
    ///
    /// # Errors
    ///
    /// The findings that keep the text from being a tree of keys and values. What the keys and values mean is left to
    /// [`JobSpec::check`], so that all of it comes at once.
    pub fn parse(file: &str, text: &str) -> Result<Self, Findings> {
        let file = Arc::from(file);
        let root = Arc::new(yaml::parse(&file, text)?);
        Ok(Self { file, root })
    }

    /// The job's time zone, or `default` where it names none. Needed first of all, to read the scheduled time in it.
    ///
    /// # Errors
    ///
    /// One finding: the zone isn't known.
    pub fn time_zone(&self, default: &TimeZone) -> Result<TimeZone, Findings> {
        let root = Field::root(&self.file, &self.root);
        let field = Section::of(&root).and_then(|top| top.get("time_zone"));
        let Some(field) = field else {
            return Ok(default.clone());
        };
        let mut walk = Walk::new(&|_| None);
        walk.zone(&field)
            .ok_or_else(|| Findings::new(walk.findings))
    }

    /// Resolves the job for one scheduled time.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, warnings included. Findings about data sources name the sources file.
    pub fn check(&self, setting: &Setting<'_>) -> Result<Checked, Findings> {
        self.check_part(setting, None)
    }

    /// The same for a part of the job's window.
    fn check_part(&self, setting: &Setting<'_>, part: Option<Window>) -> Result<Checked, Findings> {
        let mut walk = Walk::new(setting.env);
        let job = walk.job(self, setting, part);
        let findings = Findings::new(walk.findings);
        match job {
            Some(job) if !findings.has_errors() => Ok(Checked {
                job,
                warnings: findings.into_vec(),
            }),
            _ => Err(findings),
        }
    }
}

impl<'a> Walk<'a> {
    fn new(environment: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            parameters: ParameterTable::default(),
            environment,
            findings: Vec::new(),
        }
    }

    /// Reads the whole file, however much of it is wrong; nothing if a part that a job needs is.
    /// With a part of its window, the job is for that alone.
    fn job(&mut self, spec: &JobSpec, setting: &Setting<'_>, part: Option<Window>) -> Option<Job> {
        let root = Field::root(&spec.file, &spec.root);
        let top = self.section(&root, &KEYS)?;
        let time_zone = self.time_zone(&top, &root, setting.default_time_zone);
        let at = setting
            .scheduled_time
            .at()
            .with_time_zone(time_zone.clone());
        let scheduled_time = ScheduledTime::new(at);
        self.parameters_of(&top, &root, &scheduled_time, setting);

        let name = self.job_name(&top);
        let environment = Environment::choose(self, setting.sources, setting.environment);
        let source = self.required_section(&top, "source", &["kafka"]);
        let source = source.and_then(|section| self.kafka(&section, &environment));
        let window = self.window(&top, &time_zone, source.as_ref(), part);
        let start_ms = window.as_ref().map(|window| window.window.start_ms);
        let start = start_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        self.parameters.window_start =
            start.map(|start| ScheduledTime::new(start.to_zoned_datetime(time_zone.clone())));
        let destination = self.required_section(&top, "destination", &["maxcompute"]);
        let target = destination
            .as_ref()
            .and_then(|section| self.maxcompute(section, &environment));
        self.parameters.window_start = None;
        // Without a readable source the columns are judged as those of the most common payload.
        let payload = source
            .as_ref()
            .map_or_else(PayloadType::default, |source| source.format.payload.clone());
        let columns = self.columns(&top, &payload);
        self.warn_of_validation(&top, &payload, &columns);
        let schedule = self.schedule(&top);
        if let (Some(section), Some(window), Some(target)) = (&destination, &window, &target) {
            self.label(section, window, &target.partition);
            self.warn_of_whole_table(&top, target);
        }
        let rejects = self.rejects(&top);
        let tombstones = self.choice(&top, "tombstones", &TOMBSTONES, Tombstones::default());
        let validation = self.choice(&top, "validation", &VALIDATIONS, Validation::default());
        let empty_as_null = self.choice(&top, "empty_as_null", &EMPTY_AS_NULL, false);
        let on_empty = self.choice(&top, "on_empty", &ON_EMPTY, OnEmpty::default());
        let gap = OnRetentionGap::default();
        let on_retention_gap = self.choice(&top, "on_retention_gap", &ON_RETENTION_GAP, gap);
        let verify = self.choice(&top, "verify", &VERIFY, Verify::default());
        let limits = self.limits(&top);
        let window = window?;
        Some(Job {
            name: name?,
            time_zone,
            scheduled_time,
            environment: environment.name.map(str::to_owned),
            source: source?,
            window: window.window,
            offsets: window.offsets,
            lateness: window.lateness,
            exit: window.exit,
            wait_closed: window.wait_closed,
            split: window.split,
            schedule,
            destination: target?,
            columns,
            parameters: std::mem::take(&mut self.parameters.values),
            tombstones,
            validation,
            empty_as_null,
            rejects,
            on_empty,
            on_retention_gap,
            verify,
            limits,
        })
    }

    fn job_name(&mut self, top: &Section<'_>) -> Option<String> {
        let field = self.required(top, "job", "name the job: `job: orders_daily`")?;
        let name = self.open_text(&field)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(legal)
            && name.len() <= JOB_NAME_BYTES_MAX;
        if !good {
            let message = format!(
                "{} is no name for a job; begin with a letter or digit, and go on with letters, digits, `_`, `-` and \
                 `.`, {JOB_NAME_BYTES_MAX} at most",
                shown(&name)
            );
            self.error(&field, message);
        }
        Some(name)
    }

    fn time_zone(&mut self, top: &Section<'_>, root: &Field<'_>, default: &TimeZone) -> TimeZone {
        if let Some(field) = top.get("time_zone") {
            return self.zone(&field).unwrap_or_else(|| default.clone());
        }
        let missing = Field {
            path: "time_zone".to_owned(),
            ..root.clone()
        };
        let message = format!(
            "is missing, so the machine's own is taken, {}; write it down, or the job means other times elsewhere",
            time_zone::name(default)
        );
        self.warning(&missing, message);
        default.clone()
    }

    /// Reads a zone without references: the parameters are computed in it.
    fn zone(&mut self, field: &Field<'_>) -> Option<TimeZone> {
        let Value::Scalar(scalar) = field.value else {
            let kind = field.value.kind();
            self.error(field, format!("found {kind} where a time zone is expected"));
            return None;
        };
        let zone = time_zone::parse(&scalar.text);
        if zone.is_none() {
            let message = format!(
                "{} is no known time zone; write a name such as `Asia/Shanghai` or an offset such as `+08:00`",
                shown(&scalar.text)
            );
            self.error(field, message);
        }
        zone
    }

    fn parameters_of(
        &mut self,
        top: &Section<'_>,
        root: &Field<'_>,
        at: &ScheduledTime,
        setting: &Setting<'_>,
    ) {
        let section = top.get("parameters").and_then(|field| self.mapping(&field));
        for (name, _) in setting.overrides {
            let names = || {
                section
                    .iter()
                    .flat_map(|s| s.fields().map(|(key, _, _)| key))
            };
            if names().any(|key| key == name) {
                continue;
            }
            // The value was set outside of the file, so the finding has no place in it.
            let outside = Field {
                path: "parameters".to_owned(),
                place: Place::default(),
                ..root.clone()
            };
            let advice = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "declare it there".to_owned(),
            };
            self.error(
                &outside,
                format!("a value is set for `{name}`, which is no declared parameter; {advice}"),
            );
        }
        if let Some(section) = section {
            self.resolve_parameters(&section, at, setting.overrides);
        }
    }

    /// Only the fields of JSON payloads are looked for, and only where some are mapped.
    fn warn_of_validation(
        &mut self,
        top: &Section<'_>,
        payload: &PayloadType,
        columns: &[ColumnMapping],
    ) {
        let is_path = |mapping: &ColumnMapping| matches!(mapping.source, ColumnSource::Path(_));
        if let Some(field) = top.get("validation")
            && (*payload != PayloadType::Json || !columns.iter().any(is_path))
        {
            let message = "has no effect, for no field of a JSON value is mapped; take it out";
            self.warning(&field, message);
        }
    }

    /// A schedule that replaces a whole table keeps only the last window.
    fn warn_of_whole_table(&mut self, top: &Section<'_>, target: &MaxComputeTarget) {
        let replaces = target.write == WriteMode::Replace && target.partition.is_empty();
        if let Some(field) = top.get("schedule").filter(|_| replaces) {
            let message = "each run would replace the whole table, for no table partition is given; add \
                           `destination.maxcompute.partition`, or write `append`";
            self.warning(&field, message);
        }
    }
}
