//! The position of the job's consumer group: how far a run came.

use std::collections::BTreeMap;

use engine_model::{LoadPlan, Reach, RunReport, SliceReport, TopicPartition};

use crate::ports::MessageSource;
use crate::{Error, ErrorKind};

/// The first offset of each topic partition that is left to later runs.
pub(crate) type Positions = Vec<(TopicPartition, i64)>;

/// Where the group is after a run with these reports of all slices. Messages behind the look-up of the windows' end are mostly of
/// later windows, and a group never goes back; so the position is there, or where the run left off reading before.
pub(crate) fn positions(plan: &LoadPlan, reports: &BTreeMap<u32, SliceReport>) -> Positions {
    let mut unread: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
    for range in reports.values().flat_map(|report| &report.ranges) {
        if range.counts.unread > 0 {
            let from = range.read_end();
            let first = unread.entry(&range.topic_partition).or_insert(from);
            *first = from.min(*first);
        }
    }
    let read = plan.partitions.iter().filter(|partition| {
        let number = partition.topic_partition.partition;
        !plan.bounds.leaves_out(number)
    });
    let position = read.filter_map(|partition| {
        let end = partition.reaches.iter().map(Reach::look_up_end).max()?;
        let unread = unread.get(&partition.topic_partition);
        let position = unread.map_or(end, |unread| end.min(*unread));
        Some((partition.topic_partition.clone(), position))
    });
    position.collect()
}

/// Tells the consumer group how far a run came whose windows are committed. Where that fails, the load is good all the same, and
/// the report says so.
///
/// # Errors
///
/// Where a bound of the windows is the group's position: the next run would load messages again.
pub(crate) fn set_position(
    plan: &LoadPlan,
    positions: &Positions,
    source: &dyn MessageSource,
    report: &mut RunReport,
) -> Result<(), Error> {
    let Err(error) = source.set_group_position(positions) else {
        return Ok(());
    };
    if !plan.bounds.has_group() {
        report.warnings.push(error.to_string());
        return Ok(());
    }
    let message = format!(
        "{error}; the next window begins there, so load none before the same command has set it"
    );
    Err(Error::with_source(ErrorKind::Source, message, error))
}
