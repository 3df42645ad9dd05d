//! The client against a scripted server and a clock that tells how long it was asked to wait.

mod bandwidth;
mod commit;
mod connection;
mod contact;
mod credentials;
mod download;
mod flow;
mod metadata;
mod retries;
mod server;
mod sql;
mod tables;
mod upload;

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine_model::job::Secret;
use engine_model::{PartitionSpec, TableName};
use jiff::Timestamp;

use self::server::Server;
use super::Client;
use crate::{ClientConfig, Clock, CredentialSource, Credentials};

const SECRET: &str = "DummyAccessSecret0123456789abcd";

/// Stands still, except while someone waits.
#[derive(Default)]
struct TestClock {
    waits: Mutex<Vec<Duration>>,
}

impl TestClock {
    fn waits(&self) -> Vec<Duration> {
        self.waits.lock().unwrap().clone()
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestClock")
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        "2026-03-02T03:04:05Z".parse().unwrap()
    }

    fn elapsed(&self) -> Duration {
        self.waits().iter().sum()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.waits.lock().unwrap().push(duration);
        Box::pin(std::future::ready(()))
    }
}

fn credentials() -> Credentials {
    Credentials {
        access_id: "DummyAccessId0001".into(),
        secret: Secret::new(SECRET),
        security_token: None,
    }
}

/// Settings under which recorded heads of PyODPS come out the same.
fn config(server: &Server) -> ClientConfig {
    let endpoint = format!("http://{}/api/", server.address);
    ClientConfig {
        tunnel_endpoint: Some(format!("http://{}", server.address)),
        user_agent: "pyodps/0.13.2".into(),
        ..ClientConfig::new(endpoint, "wire_prj", credentials())
    }
}

/// The same credentials with a token.
fn temporary(token: &str) -> CredentialSource {
    CredentialSource::Fixed(Credentials {
        access_id: "DummyAccessId0001".into(),
        secret: Secret::new(SECRET),
        security_token: Some(Secret::new(token)),
    })
}

fn client(config: ClientConfig) -> (Client, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    let client = Client::new(config, Arc::<TestClock>::clone(&clock)).unwrap();
    (client, clock)
}

fn table() -> TableName {
    TableName {
        project: "wire_prj".into(),
        schema: None,
        table: "t".into(),
    }
}

fn partition() -> PartitionSpec {
    PartitionSpec(vec![("ds".into(), "20260302".into())])
}

/// A session's description with the table of [`upload`]'s rows.
fn session_json(status: &str, blocks: &[(u32, u64)]) -> String {
    let blocks: Vec<_> = blocks
        .iter()
        .map(|(id, rows)| serde_json::json!({ "BlockID": id, "RecordCount": rows }))
        .collect();
    serde_json::json!({
        "UploadID": "s1",
        "Status": status,
        "Schema": { "columns": [{ "name": "id", "type": "bigint", "nullable": true }], "partitionKeys": [] },
        "UploadedBlockList": blocks,
    })
    .to_string()
}
