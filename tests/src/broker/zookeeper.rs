//! What brokers of old releases need: a `ZooKeeper` of their own.

use std::path::Path;

use super::{KafkaRelease, folder, free_ports, write};
use crate::process::ServerProcess;

/// Starts one on an empty folder, from the jars of the broker, and says on which port it will listen.
pub(super) fn start(release: KafkaRelease) -> (ServerProcess, u16) {
    let folder = folder();
    let port = free_ports(1)[0];
    let text = format!(
        "\
dataDir={}/data
clientPort={port}
clientPortAddress=127.0.0.1
admin.enableServer=false
",
        folder.path().display()
    );
    let properties = write(folder.path(), "zookeeper.properties", &text);
    let command = [
        "java",
        "-XX:TieredStopAtLevel=1",
        "-Xmx128m",
        "-XX:+UseSerialGC",
        // Its beans for that want classes of another log4j.
        "-Dzookeeper.jmx.log4j.disable=true",
        &write_logging(folder.path()),
        "-cp",
        &release.class_path(),
        "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        &properties.display().to_string(),
    ]
    .map(str::to_owned);
    (ServerProcess::start(&command, folder), port)
}

/// What a broker with a `ZooKeeper` at `port` has in its `server.properties`.
pub(super) fn properties(port: u16) -> String {
    // Both start at the same time.
    format!(
        "broker.id=1\nzookeeper.connect=127.0.0.1:{port}\nzookeeper.connection.timeout.ms=60000\n"
    )
}

/// Java's option for log lines on the standard output; log4j is silent without. Other logging passes it over.
pub(super) fn write_logging(folder: &Path) -> String {
    let text = "\
log4j.rootLogger=INFO, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=[%d] %p %c: %m%n
";
    let file = write(folder, "log4j.properties", text);
    format!("-Dlog4j.configuration=file:{}", file.display())
}
