//! The position of a consumer group, for lag monitors.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use engine_model::TopicPartition;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use crate::call::call;
use crate::client::partition_list;
use crate::error::{Error, ErrorKind, Result, kind_of};
use crate::members::readable;
use crate::settings::Settings;
use crate::watch::Watch;

/// What setting a group's position did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupPosition {
    /// Topic partitions whose group offset was set, with the offset.
    pub moved: BTreeMap<TopicPartition, i64>,
    /// Topic partitions whose group offset was there already or further on, and stays, with that offset.
    pub kept: BTreeMap<TopicPartition, i64>,
}

/// The offsets of `group` in the order of `partitions`; nothing where it has none.
///
/// # Errors
///
/// [`ErrorKind::Authorization`] where the log-in may not use the group, and those of every call.
pub fn group_offsets(
    settings: &Settings,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<i64>>> {
    let consumer = group_consumer(settings, group)?;
    let committed = committed(&consumer, settings, group, partitions)?;
    let offset = |partition| committed.get(partition).map(|set| set.offset);
    Ok(partitions.iter().map(offset).collect())
}

/// Who set the offset of `group` in each of these topic partitions that has one: what they left of themselves, which most leave
/// empty.
///
/// # Errors
///
/// Those of [`group_offsets`].
pub fn group_setters(
    settings: &Settings,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, String>> {
    let consumer = group_consumer(settings, group)?;
    let committed = committed(&consumer, settings, group, partitions)?;
    let setters = committed.into_iter();
    Ok(setters
        .map(|(partition, set)| (partition, set.setter))
        .collect())
}

/// Sets the offsets of `group` to `offsets`, the first of each topic partition that is not loaded, but never back: where
/// the group is further on it stays. Waits for the broker's answer. `setter` is kept beside them, for [`group_setters`].
///
/// A load that succeeded has its rows in the table whether or not this fails; what a failure means is the caller's to say.
///
/// # Errors
///
/// [`ErrorKind::Authorization`] where the log-in may not use the group; [`ErrorKind::Other`] where the group has
/// members, which then own its offsets; and those of every call.
pub fn set_group_position(
    settings: &Settings,
    group: &str,
    offsets: &BTreeMap<TopicPartition, i64>,
    setter: &str,
) -> Result<GroupPosition> {
    let mut position = GroupPosition::default();
    if offsets.is_empty() {
        return Ok(position);
    }
    if group.is_empty() {
        let message = "the consumer group's name is empty; name one or leave `group` out";
        return Err(Error::new(ErrorKind::InvalidOption, message));
    }
    let brokers = settings.broker_list();
    let consumer = group_consumer(settings, group)?;
    let partitions: Vec<_> = offsets.keys().cloned().collect();
    let committed = committed(&consumer, settings, group, &partitions)?;
    for (topic_partition, &offset) in offsets {
        match committed.get(topic_partition) {
            Some(ahead) if ahead.offset >= offset => {
                position.kept.insert(topic_partition.clone(), ahead.offset);
            }
            _ => {
                position.moved.insert(topic_partition.clone(), offset);
            }
        }
    }
    if position.moved.is_empty() {
        return Ok(position);
    }
    let moved = position.moved.iter();
    let list = partition_list(moved.map(|(one, offset)| (one, Offset::Offset(*offset))))?;
    for topic_partition in position.moved.keys() {
        let found = list.find_partition(&topic_partition.topic, topic_partition.partition);
        if let Some(mut element) = found {
            element.set_metadata(setter);
        }
    }
    consumer.commit(&list, CommitMode::Sync).map_err(|error| {
        if error.rdkafka_error_code() == Some(Code::GroupAuthorizationFailed) {
            return group_refused(settings, group);
        }
        let kind = error.rdkafka_error_code().map_or(ErrorKind::Other, kind_of);
        let message = format!(
            "the offsets of group {group:?} were not set on kafka brokers {brokers}: {error}; what was loaded does not \
             depend on them, but a group with members or without permission can't be used for lag monitoring"
        );
        Error::new(kind, message)
    })?;
    Ok(position)
}

pub(crate) fn group_consumer(settings: &Settings, group: &str) -> Result<BaseConsumer<Watch>> {
    settings
        .for_group(group)
        .create_with_context(Watch::new(settings))
        .map_err(|error| settings.refused(&error))
}

/// Makes a call about `group`, and ends it at once where the log-in may not use the group.
pub(crate) fn group_call<T>(
    consumer: &BaseConsumer<Watch>,
    settings: &Settings,
    group: &str,
    what: &str,
    mut attempt: impl FnMut(&BaseConsumer<Watch>, Duration) -> KafkaResult<T>,
) -> Result<T> {
    const REFUSED: Code = Code::GroupAuthorizationFailed;
    let mut is_refused = false;
    let answer = call(consumer, settings, what, |wait| {
        // Who may not ask for the group's coordinator is told by an event, and the attempt only waits for it.
        let answer = match consumer.context().reason(REFUSED) {
            Some(_) => Err(KafkaError::OffsetFetch(REFUSED)),
            None => attempt(consumer, wait),
        };
        if let Err(error) = &answer {
            is_refused = error.rdkafka_error_code() == Some(REFUSED);
        }
        answer
    });
    answer.map_err(|error| {
        if is_refused {
            group_refused(settings, group)
        } else {
            error
        }
    })
}

fn group_refused(settings: &Settings, group: &str) -> Error {
    let message = format!(
        "the log-in may not use group {group:?} on kafka brokers {}; ask for the permission to describe and read the group",
        settings.broker_list()
    );
    Error::new(ErrorKind::Authorization, message)
}

/// An offset that a group has.
struct Committed {
    offset: i64,
    setter: String,
}

/// The offsets that the group has.
fn committed(
    consumer: &BaseConsumer<Watch>,
    settings: &Settings,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Committed>> {
    let wanted = partition_list(partitions.iter().map(|one| (one, Offset::Invalid)))?;
    let what = format!("reading the offsets of group {group:?}");
    let found = group_call(consumer, settings, group, &what, |consumer, wait| {
        consumer.committed_offsets(wanted.clone(), wait)
    })?;
    let mut committed = BTreeMap::new();
    for topic_partition in partitions {
        let (topic, partition) = (&*topic_partition.topic, topic_partition.partition);
        let Some(element) = found.find_partition(topic, partition) else {
            continue;
        };
        element.error().map_err(|error| {
            let message = format!("group {group:?}: the offset of {topic_partition}: {error}");
            let kind = error.rdkafka_error_code().map_or(ErrorKind::Other, kind_of);
            Error::new(kind, message).at(topic_partition, None)
        })?;
        if let Offset::Offset(offset) = element.offset() {
            let setter = readable(|| element.metadata());
            committed.insert(topic_partition.clone(), Committed { offset, setter });
        }
    }
    Ok(committed)
}
