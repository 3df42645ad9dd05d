//! A MaxCompute-compatible server for one test.

use std::net::SocketAddr;

use engine_local::maxcompute::{Config, Credential, MaxCompute};
use engine_model::job::{BlockFormat, Compression, MaxComputeConnection, Secret};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The project that the server has.
pub const PROJECT: &str = "shop";
/// The access id that it takes.
pub const ACCESS_ID: &str = "tester";
/// The secret that goes with it.
pub const ACCESS_SECRET: &str = "a secret of the tests";

/// A running server, its data in a temporary folder. It checks signatures.
#[derive(Debug)]
pub struct Server {
    running: Option<MaxCompute>,
    endpoint: String,
    runtime: Runtime,
    _folder: TempDir,
}

impl Server {
    /// Starts a server on a free loopback port.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            credentials: vec![Credential {
                access_id: ACCESS_ID.to_owned(),
                secret: ACCESS_SECRET.to_owned(),
            }],
            ..Config::new(folder.path(), PROJECT)
        };
        let server = runtime
            .block_on(MaxCompute::start(config))
            .expect("the server starts");
        let endpoint = server.endpoint();
        Self {
            running: Some(server),
            endpoint,
            runtime,
            _folder: folder,
        }
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
        let connection = MaxComputeConnection {
            endpoint: self.endpoint.clone(),
            tunnel_endpoint: None,
            project: PROJECT.to_owned(),
            schema: None,
            quota: None,
            region: None,
            block_format: BlockFormat::default(),
            compression: Compression::default(),
            access_id: Some(ACCESS_ID.to_owned()),
            access_secret: Some(Secret::new(ACCESS_SECRET)),
            security_token: None,
            profile: None,
            credentials_file: None,
            ca_file: None,
            proxy: None,
        };
        let sql = engine::Sql::new(&connection).expect("a client");
        let result = sql.execute(statement);
        result
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
            .rows
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

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(server) = self.running.take() {
            self.runtime.block_on(server.stop());
        }
    }
}
