//! Telling all connections that the broker stops.

use tokio::sync::watch;

/// The broker's side: says it once.
#[derive(Debug)]
pub(super) struct Stopper(watch::Sender<bool>);

/// A connection's side: waits for it.
#[derive(Debug, Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

/// Both sides.
pub(super) fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Lets every [`Stop::told`] return, now and later.
    pub(super) fn tell(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Returns once the broker stops. May be dropped and called again.
    pub(super) async fn told(&mut self) {
        // An error means that the other side is gone, and with it the broker.
        drop(self.0.wait_for(|stop| *stop).await);
    }
}
