//! The server's clock: sessions expire by it, request dates are compared with it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time. Tests give their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The machine's clock.
    pub fn system() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the server is an edge: here the time comes in"
        )]
        Self::new(Timestamp::now)
    }

    /// The time of this call.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Milliseconds since the epoch at this call.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
