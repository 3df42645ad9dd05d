//! A development Kafka broker: one node, loopback, real logs on disk.
//!
//! It speaks enough of Kafka's protocol that librdkafka and Apache's Java clients produce, consume by offset, look offsets
//! up by timestamp and administer topics as with Kafka itself. Timestamp look-ups are exact. All that it is told survives a
//! restart: cluster id, topics with their ids and settings, messages, producer state and group offsets.
//!
//! What it is not: replicated, secured, transactional, a coordinator of group members. It never deletes or compacts by
//! itself (`DeleteRecords` moves the log start offset), and it leaves flushing to the operating system as Kafka does: a killed
//! process loses nothing, a power cut may lose the last seconds.
//!
//! | part | does |
//! |---|---|
//! | `server`, `dispatch` | connections; requests in order; bytes to messages and back |
//! | `api` | one module for each request |
//! | `topics`, `groups`, `identity` | what is known, kept in small JSON files |
//! | `log`, `batch`, `records`, `incoming` | record batches: stored, indexed, looked into, checked |

mod api;
mod batch;
mod clock;
mod cluster;
mod dispatch;
mod error;
#[cfg(test)]
mod fixtures;
mod groups;
mod identity;
mod incoming;
mod limits;
mod log;
mod records;
mod refusal;
mod server;
mod shape;
mod stop;
mod store;
mod topic_config;
mod topics;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_protocol::protocol::StrBytes;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use self::cluster::{Cluster, Endpoint};
pub use self::error::{Error, ErrorKind};
use self::limits::PARTITIONS_MAX;
use self::server::Server;
use self::stop::Stopper;

/// The leader epoch of every topic partition: leadership never moves.
const LEADER_EPOCH: i32 = 0;

/// How long [`Broker::shutdown`] waits for requests under way.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Where a broker keeps its data and who may reach it.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Folder of the broker's data, created if it isn't there. One broker at a time may use it.
    pub data_dir: PathBuf,
    /// Address to listen at; port 0 takes a free one. Nothing is encrypted and nobody is asked who he is, so an address
    /// beyond loopback also needs `advertised_host`.
    pub listen: SocketAddr,
    /// Host that clients are told to connect to; by default the address of `listen`.
    pub advertised_host: Option<String>,
    /// Topic partitions, 1 to 10,000, of topics that are created because a client asks for them. `None`, the default, creates
    /// none: a misspelled topic is an error.
    pub auto_create_partitions: Option<i32>,
}

impl BrokerConfig {
    /// A broker on a free loopback port that keeps its data in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised_host: None,
            auto_create_partitions: None,
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.advertised_host.is_none() && !self.listen.ip().is_loopback() {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "the broker would be open to everyone at {}; listen at 127.0.0.1, or give the host that clients use (advertised \
                     host)",
                    self.listen
                ),
            ));
        }
        match self.auto_create_partitions {
            Some(partitions) if !(1..=PARTITIONS_MAX).contains(&partitions) => Err(Error::new(
                ErrorKind::Config,
                format!(
                    "topics cannot be created with {partitions} topic partitions; use 1 to {PARTITIONS_MAX}"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// A running broker. Dropping it closes all connections at once; [`shutdown`](Self::shutdown) is gentler.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// use engine_local::broker::{Broker, BrokerConfig};
///
/// let folder = tempfile::tempdir()?;
/// let broker = Broker::start(BrokerConfig::new(folder.path())).await?;
/// println!("bootstrap.servers={}", broker.address());
/// broker.shutdown().await;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    server: Arc<Server>,
    stop: Stopper,
    tasks: JoinSet<()>,
}

impl Broker {
    /// Opens the data folder, reads every log through, and starts to listen. The broker runs on the tokio runtime that
    /// this is called on, which needs its I/O and time drivers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], [`ErrorKind::InUse`], [`ErrorKind::Stored`] or [`ErrorKind::Io`]; nothing runs then.
    pub async fn start(config: BrokerConfig) -> Result<Self, Error> {
        config.check()?;
        let listener = TcpListener::bind(config.listen)
            .await
            .map_err(|error| listen_error(config.listen, error))?;
        let address = listener
            .local_addr()
            .map_err(|error| listen_error(config.listen, error))?;
        let cluster = tokio::task::spawn_blocking(move || {
            Cluster::open(&config.data_dir, config.auto_create_partitions)
        })
        .await
        .map_err(|error| {
            Error::new(ErrorKind::Io, "the broker's data cannot be opened").with_source(error)
        })??;
        let host = config
            .advertised_host
            .unwrap_or_else(|| address.ip().to_string());
        let server = Arc::new(Server {
            cluster: Arc::new(cluster),
            endpoint: Endpoint {
                host: StrBytes::from_string(host),
                port: i32::from(address.port()),
            },
            last_refusal: Mutex::new(None),
        });
        let (stop, stopped) = stop::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&server).run(listener, stopped));
        Ok(Self {
            address,
            server,
            stop,
            tasks,
        })
    }

    /// The address that the broker listens at, with its real port: the clients' `bootstrap.servers`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The cluster id, 22 characters, the same whenever a broker is started on this data folder.
    pub fn cluster_id(&self) -> &str {
        self.server.cluster.identity.cluster_id()
    }

    /// Why the broker closed a connection last, if it ever did. Clients only see that it is closed.
    pub fn last_refusal(&self) -> Option<String> {
        let refusal = self.server.last_refusal.lock();
        let refusal = refusal.unwrap_or_else(PoisonError::into_inner);
        refusal.as_ref().map(ToString::to_string)
    }

    /// Stops: no new connections, each connection finishes the request that it is at, for 5 seconds at most. Then
    /// the data folder is free for the next broker.
    pub async fn shutdown(mut self) {
        self.stop.tell();
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, finished)
            .await
            .is_err()
        {
            self.tasks.shutdown().await;
        }
    }
}

fn listen_error(address: SocketAddr, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!("cannot listen at {address}; is another broker running there?"),
    )
    .with_source(error)
}
