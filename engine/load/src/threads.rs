//! Threads that work together, and stop together when one of them fails.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::cancel::Cancel;
use crate::{Error, ErrorKind};

/// The first error of any thread; the threads that stop because of it don't hide it.
#[derive(Default)]
pub(crate) struct FirstFailure(Mutex<Option<Error>>);

impl FirstFailure {
    /// Keeps the error, if it is one, and asks the other threads to stop.
    pub(crate) fn watch(&self, cancel: &Cancel, result: Result<(), Error>) {
        let Err(error) = result else { return };
        cancel.fail();
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if first
            .as_ref()
            .is_none_or(|first| first.kind() == ErrorKind::Stopped)
        {
            *first = Some(error);
        }
    }

    /// What came of all threads together, after they have ended.
    pub(crate) fn into_result(self, cancel: &Cancel) -> Result<(), Error> {
        let first = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        first.map_or_else(|| cancel.check(), Err)
    }
}

/// Starts a thread of the scope. One that panics, or that can't be started, stops the others: they would wait for it, or
/// load all the rest before anyone heard of it.
pub(crate) fn spawn<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: String,
    cancel: &'scope Cancel,
    run: impl FnOnce() + Send + 'scope,
) -> Result<(), Error> {
    let run = move || {
        let _guard = CancelOnPanic(cancel);
        run();
    };
    let started = thread::Builder::new().name(name).spawn_scoped(scope, run);
    started.map(drop).map_err(|error| {
        cancel.fail();
        let message = format!("a thread can't be started: {error}");
        Error::with_source(ErrorKind::Internal, message, error)
    })
}

/// Asks the others to stop when its thread unwinds.
struct CancelOnPanic<'a>(&'a Cancel);

impl Drop for CancelOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail();
        }
    }
}
