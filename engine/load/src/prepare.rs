//! Before anything is touched: the job against the table, the topic and the clock.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine_decode::{Projection, ProjectionSpec};
use engine_model::job::{Job, JobIdentity, OnRetentionGap, WriteMode};
use engine_model::{LoadPlan, PartitionSpec, PlannedPartition, PlannedWindow, TableColumns};
use serde::Serialize;
use twox_hash::XxHash3_128;

use crate::commit::target_key;
use crate::journal::{Journal, LastRead};
use crate::plan::{WindowOrder, plan_slices};
use crate::ports::{Clock, MessageSource, TargetTable, TopicDescription};
use crate::resolve::resolve;
use crate::{Error, ErrorKind};

/// Jobs that fit their table and their topic.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// How messages become rows, for each window.
    pub projections: Vec<Arc<Projection>>,
    /// The table's columns.
    pub columns: TableColumns,
    /// The topic.
    pub topic: TopicDescription,
    /// The windows to load, in time order; one, for a single run.
    pub windows: Vec<PlannedWindow>,
    /// What each window's rows are made by.
    identities: Vec<JobIdentity>,
}

/// Everything that decides which rows a run loads. Two runs with the same text load the same rows.
#[derive(Serialize)]
struct Fingerprint<'a> {
    jobs: Vec<&'a JobIdentity>,
    cluster_id: &'a Option<String>,
    topic_id: &'a Option<String>,
    columns: &'a TableColumns,
}

impl Prepared {
    /// Compares jobs with the table and the topic. The jobs must differ in windows, table partitions and constants alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] names everything that doesn't fit; the ports' own errors where they can't be asked.
    pub fn new(
        jobs: &[Job],
        source: &dyn MessageSource,
        target: &dyn TargetTable,
    ) -> Result<Self, Error> {
        let mut jobs: Vec<&Job> = jobs.iter().collect();
        jobs.sort_by_key(|job| job.window.start_ms);
        check_together(&jobs)?;
        let columns = target.columns()?;
        let topic = source.describe()?;
        let mut projections = Vec::with_capacity(jobs.len());
        let mut windows: Vec<PlannedWindow> = Vec::with_capacity(jobs.len());
        for job in &jobs {
            projections.push(Arc::new(compile(job, &columns, target)?));
            let written = &job.destination.partition;
            windows.push(PlannedWindow {
                window: job.window,
                partition: partition_in_table_order(written, &columns, target)?,
            });
        }
        check_targets(
            &windows,
            jobs.first().map(|job| job.destination.write),
            target,
        )?;
        Ok(Self {
            projections,
            columns,
            topic,
            windows,
            identities: jobs.iter().map(|job| job.identity()).collect(),
        })
    }

    /// How messages become rows of the first window.
    pub fn projection(&self) -> &Arc<Projection> {
        &self.projections[0]
    }

    /// What a run is recognised by when it goes on after a crash: a digest of all that says what is loaded, in hexadecimal.
    pub(crate) fn fingerprint(&self) -> Result<String, Error> {
        let all: Vec<_> = (0..self.identities.len()).collect();
        self.fingerprint_of(&all)
    }

    /// That of a run of the windows at these places alone.
    pub(crate) fn fingerprint_of(&self, windows: &[usize]) -> Result<String, Error> {
        let jobs = windows.iter();
        let fingerprint = Fingerprint {
            jobs: jobs
                .filter_map(|window| self.identities.get(*window))
                .collect(),
            cluster_id: &self.topic.cluster_id,
            topic_id: &self.topic.topic_id,
            columns: &self.columns,
        };
        let text = serde_json::to_string(&fingerprint).map_err(|error| {
            Error::with_source(
                ErrorKind::Internal,
                "the fingerprint can't be written",
                error,
            )
        })?;
        Ok(format!("{:032x}", XxHash3_128::oneshot(text.as_bytes())))
    }

    /// Makes the plan as of `now_ms`, in ms since the epoch. Touches nothing.
    pub fn plan(
        &self,
        job: &Job,
        source: &dyn MessageSource,
        now_ms: i64,
        lanes: usize,
        order: WindowOrder,
    ) -> Result<LoadPlan, Error> {
        let partitions = resolve(job, source, &self.topic.partitions, &self.windows)?;
        let mean = sample(source, &partitions)?;
        let room = (lanes, job.limits.disk_bytes);
        let plan = plan_slices(self.windows.clone(), partitions, now_ms, mean, room, order)?;
        Ok(LoadPlan {
            bounds: job.offsets.clone(),
            ..plan
        })
    }
}

/// Fails where jobs in time order can't be loaded by one pass over a topic.
fn check_together(jobs: &[&Job]) -> Result<(), Error> {
    for pair in jobs.windows(2) {
        let [one, next] = pair else { continue };
        if one.window == next.window {
            let message = format!(
                "two scheduled times have the same window {}, so they are too close; with as much between them as the window \
                 is long each has its own",
                one.window
            );
            return Err(Error::new(ErrorKind::Job, message));
        }
        if one.window.overlaps(next.window) {
            let message = format!(
                "the windows {} and {} overlap, and a message goes to one of them; load them one by one",
                one.window, next.window
            );
            return Err(Error::new(ErrorKind::Job, message));
        }
        let (one, next) = (one.identity(), next.identity());
        let differs = if one.topics != next.topics || one.partitions != next.partitions {
            "topics"
        } else if one.table != next.table {
            "tables"
        } else if one.alike() != next.alike() {
            "settings"
        } else {
            continue;
        };
        let message = format!(
            "the windows have different {differs}, and one pass reads the same topics into the same table; load them one by \
             one"
        );
        return Err(Error::new(ErrorKind::Job, message));
    }
    Ok(())
}

/// Fails where two windows would replace the same target.
fn check_targets(
    windows: &[PlannedWindow],
    write: Option<WriteMode>,
    target: &dyn TargetTable,
) -> Result<(), Error> {
    let mut seen = BTreeMap::new();
    for planned in windows {
        let key = target_key(target, planned);
        if let Some(other) = seen.insert(key.clone(), planned.window)
            && write != Some(WriteMode::Append)
        {
            let message = format!(
                "the windows {other} and {} would both replace {key}, and one would take the other's rows away; give each a \
                 table partition of its own, or append",
                planned.window
            );
            return Err(Error::new(ErrorKind::Job, message));
        }
    }
    Ok(())
}

/// Refuses a window whose end is still to come, unless the caller allows it; to append one is refused in any case, for the
/// rest of it could never be loaded.
pub(crate) fn check_window_is_over(
    job: &Job,
    clock: &dyn Clock,
    allowed: bool,
) -> Result<(), Error> {
    let now = clock.now();
    if !job.window.ends_after(now.as_millisecond()) {
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
        .filter_map(|partition| {
            let range = partition.ranges.iter().max_by_key(|range| range.len())?;
            Some((&partition.topic_partition, *range))
        })
        .collect();
    longest.sort_by_key(|(_, range)| std::cmp::Reverse(range.len()));
    let (mut bytes, mut offsets) = (0_u128, 0_u128);
    for (topic_partition, range) in longest.into_iter().take(SAMPLED_MAX) {
        if let Some(mean) = source.sample(topic_partition, range)? {
            bytes += u128::from(mean) * u128::from(range.len());
            offsets += u128::from(range.len());
        }
    }
    Ok(bytes
        .checked_div(offsets)
        .and_then(|mean| u64::try_from(mean).ok()))
}

/// Why messages of a window may have been there that are not there now; nothing where all that were are. `last` is what was read
/// when it was loaded last.
fn what_is_gone(
    plan: &LoadPlan,
    number: usize,
    topic: &TopicDescription,
    last: Option<&LastRead>,
) -> Option<String> {
    let window = plan.windows.get(number)?.window;
    if let Some(last) = last.filter(|last| last.is_of_another_topic(topic)) {
        return Some(format!(
            "the topic was deleted and made anew since run {} loaded the window {window} from it",
            last.run,
        ));
    }
    let has_gap = |partition: &&PlannedPartition| {
        let reach = partition.reaches.get(number);
        reach.is_some_and(|reach| reach.retention_gap)
            || last.is_some_and(|last| last.read_before(partition))
    };
    let gap = plan.partitions.iter().find(has_gap)?;
    Some(format!(
        "the log of {} now begins at offset {}, within the window {window}: part of the window may have been deleted by \
         retention",
        gap.topic_partition, gap.log_start,
    ))
}

/// Fails where retention may have cut a window and the load would replace rows that exist. The run that loaded a window last, if
/// the journal knows one, may have read what isn't kept any more.
pub(crate) fn check_retention(
    job: &Job,
    plan: &LoadPlan,
    topic: &TopicDescription,
    target: &dyn TargetTable,
    journal: Option<&Journal>,
) -> Result<(), Error> {
    for (number, planned) in plan.windows.iter().enumerate() {
        let key = target_key(target, planned);
        let last = journal.map(|journal| journal.last_read(&key, planned.window));
        let last = last.transpose()?.flatten();
        let Some(gone) = what_is_gone(plan, number, topic, last.as_ref()) else {
            continue;
        };
        let fatal = match job.on_retention_gap {
            OnRetentionGap::Warn => false,
            OnRetentionGap::Fail => true,
            OnRetentionGap::Auto => {
                job.destination.write == WriteMode::Replace
                    && target.row_count(&planned.partition)?.unwrap_or(0) > 0
            }
        };
        if fatal {
            let message = format!(
                "{gone}, and rows of it may be in {key} that would be lost; set `on_retention_gap: warn` to load what is \
                 left"
            );
            return Err(Error::new(ErrorKind::Job, message));
        }
    }
    Ok(())
}
