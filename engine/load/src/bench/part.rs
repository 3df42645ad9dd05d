//! The part of a plan that is measured.

use engine_model::{LoadPlan, OffsetRange};

use crate::Error;
use crate::plan::{WindowOrder, plan_slices};

/// The plan with about so many of its offsets, cut from places that are evenly spread over it, two for each lane: enough for
/// different hours of the window, and few enough for the seeks between them to cost nothing.
pub(super) fn part(
    mut plan: LoadPlan,
    messages: u64,
    (lanes, disk_bytes): (usize, Option<u64>),
) -> Result<LoadPlan, Error> {
    const PLACES_PER_LANE: u64 = 2;
    let offsets = plan.offsets();
    if offsets <= messages {
        return Ok(plan);
    }
    let places = PLACES_PER_LANE * lanes as u64;
    let length = i64::try_from(messages.div_ceil(places)).unwrap_or(i64::MAX);
    // Places in all ranges, one after the other.
    let all = OffsetRange {
        start: 0,
        end: i64::try_from(offsets).unwrap_or(i64::MAX),
    };
    // In the middle of equal parts: near its ends a window has messages that are not its own.
    let middles = (0..places).map(|place| all.part(2 * place + 1, 2 * places));
    let chosen = middles.map(|middle| {
        let start = (middle - length / 2).max(0);
        OffsetRange {
            start,
            end: start.saturating_add(length).min(all.end),
        }
    });
    let chosen = OffsetRange::merged(chosen.collect());
    let mut passed = 0;
    for partition in &mut plan.partitions {
        let mut ranges = Vec::new();
        for range in &partition.ranges {
            let begun = passed;
            passed += range.end - range.start;
            let here = OffsetRange {
                start: begun,
                end: passed,
            };
            let parts = OffsetRange::common(&[here], &chosen).into_iter();
            ranges.extend(parts.map(|part| OffsetRange {
                start: part.start - begun + range.start,
                end: part.end - begun + range.start,
            }));
        }
        partition.ranges = ranges;
    }
    let mean = Some(plan.message_bytes_mean).filter(|mean| *mean > 0);
    plan_slices(
        plan.windows,
        plan.partitions,
        plan.planned_at_ms,
        mean,
        (lanes, disk_bytes),
        WindowOrder::OldestFirst,
    )
}

#[cfg(test)]
mod tests {
    use engine_model::{PlannedPartition, Reach, TopicPartition};

    use super::*;

    /// A plan of one window in topic partitions with so many offsets, from 1,000 on.
    fn plan(offsets: &[i64]) -> LoadPlan {
        let partition = |(number, length): (i32, &i64)| {
            let range = OffsetRange {
                start: 1_000,
                end: 1_000 + length,
            };
            PlannedPartition {
                topic_partition: TopicPartition::new("orders", number),
                log_start: 0,
                high_watermark: range.end,
                written_end: range.end,
                ranges: vec![range],
                reaches: vec![Reach {
                    start_offset: Some(range.start),
                    end_offset: None,
                    range,
                    left_out: Vec::new(),
                    closed: true,
                    retention_gap: false,
                }],
            }
        };
        let partitions = (0..).zip(offsets).map(partition).collect();
        let order = WindowOrder::OldestFirst;
        plan_slices(Vec::new(), partitions, 0, Some(1_000), (2, None), order).unwrap()
    }

    #[test]
    fn a_part_comes_from_all_over_the_plan() {
        let part = part(plan(&[1_000, 3_000]), 400, (2, None)).unwrap();
        let ranges = part.partitions.iter().flat_map(|partition| {
            let ranges = partition.ranges.iter();
            ranges.map(|range| format!("{}{range}", partition.topic_partition))
        });
        assert_eq!(
            ranges.collect::<Vec<_>>(),
            [
                "orders[0][1450, 1550)",
                "orders[1][1450, 1550)",
                "orders[1][2450, 2550)",
                "orders[1][3450, 3550)",
            ]
        );
        let sliced = part.slices.iter().flat_map(|slice| &slice.ranges);
        assert_eq!(sliced.map(|range| range.range.len()).sum::<u64>(), 400);
    }

    #[test]
    fn a_plan_with_no_more_messages_is_measured_whole() {
        let whole = plan(&[1_000, 3_000]);
        assert_eq!(part(whole.clone(), 4_000, (2, None)).unwrap(), whole);
        let offsets = |messages| part(whole.clone(), messages, (64, None)).unwrap().offsets();
        assert_eq!((offsets(3_999), offsets(1)), (4_000, 128));
    }
}
