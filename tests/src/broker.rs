//! Real Apache Kafka, started from its jars on free loopback ports.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset, TopicPartitionList};
use tempfile::TempDir;

use crate::cache::cached;
use crate::process::ServerProcess;

/// The broker's version, and the folder of its jars below `.cache`.
pub const KAFKA: &str = "kafka-4.1.0";

/// How often a starting broker is asked for a second; it needs 3 to 5 seconds on two idle cores.
const READY_ATTEMPTS_MAX: u32 = 120;

/// A free port may be gone by the time the broker binds it: outgoing connections draw from the same range.
const PORT_ATTEMPTS_MAX: u32 = 3;

/// What a test may ask of a broker beyond the usual.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// Security protocol of the listener that [`KafkaBroker::bootstrap`] names, as Kafka spells it. The harness itself
    /// talks to a plain listener of its own.
    pub client_protocol: String,
    /// Lines of `server.properties`; they win over the usual ones.
    pub properties: Vec<(String, String)>,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            client_protocol: "PLAINTEXT".to_owned(),
            properties: Vec::new(),
        }
    }
}

/// A running single-node KRaft broker, which ends with this value or with the test process, whichever ends first.
#[derive(Debug)]
pub struct KafkaBroker {
    process: ServerProcess,
    bootstrap: String,
    harness_bootstrap: String,
}

impl KafkaBroker {
    /// Starts a broker with plain listeners and waits until it answers.
    ///
    /// # Panics
    ///
    /// When the jars are missing, or the broker doesn't come up: then the message ends with its log.
    pub fn start() -> Self {
        Self::start_with(&BrokerOptions::default())
    }

    /// As [`KafkaBroker::start`], with options.
    pub fn start_with(options: &BrokerOptions) -> Self {
        for _ in 0..PORT_ATTEMPTS_MAX {
            let mut broker = Self::spawn(options);
            let Err(log) = broker.wait_until_ready() else {
                return broker;
            };
            assert!(
                log.contains("BindException"),
                "the broker doesn't come up; its log:\n{log}"
            );
        }
        panic!("somebody takes each free port before the broker does");
    }

    fn spawn(options: &BrokerOptions) -> Self {
        let class_path = format!("{}/*", cached(KAFKA).join("libs").display());
        let folder = tempfile::Builder::new()
            .prefix("tidegate-kafka-")
            .tempdir()
            .expect("a temporary folder");
        let [client, harness, controller] = free_ports();
        let properties = folder.path().join("server.properties");
        let text = server_properties(options, &folder, [client, harness, controller]);
        std::fs::write(&properties, text).expect("a file in a fresh folder");
        format_storage(&class_path, &properties);

        let properties = properties.display().to_string();
        let command = ["java", "-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-cp"];
        let command: Vec<String> = command
            .into_iter()
            .chain([class_path.as_str(), "kafka.Kafka", properties.as_str()])
            .map(str::to_owned)
            .collect();
        Self {
            process: ServerProcess::start(&command, folder),
            bootstrap: format!("127.0.0.1:{client}"),
            harness_bootstrap: format!("127.0.0.1:{harness}"),
        }
    }

    /// The broker that all tests of this process share; name topics after the test. Started by the first caller.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<KafkaBroker> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// `host:port` of the listener under test.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `host:port` of the harness's own plain listener.
    pub fn harness_bootstrap(&self) -> &str {
        &self.harness_bootstrap
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
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().expect("an admin client");
        let mut wanted = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            wanted = wanted.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let results = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime of one thread")
            .block_on(admin.create_topics([&wanted], &options))
            .unwrap_or_else(|error| panic!("can't create topic {topic:?}: {error}"));
        for result in results {
            if let Err((name, code)) = result {
                panic!("can't create topic {name:?}: {code}");
            }
        }
    }

    /// Deletes the messages of a topic partition before offset `before`, as retention does.
    ///
    /// # Panics
    ///
    /// When the broker refuses.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().expect("an admin client");
        let mut offsets = TopicPartitionList::new();
        offsets
            .add_partition_offset(topic, partition, Offset::Offset(before))
            .expect("an offset");
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
        let deleted = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime of one thread")
            .block_on(admin.delete_records(&offsets, &options))
            .unwrap_or_else(|error| panic!("can't delete messages of topic {topic:?}: {error}"));
        for element in deleted.elements() {
            if let Err(error) = element.error() {
                panic!("can't delete messages of topic {topic:?}: {error}");
            }
        }
    }

    /// Kills the broker as `kill -9` would, starts it again on the same ports and logs, and waits until it answers.
    ///
    /// # Panics
    ///
    /// When it doesn't come up.
    pub fn restart(&mut self) {
        self.process.restart();
        if let Err(log) = self.wait_until_ready() {
            panic!("the broker doesn't come up again; its log:\n{log}");
        }
    }

    /// librdkafka settings that reach the harness's listener.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.harness_bootstrap);
        // A broker on the same machine is back at once or not at all.
        config
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "250");
        config
    }

    /// Waits until the broker answers. The error is the end of its log.
    fn wait_until_ready(&mut self) -> Result<(), String> {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().expect("an admin client");
        for _ in 0..READY_ATTEMPTS_MAX {
            // Waits inside for up to a second while nothing listens yet.
            let answer = admin.inner().fetch_metadata(None, Duration::from_secs(1));
            if answer.is_ok_and(|metadata| !metadata.brokers().is_empty()) {
                return Ok(());
            }
            if self
                .process
                .exit_status()
                .expect("the state of a child")
                .is_some()
            {
                break;
            }
        }
        Err(self.process.log_tail())
    }
}

/// Ports that nobody listens on. All are held until all are known, so that they differ.
fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound address").port())
}

fn server_properties(options: &BrokerOptions, folder: &TempDir, ports: [u16; 3]) -> String {
    let [client, harness, controller] = ports;
    let listeners = format!("CLIENT://127.0.0.1:{client},HARNESS://127.0.0.1:{harness}");
    let mut text = format!(
        "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners={listeners},CONTROLLER://127.0.0.1:{controller}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=HARNESS
listener.security.protocol.map=CONTROLLER:PLAINTEXT,HARNESS:PLAINTEXT,CLIENT:{protocol}
log.dirs={folder}/logs
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# Generated timestamps lie years before or after the clock: nothing is deleted for its age, nothing refused for it.
log.retention.ms=-1
log.message.timestamp.before.max.ms={any}
log.message.timestamp.after.max.ms={any}
",
        protocol = options.client_protocol,
        folder = folder.path().display(),
        any = i64::MAX,
    );
    for (key, value) in &options.properties {
        writeln!(text, "{key}={value}").expect("a string takes all that fits into memory");
    }
    text
}

/// Writes the cluster's id into the empty log folder, without which a KRaft broker refuses to start.
fn format_storage(class_path: &str, properties: &std::path::Path) {
    let id = URL_SAFE_NO_PAD.encode(fastrand::u128(..).to_be_bytes());
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp", class_path])
        .args(["kafka.tools.StorageTool", "format", "-c"])
        .arg(properties)
        // In one argument: one id of 64 begins with a hyphen, which looks like another option.
        .arg(format!("--cluster-id={id}"))
        .output()
        .unwrap_or_else(|error| panic!("can't run java: {error}; `tests/run` installs it"));
    assert!(
        output.status.success(),
        "the broker's storage can't be formatted: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
