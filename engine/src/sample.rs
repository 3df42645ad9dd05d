//! A few messages of a topic, from all over its logs.

use engine_decode::PayloadSample;
use engine_load::{Error, ErrorKind};
use engine_model::job::KafkaSource;
use engine_model::{Message, OffsetRange, PayloadType, TopicPartition};
use jiff::tz::TimeZone;

use crate::adapters::kafka::KafkaTopics;

/// Places that are read from, at most: each costs some round trips.
const PLACES_MAX: usize = 96;

/// What messages from the start, the middle and the end of a topic's logs hold.
#[derive(Debug)]
pub struct TopicSample {
    /// The topics' names.
    pub topic: String,
    /// Their topic partitions.
    pub topic_partitions: usize,
    /// Messages that were read.
    pub messages: u64,
    /// Those of them without a payload.
    pub tombstones: u64,
    /// The fields of the others.
    pub payloads: PayloadSample,
}

/// Where some messages are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) topic_partition: TopicPartition,
    pub(crate) range: OffsetRange,
    /// Messages of the range that are wanted, from its start; at least one.
    pub(crate) messages: usize,
}

/// Samples up to `messages` messages of the whole topic. Instants without an offset are read in `zone`.
pub(crate) fn sample(
    source: &KafkaSource,
    topic: &KafkaTopics,
    zone: &TimeZone,
    messages: usize,
) -> Result<TopicSample, Error> {
    if source.format.payload != PayloadType::Json {
        let message = format!(
            "the payloads of topic {:?} are not read as JSON, and columns are proposed for JSON only; `source.kafka.value` says how they are read",
            source.topic_list(),
        );
        return Err(Error::new(ErrorKind::Job, message));
    }
    let logs = topic.logs()?;
    let mut sample = TopicSample {
        topic: source.topic_list(),
        topic_partitions: logs.len(),
        messages: 0,
        tombstones: 0,
        payloads: PayloadSample::new(&source.format, zone),
    };
    topic.read_places(&places(&logs, messages), |_, message| {
        sample.take(message);
    })?;
    sample.check()?;
    Ok(sample)
}

impl TopicSample {
    fn take(&mut self, message: &Message<'_>) {
        self.messages += 1;
        match message.payload {
            Some(payload) => self.payloads.observe(payload),
            None => self.tombstones += 1,
        }
    }

    /// Fails where there is nothing to learn from.
    fn check(&self) -> Result<(), Error> {
        let Self {
            topic, messages, ..
        } = self;
        let (kind, message) = if *messages == 0 {
            let message = format!("topic {topic:?} has no messages to look at; produce some first");
            (ErrorKind::Source, message)
        } else if self.payloads.readable() == 0 {
            let message = format!(
                "none of {messages} messages of topic {topic:?} has a JSON payload, so there are no fields"
            );
            (ErrorKind::Job, message)
        } else {
            return Ok(());
        };
        Err(Error::new(kind, message))
    }
}

/// Where to read `messages` messages of `ranges`: in the first, the middle and the last third of each, or in some of these
/// thirds where there are too many. A range with fewer messages than its share leaves the rest to the others.
pub(crate) fn places(ranges: &[(TopicPartition, OffsetRange)], messages: usize) -> Vec<Place> {
    // All thirds, those of each range that it has most of its own apart: neighbours begin with different ones.
    let thirds = (0..3).flat_map(|round| {
        let numbered = ranges.iter().enumerate();
        numbered.map(move |(number, (_, range))| (number, (number + round) % 3, *range))
    });
    let thirds = thirds.filter_map(|(number, third, range)| {
        let part = third_of(range, third);
        (!part.is_empty()).then_some((number, third, part))
    });
    let mut chosen: Vec<_> = thirds.take(messages.min(PLACES_MAX)).collect();
    // The shortest first: what they can't give is shared by those after them.
    chosen.sort_by_key(|(_, _, part)| part.len());
    let (mut wanted, mut left) = (messages, chosen.len());
    let mut places = Vec::with_capacity(left);
    for (number, third, part) in chosen {
        let share = (wanted / left).min(usize::try_from(part.len()).unwrap_or(usize::MAX));
        wanted -= share;
        left -= 1;
        places.push((number, third, start_within(part, third, share), share));
    }
    places.sort_unstable_by_key(|(number, third, ..)| (*number, *third));
    let place = |(number, _, range, messages): (usize, _, _, usize)| Place {
        topic_partition: ranges[number].0.clone(),
        range,
        messages,
    };
    places.into_iter().map(place).collect()
}

/// The first, the middle or the last third of `range`; together they are all of it.
fn third_of(range: OffsetRange, third: usize) -> OffsetRange {
    let length = range.end.saturating_sub(range.start);
    let cut = |thirds: i64| range.start + length / 3 * thirds + (length % 3 * thirds) / 3;
    let third = i64::try_from(third).unwrap_or_default();
    OffsetRange {
        start: cut(third),
        end: cut(third + 1),
    }
}

/// The part of a third from where `messages` are read: its start, its middle or its end.
fn start_within(part: OffsetRange, third: usize, messages: usize) -> OffsetRange {
    let spare = part.end - part.start - i64::try_from(messages).unwrap_or(i64::MAX);
    let skipped = match third {
        0 => 0,
        1 => spare / 2,
        _ => spare,
    };
    OffsetRange {
        start: part.start + skipped.max(0),
        end: part.end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(ranges: &[(i64, i64)]) -> Vec<(TopicPartition, OffsetRange)> {
        let numbered = (0..).zip(ranges);
        numbered
            .map(|(number, (start, end))| {
                let range = OffsetRange {
                    start: *start,
                    end: *end,
                };
                (TopicPartition::new("orders", number), range)
            })
            .collect()
    }

    fn shown(logs: &[(i64, i64)], messages: usize) -> Vec<String> {
        let places = places(&ranges(logs), messages);
        let shown = |place: &Place| {
            let Place {
                topic_partition,
                range,
                messages,
            } = place;
            format!("{messages} of {topic_partition}{range}")
        };
        places.iter().map(shown).collect()
    }

    #[test]
    fn start_middle_and_end_of_each_log_are_read() {
        assert_eq!(
            shown(&[(100, 1_000)], 30),
            [
                "10 of orders[0][100, 400)",
                "10 of orders[0][545, 700)",
                "10 of orders[0][990, 1000)",
            ]
        );
        assert!(places(&ranges(&[(5, 5)]), 10).is_empty());
        assert!(places(&ranges(&[]), 10).is_empty());
    }

    #[test]
    fn what_short_logs_lack_is_read_elsewhere() {
        let places = places(&ranges(&[(0, 6), (0, 0), (7, 10_000)]), 100);
        let of = |number: i32| -> usize {
            let of_log = places
                .iter()
                .filter(|place| place.topic_partition.partition == number);
            of_log.map(|place| place.messages).sum()
        };
        assert_eq!((of(0), of(1), of(2)), (6, 0, 94));
        assert_eq!(shown(&[(3, 4)], 100), ["1 of orders[0][3, 4)"]);
    }

    #[test]
    fn few_messages_come_from_different_parts_of_different_logs() {
        let log = (0, 900);
        assert_eq!(
            shown(&[log, log, log, log], 3),
            [
                "1 of orders[0][0, 300)",
                "1 of orders[1][449, 600)",
                "1 of orders[2][899, 900)",
            ]
        );
        let many = vec![log; 1_000];
        let many = places(&ranges(&many), 1_000);
        assert_eq!(many.len(), PLACES_MAX);
        assert_eq!(
            many.iter().map(|place| place.messages).sum::<usize>(),
            1_000
        );
    }

    #[test]
    fn thirds_tile_a_range_also_at_its_limits() {
        for (start, end) in [
            (0, 1),
            (0, 2),
            (5, 9),
            (0, i64::MAX),
            (i64::MAX - 1, i64::MAX),
        ] {
            let range = OffsetRange { start, end };
            let thirds: Vec<OffsetRange> = (0..3).map(|third| third_of(range, third)).collect();
            assert_eq!((thirds[0].start, thirds[2].end), (start, end));
            assert!(thirds.windows(2).all(|pair| pair[0].end == pair[1].start));
        }
    }
}
