//! The product's own broker for one test.

use engine_local::broker::{Broker, BrokerConfig};
use rdkafka::ClientConfig;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A running embedded broker, its logs in a temporary folder. Topics are made when someone asks for them.
#[derive(Debug)]
pub struct EmbeddedBroker {
    running: Option<Broker>,
    bootstrap: String,
    runtime: Runtime,
    _folder: TempDir,
}

impl EmbeddedBroker {
    /// Starts a broker on a free loopback port whose topics get `partitions` topic partitions.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(partitions: i32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = BrokerConfig {
            auto_create_partitions: Some(partitions),
            ..BrokerConfig::new(folder.path())
        };
        let broker = runtime
            .block_on(Broker::start(config))
            .expect("the broker starts");
        let bootstrap = broker.address().to_string();
        Self {
            running: Some(broker),
            bootstrap,
            runtime,
            _folder: folder,
        }
    }

    /// Its address.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Settings of a librdkafka client that finds it.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        if let Some(broker) = self.running.take() {
            self.runtime.block_on(broker.shutdown());
        }
    }
}
