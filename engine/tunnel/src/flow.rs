//! Flow control: how many blocks may be under way at once, by what the server says about it.

use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Blocks that one client has under way at once, as long as the server takes them. Each is a connection.
pub(crate) const BLOCKS_IN_FLIGHT_MAX: u32 = 64;

/// Blocks taken in each place, on average, before one place more is tried than was good last. Other clients share the
/// quota and come and go, so that it is worth a try now and then, and no more.
const PROBE_ROUNDS: u32 = 8;

/// Places for blocks: halved when the server throttles, and added one by one when it takes what it gets.
///
/// After a cut, places come back quickly up to the number that was taken before it, and slowly from there on. Pure: it
/// knows neither time nor tasks.
#[derive(Debug)]
pub(crate) struct Throttle {
    max: u32,
    /// Places; at least 1.
    limit: u32,
    /// The most blocks that the server can have taken at once when it last throttled; `max` where it never did.
    good: u32,
    /// Blocks taken since the last place was added.
    taken: u32,
    in_flight: u32,
    /// Cuts so far. A block that began before the last one says nothing about what came after it.
    cuts: u64,
}

/// How a try of a block ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server took it.
    Taken,
    /// The server asked to slow down.
    Throttled,
    /// Something else, which says nothing about the flow.
    Other,
}

/// A place that was given out: the number of cuts at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(u64);

impl Throttle {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            max,
            limit: max,
            good: max,
            taken: 0,
            in_flight: 0,
            cuts: 0,
        }
    }

    /// A place for one more block, if there is one.
    pub(crate) fn enter(&mut self) -> Option<Place> {
        if self.free() == 0 {
            return None;
        }
        self.in_flight += 1;
        Some(Place(self.cuts))
    }

    /// Gives a place back.
    pub(crate) fn leave(&mut self, place: Place, outcome: Outcome) {
        let others = self.in_flight.saturating_sub(1);
        match outcome {
            Outcome::Taken => self.grow(),
            Outcome::Throttled => {
                // Blocks that were under way together are refused together, and that is one message.
                let first = place.0 == self.cuts;
                let good = others.max(1);
                self.good = if first { good } else { self.good.min(good) };
                self.limit = if first {
                    (self.in_flight / 2).max(1)
                } else {
                    self.limit.min(good)
                };
                self.cuts += u64::from(first);
                self.taken = 0;
            }
            Outcome::Other => {}
        }
        self.in_flight = others;
    }

    fn grow(&mut self) {
        self.taken += 1;
        let due = if self.limit < self.good {
            1
        } else {
            self.limit * PROBE_ROUNDS
        };
        if self.taken >= due {
            self.taken = 0;
            self.limit = (self.limit + 1).min(self.max);
        }
    }

    fn free(&self) -> u32 {
        self.limit.saturating_sub(self.in_flight)
    }
}

/// A [`Throttle`] that tasks wait at, in the order in which they come.
#[derive(Debug)]
pub(crate) struct Gate {
    throttle: Mutex<Throttle>,
    freed: Notify,
}

/// A place behind the gate. Dropped without a word it is given back, and says nothing about the flow.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    place: Place,
    outcome: Outcome,
}

impl Gate {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            throttle: Mutex::new(Throttle::new(max)),
            freed: Notify::new(),
        }
    }

    /// Waits for a place.
    pub(crate) async fn enter(&self) -> Pass<'_> {
        loop {
            // In line before the look, so that a place freed in between isn't missed.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if let Some(place) = self.lock().enter() {
                return Pass {
                    gate: self,
                    place,
                    outcome: Outcome::Other,
                };
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// Gives the place back, and says how the try ended.
    pub(crate) fn leave(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let free = {
            let mut throttle = self.gate.lock();
            throttle.leave(self.place, self.outcome);
            throttle.free()
        };
        for _ in 0..free {
            self.gate.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests;
