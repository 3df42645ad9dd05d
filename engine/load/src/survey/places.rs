//! The places of a log that are looked at for messages of one window.

use engine_model::OffsetRange;

/// The offsets from one place to the next where they are closest: those of one look.
const SPACING_MIN: u64 = super::LOOK_OFFSETS.unsigned_abs();
/// Places are no farther from each other than their distance divided by this.
const DISTANCE_PARTS: u64 = 4;
/// Nor farther than the log divided by this.
const LOG_PARTS: u64 = 32;

/// The places of `log` beside the window's `bulk`, in order: closer to each other near the ends of the bulk and the start of the
/// log, where the look-up has found a message, than farther away.
///
/// Offsets between them are powers of two, and the places multiples of these, so that windows beside each other have most of
/// their far places in common.
pub(super) fn places(log: OffsetRange, bulk: OffsetRange) -> Vec<i64> {
    let mut places = Vec::new();
    let mut walk = |from: i64, to: i64, distance: &dyn Fn(i64) -> u64| {
        let mut at = from;
        while at < to {
            places.push(at);
            let spacing = spacing(distance(at), log.len());
            at = (at / spacing).saturating_add(1).saturating_mul(spacing);
        }
    };
    walk(log.start, bulk.start, &|at| {
        at.abs_diff(log.start).min(at.abs_diff(bulk.start))
    });
    walk(bulk.end, log.end, &|at| at.abs_diff(bulk.end));
    places
}

/// How far it is to the next place, at such a distance in a log of such a length.
fn spacing(distance: u64, log_length: u64) -> i64 {
    let most = (distance / DISTANCE_PARTS).min(log_length / LOG_PARTS);
    let spacing = most.max(SPACING_MIN);
    // Offsets have 63 bits.
    1_i64 << spacing.ilog2()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn range(start: i64, end: i64) -> OffsetRange {
        OffsetRange { start, end }
    }

    #[test]
    fn places_are_close_where_the_bulk_is() {
        let log = range(1_000, 4_001_000);
        let bulk = range(2_000_000, 2_100_000);
        let found = places(log, bulk);
        assert!(found.contains(&1_000) && found.contains(&2_100_000));
        assert!(found.len() < 200, "{}", found.len());
        let mut last = None;
        for at in found {
            assert!(log.contains(at) && !bulk.contains(at));
            if let Some(last) = last.filter(|last| (*last < bulk.start) == (at < bulk.start)) {
                let from = [log.start, bulk.start, bulk.end].map(|end| at.abs_diff(end));
                let distance = from.into_iter().min().unwrap();
                assert!(at > last, "{last} comes before {at}");
                assert!(
                    at.abs_diff(last) <= (distance / 2).max(64),
                    "{last} to {at}"
                );
                assert!(at.abs_diff(last) <= 4_000_000 / 32);
            }
            last = Some(at);
        }
    }

    #[test]
    fn windows_beside_each_other_have_their_far_places_in_common() {
        let log_end = 100_000_000;
        let length = 100_000;
        let far = |number: i64| {
            let bulk = range(number * length, (number + 1) * length);
            let beyond = bulk.end + length;
            let places = places(range(bulk.start, log_end), bulk);
            places.into_iter().filter(move |at| *at >= beyond)
        };
        let alone: usize = (0..500).map(|number| far(number).count()).sum();
        let together: BTreeSet<i64> = (0..500).flat_map(far).collect();
        assert!(alone / 500 > 50, "{alone}");
        assert!(together.len() / 500 < 10, "{}", together.len());
    }

    #[test]
    fn there_are_none_where_the_log_is_all_bulk() {
        let all = range(5, 90);
        assert!(places(all, all).is_empty());
        assert!(places(range(5, 5), range(5, 5)).is_empty());
    }
}
