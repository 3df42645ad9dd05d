//! SQL instances: submit, and what can be asked about one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, State};
use axum::http::{Method, StatusCode};
use axum::response::IntoResponse as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::json;
use tokio::sync::oneshot;

use super::project::OWNER;
use super::{
    Answer, AppState, RequestHead, Segments, download, http_date, json as json_answer, segment,
    set_header, xml,
};
use crate::maxcompute::catalog::{Instance, InstanceStatus};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::request::Head;
use crate::maxcompute::server::App;
use crate::maxcompute::sql::{self, Engine, Outcome};
use crate::maxcompute::types::type_text;
use crate::maxcompute::xml::{cdata, escape};

/// Bytes of a submitted job: a statement of 2 MiB, escaped, and its settings.
const JOB_BYTES_MAX: usize = 16 << 20;
/// How long the answer to a submission waits for the statement's end. Clients look at once and then after a second, so that
/// quick statements, which are most, would take a second each.
const PROMPT: Duration = Duration::from_millis(500);
/// The task's name where the job has none.
const DEFAULT_TASK: &str = "AnonymousSQLTask";

/// `POST /projects/P/instances`: starts the statement and answers at once with where to ask.
pub(super) async fn submit(
    State(app): AppState,
    Path(segments): Segments,
    Extension(head): RequestHead,
    body: Body,
) -> Answer {
    let project = segment(&segments, "project").to_owned();
    app.check_project(&project)?;
    let bytes = to_bytes(body, JOB_BYTES_MAX).await.map_err(|error| {
        let text =
            format!("the job can't be read, or has more than {JOB_BYTES_MAX} bytes: {error}");
        ServiceError::new(Code::InvalidArgument, text)
    })?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let job = Job::parse(&text)?;
    let zone = job.zone();
    let instance = Instance {
        id: app.id(),
        task: job.task,
        job: job.source,
        status: InstanceStatus::Running,
        text: String::new(),
        rows: None,
        created_ms: app.clock.now_ms(),
        ended_ms: None,
    };
    let id = instance.id.clone();
    app.blocking(move |app| app.catalog.create_instance(&instance))
        .await?;
    let statement = job.query;
    let (running, instance_id) = (Arc::clone(&app), id.clone());
    let (ends, ended) = oneshot::channel::<()>();
    app.tasks(|tasks| {
        tasks.spawn(async move {
            run(running, instance_id, statement, zone).await;
            drop(ends);
        });
    });
    // Both an end and none in time are fine: the instance says how it is.
    drop(tokio::time::timeout(PROMPT, ended).await);
    let mut response = StatusCode::CREATED.into_response();
    let location = format!("http://{}/api/projects/{project}/instances/{id}", head.host);
    set_header(&mut response, "location", &location);
    Ok(response)
}

/// Runs a statement when its turn has come, and records how it ended.
async fn run(app: Arc<App>, id: String, statement: String, zone: TimeZone) {
    let work = move |app: &App, engine: &Engine| {
        let outcome = engine.run(&statement, |handle| app.set_running(&id, Some(handle)));
        app.set_running(&id, None);
        let (status, text, rows) = match outcome {
            Ok(Outcome::Text(text)) => (InstanceStatus::Success, text, None),
            Ok(Outcome::Rows(rows)) => (InstanceStatus::Success, String::new(), Some(rows)),
            Err(error) => (InstanceStatus::Failed, error.to_string(), None),
        };
        app.catalog
            .end_instance(&id, status, &text, rows.as_ref(), app.clock.now_ms())
    };
    // A statement whose end can't be recorded is failed by the next start.
    drop(app.with_engine(zone, work).await);
}

/// Everything on `/projects/P/instances/I`.
pub(super) async fn dispatch(
    State(app): AppState,
    method: Method,
    Path(segments): Segments,
    Extension(head): RequestHead,
) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    let id = segment(&segments, "instance").to_owned();
    if method == Method::POST && head.params.has("downloads") {
        return download::create_for_instance(app, head, id).await;
    }
    if method == Method::GET && head.params.has("downloadid") {
        return download::read_instance(app, head, id).await;
    }
    if method == Method::PUT {
        return app.blocking(move |app| stop(app, &id)).await;
    }
    app.blocking(move |app| {
        let instance = app.catalog.instance(&id)?;
        describe(app, &head, &instance)
    })
    .await
}

fn stop(app: &App, id: &str) -> Answer {
    app.catalog.instance(id)?;
    app.interrupt(id);
    let text = "ODPS-0010000: the instance was cancelled";
    let now_ms = app.clock.now_ms();
    app.catalog
        .end_instance(id, InstanceStatus::Cancelled, text, None, now_ms)?;
    Ok(().into_response())
}

fn describe(app: &App, head: &Head, instance: &Instance) -> Answer {
    let has = |action: &str| head.params.has(action);
    let task = escape(&instance.task);
    if has("source") {
        return Ok(xml(instance.job.clone()));
    }
    if has("result") {
        return result(app, instance);
    }
    if has("instancesummary") {
        return Ok(json_answer(
            &json!({ "Instance": { "JsonSummary": "{}", "Summary": "" } }),
        ));
    }
    if has("instanceprogress") {
        return Ok(xml("<Progress></Progress>".to_owned()));
    }
    if has("info") {
        return Ok(json_answer(&json!({})));
    }
    let ended = instance.ended_ms.map(http_date).unwrap_or_default();
    let started = http_date(instance.created_ms);
    let status = if instance.ended_ms.is_some() {
        "Terminated"
    } else {
        "Running"
    };
    let tasks = if has("taskstatus") {
        format!(
            "<Tasks><Task Type=\"SQL\"><Name>{task}</Name><StartTime>{started}</StartTime>\
             <EndTime>{ended}</EndTime><Status>{}</Status><Histories/></Task></Tasks>",
            instance.status.text()
        )
    } else {
        String::new()
    };
    let mut response = xml(format!(
        "<?xml version=\"1.0\"?>\n<Instance><Status>{status}</Status>{tasks}</Instance>"
    ));
    set_header(&mut response, "x-odps-owner", OWNER);
    set_header(&mut response, "x-odps-start-time", &started);
    set_header(&mut response, "x-odps-end-time", &ended);
    Ok(response)
}

fn result(app: &App, instance: &Instance) -> Answer {
    let (format, text, descriptor) = match &instance.rows {
        Some(rows) => {
            let zone = Job::parse(&instance.job).map_or(TimeZone::UTC, |job| job.zone());
            let column = |column: &engine_model::Column| json!({ "Name": column.name, "Type": type_text(&column.column_type) });
            let columns: Vec<_> = rows.columns.iter().map(column).collect();
            let descriptor = json!({
                "IsSelect": true, "SelectResultStatus": "FULL", "Schema": { "Columns": columns },
            });
            let csv = sql::csv(&app.catalog, rows, &zone)?;
            (
                "csv",
                csv,
                format!(
                    "<ResultDescriptor>{}</ResultDescriptor>",
                    cdata(&descriptor.to_string())
                ),
            )
        }
        None => ("text", instance.text.clone(), String::new()),
    };
    Ok(xml(format!(
        "<?xml version=\"1.0\"?>\n<Instance><Tasks><Task Type=\"SQL\"><Name>{}</Name>\
         <Result Transform=\"Base64\" Format=\"{format}\">{}</Result>{descriptor}<Status>{}</Status>\
         </Task></Tasks></Instance>",
        escape(&instance.task),
        cdata(&STANDARD.encode(text)),
        instance.status.text()
    )))
}

/// A submitted job.
#[derive(Debug, Default)]
struct Job {
    task: String,
    query: String,
    /// `odps.sql.…` flags.
    settings: HashMap<String, String>,
    /// The `Job` element as it was sent.
    source: String,
}

impl Job {
    /// Reads an `Instance` with one SQL task, or its `Job` alone.
    fn parse(text: &str) -> Result<Self, ServiceError> {
        let invalid = |text: String| ServiceError::new(Code::InvalidArgument, text);
        let mut job = Self::default();
        let mut reader = Reader::from_str(text);
        let mut path: Vec<String> = Vec::new();
        let mut content = String::new();
        let mut property = String::new();
        loop {
            match reader.read_event() {
                Err(error) => return Err(invalid(format!("the job is no XML: {error}"))),
                Ok(Event::Eof) => break,
                Ok(Event::Start(element)) => {
                    path.push(element.local_name().as_ref().to_owned());
                    content.clear();
                }
                Ok(Event::Text(part)) => content.push_str(&part.xml10_content()),
                Ok(Event::CData(part)) => content.push_str(&part.xml10_content()),
                Ok(Event::GeneralRef(part)) => {
                    let entity = format!("&{};", part.into_inner());
                    let text = quick_xml::escape::unescape(&entity);
                    content.push_str(&text.map_err(|error| invalid(error.to_string()))?);
                }
                Ok(Event::End(_)) => {
                    let names: Vec<&str> = path.iter().rev().take(3).map(String::as_str).collect();
                    match names.as_slice() {
                        ["Name", "Property", ..] => content.trim().clone_into(&mut property),
                        ["Value", "Property", ..] if property == "settings" => {
                            job.settings = serde_json::from_str(&content).unwrap_or_default();
                        }
                        ["Name", "SQL", ..] => content.trim().clone_into(&mut job.task),
                        ["Query", "SQL", ..] => job.query.clone_from(&content),
                        _ => {}
                    }
                    path.pop();
                    content.clear();
                }
                Ok(_) => {}
            }
        }
        if job.query.trim().is_empty() {
            return Err(invalid("the job has no SQL task with a query".to_owned()));
        }
        if job.task.is_empty() {
            DEFAULT_TASK.clone_into(&mut job.task);
        }
        element(text, "Job")
            .unwrap_or(text)
            .clone_into(&mut job.source);
        Ok(job)
    }

    /// The zone that the statement reads and shows instants in; UTC where none is set or known.
    fn zone(&self) -> TimeZone {
        let name = self.settings.get("odps.sql.timezone");
        name.and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC)
    }
}

/// The text of the first element of that name, with its tags.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let start = text.find(&open)?;
    let end = text.rfind(&close)?.checked_add(close.len())?;
    text.get(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_of_both_clients_are_read() {
        let python = "<?xml version=\"1.0\"?><Instance><Job><Priority>9</Priority><Tasks><SQL>\
            <Name>AnonymousSQLTask</Name><Config><Property><Name>settings</Name>\
            <Value>{\"odps.sql.timezone\": \"Asia/Shanghai\"}</Value></Property></Config>\
            <Query><![CDATA[select '<a>';]]></Query></SQL></Tasks>\
            <DAG><RunMode>Sequence</RunMode></DAG></Job></Instance>";
        let job = Job::parse(python).unwrap();
        assert_eq!(
            (job.task.as_str(), job.query.as_str()),
            ("AnonymousSQLTask", "select '<a>';")
        );
        assert_eq!(job.zone().iana_name(), Some("Asia/Shanghai"));
        assert!(job.source.starts_with("<Job>") && job.source.ends_with("</Job>"));
        let java = "<Instance><Job><Name>j</Name><Tasks><SQL><Name>T1</Name><Config/>\
            <Query>select 1 &lt; 2 &amp;&amp; '&#x4e2d;'</Query></SQL></Tasks></Job></Instance>";
        let job = Job::parse(java).unwrap();
        assert_eq!(
            (job.task.as_str(), job.query.as_str()),
            ("T1", "select 1 < 2 && '中'")
        );
        assert!(Job::parse("<Instance/>").is_err());
        assert!(Job::parse("<a><b></a>").is_err());
    }
}
