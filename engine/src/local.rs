//! The embedded servers: a development Kafka broker and a MaxCompute-compatible server, for laptops and tests.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use engine_load::{Error, ErrorKind};
use engine_local::broker::{Broker, BrokerConfig};
use engine_local::maxcompute::{Config as MaxComputeConfig, Credential, MaxCompute};
use tokio::runtime::Runtime;

/// The broker's port where nothing else is wished.
pub const LOCAL_KAFKA_PORT: u16 = 19_092;
/// The MaxCompute-compatible server's port where nothing else is wished.
pub const LOCAL_MAXCOMPUTE_PORT: u16 = 18_090;

/// What the embedded servers are started with.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The folder of their data, made where it is missing. What is in there is served again.
    pub data: PathBuf,
    /// Loopback port of the broker; 0 for a free one.
    pub kafka_port: u16,
    /// Loopback port of the MaxCompute-compatible server; 0 for a free one.
    pub maxcompute_port: u16,
    /// The project that the server has.
    pub project: String,
    /// Access ids and secrets that the server takes; with none, it takes any.
    pub credentials: Vec<(String, String)>,
}

/// Both servers, until this is dropped. They listen on loopback only.
pub struct LocalServers {
    broker: Broker,
    maxcompute: MaxCompute,
    runtime: Runtime,
}

impl fmt::Debug for LocalServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalServers")
            .field("broker", &self.broker.address())
            .field("maxcompute", &self.maxcompute.endpoint())
            .finish_non_exhaustive()
    }
}

impl LocalServers {
    /// Starts both servers.
    ///
    /// # Errors
    ///
    /// A port that is taken or a folder that can't be used, named.
    pub fn start(config: LocalConfig) -> Result<Self, Error> {
        let failed = |what: &str, error: &dyn fmt::Display| {
            Error::new(
                ErrorKind::Internal,
                format!("{what} can't be started: {error}"),
            )
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| failed("the embedded servers", &error))?;
        let listen = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let broker_config = BrokerConfig {
            listen: listen(config.kafka_port),
            ..BrokerConfig::new(config.data.join("kafka"))
        };
        let broker = runtime
            .block_on(Broker::start(broker_config))
            .map_err(|error| failed("the broker", &error))?;
        let credentials = config.credentials.into_iter();
        let maxcompute_config = MaxComputeConfig {
            listen: listen(config.maxcompute_port),
            credentials: credentials
                .map(|(access_id, secret)| Credential { access_id, secret })
                .collect(),
            ..MaxComputeConfig::new(config.data.join("maxcompute"), config.project)
        };
        let maxcompute = runtime
            .block_on(MaxCompute::start(maxcompute_config))
            .map_err(|error| failed("the MaxCompute-compatible server", &error))?;
        Ok(Self {
            broker,
            maxcompute,
            runtime,
        })
    }

    /// The broker's address, for `brokers` of a job file.
    pub fn brokers(&self) -> String {
        self.broker.address().to_string()
    }

    /// The server's endpoint, for `endpoint` of a job file.
    pub fn endpoint(&self) -> String {
        self.maxcompute.endpoint()
    }

    /// Lets requests under way end, then stops both.
    pub fn shutdown(self) {
        let Self {
            broker,
            maxcompute,
            runtime,
        } = self;
        runtime.block_on(async {
            broker.shutdown().await;
            maxcompute.stop().await;
        });
    }
}
