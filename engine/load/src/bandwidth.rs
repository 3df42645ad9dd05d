//! The bandwidth of reading: no more bytes of messages within some time than the job allows.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use engine_model::{ByteRate, RateLimiter};

use crate::Error;
use crate::cancel::{CANCEL_POLL, Cancel};
use crate::ports::Clock;

/// A shorter sleep is not worth its wake-up. What it is too long, the next wait is shorter.
const SLEEP_MIN: Duration = Duration::from_millis(1);

/// Makes threads that read wait, so that together they keep to a rate.
pub(crate) struct ReadLimit<'a> {
    /// Nothing where reading is not limited.
    limiter: Option<Mutex<RateLimiter>>,
    clock: &'a dyn Clock,
    cancel: &'a Cancel,
}

impl<'a> ReadLimit<'a> {
    /// No limit without a rate.
    pub(crate) fn new(rate: Option<ByteRate>, clock: &'a dyn Clock, cancel: &'a Cancel) -> Self {
        let limiter = |rate| Mutex::new(RateLimiter::new(rate, clock.elapsed()));
        Self {
            limiter: rate.map(limiter),
            clock,
            cancel,
        }
    }

    /// Counts `bytes` that one of the threads has read, and says how that thread has to wait before it reads on.
    pub(crate) fn count(&self, bytes: usize) -> Due {
        let Some(limiter) = &self.limiter else {
            return Due::default();
        };
        let mut limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
        Due(limiter.take(bytes as u64, self.clock.elapsed()))
    }

    /// Whether what is due so is due already.
    pub(crate) fn is_over(&self, due: Due) -> bool {
        due == Due::default() || due.0 <= self.clock.elapsed()
    }

    /// Waits until then, or fails once a stop is asked for.
    pub(crate) fn wait(&self, due: Due) -> Result<(), Error> {
        while !self.is_over(due) {
            self.cancel.check()?;
            let left = due.0.saturating_sub(self.clock.elapsed());
            self.clock.sleep(left.clamp(SLEEP_MIN, CANCEL_POLL));
        }
        Ok(())
    }
}

/// When what a thread has read is due, by the clock; at once where nothing was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due(Duration);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use jiff::Timestamp;

    use super::*;
    use crate::ErrorKind;

    /// A clock that goes on while somebody sleeps, and stops the run at some time.
    #[derive(Default)]
    struct SleepingClock {
        elapsed_us: AtomicU64,
        stop_at: Option<Duration>,
        cancel: Cancel,
    }

    impl Clock for SleepingClock {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn elapsed(&self) -> Duration {
            Duration::from_micros(self.elapsed_us.load(Ordering::Relaxed))
        }

        fn sleep(&self, duration: Duration) {
            let slept_us = u64::try_from(duration.as_micros()).unwrap();
            self.elapsed_us.fetch_add(slept_us, Ordering::Relaxed);
            if self.stop_at.is_some_and(|stop| self.elapsed() >= stop) {
                self.cancel.cancel();
            }
        }
    }

    fn kibibytes_per_second(kibibytes: u64) -> Option<ByteRate> {
        ByteRate::new(kibibytes << 10)
    }

    #[test]
    fn lanes_share_one_rate() {
        let clock = SleepingClock::default();
        let limit = ReadLimit::new(kibibytes_per_second(100), &clock, &clock.cancel);
        let due = [50 << 10, 100 << 10, 50 << 10].map(|bytes| limit.count(bytes));
        for (due, seconds) in due.into_iter().zip([0.5, 1.5, 2.0]) {
            assert!(!limit.is_over(due));
            limit.wait(due).unwrap();
            assert_eq!(clock.elapsed(), Duration::from_secs_f64(seconds));
        }
    }

    #[test]
    fn without_a_rate_nobody_waits() {
        let clock = SleepingClock::default();
        let limit = ReadLimit::new(None, &clock, &clock.cancel);
        let due = limit.count(usize::MAX);
        assert!(limit.is_over(due));
        limit.wait(due).unwrap();
        assert_eq!(clock.elapsed(), Duration::ZERO);
    }

    #[test]
    fn who_waits_can_be_stopped_within_a_tenth_of_a_second() {
        let stop_at = Duration::from_millis(730);
        let clock = SleepingClock {
            stop_at: Some(stop_at),
            ..SleepingClock::default()
        };
        let limit = ReadLimit::new(kibibytes_per_second(1), &clock, &clock.cancel);
        let stopped = limit.wait(limit.count(1 << 20)).unwrap_err();
        assert_eq!(stopped.kind(), ErrorKind::Stopped);
        assert!(clock.elapsed() < stop_at + Duration::from_millis(100));
    }
}
