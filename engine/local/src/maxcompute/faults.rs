//! Faults on request: what a test wants to go wrong, where, and how often.
//!
//! A test keeps a [`Faults`], gives a clone of it to [`Config`](super::Config), and adds and removes faults while the
//! server runs. Every call counts by its [`Route`], whether a fault met it or not.
//!
//! ```
//! use std::time::Duration;
//! use engine_local::maxcompute::{Fault, Faults, Route};
//!
//! let faults = Faults::new();
//! // The second commit is done, but its answer never arrives.
//! faults.add(Fault::lose_answer(Route::Commit).from_call(2));
//! // The next three blocks are throttled.
//! let throttled = Fault::answer(Route::PutBlock, 429, "FlowExceeded").header("retry-after", "1");
//! faults.add(throttled.times(3));
//! assert_eq!((faults.calls(Route::Commit), faults.left()), (0, 4));
//! ```

mod layer;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub(crate) use layer::around;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// Project, tenant, schemas, logs, and which host has the tunnel.
    Project,
    /// A table's or a partition's metadata, and lists of both.
    Metadata,
    /// Submit a SQL instance.
    Submit,
    /// Ask for the status or result of a SQL instance, or stop it.
    Instance,
    /// Open an upload session.
    CreateUpload,
    /// Ask for an upload session.
    ReloadUpload,
    /// Upload a block.
    PutBlock,
    /// Commit an upload session.
    Commit,
    /// Open a download session, on a table or on a result.
    CreateDownload,
    /// Ask for a download session.
    ReloadDownload,
    /// Read rows: of a download session, or a preview.
    Read,
    /// Everything else.
    Other,
}

impl Route {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Project,
        Self::Metadata,
        Self::Submit,
        Self::Instance,
        Self::CreateUpload,
        Self::ReloadUpload,
        Self::PutBlock,
        Self::Commit,
        Self::CreateDownload,
        Self::ReloadDownload,
        Self::Read,
        Self::Other,
    ];
}

/// One call, as a fault may look at it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Call {
    /// What it is for.
    pub route: Route,
    /// Its number among the calls of its route, from 1.
    pub number: u64,
    /// Path and query as they were sent.
    pub target: String,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Only the fault's delay.
    Nothing,
    Answer {
        status: u16,
        code: String,
        headers: Vec<(String, String)>,
    },
    CutRequest(u64),
    CutAnswer(u64),
    LoseAnswer,
}

/// A fault: a route, what goes wrong there, and which calls it meets. Without more, that is the next call.
#[derive(Clone)]
pub struct Fault {
    route: Route,
    effect: Effect,
    delay: Duration,
    from: u64,
    /// Calls that it will still meet; `None` for all.
    left: Option<u64>,
    only: Arc<dyn Fn(&Call) -> bool + Send + Sync>,
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("route", &self.route)
            .field("effect", &self.effect)
            .field("delay", &self.delay)
            .field("from", &self.from)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Fault {
    fn new(route: Route, effect: Effect) -> Self {
        Self {
            route,
            effect,
            delay: Duration::ZERO,
            from: 0,
            left: Some(1),
            only: Arc::new(|_| true),
        }
    }

    /// An error in place of the answer; nothing is done. `code` is the service's, such as `FlowExceeded`. A status that
    /// HTTP doesn't have becomes 500.
    pub fn answer(route: Route, status: u16, code: impl Into<String>) -> Self {
        Self::new(
            route,
            Effect::Answer {
                status,
                code: code.into(),
                headers: Vec::new(),
            },
        )
    }

    /// Everything as ever, but after `delay`.
    pub fn delay(route: Route, delay: Duration) -> Self {
        Self::new(route, Effect::Nothing).after(delay)
    }

    /// The connection is cut once so many bytes of the request's body came; with 0, before anything is done. A body that is
    /// shorter arrives whole.
    pub fn cut_request(route: Route, bytes: u64) -> Self {
        Self::new(route, Effect::CutRequest(bytes))
    }

    /// The call is done, and its answer is cut behind so many bytes of its body. The client may see fewer, and where the
    /// body isn't longer, nothing is cut.
    pub fn cut_answer(route: Route, bytes: u64) -> Self {
        Self::new(route, Effect::CutAnswer(bytes))
    }

    /// The call is done, but the connection is closed in place of the answer.
    pub fn lose_answer(route: Route) -> Self {
        Self::new(route, Effect::LoseAnswer)
    }

    /// A header for the answer of [`answer`](Self::answer), such as `retry-after`. One that HTTP doesn't allow is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let Effect::Answer { headers, .. } = &mut self.effect {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Waits so long before anything happens.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Meets no call of the route before the one of this [number](Call::number).
    #[must_use]
    pub fn from_call(mut self, number: u64) -> Self {
        self.from = number;
        self
    }

    /// Meets so many calls, in place of one.
    #[must_use]
    pub fn times(mut self, calls: u64) -> Self {
        self.left = Some(calls);
        self
    }

    /// Meets all calls until it is [removed](Faults::clear).
    #[must_use]
    pub fn always(mut self) -> Self {
        self.left = None;
        self
    }

    /// Meets only calls for which `only` holds. It is asked under a lock, so it must not call [`Faults`].
    #[must_use]
    pub fn only(mut self, only: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.only = Arc::new(only);
        self
    }

    fn meets(&self, call: &Call) -> bool {
        self.route == call.route
            && call.number >= self.from
            && self.left != Some(0)
            && (self.only)(call)
    }
}

/// The faults of a server, and how often each route was called. Clones share both, so that a test may keep one across
/// restarts.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    faults: Vec<Fault>,
    calls: [u64; Route::ALL.len()],
}

impl Faults {
    /// No faults, no calls.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault. A call meets the oldest of those that want it, and only that one.
    pub fn add(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// Removes all faults; calls stay counted.
    pub fn clear(&self) {
        self.lock().faults.clear();
    }

    /// Calls of the route so far, those that met a fault among them.
    pub fn calls(&self, route: Route) -> u64 {
        let state = self.lock();
        let calls = Route::ALL.iter().zip(state.calls);
        calls
            .filter(|(known, _)| **known == route)
            .map(|(_, calls)| calls)
            .sum()
    }

    /// Calls that faults are still to meet; those that meet [all calls](Fault::always) don't count.
    pub fn left(&self) -> u64 {
        self.lock()
            .faults
            .iter()
            .filter_map(|fault| fault.left)
            .sum()
    }

    /// Counts a call and tells which fault it meets.
    fn meet(&self, route: Route, target: &str) -> Option<(Effect, Duration)> {
        let mut state = self.lock();
        let position = Route::ALL.iter().position(|known| *known == route)?;
        let calls = state.calls.get_mut(position)?;
        *calls += 1;
        let call = Call {
            route,
            number: *calls,
            target: target.to_owned(),
        };
        let fault = state.faults.iter_mut().find(|fault| fault.meets(&call))?;
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        let met = (fault.effect.clone(), fault.delay);
        state.faults.retain(|fault| fault.left != Some(0));
        Some(met)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A predicate that panicked left the state as it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
