//! Rows to Parquet files and back.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use engine_load::plan::WindowOrder;
use engine_load::{Cancel, FolderStaging, Journal, Ports, Progress, RunOptions};
use engine_model::job::{Job, JobSpec, Setting, Verify};
use engine_model::params::ScheduledTime;
use engine_model::{RunReport, Steps};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::decode::Blocks;
use crate::fields::MappedFields;
use crate::memory::{CpuClock, Table, Topic};
use crate::process::{Serving, thread_cpu};

/// Timestamp of the first message of the first day that is loaded, 2026-11-22 in UTC.
pub const DAY_START_MS: i64 = 1_795_305_600_000;
/// Length of a day.
pub const DAY_MS: i64 = 86_400_000;
/// The days that can be loaded, each with the next one.
const DATES: [(&str, &str); 3] = [
    ("20261122", "20261123"),
    ("20261123", "20261124"),
    ("20261124", "20261125"),
];
/// When they are loaded.
const DUE: &str = "2026-11-25T00:15:00";

/// Where the servers of a job are, and how many lanes it has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The broker's address.
    pub brokers: String,
    /// MaxCompute's endpoint.
    pub endpoint: String,
    /// The tunnel's endpoint, where it isn't the one that MaxCompute tells.
    pub tunnel_endpoint: Option<String>,
    /// The topic, and the table.
    pub name: String,
    /// Topic partitions; a message goes to the one of its number modulo this.
    pub partitions: usize,
    /// Lanes of the load.
    pub lanes: usize,
}

impl Place {
    /// The same with the tunnel of a [sink](crate::sink), which says where its metadata would be; the tunnel is at the root.
    #[must_use]
    pub fn into_sink(self, sink: &Serving) -> Self {
        let tunnel = sink.line.strip_suffix("/api");
        Self {
            tunnel_endpoint: tunnel.map(str::to_owned),
            ..self
        }
    }
}

/// The job that loads a window of the place's topic into a table partition of the table of the same name. `window` has the keys
/// of the section, and `more` lines of the top level.
pub(crate) fn spec(
    fields: &MappedFields,
    place: &Place,
    (window, partition): (&str, &str),
    more: &str,
) -> Result<JobSpec> {
    let Place {
        brokers,
        endpoint,
        tunnel_endpoint,
        name,
        lanes,
        ..
    } = place;
    let tunnel = tunnel_endpoint.as_ref();
    let tunnel = tunnel.map_or_else(String::new, |tunnel| {
        format!("    tunnel_endpoint: {tunnel}\n")
    });
    let columns = fields.job_lines();
    let text = format!(
        "job: bench
time_zone: UTC
source: {{ kafka: {{ brokers: [\"{brokers}\"], topic: {name} }} }}
window: {{ {window} }}
destination:
  maxcompute:
    endpoint: {endpoint}
    project: bench
    table: {name}
    partition: {{ ds: \"{partition}\" }}
    access_id: bench
    access_secret: bench
{tunnel}{more}limits: {{ concurrency: {lanes} }}
columns:
{columns}"
    );
    Ok(JobSpec::parse("bench.yaml", &text)?)
}

/// The setting of a job that is due at `scheduled_time`, in UTC.
pub(crate) fn setting<'a>(scheduled_time: &'a ScheduledTime, zone: &'a TimeZone) -> Setting<'a> {
    Setting {
        scheduled_time,
        environment: None,
        sources: None,
        overrides: &[],
        env: &|_| None,
        default_time_zone: zone,
    }
}

/// The job that loads the messages of day number `day`, from 0, of the place's topic into the table of the same name.
pub fn job(fields: &MappedFields, place: &Place, day: usize) -> Result<Job> {
    let (date, next) = DATES.get(day).ok_or("there are not so many days")?;
    let window = format!("start: \"{date}\", end: \"{next}\", lateness: none");
    let spec = spec(fields, place, (&window, date), "")?;
    let zone = TimeZone::UTC;
    let due = ScheduledTime::parse(DUE, &zone)?;
    Ok(spec.check(&setting(&due, &zone))?.job)
}

/// A load from memory into memory through staged files in `folder`, on one lane. Its steps are in CPU seconds.
///
/// # Errors
///
/// Those of the load, or a row went missing.
pub fn engine(
    blocks: &Arc<Blocks>,
    fields: &MappedFields,
    table: &Table,
    folder: &Path,
) -> Result<RunReport> {
    let place = Place {
        brokers: "localhost".to_owned(),
        endpoint: "http://localhost/api".to_owned(),
        tunnel_endpoint: None,
        name: "bench".to_owned(),
        partitions: 1,
        lanes: 1,
    };
    let state = tempfile::tempdir_in(folder)?;
    let journal = Journal::open(&state.path().join("journal.sqlite"))?;
    let ports = Ports {
        source: &Topic(Arc::clone(blocks)),
        target: table,
        staging: Arc::new(FolderStaging::open(state.path().join("staging"))?),
        journal: &journal,
        clock: &CpuClock {
            now: Timestamp::from_millisecond(DAY_START_MS + 2 * 86_400_000)?,
        },
        locks: &state.path().join("locks"),
        on_border: &|_| Ok(()),
    };
    let options = RunOptions {
        allow_open_window: false,
        replace_other_window: false,
        replan: false,
        order: WindowOrder::OldestFirst,
        assume: None,
        verify: Verify::None,
        cores: 1,
        holder: "a bench".to_owned(),
    };
    let before = table.rows();
    let report = engine_load::run(
        &[job(fields, &place, 0)?],
        &ports,
        &options,
        &Progress::default(),
        &Cancel::default(),
    )?;
    let rows = table.rows() - before;
    if rows != blocks.messages as u64 {
        return Err(format!("{} messages became {rows} rows", blocks.messages).into());
    }
    Ok(report)
}

/// The CPU time of the stage step, and of the upload step: reading the files back.
pub fn write_and_read(steps: &Steps) -> (Duration, Duration) {
    (
        Duration::from_secs_f64(steps.stage.seconds),
        Duration::from_secs_f64(steps.upload.seconds),
    )
}

/// What a plain writer and a plain reader took for the same rows.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// CPU time of writing and syncing.
    pub write: Duration,
    /// CPU time of reading back.
    pub read: Duration,
    /// Bytes of the file.
    pub bytes: u64,
    /// Rows that came back.
    pub rows: usize,
}

/// Writes `batches` with the defaults of `ArrowWriter` to one synced file in `folder`, and reads it back with those of
/// the reader.
pub fn plain(batches: &[RecordBatch], folder: &Path) -> Result<Plain> {
    let path = folder.join("plain.parquet");
    let first = batches.first().ok_or("there are no rows to write")?;
    let started = thread_cpu();
    let mut writer = ArrowWriter::try_new(File::create(&path)?, first.schema(), None)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.into_inner()?.sync_all()?;
    let written = thread_cpu();
    let mut rows = 0;
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?.build()? {
        rows += batch?.num_rows();
    }
    let read = thread_cpu();
    let bytes = fs::metadata(&path)?.len();
    fs::remove_file(&path)?;
    Ok(Plain {
        write: written.saturating_sub(started),
        read: read.saturating_sub(written),
        bytes,
        rows,
    })
}
