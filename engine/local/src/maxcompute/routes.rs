//! The routes: what path and parameters ask for.

mod download;
mod instance;
mod preview;
mod project;
mod table;
mod tables;
mod upload;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderValue;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

use super::error::ServiceError;
use super::request::Head;
use super::server::App;

/// The state that every handler takes.
type AppState = State<Arc<App>>;
/// The head of the request, put there by the outer layer.
type RequestHead = Extension<Arc<Head>>;
/// The named segments of the path.
type Segments = Path<HashMap<String, String>>;

/// All routes, relative to the endpoint.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/tenants", get(project::tenant))
        .route("/logview/host", get(project::logview))
        .route("/projects/{project}", get(project::project))
        .route("/projects/{project}/tunnel", get(project::tunnel))
        .route("/projects/{project}/logs", any(project::logs))
        .route("/projects/{project}/schemas", get(project::schemas))
        .route("/projects/{project}/schemas/{schema}", get(project::schema))
        .route(
            "/projects/{project}/tables",
            get(tables::list).post(tables::query),
        )
        .route("/projects/{project}/tables/{table}", any(table::dispatch))
        .route(
            "/projects/{project}/schemas/{schema}/tables/{table}",
            any(table::dispatch),
        )
        .route(
            "/projects/{project}/tables/{table}/preview",
            get(table::preview),
        )
        .route(
            "/projects/{project}/schemas/{schema}/tables/{table}/preview",
            get(table::preview),
        )
        .route("/projects/{project}/instances", post(instance::submit))
        .route(
            "/projects/{project}/instances/{instance}",
            any(instance::dispatch),
        )
}

/// A segment of the path; empty where the route has none of that name.
fn segment<'a>(segments: &'a HashMap<String, String>, name: &str) -> &'a str {
    segments.get(name).map_or("", String::as_str)
}

/// A time in ms since the epoch as HTTP writes it.
fn http_date(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms).unwrap_or_default();
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .unwrap_or_default()
}

fn xml(body: String) -> Response {
    ([("content-type", "application/xml")], body).into_response()
}

fn json(body: &serde_json::Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

/// Sets a header whose value was made here.
fn set_header(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// What handlers return.
type Answer = Result<Response, ServiceError>;
