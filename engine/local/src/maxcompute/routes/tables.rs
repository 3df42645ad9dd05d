//! The tables of a project: all by pages, and those that are named at once.

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Path, State};
use quick_xml::Reader;
use quick_xml::events::Event;

use super::project::OWNER;
use super::table::{PAGE, page, table_xml};
use super::{Answer, AppState, RequestHead, Segments, segment, xml};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::xml::escape;

/// Bytes of a request that names tables: 100 names, as many as the service takes, with room.
const QUERY_BYTES_MAX: usize = 1 << 20;

/// `GET /projects/P/tables`: a page of tables, by a prefix of the name.
pub(super) async fn list(
    State(app): AppState,
    Path(segments): Segments,
    Extension(head): RequestHead,
) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    app.blocking(move |app| {
        let prefix = head.params.get("name").unwrap_or_default().to_lowercase();
        let mut tables = app.catalog.tables()?;
        tables.retain(|table| table.name.to_lowercase().starts_with(&prefix));
        let (page, marker) = page(&head, &tables)?;
        let entries: Vec<String> = page
            .iter()
            .map(|table| {
                format!(
                    "<Table><Name>{}</Name><Owner>{OWNER}</Owner><Type>MANAGED_TABLE</Type></Table>",
                    escape(&table.name)
                )
            })
            .collect();
        Ok(xml(format!(
            "<?xml version=\"1.0\"?>\n<Tables>{marker}<MaxItems>{PAGE}</MaxItems>{}</Tables>",
            entries.concat()
        )))
    })
    .await
}

/// `POST /projects/P/tables?query`: those of the named tables that there are, whole.
pub(super) async fn query(
    State(app): AppState,
    Path(segments): Segments,
    Extension(head): RequestHead,
    body: Body,
) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    let invalid = |text: String| ServiceError::new(Code::InvalidArgument, text);
    if !head.params.has("query") {
        let text = "tables are made by statements, and asked for with `query`";
        return Err(ServiceError::new(Code::MethodNotAllowed, text));
    }
    let bytes = to_bytes(body, QUERY_BYTES_MAX)
        .await
        .map_err(|error| invalid(format!("the names can't be read: {error}")))?;
    let names = names(&String::from_utf8_lossy(&bytes))
        .map_err(|error| invalid(format!("the names are no XML: {error}")))?;
    app.blocking(move |app| {
        let mut tables = String::new();
        for name in names {
            if let Some(table) = app.catalog.table(&name)? {
                tables.push_str(&table_xml(app, &table, false));
            }
        }
        Ok(xml(format!(
            "<?xml version=\"1.0\"?>\n<Tables>{tables}</Tables>"
        )))
    })
    .await
}

/// The text of every `Name` element.
fn names(text: &str) -> Result<Vec<String>, quick_xml::Error> {
    let mut reader = Reader::from_str(text);
    let mut names = Vec::new();
    let mut content = String::new();
    loop {
        match reader.read_event()? {
            Event::Eof => return Ok(names),
            Event::Start(_) => content.clear(),
            Event::Text(part) => content.push_str(&part.xml10_content()),
            Event::End(element) if element.local_name().as_ref() == "Name" => {
                names.push(content.trim().to_owned());
            }
            _ => {}
        }
    }
}
