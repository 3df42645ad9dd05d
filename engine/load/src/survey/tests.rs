mod together;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const MARGIN: i64 = 15 * MINUTE;

/// A window of the eleventh day.
fn window() -> Window {
    Window::new(10 * DAY, 11 * DAY).unwrap()
}

/// Timestamps of a log, by offset: `per_day` messages a day for `days` days, in order.
fn in_order(days: i64, per_day: i64) -> Vec<i64> {
    (0..days * per_day)
        .map(|index| index * DAY / per_day)
        .collect()
}

/// What a survey of a log finds.
struct Found {
    ranges: Vec<OffsetRange>,
    looks: usize,
    /// Messages of the window that are not in the ranges.
    missed: usize,
    /// Messages to read for a thousand of the window.
    read_per_mille: u64,
}

/// The first messages of a range of a log, as a look sees them.
fn look_at(log: &[i64], range: OffsetRange) -> Look {
    let start = usize::try_from(range.start).unwrap();
    let end = usize::try_from(range.end)
        .unwrap()
        .min(start + LOOK_MESSAGES);
    Look::new(i64::try_from(end).unwrap(), log[start..end].to_vec())
}

/// What is read for each of these windows, planned together, and how many looks that takes.
fn survey_all(log: &[i64], windows: &[Window]) -> (Vec<Vec<OffsetRange>>, usize) {
    let mut looks = 0;
    let mut look_at = |range: OffsetRange| {
        looks += 1;
        Ok(look_at(log, range))
    };
    let whole = OffsetRange {
        start: 0,
        end: i64::try_from(log.len()).unwrap(),
    };
    // The latest so far, which rise.
    let mut latest_ms = log.to_vec();
    for at in 1..latest_ms.len() {
        latest_ms[at] = latest_ms[at].max(latest_ms[at - 1]);
    }
    let look_up = |instant_ms: i64| {
        let first = latest_ms.partition_point(|ms| *ms < instant_ms);
        i64::try_from(first).unwrap()
    };
    let sought = |window: &Window| Sought {
        window: *window,
        start: look_up(window.start_ms),
        margin_ms: MARGIN,
        end_hint: look_up(window.end_ms + MARGIN),
        far_hint: look_up(window.end_ms + Sought::margin_ms_max(*window, MARGIN)),
    };
    let mut survey = Survey::new(whole, &mut look_at);
    let (first, last) = (&windows[0], &windows[windows.len() - 1]);
    let anyway =
        (windows.len() > 1).then(|| survey.between(&sought(first), &sought(last)).unwrap());
    let ranges = windows
        .iter()
        .map(|window| survey.ranges(&sought(window), anyway).unwrap());
    (ranges.collect(), looks)
}

fn survey(log: &[i64]) -> Found {
    let (mut ranges, looks) = survey_all(log, &[window()]);
    let ranges = ranges.remove(0);
    let read: u64 = ranges.iter().map(|range| range.len()).sum();
    let rows = (0..)
        .zip(log)
        .filter(|(_, ms)| (window().start_ms..window().end_ms).contains(*ms));
    let missed = rows
        .clone()
        .filter(|(offset, _)| !ranges.iter().any(|range| range.contains(*offset)));
    Found {
        looks,
        missed: missed.count(),
        read_per_mille: read * 1_000 / u64::try_from(rows.count()).unwrap().max(1),
        ranges,
    }
}

#[track_caller]
fn assert_finds_all(found: &Found, read_per_mille_max: u64) {
    assert_eq!(found.missed, 0, "{:?}", found.ranges);
    assert!(
        found.read_per_mille <= read_per_mille_max,
        "{} messages are read for a thousand rows: {:?}",
        found.read_per_mille,
        found.ranges
    );
    assert!(found.looks < 250, "{} looks", found.looks);
}

#[test]
fn a_log_in_order_costs_few_looks_and_the_margin() {
    let found = survey(&in_order(11, 100_000));
    assert_finds_all(&found, 1_000);
    assert!(found.looks < 5, "{} looks with nothing behind", found.looks);
    // A month of newer data behind the window.
    let found = survey(&in_order(41, 100_000));
    assert_finds_all(&found, 1_030);
    assert_eq!(found.ranges.len(), 1);
}

#[test]
fn a_short_log_is_read_whole_without_a_look() {
    let found = survey(&in_order(20, 500));
    assert_eq!((found.missed, found.looks), (0, 0));
    assert_eq!(
        found.ranges,
        [OffsetRange {
            start: 5_000,
            end: 10_000
        }]
    );
}

#[test]
fn one_message_stamped_after_the_window_costs_nothing() {
    let mut log = in_order(41, 100_000);
    // Written at noon, stamped weeks later.
    log[1_050_000] = 35 * DAY;
    assert_finds_all(&survey(&log), 1_030);
}

#[test]
fn one_message_stamped_within_the_window_and_written_long_before_is_read_alone() {
    let mut log = in_order(41, 100_000);
    log[3] = window().start_ms + 5 * HOUR;
    let found = survey(&log);
    assert_finds_all(&found, 1_050);
    assert_eq!(found.ranges.len(), 2);
    assert!(found.ranges[0].contains(3) && found.ranges[0].len() < 5_000);
}

/// The same timestamps each time, up to so much before and after those of a log that is in order, on each message of so many.
fn in_disorder(days: i64, spread_ms: i64, of: usize) -> Vec<i64> {
    let mut random = 7_u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (random >> 33).cast_signed()
    };
    let log = in_order(days, 100_000).into_iter().enumerate();
    log.map(|(index, ms)| {
        let by_ms = next() % (2 * spread_ms) - spread_ms;
        if index % of == 0 { ms + by_ms } else { ms }
    })
    .collect()
}

#[test]
fn disorder_of_minutes_stays_within_the_margin() {
    assert_finds_all(&survey(&in_disorder(30, 5 * MINUTE, 1)), 1_050);
}

#[test]
fn the_margin_grows_by_the_disorder_that_is_seen() {
    for (spread_ms, of) in [(30 * MINUTE, 1), (40 * MINUTE, 9), (2 * HOUR, 20)] {
        let found = survey(&in_disorder(30, spread_ms, of));
        assert_finds_all(&found, 1_250);
    }
}

#[test]
fn what_is_left_behind_the_last_stretch_is_read_where_it_is_short() {
    let mut log = in_order(11, 100_000);
    log.extend(in_order(12, 100_000)[1_100_000..1_108_000].iter());
    let last = log.len() - 3;
    log[last] = window().start_ms + HOUR;
    assert_finds_all(&survey(&log), 1_090);
}

#[test]
fn a_producer_that_is_hours_late_is_followed() {
    // Each tenth message is of a producer five hours behind the others.
    let log: Vec<i64> = (0..)
        .zip(in_order(40, 100_000))
        .map(|(index, ms)| if index % 10 == 0 { ms - 5 * HOUR } else { ms })
        .collect();
    assert_finds_all(&survey(&log), 1_400);
    // And one that is five hours ahead.
    let log: Vec<i64> = (0..)
        .zip(in_order(40, 100_000))
        .map(|(index, ms)| if index % 10 == 0 { ms + 5 * HOUR } else { ms })
        .collect();
    assert_finds_all(&survey(&log), 1_400);
}

#[test]
fn a_day_that_was_sent_again_weeks_later_is_found_without_reading_what_lies_between() {
    let mut log = in_order(25, 100_000);
    log.extend(in_order(11, 100_000).split_off(1_000_000));
    log.extend(in_order(30, 100_000).split_off(2_500_000));
    let found = survey(&log);
    assert_finds_all(&found, 1_800);
    assert_eq!(found.ranges.len(), 2);
}

#[test]
fn what_no_look_meets_is_missed() {
    let mut log = in_order(41, 100_000);
    log[3_333_333] = window().start_ms + HOUR;
    let found = survey(&log);
    assert_eq!(found.missed, 1);
}

#[test]
fn nothing_is_read_beyond_what_was_asked_for() {
    for log in [
        vec![],
        vec![10 * DAY + 1],
        in_order(10, 20_000),
        in_order(2, 20_000),
    ] {
        let found = survey(&log);
        assert_eq!(found.missed, 0);
        let length = i64::try_from(log.len()).unwrap();
        assert!(
            found
                .ranges
                .iter()
                .all(|range| range.start >= 0 && range.end <= length)
        );
    }
}
