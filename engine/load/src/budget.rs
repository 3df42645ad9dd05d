//! One byte budget for what is between reading and decoding, shared by all lanes.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::Error;
use crate::cancel::{CANCEL_POLL, Cancel};

/// Counts bytes rather than slots: channel lengths bound nothing when messages differ a thousandfold in size.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    bytes_max: usize,
    held: Mutex<usize>,
    freed: Condvar,
}

impl ByteBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            held: Mutex::new(0),
            freed: Condvar::new(),
        }
    }

    /// Waits until `bytes` fit. Where nothing is held they always do, so that a message larger than the budget passes
    /// alone.
    pub(crate) fn acquire(&self, bytes: usize, cancel: &Cancel) -> Result<(), Error> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while *held > 0 && *held + bytes > self.bytes_max {
            cancel.check()?;
            let (guard, _) = self
                .freed
                .wait_timeout(held, CANCEL_POLL)
                .unwrap_or_else(PoisonError::into_inner);
            held = guard;
        }
        *held += bytes;
        Ok(())
    }

    /// Gives back what [`ByteBudget::acquire`] took.
    pub(crate) fn release(&self, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        *held = held.saturating_sub(bytes);
        self.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_for_the_budget_passes_alone() {
        let budget = ByteBudget::new(10);
        let cancel = Cancel::default();
        budget.acquire(100, &cancel).unwrap();
        cancel.cancel();
        assert!(
            budget.acquire(1, &cancel).is_err(),
            "the budget is spent, so this one waits and is cancelled"
        );
        budget.release(100);
        budget.acquire(10, &cancel).unwrap();
    }
}
