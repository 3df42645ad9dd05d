//! One byte budget for what is between reading and decoding, shared by all lanes.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Error;
use crate::cancel::{CANCEL_POLL, Cancel};

/// Counts bytes rather than slots: channel lengths bound nothing when messages differ a thousandfold in size.
#[derive(Debug)]
pub(crate) struct ByteBudget {
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    /// Those who wait, the first come first.
    waiting: VecDeque<u64>,
    /// Who comes next.
    next: u64,
}

impl ByteBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits until `bytes` fit and those who came before have theirs: smaller blocks must not keep a large one waiting for ever. Where
    /// nothing is held they always fit, so that a message larger than the budget passes alone.
    pub(crate) fn acquire(&self, bytes: usize, cancel: &Cancel) -> Result<(), Error> {
        let mut state = self.lock();
        let me = state.next;
        state.next += 1;
        state.waiting.push_back(me);
        while state.waiting.front() != Some(&me)
            || (state.held > 0 && state.held + bytes > self.bytes_max)
        {
            if let Err(error) = cancel.check() {
                state.waiting.retain(|waiting| *waiting != me);
                self.changed.notify_all();
                return Err(error);
            }
            let waited = self.changed.wait_timeout(state, CANCEL_POLL);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.pop_front();
        state.held += bytes;
        if !state.waiting.is_empty() {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Gives back what [`ByteBudget::acquire`] took.
    pub(crate) fn release(&self, bytes: usize) {
        let mut state = self.lock();
        state.held = state.held.saturating_sub(bytes);
        if !state.waiting.is_empty() {
            self.changed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn a_large_block_gets_its_turn_among_small_ones() {
        let budget = ByteBudget::new(10);
        let cancel = Cancel::default();
        budget.acquire(6, &cancel).unwrap();
        let (told, turns) = crossbeam_channel::bounded(2);
        std::thread::scope(|scope| {
            for bytes in [100, 1] {
                let (told, budget, cancel) = (told.clone(), &budget, &cancel);
                scope.spawn(move || {
                    budget.acquire(bytes, cancel).unwrap();
                    told.send(bytes).unwrap();
                });
                let waiting = if bytes == 100 { 1 } else { 2 };
                while budget.lock().waiting.len() < waiting {
                    std::thread::yield_now();
                }
            }
            // The small one would fit, and waits all the same.
            assert!(turns.try_recv().is_err());
            budget.release(6);
            assert_eq!(turns.recv().unwrap(), 100);
            assert!(turns.try_recv().is_err());
            budget.release(100);
            assert_eq!(turns.recv().unwrap(), 1);
        });
    }
}
