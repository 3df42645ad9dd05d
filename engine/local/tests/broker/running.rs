//! A broker on a runtime of its own, so that tests can block.

use std::path::Path;

use engine_local::broker::{Broker, BrokerConfig};
use tokio::runtime::Runtime;

/// A started broker; stopped gracefully by [`stop`](Self::stop), at once when dropped.
pub(crate) struct Running {
    runtime: Runtime,
    broker: Option<Broker>,
}

impl Running {
    /// Starts a broker on `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(BrokerConfig::new(folder))
    }

    /// Starts a broker.
    pub(crate) fn start_with(config: BrokerConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let broker = Some(runtime.block_on(Broker::start(config)).unwrap());
        Self { runtime, broker }
    }

    pub(crate) fn broker(&self) -> &Broker {
        self.broker.as_ref().unwrap()
    }

    /// The address for `bootstrap.servers`.
    pub(crate) fn bootstrap(&self) -> String {
        self.broker().address().to_string()
    }

    /// Waits for `future`.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// Stops the broker and checks that it never had to close a connection.
    pub(crate) fn stop(mut self) {
        assert_eq!(self.broker().last_refusal(), None);
        let broker = self.broker.take().unwrap();
        self.runtime.block_on(broker.shutdown());
    }
}
