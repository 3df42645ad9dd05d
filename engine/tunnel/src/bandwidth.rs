//! The bandwidth of uploads: no more bytes of blocks within some time than the settings allow.

use std::sync::{Arc, Mutex, PoisonError};

use engine_model::limits::BYTE_RATE_MIN;
use engine_model::{ByteRate, RateLimiter};

use crate::Clock;

/// Bytes of a body that take a turn together, at most. Usual pieces are half as long; a piece with long cells takes several turns.
pub(crate) const TURN_BYTES_MAX: usize = 512 << 10;

// Where four uploads take turns at the lowest rate, each sends something twice in the 120 s that the service waits for it.
const _: () = assert!(2 * 4 * TURN_BYTES_MAX as u64 <= 120 * BYTE_RATE_MIN);

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
