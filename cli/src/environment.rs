//! What the process is told by its surroundings: variables, clock, time zone, cores.

use std::num::NonZero;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The value of an environment variable; nothing where it is not set, or no UTF-8.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line is what may read the environment"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The time, for commands that are given none.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge where a scheduled time comes from"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The machine's time zone; UTC where it has none.
pub(crate) fn machine_zone() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Time since it was started.
#[derive(Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "progress is measured against the real clock"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
