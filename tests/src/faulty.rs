//! A MaxCompute-compatible server in the test's own process, with faults and a clock that the test sets.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine_local::maxcompute::{Clock, Config, Credential, Faults, MaxCompute};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, TestServer, sql};

/// A running server, its data in a temporary folder.
pub struct FaultyServer {
    /// What goes wrong.
    pub faults: Faults,
    endpoint: String,
    ahead_s: Arc<AtomicI64>,
    server: Option<MaxCompute>,
    runtime: Runtime,
    _folder: TempDir,
}

impl fmt::Debug for FaultyServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyServer")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl FaultyServer {
    /// Starts a server that looks at no signature, nor at the time of requests.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start() -> Self {
        Self::start_with(Vec::new())
    }

    /// Starts a server that takes the tests' access key, and no request from another time than its own.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start_strict() -> Self {
        Self::start_with(vec![Credential {
            access_id: ACCESS_ID.to_owned(),
            secret: ACCESS_SECRET.to_owned(),
            security_token: None,
        }])
    }

    fn start_with(credentials: Vec<Credential>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let faults = Faults::new();
        let ahead_s = Arc::new(AtomicI64::new(0));
        let (system, ahead) = (Clock::system(), Arc::clone(&ahead_s));
        let now = move || system.now() + SignedDuration::from_secs(ahead.load(Ordering::Relaxed));
        let config = Config {
            credentials,
            clock: Clock::new(now),
            faults: faults.clone(),
            ..Config::new(folder.path(), PROJECT)
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime
            .block_on(MaxCompute::start(config))
            .expect("the server starts");
        Self {
            faults,
            endpoint: server.endpoint(),
            ahead_s,
            server: Some(server),
            runtime,
            _folder: folder,
        }
    }

    /// Sets the server's clock so far ahead of the machine's.
    pub fn set_clock_ahead(&self, hours: i64) {
        self.ahead_s.store(hours * 3_600, Ordering::Relaxed);
    }
}

impl TestServer for FaultyServer {
    fn endpoint(&self) -> &str {
        &self.endpoint
    }

    #[track_caller]
    fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        sql(&self.endpoint, None, statement)
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}
