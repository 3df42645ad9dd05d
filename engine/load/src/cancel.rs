//! The request to stop, shared by all threads of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{SendTimeoutError, Sender};

use crate::Error;

/// How often a waiting thread looks whether it was asked to stop.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(100);

/// Set by a signal or by the first thread that fails; every thread looks at it between blocks.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<Reasons>);

#[derive(Debug, Default)]
struct Reasons {
    /// Somebody asked for it; stays so.
    asked: AtomicBool,
    /// A thread failed, and the others are to end with it.
    failed: AtomicBool,
}

impl Cancel {
    /// Asks every thread to stop at its next border.
    pub fn cancel(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for, or threads are ending because of one that failed.
    pub fn is_cancelled(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed) || self.0.failed.load(Ordering::Relaxed)
    }

    /// Asks every thread to stop because one has failed.
    pub(crate) fn fail(&self) {
        self.0.failed.store(true, Ordering::Relaxed);
    }

    /// Lets threads run again after all of those have ended that a failure had stopped.
    pub(crate) fn recover(&self) {
        self.0.failed.store(false, Ordering::Relaxed);
    }

    /// Fails once a stop was asked for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Stopped`](crate::ErrorKind::Stopped).
    pub fn check(&self) -> Result<(), Error> {
        if self.is_cancelled() {
            Err(Error::stopped())
        } else {
            Ok(())
        }
    }

    /// Sends `item`, however long the queue is full, unless a stop is asked for or nobody receives any more.
    pub(crate) fn send<T>(&self, queue: &Sender<T>, item: T) -> Result<(), Error> {
        let mut item = item;
        loop {
            match queue.send_timeout(item, CANCEL_POLL) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Timeout(unsent)) => {
                    self.check()?;
                    item = unsent;
                }
                Err(SendTimeoutError::Disconnected(_)) => return Err(Error::stopped()),
            }
        }
    }
}
