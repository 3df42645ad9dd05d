//! Resolving: from the bounds of windows to the offsets to read, by asking the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::thread;

use engine_model::job::{Job, Lateness, OffsetBound, OffsetBounds};
use engine_model::{OffsetRange, PlannedPartition, PlannedWindow, Reach, TopicPartition, Window};

use crate::ports::MessageSource;
use crate::survey::{LOOK_MESSAGES, LOOK_OFFSETS, Look, Sought, Survey};
use crate::timestamps::{Found, check_timestamps};
use crate::{Error, ErrorKind};

/// Topic partitions that are surveyed at once. Each look waits for a broker, not for this machine.
const SURVEYS_AT_ONCE: NonZeroUsize = NonZeroUsize::new(8).expect("it is not 0");

/// Resolves `windows`, which are in time order, for each of `partitions`, in the same order. Touches nothing.
///
/// # Errors
///
/// [`ErrorKind::Job`] where the job names topic partitions that there aren't; those of the source; and
/// [`ErrorKind::Source`] where a message without a timestamp is met and the window is bounded by time.
pub(crate) fn resolve(
    job: &Job,
    source: &dyn MessageSource,
    partitions: &[TopicPartition],
    windows: &[PlannedWindow],
) -> Result<Vec<PlannedPartition>, Error> {
    let windows: Vec<Window> = windows.iter().map(|planned| planned.window).collect();
    let look_ups = LookUps::ask(job, source, partitions, &windows)?;
    let resolve_one = |index: usize| {
        let partition = &partitions[index];
        if let Some(found) = look_ups.of_first_window(&windows, index) {
            check_timestamps(partition, found, source)?;
        }
        let mut look_at = |range: OffsetRange| look(source, partition, range);
        Resolving {
            lateness: job.lateness,
            by_offset: job.offsets.end.is_some(),
            windows: &windows,
            look_ups: &look_ups,
            index,
            log: look_ups.logs[index],
        }
        .resolve(partition, &mut look_at)
    };
    in_parallel(partitions.len(), &resolve_one)
}

/// The first messages of a range, for a survey.
fn look(
    source: &dyn MessageSource,
    partition: &TopicPartition,
    range: OffsetRange,
) -> Result<Look, Error> {
    if range.is_empty() {
        return Ok(Look::new(range.end, Vec::new()));
    }
    let block = source.peek(partition, range, LOOK_MESSAGES)?;
    let mut end = range.end;
    let mut timestamps_ms = Vec::with_capacity(block.len());
    for message in block.iter() {
        if message.timestamp_ms < 0 {
            return Err(without_timestamp(partition, message.offset));
        }
        end = message.offset + 1;
        timestamps_ms.push(message.timestamp_ms);
    }
    Ok(Look::new(end, timestamps_ms))
}

/// The error for a message that can't be told to be in a window.
pub(crate) fn without_timestamp(partition: &TopicPartition, offset: i64) -> Error {
    let message = format!(
        "the message at offset {offset} of {partition} has no timestamp, so no window can be told for it; a topic that is \
         loaded by time needs timestamps, and without them its window can be bounded by offsets",
    );
    Error::new(ErrorKind::Source, message)
}

/// What the topic answers about all topic partitions at once: a request for each bound.
struct LookUps {
    /// One past the last message that was written.
    written: Vec<i64>,
    /// From the log start offset to the high watermark.
    ends: Vec<OffsetRange>,
    /// The parts of these that bounds by offset leave.
    logs: Vec<OffsetRange>,
    /// Whether a start that the job names is no longer kept.
    start_is_gone: Vec<bool>,
    /// Whether an end that the job names is not there yet.
    end_is_open: Vec<bool>,
    /// The first message that is kept and has a timestamp, where the windows start at a time.
    first: Vec<Option<i64>>,
    /// The first message at or after each of these instants, in ms.
    at: BTreeMap<i64, Vec<Option<i64>>>,
}

impl LookUps {
    fn ask(
        job: &Job,
        source: &dyn MessageSource,
        partitions: &[TopicPartition],
        windows: &[Window],
    ) -> Result<Self, Error> {
        // First: what is written while the rest is looked up lies behind the high watermark, and is not of this plan. Asked
        // for last, it could take in a message that no look-up saw.
        // What was written before that, and can't be read after it, is kept back by a transaction.
        let written = source.written_ends(partitions)?;
        let ends = source.log_ends(partitions)?;
        let mut look_ups = Self {
            written,
            logs: ends.clone(),
            start_is_gone: vec![false; ends.len()],
            end_is_open: vec![false; ends.len()],
            first: vec![None; ends.len()],
            at: BTreeMap::new(),
            ends,
        };
        look_ups.bound(&job.offsets, source, partitions)?;
        if job.offsets.start.is_none() {
            look_ups.first = source.offsets_at(partitions, 0)?;
        }
        for instant_ms in instants(windows, job.lateness) {
            let found = source.offsets_at(partitions, instant_ms)?;
            look_ups.at.insert(instant_ms, found);
        }
        Ok(look_ups)
    }

    /// Narrows the logs down to the bounds that are offsets.
    fn bound(
        &mut self,
        bounds: &OffsetBounds,
        source: &dyn MessageSource,
        partitions: &[TopicPartition],
    ) -> Result<(), Error> {
        let start = offsets_of(bounds.start.as_ref(), source, partitions)?;
        let end = offsets_of(bounds.end.as_ref(), source, partitions)?;
        for index in 0..partitions.len() {
            let kept = self.ends[index];
            let log = &mut self.logs[index];
            match start.get(index) {
                Some(Place::At(offset)) => {
                    self.start_is_gone[index] = *offset < kept.start;
                    log.start = (*offset).clamp(kept.start, kept.end);
                }
                Some(Place::Nowhere) => log.start = kept.end,
                Some(Place::LogEnd) | None => {}
            }
            match end.get(index) {
                Some(Place::At(offset)) => {
                    self.end_is_open[index] = *offset > kept.end;
                    log.end = (*offset).clamp(log.start, kept.end);
                }
                Some(Place::Nowhere) => log.end = log.start,
                Some(Place::LogEnd) | None => {}
            }
        }
        Ok(())
    }

    /// What was found for the start of the first window; nothing where that is no time.
    fn of_first_window(&self, windows: &[Window], index: usize) -> Option<Found> {
        let start_ms = windows.first().map(|window| window.start_ms)?;
        (start_ms != i64::MIN).then(|| Found {
            log: self.ends[index],
            first: self.first[index],
            start: self.first_at(start_ms, index),
        })
    }

    fn first_at(&self, instant_ms: i64, index: usize) -> Option<i64> {
        let found = self.at.get(&instant_ms)?;
        found.get(index).copied().flatten()
    }
}

/// Where a bound by offset lies in one topic partition.
enum Place {
    /// At this offset, which need not be in the log.
    At(i64),
    /// At the log's own end of that side.
    LogEnd,
    /// The topic partition is not to be read.
    Nowhere,
}

/// A place for each topic partition; none at all where the bound is a time.
fn offsets_of(
    bound: Option<&OffsetBound>,
    source: &dyn MessageSource,
    partitions: &[TopicPartition],
) -> Result<Vec<Place>, Error> {
    let Some(bound) = bound else {
        return Ok(Vec::new());
    };
    Ok(match bound {
        OffsetBound::Earliest | OffsetBound::Latest => {
            partitions.iter().map(|_| Place::LogEnd).collect()
        }
        OffsetBound::At(offset) => partitions.iter().map(|_| Place::At(*offset)).collect(),
        OffsetBound::Group => {
            let positions = source.group_offsets(partitions)?.into_iter();
            positions
                .map(|position| position.map_or(Place::LogEnd, Place::At))
                .collect()
        }
        OffsetBound::Each(offsets) => {
            let known = |number: &i32| partitions.iter().any(|known| known.partition == *number);
            if let Some(unknown) = offsets.keys().find(|number| !known(number)) {
                let message = format!(
                    "`window` names an offset of topic partition {unknown}, which is not among those that are read; see \
                     `tidegate check` for what the topic has"
                );
                return Err(Error::new(ErrorKind::Job, message));
            }
            partitions
                .iter()
                .map(|partition| {
                    let offset = offsets.get(&partition.partition);
                    offset.map_or(Place::Nowhere, |offset| Place::At(*offset))
                })
                .collect()
        }
    })
}

/// The instants to look up: the windows' bounds, and where the margins behind their ends are.
fn instants(windows: &[Window], lateness: Lateness) -> BTreeSet<i64> {
    let mut instants = BTreeSet::new();
    for window in windows {
        instants.extend([window.start_ms, window.end_ms]);
        if let Lateness::Margin(margin_ms) = lateness {
            let far_ms = Sought::margin_ms_max(*window, margin_ms);
            instants.extend([hint_of(*window, margin_ms), hint_of(*window, far_ms)]);
        }
    }
    // Bounds that are offsets.
    instants.remove(&i64::MIN);
    instants.remove(&i64::MAX);
    instants
}

fn hint_of(window: Window, margin_ms: i64) -> i64 {
    window.end_ms.saturating_add(margin_ms)
}

/// One topic partition on its way into the plan.
struct Resolving<'a> {
    lateness: Lateness,
    /// The windows end at an offset.
    by_offset: bool,
    windows: &'a [Window],
    look_ups: &'a LookUps,
    index: usize,
    /// What the bounds by offset leave of the log.
    log: OffsetRange,
}

impl Resolving<'_> {
    fn resolve(
        &self,
        partition: &TopicPartition,
        look_at: &mut crate::survey::LookAt<'_>,
    ) -> Result<PlannedPartition, Error> {
        let mut survey = Survey::new(self.log, look_at);
        let mut reaches = Vec::with_capacity(self.windows.len());
        let adjacent = |one: &Window, next: &Window| one.end_ms == next.start_ms;
        for group in self.windows.chunk_by(adjacent) {
            reaches.extend(self.resolve_group(group, &mut survey)?);
        }
        let ends = self.look_ups.ends[self.index];
        Ok(PlannedPartition {
            topic_partition: partition.clone(),
            log_start: ends.start,
            high_watermark: ends.end,
            written_end: self.look_ups.written[self.index].max(ends.end),
            ranges: OffsetRange::merged(reaches.iter().flat_map(Reach::ranges).collect()),
            reaches,
        })
    }

    /// How far windows reach each of which begins where the last one ends.
    fn resolve_group(
        &self,
        group: &[Window],
        survey: &mut Survey<'_>,
    ) -> Result<Vec<Reach>, Error> {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            return Ok(Vec::new());
        };
        let mut anyway = None;
        if let Lateness::Margin(margin_ms) = self.lateness
            && !self.by_offset
            && group.len() > 1
        {
            let sought =
                |window: &Window| self.sought(*window, self.look_up(*window).range, margin_ms);
            anyway = Some(survey.between(&sought(first), &sought(last))?);
        }
        let mut reaches = Vec::with_capacity(group.len());
        for window in group {
            let mut reach = self.look_up(*window);
            match self.lateness {
                _ if self.by_offset => {}
                Lateness::Exact => {}
                Lateness::None => reach.range.end = reach.look_up_end(),
                Lateness::Margin(margin_ms) => {
                    let sought = self.sought(*window, reach.range, margin_ms);
                    let ranges = survey.ranges(&sought, anyway)?;
                    reach.range.end = ranges.last().map_or(reach.range.start, |last| last.end);
                    reach.left_out = reach.range.without(&ranges);
                }
            }
            reach.closed = self.is_closed(*window, &reach, survey)?;
            reaches.push(reach);
        }
        Ok(reaches)
    }

    /// What a survey is told of a window whose messages lie within `range`.
    fn sought(&self, window: Window, range: OffsetRange, margin_ms: i64) -> Sought {
        Sought {
            window,
            start: range.start,
            margin_ms,
            end_hint: self.hint(window, margin_ms),
            far_hint: self.hint(window, Sought::margin_ms_max(window, margin_ms)),
        }
    }

    /// The window's look-ups, with all that lies behind its start within its reach.
    fn look_up(&self, window: Window) -> Reach {
        let OffsetRange { start, end } = self.log;
        let in_log = |offset: Option<i64>| offset.filter(|offset| *offset < end);
        let start_offset = if window.start_ms == i64::MIN {
            in_log(Some(start))
        } else {
            in_log(self.look_ups.first_at(window.start_ms, self.index))
        };
        let kept = self.look_ups.ends[self.index];
        // The first message that is kept may be of the window, and so may those before it have been.
        let is_cut = kept.start > 0
            && window.start_ms != i64::MIN
            && self.look_ups.first[self.index]
                == self.look_ups.first_at(window.start_ms, self.index);
        Reach {
            start_offset,
            end_offset: in_log(self.look_ups.first_at(window.end_ms, self.index)),
            range: OffsetRange {
                start: start_offset.unwrap_or(end).clamp(start, end),
                end,
            },
            left_out: Vec::new(),
            closed: false,
            retention_gap: is_cut || self.look_ups.start_is_gone[self.index],
        }
    }

    /// Where the bulk of the messages may pass a window's end and a margin; the end of the log where none is that late.
    fn hint(&self, window: Window, margin_ms: i64) -> i64 {
        let found = self
            .look_ups
            .first_at(hint_of(window, margin_ms), self.index);
        found.unwrap_or(self.log.end)
    }

    /// Whether what was seen at the end of the reach all lies at or after the window's end.
    fn is_closed(
        &self,
        window: Window,
        reach: &Reach,
        survey: &mut Survey<'_>,
    ) -> Result<bool, Error> {
        if self.by_offset {
            return Ok(!self.look_ups.end_is_open[self.index]);
        }
        let Some(end_offset) = reach.end_offset else {
            return Ok(false);
        };
        if self.lateness == Lateness::None {
            return Ok(true);
        }
        let tail = self.log.end - LOOK_OFFSETS;
        let at = reach.range.end.min(tail.max(end_offset));
        Ok(survey.look(at)?.is_at_or_after(window.end_ms))
    }
}

/// Calls `one` for each index below `count`, several at once, and returns what they return in order, or the first error.
fn in_parallel<T: Send>(
    count: usize,
    one: &(dyn Fn(usize) -> Result<T, Error> + Sync),
) -> Result<Vec<T>, Error> {
    let threads = SURVEYS_AT_ONCE.get().min(count);
    let found = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let indexes = (thread..count).step_by(threads);
                let all = move || indexes.map(one).collect::<Result<Vec<T>, Error>>();
                thread::Builder::new().spawn_scoped(scope, all)
            })
            .collect();
        running
            .into_iter()
            .map(
                |started| match started.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(found)) => found,
                    Ok(Err(_)) => Err(not_resolved("a thread panicked")),
                    Err(error) => Err(not_resolved(&error.to_string())),
                },
            )
            .collect::<Result<Vec<Vec<T>>, Error>>()
    })?;
    let mut columns: Vec<_> = found.into_iter().map(Vec::into_iter).collect();
    let in_order = (0..count).filter_map(|index| columns.get_mut(index % threads)?.next());
    Ok(in_order.collect())
}

fn not_resolved(cause: &str) -> Error {
    let message = format!("the topic can't be looked at: {cause}");
    Error::new(ErrorKind::Internal, message)
}
