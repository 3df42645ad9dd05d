//! Errors: of starting the server, and of requests as the service spells them.

use std::path::PathBuf;
use std::{fmt, io};

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why the server could not be started or stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder of the data folder could not be used.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The catalog in the data folder could not be opened or changed.
    Catalog(rusqlite::Error),
    /// The address could not be listened on.
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The address is beyond loopback, and nobody would be asked who he is.
    Open {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// Another server uses the data folder.
    InUse {
        /// The lock that it holds.
        path: PathBuf,
    },
    /// The data folder has files of tables and no catalog that names them.
    CatalogLost {
        /// One of them.
        file: PathBuf,
    },
    /// The catalog was written by a newer program.
    Version {
        /// The version found.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => write!(f, "can't use {}: {source}", path.display()),
            Self::Catalog(source) => write!(f, "the catalog can't be used: {source}"),
            Self::Listen { address, source } => write!(f, "can't listen on {address}: {source}"),
            Self::Open { address } => write!(
                f,
                "the server would be open to everyone at {address}; give it an access id and a secret, or listen on 127.0.0.1"
            ),
            Self::InUse { path } => write!(
                f,
                "another server holds {}; stop it, or take another data folder",
                path.display()
            ),
            Self::CatalogLost { file } => write!(
                f,
                "{} is a file of a table, but the catalog that names it is gone; put it back, or take another data folder",
                file.display()
            ),
            Self::Version { found, known } => write!(
                f,
                "the catalog has version {found}, this program knows {known}; use a newer program"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Listen { source, .. } => Some(source),
            Self::Catalog(source) => Some(source),
            Self::Open { .. }
            | Self::InUse { .. }
            | Self::CatalogLost { .. }
            | Self::Version { .. } => None,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::Catalog(source)
    }
}

/// The service's error codes, spelled as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    NoSuchObject,
    NoSuchProject,
    NoSuchSchema,
    NoSuchTable,
    NoSuchPartition,
    NoSuchUpload,
    NoSuchDownload,
    MissingPartitionSpec,
    InvalidPartitionSpec,
    InvalidBlockID,
    InvalidRowRange,
    InvalidColumnSpec,
    InvalidArgument,
    InvalidURI,
    InvalidResourceSpec,
    MalformedDataStream,
    IncompleteBody,
    MethodNotAllowed,
    Unauthorized,
    SignatureNotMatch,
    RequestTimeTooSkewed,
    StatusConflict,
    TableModified,
    InstanceNotTerminate,
    InstanceTypeNotSupported,
    TaskFailed,
    InternalServerError,
}

impl Code {
    /// The HTTP status that goes with the code.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoSuchObject
            | Self::NoSuchProject
            | Self::NoSuchSchema
            | Self::NoSuchTable
            | Self::NoSuchPartition
            | Self::NoSuchUpload
            | Self::NoSuchDownload => StatusCode::NOT_FOUND,
            Self::MissingPartitionSpec
            | Self::InvalidPartitionSpec
            | Self::InvalidBlockID
            | Self::InvalidRowRange
            | Self::InvalidColumnSpec
            | Self::InvalidArgument
            | Self::InvalidURI
            | Self::InvalidResourceSpec
            | Self::MalformedDataStream
            | Self::IncompleteBody
            | Self::InstanceNotTerminate
            | Self::InstanceTypeNotSupported
            | Self::TaskFailed => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::SignatureNotMatch | Self::RequestTimeTooSkewed => StatusCode::FORBIDDEN,
            Self::StatusConflict => StatusCode::CONFLICT,
            Self::TableModified => StatusCode::PRECONDITION_FAILED,
            Self::InternalServerError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// What a request is refused with.
#[derive(Clone, Debug)]
pub(crate) struct ServiceError {
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl ServiceError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn internal(source: impl fmt::Display) -> Self {
        Self::new(Code::InternalServerError, source.to_string())
    }
}

/// The code of an answer that a fault gives in place of the route's own.
#[derive(Clone, Debug)]
pub(crate) struct Injected(pub(crate) String);

/// How an error is told to the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style<'a> {
    /// JSON as on tunnel routes, or XML.
    pub(crate) json: bool,
    pub(crate) request_id: &'a str,
    pub(crate) host: &'a str,
}

impl Style<'_> {
    /// Puts the body of the error that `response` carries, if it carries one, into it.
    pub(crate) fn render(self, response: &mut Response) {
        let extensions = response.extensions_mut();
        let (code, message) = if let Some(error) = extensions.remove::<ServiceError>() {
            (format!("{:?}", error.code), error.message)
        } else if let Some(Injected(code)) = extensions.remove::<Injected>() {
            (code, "this answer was asked for by a test".to_owned())
        } else {
            return;
        };
        let (content_type, body) = self.body(&code, &message);
        let content_type = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        *response.body_mut() = body.into();
    }

    /// XML has all four elements: clients insist on them.
    fn body(self, code: &str, message: &str) -> (&'static str, String) {
        let Self {
            json,
            request_id,
            host,
        } = self;
        if json {
            let body = json!({
                "Code": code, "Message": message, "RequestId": request_id, "HostId": host,
            });
            return ("application/json", body.to_string());
        }
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{}</Code>\
             <Message>{}</Message><RequestId>{request_id}</RequestId><HostId>{}</HostId></Error>",
            super::xml::escape(code),
            super::xml::cdata(message),
            super::xml::escape(host),
        );
        ("application/xml", body)
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

/// Carries the error to the outer layer, which knows the route's style and the request's id.
impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<rusqlite::Error> for ServiceError {
    fn from(source: rusqlite::Error) -> Self {
        Self::internal(format_args!("the catalog failed: {source}"))
    }
}

impl From<io::Error> for ServiceError {
    fn from(source: io::Error) -> Self {
        Self::internal(format_args!("a file failed: {source}"))
    }
}

impl From<parquet::errors::ParquetError> for ServiceError {
    fn from(source: parquet::errors::ParquetError) -> Self {
        Self::internal(format_args!("a stored file failed: {source}"))
    }
}

impl From<arrow::error::ArrowError> for ServiceError {
    fn from(source: arrow::error::ArrowError) -> Self {
        Self::internal(format_args!("a stored file failed: {source}"))
    }
}

impl From<serde_json::Error> for ServiceError {
    fn from(source: serde_json::Error) -> Self {
        Self::internal(format_args!(
            "the catalog holds text that is no JSON: {source}"
        ))
    }
}

impl From<tokio::task::JoinError> for ServiceError {
    fn from(source: tokio::task::JoinError) -> Self {
        Self::internal(format_args!("a task of the server failed: {source}"))
    }
}
