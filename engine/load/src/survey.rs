//! Where the messages of windows lie in a log that is not in order, found by looks at a few places.
//!
//! A log mostly follows the clock: the *bulk* of its messages does, in the sense of the median of some messages in a row.
//! Others are stamped earlier or later than their neighbours. For each window the survey
//!
//! 1. bisects for the places where the bulk passes the window's start and end, and reads that far and a margin of message
//!    time further on either side, which grows by what the looks see of steady disorder;
//! 2. looks at [`places`] on either side. Where messages of the window are seen no farther away than the bulk of the
//!    window is long, all up to there is read;
//! 3. reads around each farther place where some are seen, up to where the places beside it have none.
//!
//! Reading begins at the look-up of the window's start, for nothing of the window lies before it. What no look meets, and
//! lies farther from the bulk than the margin, is missed. A log of up to [`WHOLE_OFFSETS_MAX`] offsets from there on is
//! read whole, and so is what would be left out between two stretches, or behind the last, where it is as short.
//!
//! Of several windows each is surveyed as if it were the only one; they share what was seen. What lies around a window is
//! read for the windows beside it anyway: where it is, all of it is taken, and no look is needed there, for whatever a look
//! could bring the window to read is within.

mod look;
mod places;

use std::collections::BTreeMap;

use engine_model::{OffsetRange, Window};

use crate::Error;

pub(crate) use look::Look;
use places::places;

/// Messages in a row that one look takes in, at most.
pub(crate) const LOOK_MESSAGES: usize = 64;
/// The offsets that they have where there are no holes.
pub(crate) const LOOK_OFFSETS: i64 = 64;
/// Logs of so many offsets are read whole: looking would cost more than reading.
pub(crate) const WHOLE_OFFSETS_MAX: u64 = 10_000;
/// Places of the bulk are found to so many offsets.
const GRAIN_OFFSETS: i64 = 1_000;
/// Looks that must have seen messages so far from their neighbours for disorder to be steady: fewer are outliers.
const STEADY_LOOKS: usize = 3;
/// How often the stretch between a place with messages of the window and one without is halved.
const EDGE_HALVINGS: u32 = 3;

/// Looks at the first messages of a range of one topic partition, at most [`LOOK_MESSAGES`].
pub(crate) type LookAt<'a> = dyn FnMut(OffsetRange) -> Result<Look, Error> + 'a;

/// A window to survey, with what the look-ups say of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    pub(crate) window: Window,
    /// Nothing of the window lies before this offset.
    pub(crate) start: i64,
    /// Message time that is read on either side of the bulk, in ms.
    pub(crate) margin_ms: i64,
    /// Where the bulk may pass the window's end and the margin.
    pub(crate) end_hint: i64,
    /// Where it may pass them and the window's length.
    pub(crate) far_hint: i64,
}

impl Sought {
    /// The most message time that is read on either side of the bulk, in ms: disorder that is longer than the window is found
    /// where it was seen.
    pub(crate) fn margin_ms_max(window: Window, margin_ms: i64) -> i64 {
        let length_ms = window.end_ms.saturating_sub(window.start_ms);
        margin_ms.saturating_add(length_ms)
    }
}

/// One log that is surveyed, with what was seen of it.
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

    /// What to read for messages of a window. Of several windows, one after the other in time, `anyway` is what is read from
    /// the first to the last: of that the window takes what lies around it, beyond what it would as the only one.
    pub(crate) fn ranges(
        &mut self,
        sought: &Sought,
        anyway: Option<OffsetRange>,
    ) -> Result<Vec<OffsetRange>, Error> {
        let log = self.log_from(sought.start);
        // No later window lies there.
        self.looks = self.looks.split_off(&log.start);
        if is_short(log) {
            return Ok(OffsetRange::merged(vec![log]));
        }
        let bulk = self.bulk(sought, log)?;
        let places = places(log, bulk);
        let mut shared = None;
        let mut core = None;
        if let Some(anyway) = anyway {
            let widest = self.widest(sought, log, bulk)?;
            let around = OffsetRange {
                start: log.start,
                end: end_around(log, bulk, widest, &places),
            };
            shared = anyway.intersection(around);
            core = shared.filter(|shared| shared.start <= widest.start && shared.end == around.end);
        }
        let core = match core {
            Some(core) => core,
            None => self.grown(sought, log, bulk, &places)?,
        };
        let mut ranges = self.seen_around(sought.window, log, &places, (bulk, core))?;
        ranges.extend(shared);
        Ok(without_short_gaps(OffsetRange::merged(ranges), log))
    }

    /// From the bulk of the first window to that of the last: what is read of them together.
    pub(crate) fn between(&mut self, first: &Sought, last: &Sought) -> Result<OffsetRange, Error> {
        let start = self.bulk(first, self.log_from(first.start))?.start;
        let end = self.bulk(last, self.log_from(last.start))?.end;
        Ok(OffsetRange {
            start,
            end: end.max(start),
        })
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

    fn log_from(&self, start: i64) -> OffsetRange {
        OffsetRange {
            start: start.clamp(self.log.start, self.log.end),
            ..self.log
        }
    }

    /// Where the bulk is in the window or within the margin of it; all of a log that is short.
    fn bulk(&mut self, sought: &Sought, log: OffsetRange) -> Result<OffsetRange, Error> {
        if is_short(log) {
            return Ok(log);
        }
        let margin_ms = sought.margin_ms;
        self.bulk_within(sought.window, log, sought.end_hint, (margin_ms, margin_ms))
    }

    /// The most that the bulk and what is read for steady disorder can be.
    fn widest(
        &mut self,
        sought: &Sought,
        log: OffsetRange,
        bulk: OffsetRange,
    ) -> Result<OffsetRange, Error> {
        let margin_ms = Sought::margin_ms_max(sought.window, sought.margin_ms);
        let wide = self.bulk_within(sought.window, log, sought.far_hint, (margin_ms, margin_ms))?;
        Ok(OffsetRange {
            start: wide.start.min(bulk.start),
            end: wide.end.max(bulk.end),
        })
    }

    /// The bulk and what is read for the steady disorder that is seen at `places`, all of which are looked at. Late messages lie
    /// behind the end, early ones before the start.
    fn grown(
        &mut self,
        sought: &Sought,
        log: OffsetRange,
        bulk: OffsetRange,
        places: &[i64],
    ) -> Result<OffsetRange, Error> {
        let Sought {
            window, margin_ms, ..
        } = *sought;
        let length_ms = window.end_ms.saturating_sub(window.start_ms);
        let grown = |steady_ms: i64| {
            let grows = steady_ms > margin_ms / 2 && steady_ms <= length_ms;
            margin_ms.saturating_add(if grows { steady_ms } else { 0 })
        };
        let (late_ms, early_ms) = self.disorder_ms(places)?;
        let both = (grown(early_ms), grown(late_ms));
        if both == (margin_ms, margin_ms) {
            return Ok(bulk);
        }
        let widest = self.widest(sought, log, bulk)?;
        let grown = self.bulk_within(window, log, bulk.end, both)?;
        Ok(OffsetRange {
            start: grown.start.clamp(widest.start, bulk.start),
            end: grown.end.clamp(bulk.end, widest.end),
        })
    }

    /// Where the bulk is in the window, or within so much message time before its start, and behind its end.
    fn bulk_within(
        &mut self,
        window: Window,
        log: OffsetRange,
        end_hint: i64,
        (before_ms, behind_ms): (i64, i64),
    ) -> Result<OffsetRange, Error> {
        let low_ms = window.start_ms.saturating_sub(before_ms);
        let start = self.passes(low_ms, log, log.start)?.start;
        let rest = OffsetRange { start, ..log };
        let high_ms = window.end_ms.saturating_add(behind_ms);
        let end = self.passes(high_ms, rest, end_hint)?.end;
        Ok(OffsetRange {
            start,
            end: end.max(start),
        })
    }

    /// How far messages are stamped before, and after, those around them, in ms, as far as that is steady.
    fn disorder_ms(&mut self, places: &[i64]) -> Result<(i64, i64), Error> {
        let (mut late, mut early) = (Vec::new(), Vec::new());
        for at in places {
            let (late_ms, early_ms) = self.look(*at)?.spread_ms();
            late.push(late_ms);
            early.push(early_ms);
        }
        let steady = |mut spreads: Vec<i64>| {
            spreads.sort_unstable_by(|one, other| other.cmp(one));
            spreads.get(STEADY_LOOKS - 1).copied().unwrap_or(0)
        };
        Ok((steady(late), steady(early)))
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

    /// The `core`, of which the bulk is a part, and what lies around the places outside of it where messages of the window
    /// are seen.
    fn seen_around(
        &mut self,
        window: Window,
        log: OffsetRange,
        places: &[i64],
        (bulk, core): (OffsetRange, OffsetRange),
    ) -> Result<Vec<OffsetRange>, Error> {
        let near = near_offsets(bulk);
        let mut ranges = vec![core];
        let mut seen: Vec<(i64, i64, bool)> = Vec::with_capacity(places.len());
        for at in places.iter().filter(|at| !core.contains(**at)) {
            let look = self.look(*at)?;
            seen.push((*at, look.end, look.sees(window)));
        }
        for (index, (at, end, _)) in seen.iter().enumerate().filter(|(_, place)| place.2) {
            let below = *at < core.start;
            let previous = index.checked_sub(1).and_then(|index| seen.get(index));
            let previous = previous.filter(|(at, _, _)| (*at < core.start) == below);
            let next = seen.get(index + 1);
            let next = next.filter(|(at, _, _)| (*at < core.start) == below);
            let start = match previous {
                Some((_, _, true)) => *at,
                Some((_, previous_end, false)) => self.edge(window, *previous_end, *at)?,
                None if below => *at,
                None => core.end,
            };
            let end = match next {
                Some((next, _, true)) => *next,
                Some((next, _, false)) => self.edge(window, *next, *end)?,
                None if below => core.start,
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
                    end: core.start,
                    ..range
                });
            } else if !below && range.end - bulk.end <= near {
                ranges.push(OffsetRange {
                    start: core.end,
                    end: range.end,
                });
            }
        }
        Ok(ranges)
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

/// Whether what may hold messages of a window is so short that all of it is read.
fn is_short(log: OffsetRange) -> bool {
    log.len() <= WHOLE_OFFSETS_MAX
}

/// How far from the bulk all is read up to where messages of the window are seen.
fn near_offsets(bulk: OffsetRange) -> i64 {
    let length = i64::try_from(bulk.len()).unwrap_or(i64::MAX);
    length.max(GRAIN_OFFSETS)
}

/// Where what lies around a window ends: at the first of the places that is near no more, so that what is read for
/// those before it ends there too. Where the window is shorter than looks are worth, that is farther away.
fn end_around(log: OffsetRange, bulk: OffsetRange, widest: OffsetRange, places: &[i64]) -> i64 {
    let near = near_offsets(bulk).max(WHOLE_OFFSETS_MAX.cast_signed());
    let end = bulk.end.saturating_add(near).max(widest.end);
    let later = places.partition_point(|at| *at < end);
    places.get(later).copied().unwrap_or(log.end)
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
