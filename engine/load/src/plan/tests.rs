use super::*;

fn offsets(
    log_start: i64,
    start: Option<i64>,
    end: Option<i64>,
    high_watermark: i64,
) -> PartitionOffsets {
    PartitionOffsets {
        log_start,
        high_watermark,
        first: Some(log_start),
        start,
        end,
    }
}

fn planned(number: i32, start: i64, end: i64) -> PlannedPartition {
    let offsets = offsets(0, Some(start), None, end);
    plan_partition(TopicPartition::new("orders", number), offsets, Reach::Exact)
}

fn range(offsets: PartitionOffsets, reach: Reach) -> (i64, i64) {
    let range = plan_partition(TopicPartition::new("orders", 0), offsets, reach).range;
    (range.start, range.end)
}

#[test]
fn exact_reads_to_the_high_watermark_and_look_up_to_the_first_later_message() {
    let found = offsets(10, Some(20), Some(70), 100);
    assert_eq!(range(found, Reach::Exact), (20, 100));
    assert_eq!(range(found, Reach::LookUp), (20, 70));
}

#[test]
fn a_topic_partition_without_messages_of_the_window_has_nothing_to_read() {
    assert_eq!(range(offsets(0, None, None, 100), Reach::Exact), (100, 100));
    assert_eq!(range(offsets(0, None, None, 0), Reach::LookUp), (0, 0));
    // An early message after the window makes the look-up of the end lie before that of the start.
    assert_eq!(
        range(offsets(0, Some(50), Some(40), 100), Reach::LookUp),
        (50, 50)
    );
}

#[test]
fn retention_may_have_cut_the_window_only_where_the_first_kept_message_is_in_it() {
    let gap = |offsets| {
        plan_partition(TopicPartition::new("orders", 0), offsets, Reach::Exact).retention_gap
    };
    assert!(gap(offsets(10, Some(10), None, 100)));
    assert!(
        !gap(offsets(10, Some(11), None, 100)),
        "the first kept message is older than the window"
    );
    assert!(!gap(offsets(0, Some(0), None, 100)), "nothing was deleted");
    let emptied = PartitionOffsets {
        first: None,
        ..offsets(100, None, None, 100)
    };
    assert!(gap(emptied), "everything was deleted");
}

#[test]
fn slices_tile_the_ranges_whatever_their_lengths() {
    for (lengths, lanes, message_bytes) in [
        (vec![1_000_000, 3, 0, 17, 2_500_000], 2, 700),
        (vec![1; 1_000], 4, 100),
        (vec![10_000_000_000], 2, 1_000),
        (vec![0, 0], 2, 700),
    ] {
        let partitions: Vec<_> = (0..)
            .zip(&lengths)
            .map(|(number, length)| planned(number, 5, 5 + length))
            .collect();
        let plan = plan_slices(
            Vec::new(),
            partitions.clone(),
            0,
            Some(message_bytes),
            lanes,
        )
        .unwrap();
        for partition in &partitions {
            let mut position = partition.range.start;
            for slice_range in plan.slices.iter().flat_map(|slice| &slice.ranges) {
                if slice_range.topic_partition == partition.topic_partition {
                    assert_eq!(slice_range.range.start, position);
                    assert!(!slice_range.range.is_empty());
                    position = slice_range.range.end;
                }
            }
            assert_eq!(position, partition.range.end);
        }
        assert!(plan.slices.len() <= SLICES_MAX as usize);
        assert!(
            (0..)
                .zip(&plan.slices)
                .all(|(number, slice)| slice.number == number)
        );
    }
}

#[test]
fn one_long_topic_partition_makes_slices_for_every_lane() {
    let plan = plan_slices(Vec::new(), vec![planned(0, 0, 1_500_000)], 0, Some(700), 2).unwrap();
    assert_eq!(plan.slices.len(), 8);
}

#[test]
fn short_ranges_share_a_slice() {
    let partitions = (0..100).map(|number| planned(number, 0, 10)).collect();
    let plan = plan_slices(Vec::new(), partitions, 0, Some(700), 2).unwrap();
    assert_eq!(plan.slices.len(), 1);
    assert_eq!(plan.slices[0].ranges.len(), 100);
}

#[test]
fn a_window_beyond_all_block_ids_is_refused_with_advice() {
    let error =
        plan_slices(Vec::new(), vec![planned(0, 0, i64::MAX)], 0, Some(700), 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(
        error
            .to_string()
            .ends_with("load it in several shorter windows"),
        "{error}"
    );
}

#[test]
fn lanes_read_neighbours_in_a_row_and_share_what_is_left() {
    let plan = plan_slices(
        Vec::new(),
        vec![planned(0, 0, 4_000), planned(1, 0, 400)],
        0,
        Some(1 << 20),
        2,
    )
    .unwrap();
    let slices = plan.slices.len();
    let mut queue = SliceQueue::new(plan.slices, 2);
    let first = queue.take(0).unwrap();
    let second = queue.take(0).unwrap();
    assert!(follows(&first, &second));
    let other = queue.take(1).unwrap();
    assert_ne!(
        other.ranges[0].topic_partition,
        first.ranges[0].topic_partition
    );
    let mut taken = 3;
    while queue.take(1).is_some() {
        taken += 1;
    }
    assert_eq!((taken, queue.take(0)), (slices, None));
}
