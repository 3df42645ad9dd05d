//! The system's clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::ports::Clock;

/// The wall clock and a monotonic one that starts when the value is made.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everybody else takes"
    )]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everybody else takes"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everybody else takes"
    )]
    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
