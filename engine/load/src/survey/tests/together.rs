//! Windows that are planned together, against each of them alone.

use fastrand::Rng;

use super::*;

/// So many days in a row, from the first of the log on.
fn days(first: i64, count: i64) -> Vec<Window> {
    (first..first + count)
        .map(|day| Window::new(day * DAY, (day + 1) * DAY).unwrap())
        .collect()
}

/// What one window takes that another plan does not.
fn without(ranges: &[OffsetRange], others: &[OffsetRange]) -> Vec<OffsetRange> {
    let ranges = ranges.iter();
    ranges.flat_map(|range| range.without(others)).collect()
}

/// A log of some days with a bit of everything that keeps one from being in order.
fn any_log(rng: &mut Rng, days: i64) -> Vec<i64> {
    let per_day = rng.i64(2_000..30_000);
    let mut log = Vec::new();
    for day in 0..days {
        // Nights, and days on which nothing is sent.
        let busy = *rng.choice([1, 1, 1, 4, 10, 0].iter()).unwrap();
        let count = per_day * busy / 4 + 1;
        log.extend((0..count).map(|index| day * DAY + index * DAY / count));
        if rng.u32(..6) == 0 {
            let length = rng.usize(1..=log.len().min(40_000));
            let start = rng.usize(..=log.len() - length);
            log.extend_from_within(start..start + length);
        }
    }
    let length = log.len();
    for _ in 0..rng.u32(..3) {
        // A part of the log whose messages are late or early, each of so many.
        let start = rng.usize(..length);
        let end = rng.usize(start..length);
        let of = *rng.choice([1, 3, 20, 200].iter()).unwrap();
        let most = *rng.choice([MINUTE, HOUR, 8 * HOUR].iter()).unwrap();
        let by = (rng.i64(-most..=0), rng.i64(0..=most));
        for ms in log[start..end].iter_mut().step_by(of) {
            *ms = (*ms + rng.i64(by.0..=by.1)).max(0);
        }
    }
    for _ in 0..rng.u32(..9) {
        log[rng.usize(..length)] = rng.i64(0..(days + 40) * DAY);
    }
    log
}

/// Windows one after the other, each of some hours or days.
fn any_windows(rng: &mut Rng, days: i64) -> Vec<Window> {
    let unit = *rng.choice([HOUR, 6 * HOUR, DAY].iter()).unwrap();
    let mut start = rng.i64(-1..days) * DAY;
    let mut windows = Vec::new();
    for _ in 0..rng.u32(2..12) {
        let end = start + unit * *rng.choice([1, 1, 1, 5].iter()).unwrap();
        windows.push(Window::new(start, end).unwrap());
        start = end;
    }
    windows
}

#[test]
fn a_window_among_others_takes_all_that_it_takes_alone() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let days = rng.i64(2..14);
        let log = any_log(&mut rng, days);
        let windows = any_windows(&mut rng, days);
        let (together, _) = survey_all(&log, &windows);
        for (window, together) in windows.iter().zip(&together) {
            let (alone, _) = survey_all(&log, &[*window]);
            let lacks = without(&alone[0], together);
            assert!(lacks.is_empty(), "seed {seed}: {window} lacks {lacks:?}");
        }
    }
}

#[test]
fn days_of_a_log_in_order_share_their_looks() {
    let log = in_order(100, 20_000);
    let (_, alone) = survey_all(&log, &days(10, 1));
    let (ranges, looks) = survey_all(&log, &days(10, 80));
    assert!(alone > 70, "{alone} looks for one day");
    assert!(looks < 80 * 12, "{looks} looks for 80 days");
    // Each is complete, and can be committed, when the next one is read.
    for (window, ranges) in days(10, 79).iter().zip(&ranges) {
        let [range] = ranges.as_slice() else {
            panic!("{window} is read in {ranges:?}");
        };
        let end_ms = range.end * DAY / 20_000;
        assert!(
            end_ms < window.end_ms + 2 * DAY,
            "{window} waits for {range}"
        );
    }
}

#[test]
fn hours_that_are_shorter_than_looks_are_worth_take_few_of_them() {
    let log = in_order(60, 24_000);
    let hours: Vec<Window> = (24..24 * 50)
        .map(|hour| Window::new(hour * HOUR, (hour + 1) * HOUR).unwrap())
        .collect();
    let (ranges, looks) = survey_all(&log, &hours);
    assert!(
        looks < hours.len() * 5,
        "{looks} looks for {} hours",
        hours.len()
    );
    assert!(ranges.iter().all(|ranges| ranges.len() == 1));
}

#[test]
fn a_day_that_was_sent_again_is_found_among_others_and_waits_for_nothing_in_between() {
    // The third day again, after the seventh.
    let per_day = 43_200;
    let mut log = in_order(9, per_day);
    let (third, eighth) = (2 * per_day, 7 * per_day);
    let replay: Vec<i64> = (third..third + per_day)
        .map(|index| index * DAY / per_day)
        .collect();
    let eighth = usize::try_from(eighth).unwrap();
    log.splice(eighth..eighth, replay);
    let replayed = OffsetRange {
        start: 7 * per_day,
        end: 8 * per_day,
    };
    for windows in [days(0, 9), days(2, 2), days(2, 1), days(1, 2)] {
        let (ranges, _) = survey_all(&log, &windows);
        let third = windows.iter().position(|window| window.start_ms == 2 * DAY);
        let found = &ranges[third.unwrap()];
        assert!(replayed.without(found).is_empty(), "{found:?}");
        let between = OffsetRange {
            start: 5 * per_day,
            end: 6 * per_day,
        };
        assert_eq!(between.without(found), [between]);
    }
}
