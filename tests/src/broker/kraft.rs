//! What brokers without a `ZooKeeper` need: each is a controller too.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{BrokerOptions, Listener, free_ports};

/// The listener of the controllers, which clients are not told of.
pub(super) const CONTROLLER: &str = "CONTROLLER";

/// The place of a broker in its cluster.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its number, from 1.
    pub(super) id: usize,
    /// The ports of all controllers, that of broker 1 first.
    pub(super) controllers: Vec<u16>,
    /// The same for all brokers of a cluster.
    pub(super) cluster_id: String,
}

impl Node {
    /// The only broker of a cluster.
    pub(super) fn alone() -> Self {
        let [node] = Self::cluster::<1>();
        node
    }

    /// `COUNT` brokers that form a cluster.
    pub(super) fn cluster<const COUNT: usize>() -> [Self; COUNT] {
        let controllers = free_ports(COUNT);
        let cluster_id = URL_SAFE_NO_PAD.encode(fastrand::u128(..).to_be_bytes());
        std::array::from_fn(|index| Self {
            id: index + 1,
            controllers: controllers.clone(),
            cluster_id: cluster_id.clone(),
        })
    }

    /// Where its controller listens.
    pub(super) fn controller(&self) -> (Listener, u16) {
        let listener = Listener::new(CONTROLLER, "PLAINTEXT");
        (listener, self.controllers[self.id - 1])
    }

    fn voters(&self) -> String {
        let voters = (1..).zip(&self.controllers);
        let voters: Vec<_> = voters
            .map(|(id, port)| format!("{id}@127.0.0.1:{port}"))
            .collect();
        voters.join(",")
    }
}

/// What only such a broker has in its `server.properties`.
pub(super) fn properties(node: &Node) -> String {
    let id = node.id;
    let voters = node.voters();
    format!(
        "\
process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
controller.listener.names={CONTROLLER}
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
log.message.timestamp.before.max.ms={any}
log.message.timestamp.after.max.ms={any}
",
        any = i64::MAX,
    )
}

/// Writes the cluster's id and the users of SCRAM into the empty log folder, without which a broker refuses to start.
pub(super) fn format_storage(options: &BrokerOptions, node: &Node, properties: &Path) {
    let scram = options.scram_users.iter();
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(options.release.class_path())
        .args(["kafka.tools.StorageTool", "format", "-c"])
        .arg(properties)
        // In one argument: one id of 64 begins with a hyphen, which looks like another option.
        .arg(format!("--cluster-id={}", node.cluster_id))
        .args(scram.flat_map(|user| ["--add-scram", user]))
        .output()
        .unwrap_or_else(|error| panic!("can't run java: {error}; `tests/run` installs it"));
    assert!(
        output.status.success(),
        "the broker's storage can't be formatted: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
