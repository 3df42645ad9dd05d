//! The pace of a run: no more upload sessions and blocks than the service takes for a table within some time.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine_model::limits::{BLOCKS_PER_PERIOD_MAX, PACE_PERIOD_S, SESSIONS_PER_PERIOD_MAX};

use crate::Error;
use crate::cancel::{CANCEL_POLL, Cancel};
use crate::ports::Clock;
use crate::progress::Progress;

const PERIOD: Duration = Duration::from_secs(PACE_PERIOD_S);

/// Makes the calls wait that the service would refuse. What other processes send to the table isn't known here; where they
/// use up what it takes, it says so, and the call is tried again.
pub(crate) struct Pace<'a> {
    sessions: Mutex<Quota>,
    blocks: Mutex<Quota>,
    clock: &'a dyn Clock,
    progress: &'a Progress,
    cancel: &'a Cancel,
}

impl<'a> Pace<'a> {
    /// The pace of one table, to which nothing was sent yet.
    pub(crate) fn new(clock: &'a dyn Clock, progress: &'a Progress, cancel: &'a Cancel) -> Self {
        let quota = |calls_max| Mutex::new(Quota::new(calls_max, PERIOD));
        Self {
            sessions: quota(SESSIONS_PER_PERIOD_MAX),
            blocks: quota(BLOCKS_PER_PERIOD_MAX),
            clock,
            progress,
            cancel,
        }
    }

    /// Waits until the service takes one more upload session. To be held until it has answered.
    pub(crate) fn session(&self) -> Result<Turn<'_>, Error> {
        self.turn(&self.sessions)
    }

    /// Waits until the service takes one more block. To be held until it has answered.
    pub(crate) fn block(&self) -> Result<Turn<'_>, Error> {
        self.turn(&self.blocks)
    }

    fn turn<'q>(&'q self, quota: &'q Mutex<Quota>) -> Result<Turn<'q>, Error> {
        let begun = || lock(quota).begin(self.clock.elapsed());
        if !begun() {
            let waiting = &self.progress.waiting_for_service;
            waiting.fetch_add(1, Ordering::Relaxed);
            let waited = loop {
                if let Err(stopped) = self.cancel.check() {
                    break Err(stopped);
                }
                self.clock.sleep(CANCEL_POLL);
                if begun() {
                    break Ok(());
                }
            };
            waiting.fetch_sub(1, Ordering::Relaxed);
            waited?;
        }
        Ok(Turn {
            quota,
            clock: self.clock,
        })
    }
}

/// A call that is under way.
pub(crate) struct Turn<'a> {
    quota: &'a Mutex<Quota>,
    clock: &'a dyn Clock,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut quota = lock(self.quota);
        quota.end(self.clock.elapsed());
    }
}

fn lock(quota: &Mutex<Quota>) -> MutexGuard<'_, Quota> {
    quota.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bounds the calls within every stretch of time of one length, wherever it begins and whenever within a call the service
/// counts it. Pure: it is told what time it is.
#[derive(Debug)]
struct Quota {
    calls_max: usize,
    period: Duration,
    under_way: usize,
    /// When the calls of the last period ended, in order.
    ended: VecDeque<Duration>,
}

impl Quota {
    fn new(calls_max: usize, period: Duration) -> Self {
        Self {
            calls_max,
            period,
            under_way: 0,
            ended: VecDeque::new(),
        }
    }

    /// Begins a call where one more is allowed.
    fn begin(&mut self, now: Duration) -> bool {
        let is_past = |ended: &Duration| *ended + self.period <= now;
        while self.ended.front().is_some_and(is_past) {
            self.ended.pop_front();
        }
        let allowed = self.under_way + self.ended.len() < self.calls_max;
        self.under_way += usize::from(allowed);
        allowed
    }

    /// Ends a call that was begun.
    fn end(&mut self, now: Duration) {
        self.under_way = self.under_way.saturating_sub(1);
        self.ended.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use jiff::Timestamp;

    use super::*;
    use crate::ErrorKind;

    /// A clock that goes on while somebody sleeps.
    #[derive(Default)]
    struct SleepingClock {
        elapsed_ms: AtomicU64,
    }

    impl Clock for SleepingClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.elapsed_ms.load(Ordering::Relaxed))
        }

        fn sleep(&self, duration: Duration) {
            let slept_ms = u64::try_from(duration.as_millis()).unwrap();
            self.elapsed_ms.fetch_add(slept_ms, Ordering::Relaxed);
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn no_stretch_of_a_period_has_more_calls_than_are_allowed() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut quota = Quota::new(4, seconds(30));
        let mut under_way: Vec<u64> = Vec::new();
        let mut calls: Vec<(u64, u64)> = Vec::new();
        for now in 0..2_000 {
            if quota.begin(seconds(now)) {
                under_way.push(now);
            }
            if !under_way.is_empty() && rng.u32(..3) == 0 {
                let begun = under_way.swap_remove(rng.usize(..under_way.len()));
                quota.end(seconds(now));
                calls.push((begun, now));
            }
        }
        assert!(calls.len() > 150, "{}", calls.len());
        // Whether the service counts a call where it begins, where it ends or in between.
        for _ in 0..200 {
            let mut counted: Vec<u64> = calls
                .iter()
                .map(|(begun, end)| rng.u64(*begun..=*end))
                .collect();
            counted.sort_unstable();
            for five in counted.windows(5) {
                assert!(five[4] - five[0] >= 30, "{five:?}");
            }
        }
    }

    #[test]
    fn as_many_calls_as_are_allowed_wait_for_nothing_and_the_next_one_waits_for_its_period() {
        let (clock, progress, cancel) = (
            SleepingClock::default(),
            Progress::default(),
            Cancel::default(),
        );
        let pace = Pace::new(&clock, &progress, &cancel);
        for _ in 0..BLOCKS_PER_PERIOD_MAX {
            drop(pace.block().unwrap());
        }
        drop(pace.session().unwrap());
        assert_eq!(clock.elapsed(), Duration::ZERO);
        drop(pace.block().unwrap());
        assert_eq!(clock.elapsed(), PERIOD);
        assert_eq!(progress.waiting_for_service.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn who_waits_says_so_and_can_be_stopped() {
        /// Stops the run when someone sleeps, and notes whether that was told.
        struct Stopping<'a>(&'a Cancel, &'a Progress);

        impl Clock for Stopping<'_> {
            fn now(&self) -> Timestamp {
                Timestamp::UNIX_EPOCH
            }

            fn elapsed(&self) -> Duration {
                Duration::ZERO
            }

            fn sleep(&self, _: Duration) {
                assert_eq!(self.1.waiting_for_service.load(Ordering::Relaxed), 1);
                self.0.cancel();
            }
        }

        let (progress, cancel) = (Progress::default(), Cancel::default());
        let clock = Stopping(&cancel, &progress);
        let pace = Pace::new(&clock, &progress, &cancel);
        for _ in 0..SESSIONS_PER_PERIOD_MAX {
            drop(pace.session().unwrap());
        }
        let stopped = pace.session().err().unwrap();
        assert_eq!(stopped.kind(), ErrorKind::Stopped);
        assert_eq!(progress.waiting_for_service.load(Ordering::Relaxed), 0);
    }
}
