//! The bandwidth of uploads: no more bytes of blocks within some time than the settings allow.

use std::sync::{Arc, Mutex, PoisonError};

use engine_model::limits::BYTE_RATE_MIN;
use engine_model::{ByteRate, RateLimiter};

use crate::Clock;

/// Bytes of a body that take a turn together, at most. Usual pieces are half as long; a piece with long cells takes several turns.
pub(crate) const TURN_BYTES_MAX: usize = 512 << 10;

/// The time within which each upload gets a turn: half of that for which the service waits for one that sends nothing.
const ROUND_SECONDS: u64 = 60;

const _: () = assert!(4 * TURN_BYTES_MAX as u64 <= ROUND_SECONDS * BYTE_RATE_MIN);

/// Uploads that can go on beside each other at a rate, so that the service ends none for want of bytes.
pub(crate) fn uploads_max(rate: ByteRate) -> u32 {
    let uploads = rate.bytes_per_second().saturating_mul(ROUND_SECONDS) / TURN_BYTES_MAX as u64;
    u32::try_from(uploads).unwrap_or(u32::MAX).max(1)
}

/// Makes uploads wait, so that together they keep to a rate.
#[derive(Debug)]
pub(crate) struct UploadLimit {
    limiter: Mutex<RateLimiter>,
    clock: Arc<dyn Clock>,
}

impl UploadLimit {
    pub(crate) fn new(rate: ByteRate, clock: Arc<dyn Clock>) -> Self {
        Self {
            limiter: Mutex::new(RateLimiter::new(rate, clock.elapsed())),
            clock,
        }
    }

    /// Waits until `bytes` more may be sent. They count from now on, also where nobody waits to the end.
    pub(crate) async fn turn(&self, bytes: usize) {
        let due = {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            limiter.take(bytes as u64, self.clock.elapsed())
        };
        loop {
            let left = due.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left).await;
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_the_rate_the_fewer_uploads_share_it() {
        let uploads = |bytes| uploads_max(ByteRate::new(bytes).unwrap());
        assert_eq!(uploads(BYTE_RATE_MIN), 7);
        assert_eq!(uploads(1 << 20), 120);
        assert_eq!(uploads(1), 1);
        for bytes in [BYTE_RATE_MIN, 1 << 20, 1 << 30] {
            let round = u64::from(uploads(bytes)) * TURN_BYTES_MAX as u64;
            assert!(round <= ROUND_SECONDS * bytes, "{bytes}");
        }
    }
}
