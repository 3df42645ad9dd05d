//! Before anything is touched: the job against the table, the topic and the clock.

use std::sync::Arc;

use engine_decode::{Projection, ProjectionSpec};
use engine_model::job::{Job, Lateness, WriteMode};
use engine_model::{
    LoadPlan, PartitionSpec, PlannedPartition, PlannedWindow, TableColumns, TopicPartition, Window,
};
use serde::Serialize;

use crate::commit::target_key;
use crate::plan::{Reach, plan_partition, plan_slices};
use crate::ports::{Clock, MessageSource, PartitionOffsets, TargetTable, TopicDescription};
use crate::timestamps::check_timestamps;
use crate::{Error, ErrorKind};

/// A job that fits its table and its topic.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// How messages become rows.
    pub projection: Arc<Projection>,
    /// The table's columns.
    pub columns: TableColumns,
    /// The topic.
    pub topic: TopicDescription,
    /// The windows to load; one, for a single run.
    pub windows: Vec<PlannedWindow>,
}

/// Everything that decides which rows a run loads. Two runs with the same text load the same rows.
#[derive(Serialize)]
struct Fingerprint<'a, I: Serialize> {
    job: I,
    cluster_id: &'a Option<String>,
    topic_id: &'a Option<String>,
    columns: &'a TableColumns,
}

impl Prepared {
    /// Compares the job with the table and the topic.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] names everything that doesn't fit; the ports' own errors where they can't be asked.
    pub fn new(
        job: &Job,
        source: &dyn MessageSource,
        target: &dyn TargetTable,
    ) -> Result<Self, Error> {
        let columns = target.columns()?;
        let topic = source.describe()?;
        let projection = compile(job, &columns, target)?;
        let partition = partition_in_table_order(&job.destination.partition, &columns, target)?;
        let windows = vec![PlannedWindow {
            window: job.window,
            partition,
        }];
        Ok(Self {
            projection: Arc::new(projection),
            columns,
            topic,
            windows,
        })
    }

    /// The text that a run is recognised by when it goes on after a crash.
    pub(crate) fn fingerprint(&self, job: &Job) -> Result<String, Error> {
        let fingerprint = Fingerprint {
            job: job.identity(),
            cluster_id: &self.topic.cluster_id,
            topic_id: &self.topic.topic_id,
            columns: &self.columns,
        };
        serde_json::to_string(&fingerprint).map_err(|error| {
            Error::with_source(
                ErrorKind::Internal,
                "the fingerprint can't be written",
                error,
            )
        })
    }

    /// Makes the plan as of `now_ms`, in ms since the epoch. Touches nothing.
    pub fn plan(
        &self,
        job: &Job,
        source: &dyn MessageSource,
        now_ms: i64,
        lanes: usize,
    ) -> Result<LoadPlan, Error> {
        let reach = match job.lateness {
            Lateness::Exact => Reach::Exact,
            Lateness::None => Reach::LookUp,
        };
        let found = source.offsets(&self.topic.partitions, job.window)?;
        check_timestamps(&self.topic.partitions, &found, source)?;
        let partitions: Vec<_> = self
            .topic
            .partitions
            .iter()
            .cloned()
            .zip(found)
            .map(|(topic_partition, offsets)| plan_partition(topic_partition, offsets, reach))
            .collect();
        let mean = sample(source, &partitions)?;
        plan_slices(self.windows.clone(), partitions, now_ms, mean, lanes)
    }
}

/// Refuses a window whose end is still to come, unless the caller allows it; to append one is refused in any case, for the
/// rest of it could never be loaded.
pub(crate) fn check_window_is_over(
    job: &Job,
    clock: &dyn Clock,
    allowed: bool,
) -> Result<(), Error> {
    let now = clock.now();
    if job.window.end_ms <= now.as_millisecond() {
        return Ok(());
    }
    if allowed && job.destination.write == WriteMode::Replace {
        return Ok(());
    }
    if allowed {
        let message = format!(
            "the window {} ends in the future (it is {now:.0}): appending what is there would leave no way to load the \
             rest; run it later, or with `write: replace`",
            job.window,
        );
        return Err(Error::new(ErrorKind::Job, message));
    }
    let message = format!(
        "the window {} ends in the future (it is {now:.0}), so messages of it may still come; run it later, or pass \
         --allow-open-window to load what is there",
        job.window,
    );
    Err(Error::new(ErrorKind::Job, message))
}

/// Fails where the topic is not the one that `plan` was made for: the rest of the slices would be read from other messages
/// than those that are staged.
pub(crate) fn check_same_topic(
    plan: &LoadPlan,
    window: Window,
    source: &dyn MessageSource,
) -> Result<(), Error> {
    let partitions: Vec<_> = plan
        .partitions
        .iter()
        .map(|partition| partition.topic_partition.clone())
        .collect();
    let found = source.offsets(&partitions, window)?;
    let changed = plan
        .partitions
        .iter()
        .zip(found)
        .find(|(planned, now)| has_changed(planned, now));
    let Some((planned, now)) = changed else {
        return Ok(());
    };
    let message = format!(
        "{} is not what it was when the run was planned: its log now is [{}, {}), and {} was to be read; if the topic \
         was made anew or messages of the window are gone, pass --replan to begin from what is there now",
        planned.topic_partition, now.log_start, now.high_watermark, planned.range,
    );
    Err(Error::new(ErrorKind::Source, message))
}

/// Whether a topic partition can't be the one that was planned.
fn has_changed(planned: &PlannedPartition, now: &PartitionOffsets) -> bool {
    let moved = |planned: Option<i64>, now: Option<i64>, kept_from: i64| {
        planned.is_some_and(|offset| offset >= kept_from && now != Some(offset))
    };
    now.high_watermark < planned.range.end
        || moved(planned.start_offset, now.start, now.log_start)
        || moved(planned.end_offset, now.end, now.log_start)
}

fn compile(
    job: &Job,
    columns: &TableColumns,
    target: &dyn TargetTable,
) -> Result<Projection, Error> {
    Projection::compile(&ProjectionSpec {
        mappings: &job.columns,
        table: columns,
        format: &job.source.format,
        validation: job.validation,
        empty_as_null: job.empty_as_null,
        zone: &job.time_zone,
    })
    .map_err(|errors| {
        let list: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let message = format!(
            "the job's columns don't fit {}: {}",
            target.name(),
            list.join("; ")
        );
        Error::new(ErrorKind::Job, message)
    })
}

/// The job's partition values in the table's order of levels.
fn partition_in_table_order(
    written: &PartitionSpec,
    columns: &TableColumns,
    target: &dyn TargetTable,
) -> Result<PartitionSpec, Error> {
    let keys: Vec<_> = columns
        .partition_keys
        .iter()
        .map(|key| key.name.as_str())
        .collect();
    let value_of = |key: &str| {
        written
            .0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
    };
    let unknown: Vec<_> = written
        .0
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| !keys.iter().any(|key| key.eq_ignore_ascii_case(name)))
        .collect();
    let missing: Vec<_> = keys
        .iter()
        .copied()
        .filter(|key| value_of(key).is_none())
        .collect();
    if unknown.is_empty() && missing.is_empty() {
        let levels = keys
            .iter()
            .filter_map(|key| value_of(key).map(|(_, value)| ((*key).to_owned(), value.clone())));
        return Ok(PartitionSpec(levels.collect()));
    }
    let has = match keys.as_slice() {
        [] => "has no partition keys".to_owned(),
        [key] => format!("has the partition key `{key}`"),
        keys => format!("has the partition keys `{}`", keys.join("`, `")),
    };
    let mut found = Vec::new();
    if !unknown.is_empty() {
        found.push(format!("names `{}`, which it lacks", unknown.join("`, `")));
    }
    if !missing.is_empty() {
        found.push(format!("leaves out `{}`", missing.join("`, `")));
    }
    let message = format!(
        "{} {has}, and `destination.maxcompute.partition` {}; give every level of the table and no other",
        target.name(),
        found.join(" and "),
    );
    Err(Error::new(ErrorKind::Job, message))
}

/// Mean message size over the topic partitions that have something to read, weighted by their lengths.
fn sample(
    source: &dyn MessageSource,
    partitions: &[PlannedPartition],
) -> Result<Option<u64>, Error> {
    /// Topic partitions that are sampled: a few are as good as all for an estimate.
    const SAMPLED_MAX: usize = 8;
    let mut longest: Vec<_> = partitions
        .iter()
        .filter(|partition| !partition.range.is_empty())
        .collect();
    longest.sort_by_key(|partition| std::cmp::Reverse(partition.range.len()));
    let (mut bytes, mut offsets) = (0_u128, 0_u128);
    for partition in longest.into_iter().take(SAMPLED_MAX) {
        let PlannedPartition {
            topic_partition,
            range,
            ..
        } = partition;
        if let Some(mean) = source.sample(topic_partition, *range)? {
            bytes += u128::from(mean) * u128::from(range.len());
            offsets += u128::from(range.len());
        }
    }
    Ok(bytes
        .checked_div(offsets)
        .and_then(|mean| u64::try_from(mean).ok()))
}

/// What a person should know about a plan before it runs.
pub fn plan_notes(plan: &LoadPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.is_open() {
        notes.push(
            "the window was not over when this was planned: messages of it that come later are not loaded; run it again \
             when it is over"
                .to_owned(),
        );
    }
    let name = |partitions: Vec<&TopicPartition>| {
        partitions
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let open: Vec<_> = plan
        .partitions
        .iter()
        .filter(|partition| !partition.closed)
        .collect();
    if !open.is_empty() {
        notes.push(format!(
            "no message at or after the window's end was seen yet in {}: if producers are late, messages of the window \
             may still come there",
            name(open.iter().map(|partition| &partition.topic_partition).collect()),
        ));
    }
    let gaps: Vec<_> = plan
        .partitions
        .iter()
        .filter(|partition| partition.retention_gap)
        .collect();
    if !gaps.is_empty() {
        notes.push(format!(
            "the log of {} no longer reaches back to the window's start: messages of the window may have been deleted \
             by retention",
            name(gaps.iter().map(|partition| &partition.topic_partition).collect()),
        ));
    }
    notes
}

/// Fails where retention may have cut the window and the load would replace rows that exist.
pub(crate) fn check_retention(
    job: &Job,
    plan: &LoadPlan,
    target: &dyn TargetTable,
) -> Result<(), Error> {
    let gap = plan
        .partitions
        .iter()
        .find(|partition| partition.retention_gap);
    let Some(gap) = gap else { return Ok(()) };
    let fatal = match job.on_retention_gap {
        engine_model::job::OnRetentionGap::Warn => false,
        engine_model::job::OnRetentionGap::Fail => true,
        engine_model::job::OnRetentionGap::Auto => {
            job.destination.write == WriteMode::Replace && holds_rows(plan, target)?
        }
    };
    if !fatal {
        return Ok(());
    }
    let message = format!(
        "the log of {} now begins at offset {}, within the window: part of the window may have been deleted by \
         retention, and rows of it may be in {} that would be lost; set `on_retention_gap: warn` to load what is left",
        gap.topic_partition,
        gap.log_start,
        plan.windows
            .first()
            .map_or_else(|| target.name(), |window| target_key(target, window)),
    );
    Err(Error::new(ErrorKind::Source, message))
}

fn holds_rows(plan: &LoadPlan, target: &dyn TargetTable) -> Result<bool, Error> {
    for window in &plan.windows {
        if target.row_count(&window.partition)?.unwrap_or(0) > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}
