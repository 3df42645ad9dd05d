//! A few rows as the table would get them.

mod clocks;

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use engine_decode::Decoder;
use engine_load::ports::MessageSource as _;
use engine_load::{Error, ErrorKind};
use engine_model::Column;
use engine_model::Verdict;
use engine_model::job::{Job, Tombstones};
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::adapters::kafka::KafkaTopics;
use crate::adapters::tunnel::MaxComputeTable;
use crate::load::window_start;

/// Messages that are looked at for each row that is wanted, at most: the window's messages may lie apart.
const MESSAGES_PER_ROW: usize = 20;

/// Rows of the window, in the order of the topic partitions.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Preview {
    /// The table's columns.
    pub columns: Vec<String>,
    /// The rows as text; nothing for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// The zone whose clocks show DATETIME and TIMESTAMP so, the job's; nothing where no column has either in it.
    pub time_zone: Option<String>,
    /// What could not become a row, in words.
    pub rejected: Vec<String>,
}

pub(crate) fn preview(
    job: &Job,
    source: &KafkaTopics,
    target: &MaxComputeTable,
    rows: usize,
) -> Result<Preview, Error> {
    let (prepared, plan) = window_start(job, source, target)?;
    let mut decoder = Decoder::new(std::sync::Arc::clone(prepared.projection()));
    let columns = &prepared.columns.columns;
    let mut instants = columns.iter().map(|column| &column.column_type);
    let mut shown = Preview {
        columns: columns.iter().map(|column| column.name.clone()).collect(),
        time_zone: instants
            .any(clocks::has_instants)
            .then(|| job.identity().time_zone),
        ..Preview::default()
    };
    let ranges = plan.partitions.iter().flat_map(|partition| {
        let ranges = partition.ranges.iter();
        ranges.map(|range| (&partition.topic_partition, *range))
    });
    for (topic_partition, range) in ranges {
        let wanted = rows.saturating_sub(decoder.rows() + shown.rejected.len());
        if wanted == 0 {
            break;
        }
        let messages = wanted.saturating_mul(MESSAGES_PER_ROW);
        let block = source.peek(topic_partition, range, messages)?;
        let in_window = block.iter().filter(|message| {
            let kept = message.payload.is_some() || job.tombstones == Tombstones::Keep;
            kept && job.window.verdict(message.timestamp_ms) == Verdict::Inside
        });
        for message in in_window.take(wanted) {
            if let Err(rejection) = decoder.decode(&message, topic_partition) {
                shown.rejected.push(format!(
                    "offset {} of {topic_partition}: {rejection}",
                    message.offset
                ));
            }
        }
    }
    shown.rows = texts(&decoder.flush(), columns, &job.time_zone)?;
    Ok(shown)
}

/// Every cell as text, with instants as clocks in `zone` show them.
fn texts(
    batch: &RecordBatch,
    columns: &[Column],
    zone: &TimeZone,
) -> Result<Vec<Vec<Option<String>>>, Error> {
    let failed = |error: arrow::error::ArrowError| {
        Error::with_source(
            ErrorKind::Internal,
            format!("a row can't be shown: {error}"),
            error,
        )
    };
    let options = FormatOptions::default();
    let typed = batch.columns().iter().zip(columns);
    let local: Vec<_> = typed
        .map(|(cells, column)| clocks::in_zone(cells, &column.column_type, zone).map_err(failed))
        .collect::<Result<_, _>>()?;
    let columns: Vec<_> = local
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options).map_err(failed))
        .collect::<Result<_, _>>()?;
    let cell = |row: usize| {
        columns.iter().zip(&local).map(move |(formatter, column)| {
            column
                .is_valid(row)
                .then(|| formatter.value(row).try_to_string())
                .transpose()
        })
    };
    (0..batch.num_rows())
        .map(|row| cell(row).collect::<Result<_, _>>().map_err(failed))
        .collect()
}
