//! The judges in Python: what a window of a topic must become, and what a table holds.
//!
//! They share no code with the engine: JSON paths, conversions and checksums are worked out anew in `tests/sdk`, and the
//! table is read through Alibaba's own clients. A load is right when [`topic_truth`]'s table equals [`table_truth`]'s.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::cache::{cached, class_path, root};

/// A window of a topic, and how its messages become rows.
#[derive(Debug, Clone)]
pub struct TopicRequest<'a> {
    /// `host:port` of the broker.
    pub bootstrap: &'a str,
    /// The topic, which is read from its log start offsets to its high watermarks.
    pub topic: &'a str,
    /// The JSON file with the columns, as `tests/sdk/mapping.py` describes it.
    pub mapping: &'a Path,
    /// Message timestamps of the window, in ms since the epoch.
    pub window: Range<i64>,
    /// Time zone of date-times in payloads that name none.
    pub zone: &'a str,
    /// Whether a tombstone is a row.
    pub keep_tombstones: bool,
}

/// What [`topic_truth`] found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TopicTruth {
    /// Counts of each topic partition.
    pub partitions: BTreeMap<i32, PartitionTruth>,
    /// Rejected messages of the window by reason; `malformed` is what isn't JSON.
    pub rejects: BTreeMap<String, u64>,
    /// What the table must hold.
    pub table: TableTruth,
}

/// What one topic partition holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PartitionTruth {
    /// Messages that were read, in the window or not.
    pub messages: u64,
    /// Messages whose timestamp is in the window.
    pub in_window: u64,
    /// Messages that become rows.
    pub rows: u64,
    /// Tombstones in the window, rows or not.
    pub tombstones: u64,
    /// Messages in the window that can't become rows.
    pub rejected: u64,
    /// Messages without a timestamp; they are in no window.
    pub without_timestamp: u64,
    /// Log start offset.
    pub low: i64,
    /// High watermark.
    pub high: i64,
}

/// The content of a table, whatever the order of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TableTruth {
    /// The number of rows.
    pub rows: u64,
    /// Checksum over whole rows.
    pub row_checksum: String,
    /// Checksums by lower-case column name: where the one above differs, these say which column to look at.
    pub columns: BTreeMap<String, ColumnTruth>,
}

/// The content of a column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ColumnTruth {
    /// Checksum over the column's values.
    pub checksum: String,
    /// Rows in which the column is NULL.
    pub nulls: u64,
}

/// A table, or one of its table partitions.
#[derive(Debug, Clone)]
pub struct TableRequest<'a> {
    /// URL of the MaxCompute service, or of a server that speaks like it.
    pub endpoint: &'a str,
    /// The project.
    pub project: &'a str,
    /// Access id.
    pub access_id: &'a str,
    /// Access secret; reaches the judge through its environment.
    pub access_secret: &'a str,
    /// The table.
    pub table: &'a str,
    /// The table partition, for example `ds=20261123,hh=08`; none for a table without partition keys.
    pub partition: Option<&'a str>,
    /// The columns to read; all of them where there are none.
    pub columns: &'a [String],
    /// Who reads it.
    pub reader: Reader,
}

/// One of Alibaba's clients, and the form in which it asks for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// PyODPS, in Arrow form.
    PythonArrow,
    /// PyODPS, as records.
    PythonRecords,
    /// The Java SDK, in Arrow form.
    JavaArrow,
    /// The Java SDK, as records.
    JavaRecords,
}

impl Reader {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::PythonArrow,
        Self::PythonRecords,
        Self::JavaArrow,
        Self::JavaRecords,
    ];

    fn arguments(self, command: &mut Command) {
        let form = match self {
            Self::PythonArrow | Self::JavaArrow => "arrow",
            Self::PythonRecords | Self::JavaRecords => "record",
        };
        command.args(["--form", form]);
        if matches!(self, Self::JavaArrow | Self::JavaRecords) {
            command.arg("--java").arg(class_path("odps-java"));
        }
    }
}

/// Reads all of a topic and works out what its window must become.
///
/// # Panics
///
/// When the judge fails; its output is the message.
pub fn topic_truth(request: &TopicRequest<'_>) -> TopicTruth {
    let mut command = judge("truth.py");
    command
        .args([
            "--brokers",
            request.bootstrap,
            "--topic",
            request.topic,
            "--zone",
            request.zone,
        ])
        .arg("--mapping")
        .arg(request.mapping)
        .arg(format!("--start-ms={}", request.window.start))
        .arg(format!("--end-ms={}", request.window.end))
        .args([
            "--tombstones",
            if request.keep_tombstones {
                "keep"
            } else {
                "skip"
            },
        ]);
    verdict(command)
}

/// Reads all of a table, or of a table partition.
///
/// # Panics
///
/// When the judge fails; its output is the message.
pub fn table_truth(request: &TableRequest<'_>) -> TableTruth {
    #[derive(Deserialize)]
    struct Report {
        table: TableTruth,
    }

    let mut command = judge("table_truth.py");
    command
        .args(["--endpoint", request.endpoint, "--project", request.project])
        .args([
            "--access-id",
            request.access_id,
            "--secret-from-env",
            "ACCESS_SECRET",
        ])
        .args(["--table", request.table])
        .env("ACCESS_SECRET", request.access_secret);
    request.reader.arguments(&mut command);
    if !request.columns.is_empty() {
        command.args(["--columns", &request.columns.join(",")]);
    }
    if let Some(partition) = request.partition {
        command.args(["--partition", partition]);
    }
    verdict::<Report>(command).table
}

fn judge(script: &str) -> Command {
    let mut command = Command::new(cached("venv").join("bin/python"));
    command.arg(root().join("tests/sdk").join(script));
    // No byte code in the source folder.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn verdict<T: DeserializeOwned>(mut command: Command) -> T {
    let output = command.output().expect("the judges' Python starts");
    if !output.status.success() {
        // The arguments alone: the environment holds a secret.
        let arguments: Vec<_> = command.get_args().collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        panic!("{arguments:?} ended with {}: {errors}", output.status);
    }
    serde_json::from_slice(&output.stdout).expect("a judge prints one report as JSON")
}
