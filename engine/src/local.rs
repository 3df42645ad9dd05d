//! The embedded servers: a development Kafka broker and a MaxCompute-compatible server, for laptops and tests.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use engine_load::{Error, ErrorKind};
use engine_local::broker::{Broker, BrokerConfig};
use engine_local::maxcompute::{Config as MaxComputeConfig, MaxCompute};
use tokio::runtime::{Builder, Runtime};

pub use engine_local::maxcompute::Credential;

/// The broker's port where nothing else is wished.
pub const LOCAL_KAFKA_PORT: u16 = 19_092;
/// The MaxCompute-compatible server's port where nothing else is wished.
pub const LOCAL_MAXCOMPUTE_PORT: u16 = 18_090;

/// What the embedded broker is started with.
#[derive(Clone, Debug)]
pub struct LocalKafkaConfig {
    /// The folder of the servers' data, made where it is missing; the broker's is `kafka` in there, and is served again.
    pub data: PathBuf,
    /// The address to listen on; port 0 for a free one. An address beyond loopback needs `advertised_host`.
    pub listen: SocketAddr,
    /// The host that clients are told to connect to; without one, the address of `listen`.
    pub advertised_host: Option<String>,
}

/// What the embedded MaxCompute-compatible server is started with.
#[derive(Clone, Debug)]
pub struct LocalMaxComputeConfig {
    /// The folder of the servers' data, made where it is missing; the server's is `maxcompute` in there, and is served
    /// again.
    pub data: PathBuf,
    /// The address to listen on; port 0 for a free one. An address beyond loopback needs `credentials`.
    pub listen: SocketAddr,
    /// The project that the server has.
    pub project: String,
    /// Access keys that the server takes; with none, it takes any.
    pub credentials: Vec<Credential>,
}

/// The embedded Kafka broker, until this is dropped.
pub struct LocalKafka {
    broker: Broker,
    advertised_host: Option<String>,
    runtime: Runtime,
}

/// The embedded MaxCompute-compatible server, until this is dropped.
pub struct LocalMaxCompute {
    server: MaxCompute,
    runtime: Runtime,
}

impl fmt::Debug for LocalKafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalKafka")
            .field("broker", &self.broker.address())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LocalMaxCompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalMaxCompute")
            .field("server", &self.server.endpoint())
            .finish_non_exhaustive()
    }
}

impl LocalKafka {
    /// Starts the broker.
    ///
    /// # Errors
    ///
    /// An address that is taken or open to everyone, or a folder that can't be used, named.
    pub fn start(config: LocalKafkaConfig) -> Result<Self, Error> {
        let failed = |error: &dyn fmt::Display| failed("the broker", error);
        let runtime = runtime().map_err(|error| failed(&error))?;
        let advertised_host = config.advertised_host.clone();
        let config = BrokerConfig {
            listen: config.listen,
            advertised_host: config.advertised_host,
            ..BrokerConfig::new(config.data.join("kafka"))
        };
        let broker = runtime
            .block_on(Broker::start(config))
            .map_err(|error| failed(&error))?;
        Ok(Self {
            broker,
            advertised_host,
            runtime,
        })
    }

    /// The broker's address, for `brokers` of a job file.
    pub fn brokers(&self) -> String {
        let address = self.broker.address();
        match &self.advertised_host {
            Some(host) => format!("{host}:{}", address.port()),
            None => address.to_string(),
        }
    }

    /// Lets requests under way end, then stops the broker.
    pub fn shutdown(self) {
        self.runtime.block_on(self.broker.shutdown());
    }
}

impl LocalMaxCompute {
    /// Starts the server.
    ///
    /// # Errors
    ///
    /// An address that is taken or open to everyone, or a folder that can't be used, named.
    pub fn start(config: LocalMaxComputeConfig) -> Result<Self, Error> {
        let failed = |error: &dyn fmt::Display| failed("the MaxCompute-compatible server", error);
        let runtime = runtime().map_err(|error| failed(&error))?;
        let config = MaxComputeConfig {
            listen: config.listen,
            credentials: config.credentials,
            ..MaxComputeConfig::new(config.data.join("maxcompute"), config.project)
        };
        let server = runtime
            .block_on(MaxCompute::start(config))
            .map_err(|error| failed(&error))?;
        Ok(Self { server, runtime })
    }

    /// The server's endpoint, for `endpoint` of a job file.
    pub fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Lets requests under way end, then stops the server.
    pub fn shutdown(self) {
        self.runtime.block_on(self.server.stop());
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
}

fn failed(what: &str, error: &dyn fmt::Display) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("{what} can't be started: {error}"),
    )
}
