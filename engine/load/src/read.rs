//! The read step: a lane's consumer thread.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use engine_model::limits::BLOCK_BYTES_TARGET;
use engine_model::{MessageBlock, OffsetRange, SliceRange, SliceSpec};

use crate::bandwidth::{Due, ReadLimit};
use crate::budget::ByteBudget;
use crate::cancel::{CANCEL_POLL, Cancel};
use crate::ports::{Clock, MessageReader};
use crate::progress::Progress;
use crate::{Error, ErrorKind};

/// Blocks between a consumer and its worker, at most; the byte budget binds earlier where blocks are full.
const BLOCKS_BETWEEN: usize = 16;
/// Empty blocks that wait to be filled again; more are freed, for their memory is in no budget while they wait.
const BLOCKS_RECYCLED: usize = 2;

/// What a consumer thread tells its worker.
pub(crate) enum ReadEvent {
    /// Messages of the current range, in order.
    Block(MessageBlock),
    /// The current range has ended; the next event belongs to the slice's next range.
    RangeEnd {
        how: RangeEnd,
        /// What retention deleted before it was read, in order.
        deleted: Vec<OffsetRange>,
    },
    /// Reading failed; nothing follows.
    Failed(Error),
}

/// How the reading of a range ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeEnd {
    /// All of it was read.
    Complete,
    /// No lane got a message for as long as the job waits; the rest of it is unread.
    Idle,
}

/// Tells whether no lane has got a message for some time.
pub(crate) struct Idle<'a> {
    clock: &'a dyn Clock,
    /// How long; nothing for ever.
    after: Option<Duration>,
    /// When the last message came, in ms of the clock.
    last_ms: AtomicU64,
    lanes_held_up: AtomicUsize,
}

impl<'a> Idle<'a> {
    /// Nothing has come yet, and the time runs from now on.
    pub(crate) fn new(clock: &'a dyn Clock, after: Option<Duration>) -> Self {
        let idle = Self {
            clock,
            after,
            last_ms: AtomicU64::new(0),
            lanes_held_up: AtomicUsize::new(0),
        };
        idle.note_message();
        idle
    }

    fn note_message(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Waits for the steps behind a lane. Meanwhile nobody listens to its topic partition, so that this is no silence.
    fn held_up<T>(&self, wait: impl FnOnce() -> T) -> T {
        self.lanes_held_up.fetch_add(1, Ordering::Relaxed);
        let begun_ms = self.now_ms();
        let waited_for = wait();
        let now_ms = self.now_ms();
        let later = |last_ms: u64| Some((last_ms + now_ms.saturating_sub(begun_ms)).min(now_ms));
        self.last_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, later)
            .ok();
        self.lanes_held_up.fetch_sub(1, Ordering::Relaxed);
        waited_for
    }

    /// Whether it has been silent for long enough. Each range that is left is asked for all the same: another topic partition
    /// may have what this one is silent about.
    fn is_over(&self) -> bool {
        let silence_ms = self
            .now_ms()
            .saturating_sub(self.last_ms.load(Ordering::Relaxed));
        let listening = self.lanes_held_up.load(Ordering::Relaxed) == 0;
        listening
            && self
                .after
                .is_some_and(|after| u128::from(silence_ms) >= after.as_millis())
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The worker's end of the channels to its consumer thread.
pub(crate) struct ReadHandle<'a> {
    slices: Sender<SliceSpec>,
    events: Receiver<ReadEvent>,
    empty_blocks: Sender<MessageBlock>,
    budget: &'a ByteBudget,
    cancel: &'a Cancel,
}

/// The consumer thread's end.
pub(crate) struct Consumer<'a> {
    slices: Receiver<SliceSpec>,
    events: Sender<ReadEvent>,
    empty_blocks: Receiver<MessageBlock>,
    budget: &'a ByteBudget,
    cancel: &'a Cancel,
    idle: &'a Idle<'a>,
    limit: &'a ReadLimit<'a>,
    /// What was read last.
    due: Due,
    progress: &'a Progress,
}

/// Makes the two ends of one lane's read step.
pub(crate) fn channel<'a>(
    budget: &'a ByteBudget,
    cancel: &'a Cancel,
    idle: &'a Idle<'a>,
    limit: &'a ReadLimit<'a>,
    progress: &'a Progress,
) -> (ReadHandle<'a>, Consumer<'a>) {
    let (slices, slices_end) = bounded(1);
    let (events_end, events) = bounded(BLOCKS_BETWEEN);
    let (empty_blocks, empty_blocks_end) = bounded(BLOCKS_RECYCLED);
    let handle = ReadHandle {
        slices,
        events,
        empty_blocks,
        budget,
        cancel,
    };
    let consumer = Consumer {
        slices: slices_end,
        events: events_end,
        empty_blocks: empty_blocks_end,
        budget,
        cancel,
        idle,
        limit,
        due: Due::default(),
        progress,
    };
    (handle, consumer)
}

impl ReadHandle<'_> {
    /// Asks for a slice; its events follow. Only one slice is under way at a time.
    pub(crate) fn begin(&self, slice: &SliceSpec) -> Result<(), Error> {
        self.slices.send(slice.clone()).map_err(|_| consumer_gone())
    }

    /// Waits for the next event.
    pub(crate) fn next(&self) -> Result<ReadEvent, Error> {
        loop {
            match self.events.recv_timeout(CANCEL_POLL) {
                Ok(event) => return Ok(event),
                Err(RecvTimeoutError::Timeout) => self.cancel.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.cancel.check()?;
                    return Err(consumer_gone());
                }
            }
        }
    }

    /// Gives a block back to be filled again.
    pub(crate) fn recycle(&self, mut block: MessageBlock) {
        self.budget.release(block.size());
        block.clear();
        block.shrink_to(2 * BLOCK_BYTES_TARGET);
        // A full return channel means that enough blocks are under way; this one is dropped.
        drop(self.empty_blocks.try_send(block));
    }
}

fn consumer_gone() -> Error {
    Error::new(
        ErrorKind::Internal,
        "a consumer thread ended before its slice was read",
    )
}

impl Consumer<'_> {
    /// Reads the slices that the worker asks for, until it asks for no more.
    pub(crate) fn run(mut self, mut reader: Box<dyn MessageReader>) {
        while let Ok(slice) = self.idle.held_up(|| self.slices.recv()) {
            if let Err(error) = self.read_slice(&mut *reader, &slice) {
                // The worker is gone only when it failed itself; its error is the one that counts.
                drop(self.send(ReadEvent::Failed(error)));
                return;
            }
        }
    }

    fn read_slice(
        &mut self,
        reader: &mut dyn MessageReader,
        slice: &SliceSpec,
    ) -> Result<(), Error> {
        for SliceRange {
            topic_partition,
            range,
            ..
        } in &slice.ranges
        {
            reader.open(topic_partition, *range)?;
            loop {
                // Here and not behind the last block, so that nobody waits for what isn't asked for.
                if !self.limit.is_over(self.due) {
                    self.idle.held_up(|| self.limit.wait(self.due))?;
                }
                let mut block = self.empty_blocks.try_recv().unwrap_or_default();
                let started = self.idle.clock.elapsed();
                let complete = reader.read(&mut block)?;
                let busy = self.idle.clock.elapsed().saturating_sub(started);
                self.progress
                    .read
                    .add(busy, block.len() as u64, block.size() as u64);
                self.cancel.check()?;
                let silent = block.is_empty();
                if !silent {
                    self.due = self.limit.count(block.size());
                    self.idle.note_message();
                    self.idle.held_up(|| {
                        self.budget.acquire(block.size(), self.cancel)?;
                        self.send(ReadEvent::Block(block))
                    })?;
                }
                let how = if complete {
                    RangeEnd::Complete
                } else if silent && self.idle.is_over() {
                    RangeEnd::Idle
                } else {
                    continue;
                };
                let deleted = reader.deleted().to_vec();
                self.send(ReadEvent::RangeEnd { how, deleted })?;
                break;
            }
        }
        Ok(())
    }

    fn send(&self, event: ReadEvent) -> Result<(), Error> {
        self.cancel.send(&self.events, event)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine_model::{ByteRate, SLICE_FORMAT, TopicPartition};
    use jiff::Timestamp;

    use super::*;

    /// A clock that is set.
    #[derive(Default)]
    struct SetClock(AtomicU64);

    impl SetClock {
        fn go_on(&self, time: Duration) {
            let passed_ms = u64::try_from(time.as_millis()).unwrap();
            self.0.fetch_add(passed_ms, Ordering::Relaxed);
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::Relaxed))
        }

        fn sleep(&self, duration: Duration) {
            self.go_on(duration);
        }
    }

    #[test]
    fn time_in_which_a_lane_was_held_up_is_no_silence() {
        let clock = SetClock::default();
        let idle = Idle::new(&clock, Some(Duration::from_mins(1)));
        clock.go_on(Duration::from_secs(50));
        assert!(!idle.is_over());
        // Two lanes, one within the time of the other.
        idle.held_up(|| {
            clock.go_on(Duration::from_secs(20));
            assert!(!idle.is_over());
            idle.held_up(|| clock.go_on(Duration::from_mins(5)));
            assert!(!idle.is_over());
        });
        clock.go_on(Duration::from_secs(59));
        assert!(!idle.is_over(), "waiting at the same time counts once");
        clock.go_on(Duration::from_secs(1));
        assert!(idle.is_over());
    }

    /// A topic partition that is silent for one call after each message.
    struct Hesitant {
        next: i64,
        silent: bool,
    }

    impl MessageReader for Hesitant {
        fn open(&mut self, _: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
            self.next = range.start;
            Ok(())
        }

        fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
            self.silent = !self.silent;
            if self.silent {
                let payload = Some(&[0; 1_000][..]);
                block.push(self.next, 0, None, payload, std::iter::empty());
                self.next += 1;
            }
            Ok(self.next == 3)
        }

        fn deleted(&self) -> &[OffsetRange] {
            &[]
        }
    }

    #[test]
    fn time_in_which_a_limit_is_kept_is_no_silence() {
        let clock = SetClock::default();
        let (budget, cancel, progress) = (
            ByteBudget::new(1 << 20),
            Cancel::default(),
            Progress::default(),
        );
        let idle = Idle::new(&clock, Some(Duration::from_secs(5)));
        // Ten seconds for each message.
        let limit = ReadLimit::new(ByteRate::new(100), &clock, &cancel);
        let (handle, consumer) = channel(&budget, &cancel, &idle, &limit, &progress);
        let slice = SliceSpec {
            format: SLICE_FORMAT,
            number: 0,
            ranges: vec![SliceRange {
                topic_partition: TopicPartition::new("orders", 0),
                range: OffsetRange { start: 0, end: 3 },
                windows: vec![0],
            }],
            block_ids: BTreeMap::new(),
        };
        handle.begin(&slice).unwrap();
        drop(handle.slices);
        consumer.run(Box::new(Hesitant {
            next: 0,
            silent: false,
        }));
        let events: Vec<_> = handle.events.try_iter().collect();
        assert_eq!(events.len(), 4);
        let Some(ReadEvent::RangeEnd { how, .. }) = events.last() else {
            panic!("the range has no end");
        };
        assert_eq!(*how, RangeEnd::Complete);
        // What was read last is waited for by nobody.
        assert_eq!(clock.elapsed(), Duration::from_secs(20));
    }
}
