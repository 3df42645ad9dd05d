//! Where the messages of a window lie in a log that is not in order, found by looks at a few places.
//!
//! A log mostly follows the clock: the *bulk* of its messages does, in the sense of the median of some messages in a row.
//! Others are stamped earlier or later than their neighbours. The survey
//!
//! 1. bisects for the places where the bulk passes the window's start and end, and reads that far and a margin of message
//!    time further on either side, which grows by what the looks see of steady disorder;
//! 2. looks at places on either side: at growing distances, each a quarter farther than the last, and at
//!    [`GRID_PLACES`] that divide the log evenly. Where messages of the window are seen no farther away than the bulk of the
//!    window is long, all up to there is read;
//! 3. reads around each farther place where some are seen, up to where the places beside it have none.
//!
//! Reading begins at the look-up of the window's start, for nothing of the window lies before it. What no look meets, and
//! lies farther from the bulk than the margin, is missed. A log of up to [`WHOLE_OFFSETS_MAX`] offsets from there on is
//! read whole, and so is what would be left out between two stretches, or behind the last, where it is as short.

use std::collections::BTreeMap;

use engine_model::{OffsetRange, Window};

use crate::Error;

/// Messages in a row that one look takes in, at most.
pub(crate) const LOOK_MESSAGES: usize = 64;
/// The offsets that they have where there are no holes.
pub(crate) const LOOK_OFFSETS: i64 = 64;
/// Logs of so many offsets are read whole: looking would cost more than reading.
pub(crate) const WHOLE_OFFSETS_MAX: u64 = 10_000;
/// Places of the bulk are found to so many offsets.
const GRAIN_OFFSETS: i64 = 1_000;
/// Each place is farther away than the one before by this part of its distance: about three of them double it.
const DISTANCE_PARTS: i64 = 4;
/// Places that divide the whole log evenly.
const GRID_PLACES: u64 = 32;
/// Looks that must have seen messages so far from their neighbours for disorder to be steady: fewer are outliers.
const STEADY_LOOKS: usize = 3;
/// How often the stretch between a place with messages of the window and one without is halved.
const EDGE_HALVINGS: u32 = 3;

/// The messages at one place of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    /// One past the last message that was seen, or the end of what was asked for where there was none.
    pub(crate) end: i64,
    /// The timestamps of the messages, sorted.
    timestamps_ms: Vec<i64>,
}

impl Look {
    /// The look at messages with these timestamps, in any order.
    pub(crate) fn new(end: i64, mut timestamps_ms: Vec<i64>) -> Self {
        timestamps_ms.sort_unstable();
        Self { end, timestamps_ms }
    }

    /// Whether a message of the window is among them.
    pub(crate) fn sees(&self, window: Window) -> bool {
        let before = self
            .timestamps_ms
            .partition_point(|timestamp_ms| *timestamp_ms < window.start_ms);
        let next = self.timestamps_ms.get(before);
        next.is_some_and(|timestamp_ms| *timestamp_ms < window.end_ms)
    }

    /// Whether there are messages and all of them are at `instant_ms` or later.
    pub(crate) fn is_at_or_after(&self, instant_ms: i64) -> bool {
        let first = self.timestamps_ms.first();
        first.is_some_and(|timestamp_ms| *timestamp_ms >= instant_ms)
    }

    /// How far the messages are stamped before the bulk here, and how far after it, in ms.
    fn spread_ms(&self) -> (i64, i64) {
        let median = self.timestamps_ms.get(self.timestamps_ms.len() / 2);
        let ends = self.timestamps_ms.first().zip(self.timestamps_ms.last());
        let Some((median, (first, last))) = median.zip(ends) else {
            return (0, 0);
        };
        (median.saturating_sub(*first), last.saturating_sub(*median))
    }

    /// Whether the bulk here is before `instant_ms`; not where there are no messages.
    fn bulk_is_before(&self, instant_ms: i64) -> bool {
        let median = self.timestamps_ms.get(self.timestamps_ms.len() / 2);
        median.is_some_and(|median| *median < instant_ms)
    }
}

/// Looks at the first messages of a range of one topic partition, at most [`LOOK_MESSAGES`].
pub(crate) type LookAt<'a> = dyn FnMut(OffsetRange) -> Result<Look, Error> + 'a;

/// One log that is surveyed, with all that was seen of it.
pub(crate) struct Survey<'a> {
    /// What may hold messages of the windows.
    log: OffsetRange,
    look_at: &'a mut LookAt<'a>,
    looks: BTreeMap<i64, Look>,
}

impl<'a> Survey<'a> {
    pub(crate) fn new(log: OffsetRange, look_at: &'a mut LookAt<'a>) -> Self {
        Self {
            log,
            look_at,
            looks: BTreeMap::new(),
        }
    }

    /// What to read for messages of `window`, none of which lies before `start`. `end_hint` is where the bulk may pass the
    /// window's end and the margin.
    pub(crate) fn ranges(
        &mut self,
        window: Window,
        start: i64,
        end_hint: i64,
        margin_ms: i64,
    ) -> Result<Vec<OffsetRange>, Error> {
        let log = self.log_from(start);
        if self.is_short(start) {
            return Ok(OffsetRange::merged(vec![log]));
        }
        let bulk = self.bulk(window, log, end_hint, (margin_ms, margin_ms))?;
        self.look_around(log, bulk)?;
        let length_ms = window.end_ms.saturating_sub(window.start_ms);
        // Late messages lie behind the end, early ones before the start. What is farther away than the window is long is
        // found where it was seen.
        let grown = |steady_ms: i64| {
            let grows = steady_ms > margin_ms / 2 && steady_ms <= length_ms;
            margin_ms.saturating_add(if grows { steady_ms } else { 0 })
        };
        let (late_ms, early_ms) = self.disorder_ms();
        let both = (grown(early_ms), grown(late_ms));
        let bulk = if both == (margin_ms, margin_ms) {
            bulk
        } else {
            self.bulk(window, log, bulk.end, both)?
        };
        let ranges = self.seen_around(window, log, bulk)?;
        Ok(without_short_gaps(ranges, log))
    }

    /// Where the bulk is in the window, or within so much message time before its start, and behind its end.
    fn bulk(
        &mut self,
        window: Window,
        log: OffsetRange,
        end_hint: i64,
        (before_ms, behind_ms): (i64, i64),
    ) -> Result<OffsetRange, Error> {
        let low_ms = window.start_ms.saturating_sub(before_ms);
        let from = self.passes(low_ms, log, log.start)?.start;
        let end = self.end_of(window, from, end_hint, behind_ms)?;
        Ok(OffsetRange {
            start: from,
            end: end.max(from),
        })
    }

    /// How far messages are stamped before, and after, those around them, in ms, as far as that is steady.
    fn disorder_ms(&self) -> (i64, i64) {
        let (mut late, mut early): (Vec<i64>, Vec<i64>) =
            self.looks.values().map(Look::spread_ms).unzip();
        let steady = |spreads: &mut Vec<i64>| {
            spreads.sort_unstable_by(|one, other| other.cmp(one));
            spreads.get(STEADY_LOOKS - 1).copied().unwrap_or(0)
        };
        (steady(&mut late), steady(&mut early))
    }

    /// Whether what may hold messages of windows from `start` on is so short that all of it is read.
    pub(crate) fn is_short(&self, start: i64) -> bool {
        self.log_from(start).len() <= WHOLE_OFFSETS_MAX
    }

    fn log_from(&self, start: i64) -> OffsetRange {
        OffsetRange {
            start: start.clamp(self.log.start, self.log.end),
            ..self.log
        }
    }

    /// One past the place where the bulk passes the window's end and the margin; `from` lies before it.
    pub(crate) fn end_of(
        &mut self,
        window: Window,
        from: i64,
        end_hint: i64,
        margin_ms: i64,
    ) -> Result<i64, Error> {
        let log = self.log_from(from);
        let high_ms = window.end_ms.saturating_add(margin_ms);
        Ok(self.passes(high_ms, log, end_hint)?.end)
    }

    /// The end of the last look beyond `offset` that saw a message of `window`.
    pub(crate) fn last_seen(&self, window: Window, offset: i64) -> Option<i64> {
        let beyond = self.looks.range(offset..).rev();
        let mut seen = beyond.filter(|(_, look)| look.sees(window));
        seen.next().map(|(_, look)| look.end)
    }

    /// Looks at the messages from `at` on.
    pub(crate) fn look(&mut self, at: i64) -> Result<&Look, Error> {
        if !self.looks.contains_key(&at) {
            let range = OffsetRange {
                start: at.min(self.log.end),
                end: self.log.end,
            };
            let look = (self.look_at)(range)?;
            self.looks.insert(at, look);
        }
        Ok(&self.looks[&at])
    }

    /// The stretch in which the bulk passes `instant_ms`: before its start it is earlier, from its end on it is not. Found
    /// from `hint` outward.
    fn passes(
        &mut self,
        instant_ms: i64,
        log: OffsetRange,
        hint: i64,
    ) -> Result<OffsetRange, Error> {
        let hint = hint.clamp(log.start, log.end);
        let (mut before, mut after) = (log.start, log.end);
        let mut step = LOOK_OFFSETS;
        if hint < log.end && self.look(hint)?.bulk_is_before(instant_ms) {
            before = hint;
            while before.saturating_add(step) < log.end {
                let at = before + step;
                if !self.look(at)?.bulk_is_before(instant_ms) {
                    after = at;
                    break;
                }
                before = at;
                step = step.saturating_mul(2);
            }
        } else {
            after = hint;
            while after > log.start {
                let at = after.saturating_sub(step).max(log.start);
                if self.look(at)?.bulk_is_before(instant_ms) {
                    before = at;
                    break;
                }
                after = at;
                step = step.saturating_mul(2);
            }
        }
        while after - before > GRAIN_OFFSETS {
            let middle = before + (after - before) / 2;
            if self.look(middle)?.bulk_is_before(instant_ms) {
                before = middle;
            } else {
                after = middle;
            }
        }
        Ok(OffsetRange {
            start: before,
            end: after,
        })
    }

    /// Looks at places at growing distances from both ends of `bulk` and from the start of `log`, and all over it.
    fn look_around(&mut self, log: OffsetRange, bulk: OffsetRange) -> Result<(), Error> {
        if bulk.end < log.end {
            self.look(bulk.end)?;
        }
        if log.start < bulk.start {
            self.look(log.start)?;
        }
        let mut distance = LOOK_OFFSETS;
        while distance.unsigned_abs() < log.len() {
            let above = bulk.end.saturating_add(distance);
            if above < log.end {
                self.look(above)?;
            }
            for below in [
                log.start.saturating_add(distance),
                bulk.start.saturating_sub(distance),
            ] {
                if (log.start..bulk.start).contains(&below) {
                    self.look(below)?;
                }
            }
            distance = distance.saturating_add(distance / DISTANCE_PARTS);
        }
        for place in 1..GRID_PLACES {
            let at = log.part(place, GRID_PLACES);
            if !bulk.contains(at) {
                self.look(at)?;
            }
        }
        Ok(())
    }

    /// The bulk, and what lies around the places outside of it where messages of the window were seen.
    fn seen_around(
        &mut self,
        window: Window,
        log: OffsetRange,
        bulk: OffsetRange,
    ) -> Result<Vec<OffsetRange>, Error> {
        let near = i64::try_from(bulk.len())
            .unwrap_or(i64::MAX)
            .max(GRAIN_OFFSETS);
        let mut ranges = vec![bulk];
        // What lies beside a place: nothing of the window, as far as was seen. The bulk's own looks count as seen.
        let outside = |at: &i64| (log.start..log.end).contains(at) && !bulk.contains(*at);
        let places: Vec<(i64, i64, bool)> = self
            .looks
            .iter()
            .filter(|(at, _)| outside(at))
            .map(|(at, look)| (*at, look.end, look.sees(window)))
            .collect();
        for (index, (at, end, _)) in places.iter().enumerate().filter(|(_, place)| place.2) {
            let below = *at < bulk.start;
            let previous = index.checked_sub(1).and_then(|index| places.get(index));
            let previous = previous.filter(|(at, _, _)| (*at < bulk.start) == below);
            let next = places.get(index + 1);
            let next = next.filter(|(at, _, _)| (*at < bulk.start) == below);
            let start = match previous {
                Some((_, _, true)) => *at,
                Some((_, previous_end, false)) => self.edge(window, *previous_end, *at)?,
                None if below => *at,
                None => bulk.end,
            };
            let end = match next {
                Some((next, _, true)) => *next,
                Some((next, _, false)) => self.edge(window, *next, *end)?,
                None if below => bulk.start,
                None => log.end,
            };
            let range = OffsetRange {
                start: start.min(*at),
                end: end.max(*at),
            };
            ranges.push(range);
            // All of what is near.
            if below && bulk.start - range.start <= near {
                ranges.push(OffsetRange {
                    end: bulk.start,
                    ..range
                });
            } else if !below && range.end - bulk.end <= near {
                ranges.push(OffsetRange {
                    start: bulk.end,
                    end: range.end,
                });
            }
        }
        Ok(OffsetRange::merged(ranges))
    }

    /// How far messages of the window go from `with`, where some are, toward `without`, where none was seen: a place between
    /// them beyond which none was seen either.
    fn edge(&mut self, window: Window, without: i64, with: i64) -> Result<i64, Error> {
        let (mut without, mut with) = (without, with);
        for _ in 0..EDGE_HALVINGS {
            if without.abs_diff(with) <= GRAIN_OFFSETS.unsigned_abs() {
                break;
            }
            let middle = with + (without - with) / 2;
            if self.look(middle)?.sees(window) {
                with = middle;
            } else {
                without = middle;
            }
        }
        Ok(without)
    }
}

/// The ranges, with what lies between two of them, or behind the last, where that is short.
fn without_short_gaps(mut ranges: Vec<OffsetRange>, log: OffsetRange) -> Vec<OffsetRange> {
    let mut next_start = log.end;
    for range in ranges.iter_mut().rev() {
        let gap = next_start.abs_diff(range.end);
        if gap <= WHOLE_OFFSETS_MAX {
            range.end = range.end.max(next_start);
        }
        next_start = range.start;
    }
    OffsetRange::merged(ranges)
}

#[cfg(test)]
mod tests;
