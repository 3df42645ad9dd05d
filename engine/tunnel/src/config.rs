//! Where MaxCompute is and who asks.

use std::path::PathBuf;
use std::time::Duration;

use engine_model::ByteRate;
use engine_model::job::{BlockFormat, Compression};
use engine_model::limits::FIRST_CONTACT_S_MAX;

use crate::wire::BodyForm;
use crate::{CredentialSource, RetryPolicy};

/// Settings of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The REST endpoint with its path, such as `http://service.cn-shanghai.maxcompute.aliyun.com/api`.
    pub endpoint: String,
    /// The tunnel endpoint, such as `http://dt.cn-shanghai.maxcompute.aliyun.com`; asked for at the REST endpoint where
    /// it isn't given.
    pub tunnel_endpoint: Option<String>,
    /// The project that calls are made from and billed to.
    pub project: String,
    /// The schema of tables whose name has none, in projects with three levels.
    pub schema: Option<String>,
    /// The tunnel quota; without it, the project's own.
    pub quota: Option<String>,
    /// With a region such as `cn-shanghai` requests are signed by version 4, without one by version 2.
    pub region: Option<String>,
    /// The form in which rows travel, up and down.
    pub block_format: BlockFormat,
    /// How they are compressed on their way.
    pub compression: Compression,
    /// Bytes of blocks that all clones of a client send in a second, at most, counted as they are sent; nothing for as many as the
    /// service takes.
    pub upload_rate: Option<ByteRate>,
    /// Who asks.
    pub credentials: CredentialSource,
    /// A file with certificates of authorities (PEM) that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The HTTP proxy to go through, such as `http://proxy:3128`. Without one the environment's holds (`HTTPS_PROXY` and its
    /// kin), except for a REST endpoint on this machine.
    pub proxy: Option<String>,
    /// What the server is told about the program.
    pub user_agent: String,
    /// How failed calls are tried again.
    pub retry: RetryPolicy,
    /// How long the client waits.
    pub timeouts: Timeouts,
}

impl ClientConfig {
    /// Settings for `project` at `endpoint`, with defaults for the rest.
    pub fn new(
        endpoint: impl Into<String>,
        project: impl Into<String>,
        credentials: impl Into<CredentialSource>,
    ) -> Self {
        Self {
            endpoint: endpoint.into(),
            tunnel_endpoint: None,
            project: project.into(),
            schema: None,
            quota: None,
            region: None,
            block_format: BlockFormat::default(),
            compression: Compression::default(),
            upload_rate: None,
            credentials: credentials.into(),
            ca_file: None,
            proxy: None,
            user_agent: concat!("tidegate/", env!("CARGO_PKG_VERSION")).to_owned(),
            retry: RetryPolicy::default(),
            timeouts: Timeouts::default(),
        }
    }

    pub(crate) fn form(&self) -> BodyForm {
        BodyForm {
            format: self.block_format,
            compression: self.compression,
        }
    }
}

/// How long the client waits before it calls a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// For the first answer of an endpoint, tries and waits included, so that a wrong address shows at once.
    pub first_contact: Duration,
    /// For an answer, to a block from its last byte on. Above the five minutes that a commit may take.
    pub answer: Duration,
    /// For a connection that takes no byte of a block, though there are some. The service itself ends an upload after 120 s without a byte.
    pub stall: Duration,
    /// For a SQL statement to end.
    pub statement: Duration,
}

impl Default for Timeouts {
    /// 10 s for connections and the first contact, 330 s for answers, 120 s for stalled blocks, an hour for statements.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(FIRST_CONTACT_S_MAX),
            first_contact: Duration::from_secs(FIRST_CONTACT_S_MAX),
            answer: Duration::from_secs(330),
            stall: Duration::from_mins(2),
            statement: Duration::from_hours(1),
        }
    }
}
