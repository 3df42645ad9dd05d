//! Messages without a timestamp, which no look-up by time finds.

use engine_model::{OffsetRange, TopicPartition};

use crate::ports::MessageSource;
use crate::{Error, ErrorKind};

/// What the look-ups found in one topic partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// From the log start offset to the high watermark.
    pub(crate) log: OffsetRange,
    /// The first message that is kept and has a timestamp.
    pub(crate) first: Option<i64>,
    /// The first message at or after the window's start.
    pub(crate) start: Option<i64>,
}

/// Fails where the log begins with messages without a timestamp and the window may reach back to them: the look-up would
/// pass them over in silence. Those behind the first message with a timestamp are found when they are read.
pub(crate) fn check_timestamps(
    topic_partition: &TopicPartition,
    found: Found,
    source: &dyn MessageSource,
) -> Result<(), Error> {
    let Some(range) = range_of_doubt(found) else {
        return Ok(());
    };
    // There are other reasons for holes at the begin of a log: only what is there tells.
    if source.sample(topic_partition, range)?.is_some() {
        return Err(no_timestamps(topic_partition, range, found.first));
    }
    Ok(())
}

/// Where messages without a timestamp may lie that the window could miss.
fn range_of_doubt(found: Found) -> Option<OffsetRange> {
    let Found { log, first, start } = found;
    let end = first.unwrap_or(log.end);
    let reaches_back = start == first;
    (reaches_back && end > log.start).then_some(OffsetRange { end, ..log })
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
             the window holds them; load a window that begins after the message at offset {first}, load between two offsets, or \
             delete those before it",
            first - 1,
        ),
        None => format!(
            "the messages of {topic_partition} from offset {from} on have no timestamps, so no window can be told for \
             them; see that the topic's message format is 0.10.0 or newer and that its producers set timestamps: \
             messages from then on can be loaded once those before are deleted, and those before between two offsets",
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
            let log = OffsetRange { start: 5, end: 90 };
            range_of_doubt(Found { log, first, start }).map(|range| (range.start, range.end))
        };
        assert_eq!(doubt(Some(5), Some(5)), None);
        assert_eq!(doubt(Some(20), Some(20)), Some((5, 20)));
        assert_eq!(doubt(Some(20), Some(21)), None, "the window begins later");
        assert_eq!(doubt(Some(20), None), None, "the window is behind them all");
        assert_eq!(doubt(None, None), Some((5, 90)));
    }
}
