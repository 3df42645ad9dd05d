//! The broker's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// The time in ms since the epoch, for log append time.
#[expect(
    clippy::disallowed_methods,
    reason = "a server stamps messages with the time at which they reach it"
)]
pub(super) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        })
}
