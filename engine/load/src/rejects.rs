//! The rejected messages that runs kept, to be looked at afterwards.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use engine_model::TopicPartition;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::ports::Staging;
use crate::stage::{holds_rejects, run_of_staged_file};
use crate::{Error, ErrorKind};

/// A rejected message, as a run kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Where it was.
    pub topic_partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, in ms since the epoch.
    pub timestamp_ms: i64,
    /// The reason's stable name, such as `wrong_type`.
    pub reason: String,
    /// The reason in words, with the column and what was found.
    pub detail: String,
    /// The message's own key.
    pub key: Option<Vec<u8>>,
    /// The message's own payload.
    pub payload: Option<Vec<u8>>,
    /// Its headers in order.
    pub headers: Vec<RejectHeader>,
}

/// The key of a header, and its value where it has one.
pub type RejectHeader = (Vec<u8>, Option<Vec<u8>>);

/// The names of the files of rejected messages, by the run that kept them, in the order of its slices.
///
/// # Errors
///
/// [`ErrorKind::Staging`] where the folder can't be read.
pub fn reject_files(staging: &dyn Staging) -> Result<BTreeMap<i64, Vec<String>>, Error> {
    let mut names = staging.list().map_err(|error| {
        Error::staging("looking for rejected messages", &staging.location(), error)
    })?;
    names.sort_unstable();
    let mut runs: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for name in names.into_iter().filter(|name| holds_rejects(name)) {
        if let Some(run) = run_of_staged_file(&name) {
            runs.entry(run).or_default().push(name);
        }
    }
    Ok(runs)
}

/// Hands the messages of a file on, in the order in which they were read from the topic, up to the first error.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] where the file is not what was written, and whatever `take` returns.
pub fn read_rejects(
    staging: &dyn Staging,
    name: &str,
    mut take: impl FnMut(Reject) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = staging
        .open(name)
        .map_err(|error| Error::staging(&format!("reading {name}"), &staging.location(), error))?;
    let batches = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| corrupt(staging, name, &error))?;
    for batch in batches {
        let batch = batch.map_err(|error| corrupt(staging, name, &error))?;
        for row in 0..batch.num_rows() {
            let reject = reject(&batch, row);
            take(reject.ok_or_else(|| corrupt(staging, name, &"it has other columns"))?)?;
        }
    }
    Ok(())
}

fn reject(batch: &RecordBatch, row: usize) -> Option<Reject> {
    let column = |name| batch.column_by_name(name);
    let text = |name| Some(column(name)?.as_string_opt::<i32>()?.value(row).to_owned());
    let integer = |name| Some(column(name)?.as_primitive_opt::<Int64Type>()?.value(row));
    let bytes = |name| {
        let bytes = column(name)?.as_binary_opt::<i32>()?;
        Some(bytes.is_valid(row).then(|| bytes.value(row).to_vec()))
    };
    let partition = column("partition")?
        .as_primitive_opt::<Int32Type>()?
        .value(row);
    Some(Reject {
        topic_partition: TopicPartition::new(text("topic")?.as_str(), partition),
        offset: integer("offset")?,
        timestamp_ms: integer("timestamp_ms")?,
        reason: text("reason")?,
        detail: text("detail")?,
        key: bytes("key")?,
        payload: bytes("payload")?,
        headers: headers(column("headers")?, row)?,
    })
}

fn headers(column: &dyn Array, row: usize) -> Option<Vec<RejectHeader>> {
    let headers = column.as_list_opt::<i32>()?.value(row);
    let headers = headers.as_struct_opt()?;
    let column = |name| headers.column_by_name(name)?.as_binary_opt::<i32>();
    let pairs = column("key")?.iter().zip(column("value")?);
    pairs
        .map(|(key, value)| Some((key?.to_vec(), value.map(<[u8]>::to_vec))))
        .collect()
}

fn corrupt(staging: &dyn Staging, name: &str, problem: &dyn std::fmt::Display) -> Error {
    let message = format!(
        "{name} in the staging folder {} is not what was written: {problem}",
        staging.location()
    );
    Error::new(ErrorKind::Corrupt, message)
}
