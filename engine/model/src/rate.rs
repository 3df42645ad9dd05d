//! Rates of bytes, and keeping to them.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Bytes in a second; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRate(NonZeroU64);

impl ByteRate {
    /// So many bytes in a second; nothing for none.
    pub fn new(bytes_per_second: u64) -> Option<Self> {
        NonZeroU64::new(bytes_per_second).map(Self)
    }

    /// Bytes in a second.
    pub fn bytes_per_second(self) -> u64 {
        self.0.get()
    }

    /// The time that `bytes` take at this rate, rounded up to a nanosecond.
    pub fn time_of(self, bytes: u64) -> Duration {
        nanoseconds(u128::from(bytes) * u128::from(UNITS_PER_BYTE), self)
    }
}

/// As job files have it.
impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", crate::job::shown_size(self.0.get()))
    }
}

/// Billionths of a byte: a rate is a whole number of them in every nanosecond, so that nothing is ever rounded away.
const UNITS_PER_BYTE: u64 = 1_000_000_000;

/// How long unused time is saved up. As long as this, bytes may come at once after a pause.
const SAVED_MAX: Duration = Duration::from_secs(1);

/// Keeps bytes to a rate: says of all that are taken when they are due. Pure: it is told what time it is.
///
/// What is due later than it is taken has to wait so long, before or after it is moved. Those who wait are in turn by
/// themselves, for who takes later is due later. Over any time no more bytes are due than the rate allows, and a second's worth
/// where nothing was taken for as long.
///
/// ```
/// use std::time::Duration;
///
/// use engine_model::{ByteRate, RateLimiter};
///
/// # fn example() -> Option<()> {
/// let mut limiter = RateLimiter::new(ByteRate::new(1_000)?, Duration::ZERO);
/// assert_eq!(limiter.take(500, Duration::ZERO), Duration::from_millis(500));
/// assert_eq!(limiter.take(500, Duration::ZERO), Duration::from_secs(1));
/// assert_eq!(limiter.take(500, Duration::from_secs(9)), Duration::from_secs(9), "that was saved up");
/// # Some(())
/// # }
/// # example();
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    rate: ByteRate,
    /// The latest time that it was told.
    now: Duration,
    /// What may be taken at `now`, in [`UNITS_PER_BYTE`]; negative where more was taken than was due by then.
    left: i128,
}

impl RateLimiter {
    /// Keeps to `rate` from `now` on. Nothing is saved up yet.
    pub fn new(rate: ByteRate, now: Duration) -> Self {
        Self { rate, now, left: 0 }
    }

    /// Takes `bytes`, and returns when all that was taken so far is due: `now`, or a later time. Times of threads may come in any
    /// order, for an earlier one counts as the latest that was told.
    pub fn take(&mut self, bytes: u64, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.now);
        self.now += passed;
        let saved_max = self.units_in(SAVED_MAX);
        let left = self.left.saturating_add(self.units_in(passed));
        let taken = i128::from(bytes) * i128::from(UNITS_PER_BYTE);
        self.left = left.min(saved_max).saturating_sub(taken);
        let owed = if self.left < 0 {
            self.left.unsigned_abs()
        } else {
            0
        };
        self.now.saturating_add(nanoseconds(owed, self.rate))
    }

    /// What becomes due within `time`.
    fn units_in(&self, time: Duration) -> i128 {
        let nanoseconds = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        nanoseconds.saturating_mul(i128::from(self.rate.bytes_per_second()))
    }
}

/// The time in which so many billionths of a byte become due.
fn nanoseconds(units: u128, rate: ByteRate) -> Duration {
    let nanoseconds = units.div_ceil(u128::from(rate.bytes_per_second()));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bytes_per_second: u64) -> ByteRate {
        ByteRate::new(bytes_per_second).unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_rate_is_shown_as_it_is_written() {
        assert_eq!(rate(10 << 20).to_string(), "10MiB/s");
        assert_eq!(rate(1_500).to_string(), "1500B/s");
        assert_eq!(ByteRate::new(0), None);
        assert_eq!(rate(3).time_of(7), Duration::from_nanos(2_333_333_334));
        assert_eq!(rate(1).time_of(u64::MAX), Duration::from_nanos(u64::MAX));
    }

    #[test]
    fn the_rate_is_exact_in_the_long_run() {
        // A rate by which no piece takes whole nanoseconds, and pieces of a few bytes: rounding would add up.
        let mut limiter = RateLimiter::new(rate(7_000_003), Duration::ZERO);
        let mut now = Duration::ZERO;
        let pieces = 3_000_000_u64;
        for piece in 0..pieces {
            now = limiter.take(1 + piece % 13, now);
        }
        let bytes: u64 = (0..pieces).map(|piece| 1 + piece % 13).sum();
        let exact_ns = (u128::from(bytes) * 1_000_000_000).div_ceil(7_000_003);
        // Who waits to a whole nanosecond has waited for less than one too long, and the next piece has that back.
        assert_eq!(now.as_nanos(), exact_ns);
    }

    #[test]
    fn late_wakers_lose_no_time() {
        // Each wakes up to half a second late, which what comes next makes up for.
        let mut rng = fastrand::Rng::with_seed(3);
        let mut limiter = RateLimiter::new(rate(1_000), Duration::ZERO);
        let mut now = Duration::ZERO;
        for _ in 0..10_000 {
            now = limiter.take(700, now) + ms(rng.u64(..500));
        }
        let exact = Duration::from_secs(7_000);
        assert!(now >= exact && now < exact + ms(500), "{now:?}");
    }

    #[test]
    fn a_pause_saves_up_a_second_and_no_more() {
        let mut limiter = RateLimiter::new(rate(1_000), Duration::ZERO);
        assert_eq!(
            limiter.take(250, Duration::ZERO),
            ms(250),
            "nothing is saved up"
        );
        assert_eq!(
            limiter.take(200, ms(500)),
            ms(500),
            "a quarter of a second was saved"
        );
        assert_eq!(limiter.take(100, ms(500)), ms(550));
        let day = Duration::from_hours(24);
        assert_eq!(limiter.take(1_000, day), day);
        assert_eq!(limiter.take(1, day), day + ms(1));
        // Something large waits for all of its bytes, less a second's worth.
        assert_eq!(limiter.take(9_999, 2 * day), 2 * day + ms(8_999));
    }

    #[test]
    fn no_stretch_of_time_has_more_than_its_share_and_what_was_saved() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut limiter = RateLimiter::new(rate(10_000), Duration::ZERO);
        let (mut now, mut moved) = (Duration::ZERO, Vec::new());
        for _ in 0..2_000 {
            let bytes = rng.u64(1..4_000);
            now = limiter.take(bytes, now);
            moved.push((now, bytes));
            if rng.u32(..20) == 0 {
                now += ms(rng.u64(..5_000));
            }
        }
        for start in 0..moved.len() {
            let mut bytes = 0;
            for (at, piece) in &moved[start..] {
                bytes += u128::from(*piece);
                let stretch = at.saturating_sub(moved[start].0);
                // The first of them was due over the time before; 10,000 bytes a second are 10 in a millisecond.
                let allowed = stretch.as_micros() / 100 + 10_000 + 4_000;
                assert!(bytes <= allowed, "{bytes} bytes in {stretch:?}");
            }
        }
    }

    #[test]
    fn who_takes_later_is_due_later() {
        let mut limiter = RateLimiter::new(rate(1_000), Duration::ZERO);
        // Three threads, whose looks at the clock are not in the order of their turns.
        let due = [ms(5), ms(3), ms(4)].map(|now| limiter.take(100, now));
        assert_eq!(due, [ms(100), ms(200), ms(300)]);
    }

    #[test]
    fn nothing_overflows() {
        let mut limiter = RateLimiter::new(rate(1), Duration::ZERO);
        for _ in 0..3 {
            limiter.take(u64::MAX, Duration::ZERO);
        }
        let mut fast = RateLimiter::new(rate(u64::MAX), Duration::ZERO);
        assert_eq!(fast.take(u64::MAX, Duration::MAX), Duration::MAX);
        assert_eq!(fast.take(0, Duration::ZERO), Duration::MAX);
    }
}
