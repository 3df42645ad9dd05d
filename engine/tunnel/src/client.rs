//! The client: requests, tries, and what they add up to.

mod commit;
mod connection;
mod discovery;
mod download;
mod metadata;
mod sql;
mod tables;
mod transport;
mod tries;
mod upload;

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use engine_model::TableName;
use reqwest::Url;
use tokio::sync::OnceCell;

pub use self::sql::SqlResult;
use crate::bandwidth::{UploadLimit, uploads_max};
use crate::credentials::Keyring;
use crate::error::Failure;
use crate::flow::{BLOCKS_IN_FLIGHT_MAX, Gate};
use crate::{ClientConfig, Clock, ErrorKind, Result};

/// A client of one project. Cheap to clone; clones share connections.
///
/// Calls need a tokio runtime with IO and time. They may be made from many tasks at once, and dropped at any time: a
/// dropped upload is cut, so that the server keeps nothing of it. Each call is tried again as the
/// [`RetryPolicy`](crate::RetryPolicy) says, except where that could do harm.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use engine_model::TableName;
/// use engine_model::job::Secret;
/// use engine_tunnel::{Client, ClientConfig, Credentials, SystemClock};
///
/// # async fn example() -> Result<(), engine_tunnel::Error> {
/// let credentials = Credentials {
///     access_id: "LTAI…".into(),
///     secret: Secret::new("…"),
///     security_token: None,
/// };
/// let config = ClientConfig::new("http://127.0.0.1:18090/api", "shop", credentials);
/// let client = Client::new(config, Arc::new(SystemClock::start()))?;
/// let orders = TableName { project: "shop".into(), schema: None, table: "orders".into() };
/// println!("{:?}", client.table_columns(&orders).await?.columns);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    clock: Arc<dyn Clock>,
    http: reqwest::Client,
    keyring: Arc<Keyring>,
    /// In front of all blocks of this client.
    gate: Gate,
    /// Behind it, for their bytes.
    upload_limit: Option<Arc<UploadLimit>>,
    rest: Arc<Server>,
    /// Known from the start, or from the first call that needs it.
    tunnel: OnceCell<Arc<Server>>,
    jitter: Mutex<fastrand::Rng>,
}

/// One endpoint.
struct Server {
    /// The endpoint without a trailing slash.
    base: String,
    /// The setting that holds it, for errors.
    setting: &'static str,
    /// Whether it ever answered.
    answered: AtomicBool,
}

impl Client {
    /// A client with `config`. Files that it names are read, and nothing is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]: an endpoint or the proxy isn't an `http` or `https` address, or it has a user name in it; the
    /// file of the credentials or of the certificates can't be used.
    pub fn new(config: ClientConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let failed = |failure: Failure| failure.into_error("set up the MaxCompute client");
        let rest = Server::new(&config.endpoint, "endpoint").map_err(failed)?;
        let tunnel = match &config.tunnel_endpoint {
            Some(endpoint) => {
                let server = Server::new(endpoint, "tunnel_endpoint").map_err(failed)?;
                OnceCell::new_with(Some(Arc::new(server)))
            }
            None => OnceCell::new(),
        };
        let http = connection::http(&config, &rest).map_err(failed)?;
        let source = config.credentials.clone();
        let keyring = Keyring::open(source, clock.elapsed())
            .map_err(|problem| failed(Failure::new(ErrorKind::Config, problem)))?;
        // Any number will do, if only two programs don't share it.
        let seed = clock.now().as_microsecond().unsigned_abs();
        let blocks_in_flight_max = config.upload_rate.map_or(BLOCKS_IN_FLIGHT_MAX, |rate| {
            uploads_max(rate).min(BLOCKS_IN_FLIGHT_MAX)
        });
        let limit = |rate| Arc::new(UploadLimit::new(rate, Arc::clone(&clock)));
        let upload_limit = config.upload_rate.map(limit);
        let inner = Inner {
            config,
            clock,
            http,
            keyring: Arc::new(keyring),
            gate: Gate::new(blocks_in_flight_max),
            upload_limit,
            rest: Arc::new(rest),
            tunnel,
            jitter: Mutex::new(fastrand::Rng::with_seed(seed)),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The REST endpoint as it is used: scheme and host in lower case, without a default port or a slash at the end.
    pub fn endpoint(&self) -> &str {
        &self.inner.rest.base
    }

    fn schema<'a>(&'a self, table: &'a TableName) -> Option<&'a str> {
        table
            .schema
            .as_deref()
            .or(self.inner.config.schema.as_deref())
    }
}

/// Where it is and for which project; no credentials.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.inner.rest.base)
            .field("project", &self.inner.config.project)
            .finish_non_exhaustive()
    }
}

impl Server {
    fn new(endpoint: &str, setting: &'static str) -> Result<Self, Failure> {
        let failed = |problem: &str| {
            let text = format!("`{setting}` {problem}; it should look like http://host:port/path");
            Failure::new(ErrorKind::Config, text)
        };
        // The address itself isn't shown: someone may have put a secret into it.
        let url = Url::parse(endpoint).map_err(|error| failed(&format!("is no URL ({error})")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(failed("is neither http nor https"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(failed("has a user name or password in it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(failed("has a query or fragment"));
        }
        Ok(Self {
            base: url.as_str().trim_end_matches('/').to_owned(),
            setting,
            answered: AtomicBool::new(false),
        })
    }

    fn is_loopback(&self) -> bool {
        let Ok(url) = Url::parse(&self.base) else {
            return false;
        };
        match url.host_str() {
            Some("localhost") => true,
            Some(host) => host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback()),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
