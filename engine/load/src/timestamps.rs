//! Messages without a timestamp, which no look-up by time finds.

use engine_model::{OffsetRange, TopicPartition};

use crate::ports::{MessageSource, PartitionOffsets};
use crate::{Error, ErrorKind};

/// Fails where a log begins with messages without a timestamp and the window may reach back to them: the look-up would
/// pass them over in silence. Those behind the first message with a timestamp are found when they are read.
///
/// `found` belongs to `partitions` in the same order.
pub(crate) fn check_timestamps(
    partitions: &[TopicPartition],
    found: &[PartitionOffsets],
    source: &dyn MessageSource,
) -> Result<(), Error> {
    for (topic_partition, offsets) in partitions.iter().zip(found) {
        let Some(range) = range_of_doubt(offsets) else {
            continue;
        };
        // There are other reasons for holes at the begin of a log: only what is there tells.
        if source.sample(topic_partition, range)?.is_some() {
            return Err(no_timestamps(topic_partition, range, offsets.first));
        }
    }
    Ok(())
}

/// Where messages without a timestamp may lie that the window could miss.
fn range_of_doubt(offsets: &PartitionOffsets) -> Option<OffsetRange> {
    let end = offsets.first.unwrap_or(offsets.high_watermark);
    let reaches_back = offsets.start == offsets.first;
    (reaches_back && end > offsets.log_start).then_some(OffsetRange {
        start: offsets.log_start,
        end,
    })
}

fn no_timestamps(
    topic_partition: &TopicPartition,
    range: OffsetRange,
    first: Option<i64>,
) -> Error {
    let from = range.start;
    let message = match first {
        Some(first) => format!(
            "the messages of {topic_partition} from offset {from} to {} have no timestamps, so it can't be told whether \
             the window holds them; load a window that begins after the message at offset {first}, or delete those \
             before it",
            first - 1,
        ),
        None => format!(
            "the messages of {topic_partition} from offset {from} on have no timestamps, so no window can be told for \
             them; see that the topic's message format is 0.10.0 or newer and that its producers set timestamps: \
             messages from then on can be loaded once those before are deleted",
        ),
    };
    Error::new(ErrorKind::Source, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_doubt_is_what_lies_before_the_first_timestamp_where_the_window_reaches_back_to_it() {
        let doubt = |first, start| {
            let offsets = PartitionOffsets {
                log_start: 5,
                high_watermark: 90,
                first,
                start,
                end: None,
            };
            range_of_doubt(&offsets).map(|range| (range.start, range.end))
        };
        assert_eq!(doubt(Some(5), Some(5)), None);
        assert_eq!(doubt(Some(20), Some(20)), Some((5, 20)));
        assert_eq!(doubt(Some(20), Some(21)), None, "the window begins later");
        assert_eq!(doubt(Some(20), None), None, "the window is behind them all");
        assert_eq!(doubt(None, None), Some((5, 90)));
    }
}
