//! What becomes of a topic while a run reads it: retention goes on, topic partitions are added, somebody makes it anew.

use std::collections::BTreeMap;

use engine_model::job::OnRetentionGap;
use engine_model::{LoadPlan, OffsetRange, SliceSpec, TopicPartition};

use crate::ports::{MessageSource, TopicDescription};
use crate::{Error, ErrorKind};

/// Fails where the topic is not the one that `plan` was made for: the rest of the slices would be read from other messages
/// than those that are staged.
///
/// Compaction takes messages away, and what a look-up finds moves forward with it; so in a compacted topic only what moved
/// backward counts.
pub(crate) fn check_same_topic(plan: &LoadPlan, source: &dyn MessageSource) -> Result<(), Error> {
    let partitions = partitions(plan);
    let logs = source.log_ends(&partitions)?;
    let look_up = |instant_ms: Option<i64>| match instant_ms {
        None | Some(i64::MIN | i64::MAX) => Ok(None),
        Some(instant_ms) => source.offsets_at(&partitions, instant_ms).map(Some),
    };
    let starts = look_up(plan.windows.first().map(|planned| planned.window.start_ms))?;
    let ends = look_up(plan.windows.last().map(|planned| planned.window.end_ms))?;
    let mut compacted = BTreeMap::new();
    for (index, (planned, log)) in plan.partitions.iter().zip(logs).enumerate() {
        let mut moved = |planned: Option<i64>, now: &Option<Vec<Option<i64>>>| {
            let (Some(offset), Some(now)) = (planned, now) else {
                return false;
            };
            let found = now.get(index).copied().flatten();
            let topic = &partitions[index].topic;
            // Asked for only where it decides: it costs a request.
            offset >= log.start
                && found != Some(offset)
                && (found.is_some_and(|found| found < offset)
                    || !*compacted
                        .entry(topic)
                        .or_insert_with(|| source.is_compacted(topic) == Some(true)))
        };
        let read_end = planned.ranges.last().map_or(0, |range| range.end);
        let changed = log.end < read_end
            || moved(
                planned.reaches.first().and_then(|reach| reach.start_offset),
                &starts,
            )
            || moved(
                planned.reaches.last().and_then(|reach| reach.end_offset),
                &ends,
            );
        if changed {
            let read = planned.ranges.iter().map(ToString::to_string);
            let message = format!(
                "{} is not what it was when the run was planned: its log now is {log}, and {} was to be read; if the topic \
                 was made anew or messages of the window are gone, pass --replan to begin from what is there now",
                planned.topic_partition,
                read.collect::<Vec<_>>().join(" and "),
            );
            return Err(Error::new(ErrorKind::Source, message));
        }
    }
    Ok(())
}

/// Fails where retention has deleted what slices are still to read, unless the job takes what is left.
pub(crate) fn check_still_kept(
    slices: &[SliceSpec],
    on_retention_gap: OnRetentionGap,
    source: &dyn MessageSource,
) -> Result<(), Error> {
    if on_retention_gap == OnRetentionGap::Warn {
        return Ok(());
    }
    let mut starts: BTreeMap<&TopicPartition, OffsetRange> = BTreeMap::new();
    for part in slices.iter().flat_map(|slice| &slice.ranges) {
        let first = starts.entry(&part.topic_partition).or_insert(part.range);
        if part.range.start < first.start {
            *first = part.range;
        }
    }
    let partitions: Vec<_> = starts.keys().copied().cloned().collect();
    let logs = source.log_ends(&partitions)?;
    for ((topic_partition, first), log) in starts.iter().zip(logs) {
        if first.start < log.start {
            let message = format!(
                "{topic_partition} is still to be read from offset {} on, and its log now starts at {}: retention has deleted \
                 messages of the run before they were read; set `on_retention_gap: warn` to go on with what is staged and \
                 what is left, or, where the targets hold no rows yet, pass --replan to plan what is left anew",
                first.start, log.start,
            );
            return Err(Error::new(ErrorKind::Source, message));
        }
    }
    Ok(())
}

/// Fails where the topic that `planned` describes was deleted and made anew while the run read it, for what is staged may be
/// of either. Topics without ids are compared by the offsets of the plan.
pub(crate) fn check_not_made_anew(
    planned: &TopicDescription,
    plan: &LoadPlan,
    source: &dyn MessageSource,
) -> Result<(), Error> {
    let now = source.describe()?;
    match (&planned.topic_id, &now.topic_id) {
        (Some(planned), Some(now)) if planned == now => Ok(()),
        (Some(planned), Some(now)) => {
            let message = format!(
                "the topic was deleted and made anew while it was read, for its id was {planned} and is {now}: what is \
                 staged may be of either, and is not committed; the same command loads the window from what is there now"
            );
            Err(Error::new(ErrorKind::Source, message))
        }
        _ => check_same_topic(plan, source),
    }
}

/// What a person should know about what became of the topic since `plan` was made.
pub(crate) fn changes(plan: &LoadPlan, source: &dyn MessageSource) -> Vec<String> {
    let notes = added(plan, source);
    notes.unwrap_or_else(|error| vec![format!("what became of the topic is not known: {error}")])
}

/// The topic partitions that are not in the plan.
fn added(plan: &LoadPlan, source: &dyn MessageSource) -> Result<Vec<String>, Error> {
    let planned = partitions(plan);
    let mut found = source.describe()?.partitions;
    found.retain(|partition| !planned.contains(partition));
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let start_ms = plan.windows.first().map(|planned| planned.window.start_ms);
    let firsts = match start_ms {
        None | Some(i64::MIN) => source
            .log_ends(&found)?
            .into_iter()
            .map(|log| !log.is_empty())
            .collect(),
        Some(start_ms) => {
            let firsts = source.offsets_at(&found, start_ms)?;
            firsts.iter().map(Option::is_some).collect::<Vec<bool>>()
        }
    };
    let (filled, empty): (Vec<_>, Vec<_>) = found.iter().zip(firsts).partition(|(_, holds)| *holds);
    let mut notes = Vec::new();
    for (which, what) in [
        (
            filled,
            "hold messages at or after the window's start, which are not loaded: run the window again",
        ),
        (empty, "hold nothing at or after the window's start yet"),
    ] {
        let names: Vec<_> = which.iter().map(|(name, _)| name.to_string()).collect();
        if !names.is_empty() {
            notes.push(format!(
                "{} came to the topic after this was planned, and {what}",
                names.join(", ")
            ));
        }
    }
    Ok(notes)
}

fn partitions(plan: &LoadPlan) -> Vec<TopicPartition> {
    let partitions = plan.partitions.iter();
    partitions
        .map(|partition| partition.topic_partition.clone())
        .collect()
}
