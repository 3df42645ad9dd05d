//! The one place that reads the clock.

use std::time::Instant;

/// The time against which waiting for brokers is measured. It never reaches a result.
#[expect(
    clippy::disallowed_methods,
    reason = "time-outs against a real network need the real time"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
