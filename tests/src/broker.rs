//! Real Apache Kafka, started from its jars on free loopback ports.

mod admin;
mod cluster;
mod kraft;
mod release;
mod zookeeper;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tempfile::TempDir;

use crate::process::ServerProcess;
use kraft::Node;

pub use cluster::KafkaCluster;
pub use release::KafkaRelease;

/// The plain listener that every broker has, for the harness and for brokers among themselves.
const PLAIN: &str = "PLAIN";

/// How often a starting broker is asked for a second; it needs 3 to 5 seconds on two idle cores.
const READY_ATTEMPTS_MAX: u32 = 120;

/// A free port may be gone by the time the broker binds it: outgoing connections draw from the same range.
const PORT_ATTEMPTS_MAX: u32 = 3;

/// What a test may ask of a broker beyond the usual.
#[derive(Debug, Clone, Default)]
pub struct BrokerOptions {
    /// Which Kafka it is.
    pub release: KafkaRelease,
    /// Listeners beside the plain one.
    pub listeners: Vec<Listener>,
    /// Users of SCRAM, each as `kafka-storage format --add-scram` takes it; only with [`KafkaRelease::V4_1`].
    pub scram_users: Vec<String>,
    /// Lines of `server.properties`; they win over the usual ones.
    pub properties: Vec<(String, String)>,
}

/// A port of a broker.
#[derive(Debug, Clone)]
pub struct Listener {
    /// In capitals, as Kafka spells it in the names of properties.
    pub name: String,
    /// Security protocol, as Kafka spells it.
    pub protocol: String,
    /// `host:port` that clients are told to connect to; the listener itself where there is none.
    pub advertised: Option<String>,
}

impl Listener {
    /// A listener that clients are told of as it is.
    pub fn new(name: &str, protocol: &str) -> Self {
        Self {
            name: name.to_owned(),
            protocol: protocol.to_owned(),
            advertised: None,
        }
    }
}

/// A running broker, which ends with this value or with the test process, whichever ends first.
#[derive(Debug)]
pub struct KafkaBroker {
    release: KafkaRelease,
    process: ServerProcess,
    /// What an old release keeps its topics in.
    zookeeper: Option<ServerProcess>,
    /// `host:port` of the listeners, by name.
    addresses: BTreeMap<String, String>,
}

impl KafkaBroker {
    /// Starts a broker of the newest release with a plain listener and waits until it answers.
    ///
    /// # Panics
    ///
    /// When the jars are missing, or the broker doesn't come up: then the message ends with its log.
    pub fn start() -> Self {
        Self::start_with(&BrokerOptions::default())
    }

    /// As [`KafkaBroker::start`], with options.
    pub fn start_with(options: &BrokerOptions) -> Self {
        retry_ports(|| {
            let mut broker = match options.release {
                KafkaRelease::V4_1 => Self::spawn(options, &Node::alone()),
                KafkaRelease::V0_10_2 | KafkaRelease::V2_2 => Self::spawn_with_zookeeper(options),
            };
            broker.wait_until_ready(1)?;
            Ok(broker)
        })
    }

    /// Starts a KRaft broker without waiting for it.
    fn spawn(options: &BrokerOptions, node: &Node) -> Self {
        let (folder, mut ports) = (folder(), ports(options));
        let own = addresses(&ports);
        ports.push(node.controller());
        let text = kraft::properties(node) + &properties(options, &ports, folder.path());
        let file = write(folder.path(), "server.properties", &text);
        kraft::format_storage(options, node, &file);
        Self {
            release: options.release,
            process: ServerProcess::start(&command(options.release, &[], &file), folder),
            zookeeper: None,
            addresses: own,
        }
    }

    /// Starts a broker and its `ZooKeeper` without waiting for them: the broker waits for the other.
    fn spawn_with_zookeeper(options: &BrokerOptions) -> Self {
        let (folder, ports) = (folder(), ports(options));
        let logging = zookeeper::write_logging(folder.path());
        let (zookeeper, port) = zookeeper::start(options.release);
        let text = zookeeper::properties(port) + &properties(options, &ports, folder.path());
        let file = write(folder.path(), "server.properties", &text);
        Self {
            release: options.release,
            process: ServerProcess::start(&command(options.release, &[&logging], &file), folder),
            zookeeper: Some(zookeeper),
            addresses: addresses(&ports),
        }
    }

    /// The broker of the newest release that all tests of this process share; name topics after the test. Started by
    /// the first caller.
    pub fn shared() -> &'static Self {
        Self::shared_release(KafkaRelease::default())
    }

    /// The same of any release.
    pub fn shared_release(release: KafkaRelease) -> &'static Self {
        static SHARED: [OnceLock<KafkaBroker>; KafkaRelease::ALL.len()] =
            [const { OnceLock::new() }; KafkaRelease::ALL.len()];
        SHARED[release as usize].get_or_init(|| {
            Self::start_with(&BrokerOptions {
                release,
                ..BrokerOptions::default()
            })
        })
    }

    /// Which Kafka it is.
    pub fn release(&self) -> KafkaRelease {
        self.release
    }

    /// `host:port` of the plain listener.
    pub fn bootstrap(&self) -> &str {
        self.address(PLAIN)
    }

    /// `host:port` of the listener that the options name so.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn address(&self, listener: &str) -> &str {
        &self.addresses[listener]
    }

    /// The file with the broker's log; it goes with the broker.
    pub fn log(&self) -> PathBuf {
        self.process.log()
    }

    /// The id of the broker's process and process group.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Creates a topic; `settings` are the topic's, for example `message.timestamp.type`.
    ///
    /// # Panics
    ///
    /// When the broker refuses, for example because the topic is there already.
    pub fn create_topic(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        admin::create_topic(&self.client(), topic, (partitions, 1), settings);
    }

    /// Deletes a topic.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub fn delete_topic(&self, topic: &str) {
        admin::delete_topic(&self.client(), topic);
    }

    /// Adds topic partitions to a topic, which has `partitions` then.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub fn grow_topic(&self, topic: &str, partitions: usize) {
        admin::grow_topic(&self.client(), topic, partitions);
    }

    /// Gives a topic these settings in place of those that it has; brokers before 0.11 can't.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub fn set_topic(&self, topic: &str, settings: &[(&str, &str)]) {
        admin::set_topic(&self.client(), topic, settings);
    }

    /// Deletes the messages of a topic partition before offset `before`, as retention does.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        admin::delete_records(&self.client(), topic, partition, before);
    }

    /// Kills the broker as `kill -9` would; it stays away until [`KafkaBroker::restart`].
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills the broker as `kill -9` would, starts it again on the same ports and logs, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub fn restart(&mut self) {
        self.process.restart();
        if let Err(log) = self.wait_until_ready(1) {
            panic!("the broker doesn't come up again; its log:\n{log}");
        }
    }

    /// librdkafka settings that reach the plain listener, and that suit the release.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        // A broker on the same machine is back at once or not at all.
        config
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "250");
        if self.release == KafkaRelease::V0_10_2 {
            // Before 0.11 brokers know no idempotent producers; one request at a time keeps the order too.
            config
                .set("enable.idempotence", "false")
                .set("max.in.flight.requests.per.connection", "1");
        }
        config
    }

    /// Waits until the broker answers and knows of `brokers` brokers, itself among them. The error is the end of its log.
    fn wait_until_ready(&mut self, brokers: usize) -> Result<(), String> {
        let client: BaseConsumer = self.client().create().expect("a client");
        for _ in 0..READY_ATTEMPTS_MAX {
            // Waits inside for up to a second while nothing listens yet.
            match client.fetch_metadata(None, Duration::from_secs(1)) {
                Ok(metadata) if metadata.brokers().len() >= brokers => return Ok(()),
                // The others are on their way; nothing else is heard of here.
                Ok(_) => drop(client.poll(Duration::from_millis(500))),
                Err(_) => {}
            }
            let ended = |process: &mut ServerProcess| {
                let status = process.exit_status().expect("the state of a child");
                status.is_some()
            };
            if self.zookeeper.as_mut().is_some_and(ended) || ended(&mut self.process) {
                break;
            }
        }
        let zookeeper = self.zookeeper.as_ref().map(ServerProcess::log_tail);
        Err(format!(
            "{}\n{}",
            zookeeper.unwrap_or_default(),
            self.process.log_tail()
        ))
    }
}

/// Makes what listens on free ports, again while somebody else takes one of them before.
fn retry_ports<T>(mut make: impl FnMut() -> Result<T, String>) -> T {
    for _ in 0..PORT_ATTEMPTS_MAX {
        match make() {
            Ok(value) => return value,
            Err(log) => assert!(
                log.contains("BindException"),
                "the broker doesn't come up; its log:\n{log}"
            ),
        }
    }
    panic!("somebody takes each free port before the broker does");
}

fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("tidegate-kafka-")
        .tempdir()
        .expect("a temporary folder")
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file in a fresh folder");
    path
}

/// Ports that nobody listens on. All are held until all are known, so that they differ.
fn free_ports(count: usize) -> Vec<u16> {
    let bound = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let listeners: Vec<_> = bound.collect();
    let port = |listener: &TcpListener| listener.local_addr().expect("a bound address").port();
    listeners.iter().map(port).collect()
}

/// All listeners, each with a free port; the plain one first.
fn ports(options: &BrokerOptions) -> Vec<(Listener, u16)> {
    let mut listeners = vec![Listener::new(PLAIN, "PLAINTEXT")];
    listeners.extend(options.listeners.clone());
    let ports = free_ports(listeners.len());
    listeners.into_iter().zip(ports).collect()
}

fn addresses(ports: &[(Listener, u16)]) -> BTreeMap<String, String> {
    let address =
        |(listener, port): &(Listener, u16)| (listener.name.clone(), format!("127.0.0.1:{port}"));
    ports.iter().map(address).collect()
}

/// What `server.properties` has in every release, and the options'.
fn properties(options: &BrokerOptions, ports: &[(Listener, u16)], folder: &Path) -> String {
    let (mut listeners, mut advertised, mut protocols) = (Vec::new(), Vec::new(), Vec::new());
    for (listener, port) in ports {
        let Listener { name, protocol, .. } = listener;
        let address = format!("127.0.0.1:{port}");
        listeners.push(format!("{name}://{address}"));
        protocols.push(format!("{name}:{protocol}"));
        if name != kraft::CONTROLLER {
            let told = listener.advertised.as_ref().unwrap_or(&address);
            advertised.push(format!("{name}://{told}"));
        }
    }
    let mut text = format!(
        "\
listeners={}
advertised.listeners={}
listener.security.protocol.map={}
inter.broker.listener.name={PLAIN}
log.dirs={}/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.backoff.ms=500
# Generated timestamps lie years before or after the clock: nothing is deleted for its age, nothing refused for it.
log.retention.ms=-1
",
        listeners.join(","),
        advertised.join(","),
        protocols.join(","),
        folder.display(),
    );
    for (key, value) in &options.properties {
        writeln!(text, "{key}={value}").expect("a string takes all that fits into memory");
    }
    text
}

/// The command that runs a broker, with Java's options before its own.
fn command(release: KafkaRelease, java: &[&str], properties: &Path) -> Vec<String> {
    let class_path = release.class_path();
    let properties = properties.display().to_string();
    ["java", "-Xms256m", "-Xmx768m", "-XX:+UseSerialGC"]
        .into_iter()
        .chain(java.iter().copied())
        .chain(["-cp", &class_path, "kafka.Kafka", &properties])
        .map(str::to_owned)
        .collect()
}
