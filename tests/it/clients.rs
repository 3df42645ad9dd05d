use std::ffi::OsString;
use std::process::Command;

use engine::local::{LocalConfig, LocalServers};
use tests::cache::{cached, root};
use tests::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server};

#[track_caller]
fn assert_passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
}

#[test]
fn alibabas_python_client_takes_our_server_for_the_service() {
    let server = Server::start();
    assert_passes(
        Command::new(cached("venv/bin/python"))
            .arg(root().join("tests/sdk/pyodps_smoke.py"))
            .args([server.endpoint(), PROJECT, ACCESS_ID, ACCESS_SECRET]),
    );
}

#[test]
fn apaches_java_clients_take_our_broker_for_kafka() {
    let folder = tempfile::tempdir().unwrap();
    let servers = LocalServers::start(LocalConfig {
        data: folder.path().to_owned(),
        kafka_port: 0,
        maxcompute_port: 0,
        project: PROJECT.to_owned(),
        credentials: Vec::new(),
    })
    .unwrap();
    let mut class_path = OsString::from(cached("kafka-java/target/classes"));
    class_path.push(":");
    class_path.push(cached("kafka-java/libs").join("*"));
    let mut java = Command::new("java");
    java.arg("-cp")
        .arg(class_path)
        .arg("BrokerCheck")
        .arg(servers.brokers());
    assert_passes(&mut java);
    servers.shutdown();
}
