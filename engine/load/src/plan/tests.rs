use engine_model::{Reach, TopicPartition};

use super::*;

const OLDEST: WindowOrder = WindowOrder::OldestFirst;

fn range(start: i64, end: i64) -> OffsetRange {
    OffsetRange { start, end }
}

/// A topic partition of which one window reads all from `start` to `end`.
fn planned(number: i32, start: i64, end: i64) -> PlannedPartition {
    reaching(number, &[range(start, end)], &[range(start, end)])
}

/// A topic partition that is read in `ranges` for windows that reach so far.
fn reaching(number: i32, ranges: &[OffsetRange], reaches: &[OffsetRange]) -> PlannedPartition {
    let reach = |range: &OffsetRange| Reach {
        start_offset: Some(range.start),
        end_offset: None,
        range: *range,
        left_out: Vec::new(),
        closed: false,
        retention_gap: false,
    };
    PlannedPartition {
        topic_partition: TopicPartition::new("orders", number),
        log_start: 0,
        high_watermark: i64::MAX,
        written_end: i64::MAX,
        ranges: OffsetRange::merged(ranges.to_vec()),
        reaches: reaches.iter().map(reach).collect(),
    }
}

#[test]
fn ranges_are_cut_where_a_window_begins_or_ends_to_reach() {
    let reaches = [range(0, 60), range(40, 200), range(90, 200)];
    let mut partition = reaching(
        0,
        &[range(0, 10), range(50, 100), range(150, 200)],
        &reaches,
    );
    partition.reaches[2].end_offset = Some(160);
    let pieces = pieces(&partition);
    let found: Vec<_> = pieces
        .iter()
        .map(|piece| (piece.range.start, piece.range.end, piece.windows.as_slice()))
        .collect();
    let expected: [(i64, i64, &[u32]); 6] = [
        (0, 10, &[0]),
        (50, 60, &[0, 1]),
        (60, 90, &[1]),
        (90, 100, &[1, 2]),
        (150, 160, &[1, 2]),
        (160, 200, &[1, 2]),
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_a_window_leaves_out_is_read_for_others_and_later() {
    let mut partition = reaching(0, &[range(0, 300)], &[range(0, 250), range(100, 300)]);
    partition.reaches[0].left_out = vec![range(120, 200), range(210, 240)];
    assert_eq!(
        partition.ranges_of_window(0),
        [range(0, 120), range(200, 210), range(240, 250)]
    );
    assert_eq!(
        offsets_of_windows(std::slice::from_ref(&partition)),
        [140, 200]
    );
    let cut = |order| {
        let slices = cut(std::slice::from_ref(&partition), 1_000, order);
        let ranges = slices.into_iter().map(|slice| {
            let ranges = slice.ranges.into_iter();
            ranges
                .map(|piece| (piece.range.start, piece.range.end, piece.windows))
                .collect::<Vec<_>>()
        });
        ranges.collect::<Vec<_>>()
    };
    // The first window is complete with the first slice.
    assert_eq!(
        cut(OLDEST),
        [
            vec![
                (0, 100, vec![0]),
                (100, 120, vec![0, 1]),
                (200, 210, vec![0, 1]),
                (240, 250, vec![0, 1]),
            ],
            vec![
                (120, 200, vec![1]),
                (210, 240, vec![1]),
                (250, 300, vec![1]),
            ],
        ]
    );
    assert_eq!(cut(WindowOrder::NewestFirst).len(), 2);
}

#[test]
fn slices_are_numbered_and_taken_in_the_order_of_the_windows() {
    let partitions: Vec<_> = (0..3)
        .map(|number| {
            reaching(
                number,
                &[range(0, 4_000)],
                &[range(0, 2_000), range(1_900, 4_000)],
            )
        })
        .collect();
    for order in [WindowOrder::OldestFirst, WindowOrder::NewestFirst] {
        let plan = plan_slices(
            Vec::new(),
            partitions.clone(),
            0,
            Some(1 << 20),
            (1, None),
            order,
        )
        .unwrap();
        let turns: Vec<_> = plan
            .slices
            .iter()
            .map(|slice| order.turn_of_slice(slice))
            .collect();
        assert!(
            turns.is_sorted() && turns.first() < turns.last(),
            "{turns:?}"
        );
        let mut queue = SliceQueue::new(plan.slices, 1, order);
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(0))
            .map(|slice| order.turn_of_slice(&slice))
            .collect();
        assert_eq!(taken, turns);
    }
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
            (lanes, None),
            OLDEST,
        )
        .unwrap();
        for partition in &partitions {
            let mut position = 5;
            for slice_range in plan.slices.iter().flat_map(|slice| &slice.ranges) {
                if slice_range.topic_partition == partition.topic_partition {
                    assert_eq!(slice_range.range.start, position);
                    assert!(!slice_range.range.is_empty());
                    position = slice_range.range.end;
                }
            }
            assert_eq!(position, 5 + i64::try_from(partition.offsets()).unwrap());
        }
        assert!(plan.slices.len() <= WINDOW_SLICES_MAX as usize);
        assert!(
            (0..)
                .zip(&plan.slices)
                .all(|(number, slice)| slice.number == number)
        );
    }
}

#[test]
fn one_long_topic_partition_makes_slices_for_every_lane() {
    let plan = plan_slices(
        Vec::new(),
        vec![planned(0, 0, 1_500_000)],
        0,
        Some(700),
        (2, None),
        OLDEST,
    )
    .unwrap();
    assert_eq!(plan.slices.len(), 8);
}

#[test]
fn slices_are_cut_so_that_the_disk_holds_two_for_each_lane() {
    let largest = |lanes, disk_bytes| {
        let partitions = vec![planned(0, 0, 10_000)];
        let room = (lanes, Some(disk_bytes));
        let plan = plan_slices(Vec::new(), partitions, 0, Some(1 << 20), room, OLDEST).unwrap();
        let lengths = plan.slices.iter().map(|slice| slice.ranges[0].range.len());
        lengths.max().unwrap()
    };
    assert_eq!(largest(2, 1 << 40), 250);
    assert_eq!(largest(2, 400 << 20), 100);
    // A seek and a block must pay off in any case.
    assert_eq!(largest(2, 40 << 20), 16);
}

#[test]
fn short_ranges_share_a_slice() {
    let partitions = (0..100).map(|number| planned(number, 0, 10)).collect();
    let plan = plan_slices(Vec::new(), partitions, 0, Some(700), (2, None), OLDEST).unwrap();
    assert_eq!(plan.slices.len(), 1);
    assert_eq!(plan.slices[0].ranges.len(), 100);
}

#[test]
fn a_window_beyond_all_block_ids_is_refused_with_advice() {
    let error = plan_slices(
        Vec::new(),
        vec![planned(0, 0, i64::MAX)],
        0,
        Some(700),
        (2, None),
        OLDEST,
    )
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Job);
    assert!(
        error
            .to_string()
            .ends_with("load it in several shorter windows"),
        "{error}"
    );
}

/// Windows of so many offsets each in one topic partition, each reaching some way into the next one.
fn in_a_row(windows: i64, offsets: i64) -> Vec<PlannedPartition> {
    let reaches: Vec<_> = (0..windows)
        .map(|window| range(window * offsets, (window + 1) * offsets + offsets / 10))
        .collect();
    vec![reaching(0, &[range(0, windows * offsets)], &reaches)]
}

#[test]
fn a_run_may_have_more_slices_than_a_session_has_block_ids() {
    // 15,000 slices of 256 MiB, and a tenth more that the next window has too.
    let partitions = in_a_row(4, 15_000 * 256);
    for order in [OLDEST, WindowOrder::NewestFirst] {
        let plan = plan_slices(
            Vec::new(),
            partitions.clone(),
            0,
            Some(1 << 20),
            (2, None),
            order,
        )
        .unwrap();
        assert!(plan.slices.len() >= 60_000, "{}", plan.slices.len());
        for window in 0..4 {
            let slices = plan.slices.iter();
            let of_window = slices.filter(|slice| slice.windows().contains(&window));
            let ids: Vec<u32> = of_window
                .map(|slice| {
                    slice
                        .block_ids
                        .get(&window)
                        .copied()
                        .unwrap_or(slice.number)
                })
                .collect();
            let count = u32::try_from(ids.len()).unwrap();
            assert!((15_000..=WINDOW_SLICES_MAX).contains(&count), "{count}");
            assert!(ids.into_iter().eq(0..count), "window {window}");
        }
    }
}

#[test]
fn slices_grow_before_a_window_or_a_run_is_refused() {
    let plan = |windows, offsets| {
        let partitions = in_a_row(windows, offsets);
        plan_slices(Vec::new(), partitions, 0, Some(1 << 20), (2, None), OLDEST)
    };
    let largest = |plan: &LoadPlan| {
        let ranges = plan.slices.iter().flat_map(|slice| &slice.ranges);
        ranges.map(|range| range.range.len()).max()
    };
    // One of 30,000 slices, and eight of 15,000.
    assert_eq!(largest(&plan(1, 30_000 * 256).unwrap()), Some(512));
    assert_eq!(largest(&plan(8, 15_000 * 256).unwrap()), Some(512));
    let refused = |windows, offsets| plan(windows, offsets).err().unwrap().to_string();
    let of_window = refused(2, 20_000 * 1_024);
    assert!(
        of_window.starts_with("the window holds about 23"),
        "{of_window}"
    );
    let of_run = refused(8, 15_000 * 1_024);
    assert!(
        of_run.starts_with("the windows take more than 100000 slices for about 12"),
        "{of_run}"
    );
}

#[test]
fn lanes_read_neighbours_in_a_row_and_share_what_is_left() {
    let plan = plan_slices(
        Vec::new(),
        vec![planned(0, 0, 4_000), planned(1, 0, 400)],
        0,
        Some(1 << 20),
        (2, None),
        OLDEST,
    )
    .unwrap();
    let slices = plan.slices.len();
    let mut queue = SliceQueue::new(plan.slices, 2, OLDEST);
    let first = queue.take(0).unwrap();
    let second = queue.take(0).unwrap();
    assert!(follows(&first, &second, OLDEST));
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
