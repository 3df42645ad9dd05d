//! Project, tenant, schemas, and what clients ask besides.

use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::{Answer, AppState, RequestHead, Segments, http_date, segment, set_header, xml};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::sql::DEFAULT_SCHEMA;
use crate::maxcompute::xml::escape;

/// Who owns everything.
pub(super) const OWNER: &str = "ALIYUN$local";

/// `GET /projects/P`. Clients insist on the three headers and on `Properties`.
pub(super) async fn project(State(app): AppState, Path(segments): Segments) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    let body = format!(
        "<?xml version=\"1.0\"?>\n<Project><Name>{}</Name><Type>managed</Type><Comment></Comment>\
         <State>AVAILABLE</State><ProjectGroupName></ProjectGroupName><Properties><Property>\
         <Name>odps.schema.model.enabled</Name><Value>false</Value></Property></Properties>\
         <ExtendedProperties/><DefaultCluster></DefaultCluster><Clusters/></Project>",
        escape(&app.project)
    );
    let mut response = xml(body);
    set_header(&mut response, "x-odps-owner", OWNER);
    set_header(
        &mut response,
        "x-odps-creation-time",
        &http_date(app.started_ms),
    );
    set_header(&mut response, "last-modified", &http_date(app.started_ms));
    Ok(response)
}

/// `GET /projects/P/tunnel?service`: the host that the client came to, for it is the same port.
pub(super) async fn tunnel(
    State(app): AppState,
    Path(segments): Segments,
    Extension(head): RequestHead,
) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    Ok(([("content-type", "text/plain")], head.host.clone()).into_response())
}

/// `PUT /projects/P/logs`: usage logs of clients, which nobody reads here.
pub(super) async fn logs() -> Response {
    ().into_response()
}

/// `GET /logview/host`.
pub(super) async fn logview(Extension(head): RequestHead) -> Response {
    (
        [("content-type", "text/plain")],
        format!("http://{}", head.host),
    )
        .into_response()
}

/// `GET /tenants`. Without parameters: tables have no schema in between.
pub(super) async fn tenant(State(app): AppState) -> Response {
    let seconds = app.started_ms.div_euclid(1_000);
    super::json(&json!({"Tenant": {
        "Name": "local", "OwnerId": "0", "TenantId": "0", "TenantState": "NORMAL",
        "CreateTime": seconds, "UpdateTime": seconds, "TenantMeta": "", "Parameters": {},
    }}))
}

/// `GET /projects/P/schemas`.
pub(super) async fn schemas(State(app): AppState, Path(segments): Segments) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    let schema = schema_xml(app.started_ms);
    Ok(xml(format!(
        "<?xml version=\"1.0\"?>\n<Schemas><Marker/><MaxItems>1000</MaxItems>{schema}</Schemas>"
    )))
}

/// `GET /projects/P/schemas/S`.
pub(super) async fn schema(State(app): AppState, Path(segments): Segments) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    check_schema(segment(&segments, "schema"))?;
    Ok(xml(format!(
        "<?xml version=\"1.0\"?>\n{}",
        schema_xml(app.started_ms)
    )))
}

/// Whether a path's schema is the one that there is, or absent.
pub(super) fn check_schema(name: &str) -> Result<(), ServiceError> {
    if name.is_empty() || name.eq_ignore_ascii_case(DEFAULT_SCHEMA) {
        return Ok(());
    }
    let text = format!("there is no schema {name:?}; tables are in {DEFAULT_SCHEMA:?}");
    Err(ServiceError::new(Code::NoSuchSchema, text))
}

fn schema_xml(created_ms: i64) -> String {
    let time = http_date(created_ms);
    format!(
        "<Schema><Name>{DEFAULT_SCHEMA}</Name><Owner>{OWNER}</Owner><Type>MANAGED</Type>\
         <CreateTime>{time}</CreateTime><ModifyTime>{time}</ModifyTime></Schema>"
    )
}
