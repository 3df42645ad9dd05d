//! A MaxCompute-compatible server for one test.

use std::path::Path;
use std::process::{Child, Stdio};

use engine_model::job::{MaxComputeConnection, Secret};
use serde_json::{Deserializer, Value};
use tempfile::TempDir;

use crate::program::{SECRET_VARIABLE, program};

/// The project that the server has.
pub const PROJECT: &str = "shop";
/// The access id that it takes.
pub const ACCESS_ID: &str = "tester";
/// The secret that goes with it.
pub const ACCESS_SECRET: &str = "a secret of the tests";

/// The token that goes with both, where the access key is temporary.
pub const TOKEN: &str = "a token of the tests";
/// The environment variable that the server takes it from.
pub const TOKEN_VARIABLE: &str = "TEST_SECURITY_TOKEN";

/// A running `tidegate local maxcompute`, its data in a temporary folder. It checks signatures.
#[derive(Debug)]
pub struct Server {
    process: Child,
    endpoint: String,
    /// What it was started with, beside the address.
    more: Vec<&'static str>,
    token: Option<Secret>,
    folder: TempDir,
}

impl Server {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start() -> Self {
        Self::start_with(&[], None)
    }

    /// Starts a server whose access key is temporary: requests need [`TOKEN`] too.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start_with_token() -> Self {
        let token = Some(Secret::new(TOKEN));
        Self::start_with(&["--token-from-env", TOKEN_VARIABLE], token)
    }

    fn start_with(more: &[&'static str], token: Option<Secret>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (process, endpoint) = spawn(folder.path(), "127.0.0.1:0", more);
        Self {
            process,
            endpoint,
            more: more.to_vec(),
            token,
            folder,
        }
    }

    /// Kills the server as `kill -9` would, and starts it again with its data and on its port.
    ///
    /// # Panics
    ///
    /// When it can't be started again.
    pub fn restart(&mut self) {
        self.process.kill().expect("a child can be killed");
        self.process.wait().expect("a child can be waited for");
        let address = self.endpoint.strip_prefix("http://");
        let address = address.and_then(|address| address.strip_suffix("/api"));
        let address = address.expect("an endpoint is made of its address");
        (self.process, _) = spawn(self.folder.path(), address, &self.more);
    }

    /// Its endpoint, `http://127.0.0.1:PORT/api`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Runs a statement and returns its rows.
    ///
    /// # Panics
    ///
    /// When the statement fails.
    #[track_caller]
    pub fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        sql(&self.endpoint, self.token.clone(), statement)
    }

    /// Rows that a query counts.
    ///
    /// # Panics
    ///
    /// When the query fails or returns no number.
    #[track_caller]
    pub fn count(&self, table: &str, condition: &str) -> u64 {
        let rows = self.sql(&format!("SELECT COUNT(*) FROM {table} {condition}"));
        let count = rows.first().and_then(|row| row.first()).cloned().flatten();
        count.and_then(|count| count.parse().ok()).expect("a count")
    }
}

/// Starts a server and waits until it says its endpoint.
fn spawn(folder: &Path, listen: &str, more: &[&str]) -> (Child, String) {
    let data = folder.to_string_lossy();
    let mut command = program(&["--json", "local", "maxcompute"], ACCESS_SECRET);
    command
        .args(["--data", &data, "--listen", listen])
        .args(["--project", PROJECT, "--access-id", ACCESS_ID])
        .args(["--secret-from-env", SECRET_VARIABLE])
        .args(more)
        .env(TOKEN_VARIABLE, TOKEN)
        .stdout(Stdio::piped());
    let mut process = command.spawn().expect("the program starts");
    let stdout = process.stdout.take().expect("its output is caught");
    let mut documents = Deserializer::from_reader(stdout).into_iter::<Value>();
    let said = documents.next().expect("it says where it serves");
    let endpoint = said.expect("it says so in JSON")["endpoint"]
        .as_str()
        .expect("it has an endpoint")
        .to_owned();
    (process, endpoint)
}

/// Runs a statement on a server and returns its rows.
///
/// # Panics
///
/// When the statement fails.
#[track_caller]
pub(crate) fn sql(
    endpoint: &str,
    security_token: Option<Secret>,
    statement: &str,
) -> Vec<Vec<Option<String>>> {
    let connection = MaxComputeConnection {
        access_id: Some(ACCESS_ID.to_owned()),
        access_secret: Some(Secret::new(ACCESS_SECRET)),
        security_token,
        ..MaxComputeConnection::new(endpoint, PROJECT)
    };
    let sql = engine::Sql::new(&connection).expect("a client");
    let result = sql.execute(statement);
    result
        .unwrap_or_else(|error| panic!("{statement}: {error}"))
        .rows
}

/// A server that tests load into.
pub trait TestServer {
    /// Its endpoint.
    fn endpoint(&self) -> &str;

    /// Runs a statement and returns its rows.
    ///
    /// # Panics
    ///
    /// When the statement fails.
    #[track_caller]
    fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>>;
}

impl TestServer for Server {
    fn endpoint(&self) -> &str {
        self.endpoint()
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        self.sql(statement)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and what it leaves is in the temporary folder.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
