//! Table metadata, and the dispatch of everything that a table's path can mean.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::Method;
use engine_model::Column;
use serde_json::{Value, json};

use super::project::{OWNER, check_schema};
use super::{
    Answer, AppState, RequestHead, Segments, download, http_date, preview, segment, upload, xml,
};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::request::{Head, partition_spec};
use crate::maxcompute::server::App;
use crate::maxcompute::sql::DEFAULT_SCHEMA;
use crate::maxcompute::table::{Partition, Table};
use crate::maxcompute::types::type_text;
use crate::maxcompute::xml::{cdata, escape};

/// Entries of one page of a list.
pub(super) const PAGE: usize = 1_000;

/// Everything on `/projects/P/tables/T`: the parameters say what is meant.
pub(super) async fn dispatch(
    State(app): AppState,
    method: Method,
    Path(segments): Segments,
    Extension(head): RequestHead,
    body: Body,
) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    check_schema(segment(&segments, "schema"))?;
    let name = segment(&segments, "table").to_owned();
    let has = |parameter: &str| head.params.has(parameter);
    if method == Method::PUT && has("uploadid") {
        return upload::block(app, head, name, body).await;
    }
    if method == Method::POST && has("downloads") {
        return download::create_for_table(app, head, name).await;
    }
    if method == Method::GET && has("downloadid") {
        return download::read_table(app, head, name).await;
    }
    if method == Method::GET && has("data") {
        return preview::text(app, head, name).await;
    }
    app.blocking(move |app| {
        let table = app.table(&name)?;
        let has = |parameter: &str| head.params.has(parameter);
        match method {
            Method::POST if has("uploads") => upload::create(app, &head, &table),
            Method::POST if has("uploadid") => upload::commit(app, &head, &table),
            Method::GET if has("uploadid") => upload::reload(app, &head, &table),
            Method::GET if has("partitions") => partitions(app, &head, &table),
            Method::GET if has("partition") => partition(app, &head, &table),
            Method::GET => {
                let table = table_xml(app, &table, has("extended"));
                Ok(xml(format!("<?xml version=\"1.0\"?>\n{table}")))
            }
            _ => Err(ServiceError::new(
                Code::MethodNotAllowed,
                "the server does not serve this request on tables",
            )),
        }
    })
    .await
}

/// `GET R/preview`.
pub(super) async fn preview(
    State(app): AppState,
    Path(segments): Segments,
    Extension(head): RequestHead,
) -> Answer {
    app.check_project(segment(&segments, "project"))?;
    check_schema(segment(&segments, "schema"))?;
    let name = segment(&segments, "table").to_owned();
    preview::arrow(app, head, name).await
}

impl App {
    /// The table of that name.
    ///
    /// # Errors
    /// `NoSuchTable`.
    pub(crate) fn table(&self, name: &str) -> Result<Table, ServiceError> {
        self.catalog.table(name)?.ok_or_else(|| {
            let text = format!("there is no table {}.{name}", self.project);
            ServiceError::new(Code::NoSuchTable, text)
        })
    }
}

/// A table as an element.
pub(super) fn table_xml(app: &App, table: &Table, extended: bool) -> String {
    let schema = schema_json(table, extended).to_string();
    format!(
        "<Table format=\"Json\"><Schema>{}</Schema><Name>{}</Name>\
         <TableId>{:016x}</TableId><Project>{}</Project><SchemaName>{DEFAULT_SCHEMA}</SchemaName>\
         <Type>MANAGED_TABLE</Type><Owner>{OWNER}</Owner><Comment>{}</Comment>\
         <CreationTime>{}</CreationTime><LastModifiedTime>{}</LastModifiedTime><LastAccessTime/>\
         <TableLabel/></Table>",
        cdata(&schema),
        escape(&table.name),
        table.id,
        escape(&app.project),
        escape(&table.comment),
        http_date(table.created_ms),
        http_date(table.modified_ms),
    )
}

/// The JSON text inside a table's XML.
fn schema_json(table: &Table, extended: bool) -> Value {
    let column = |column: &Column| {
        json!({
            "name": column.name, "type": type_text(&column.column_type), "comment": column.comment,
            "label": "", "isNullable": column.nullable,
            "defaultValue": table.defaults.get(&column.name).map_or("", String::as_str),
            "extendedLabels": [], "hasGenerateExpression": false,
        })
    };
    let columns: Vec<Value> = table.columns.columns.iter().map(column).collect();
    let keys: Vec<Value> = table.columns.partition_keys.iter().map(column).collect();
    let mut schema = json!({
        "columns": columns, "partitionKeys": keys, "comment": table.comment, "owner": OWNER,
        "tableLabel": "0",
        "createTime": seconds(table.created_ms), "lastDDLTime": seconds(table.ddl_ms),
        "lastModifiedTime": seconds(table.modified_ms), "lastAccessTime": 0,
        "isVirtualView": false, "isMaterializedView": false, "isExternal": false,
        "isObjectTable": false,
        "lifecycle": table.lifecycle.map_or(-1, i64::from), "hubLifecycle": -1,
        "viewText": "", "viewExpandedText": "",
        "size": table.bytes, "recordNum": table.rows, "shardExist": false,
        "tableProperties": json!(table.properties).to_string(),
    });
    if let (true, Some(object)) = (extended, schema.as_object_mut()) {
        // Rows can't be upserted here, whatever keys the table names.
        let reserved = json!({
            "schema_version": "0", "Transactional": "false", "PrimaryKey": table.primary_key,
        });
        object.insert("IsArchived".to_owned(), false.into());
        object.insert("PhysicalSize".to_owned(), table.bytes.into());
        object.insert("FileNum".to_owned(), 0.into());
        object.insert("Reserved".to_owned(), reserved.to_string().into());
    }
    schema
}

/// One partition: `?partition=ds='20260302'`.
fn partition(app: &App, head: &Head, table: &Table) -> Answer {
    let text = head.params.get("partition").unwrap_or_default();
    let values: Vec<String> = partition_spec(table, text)?
        .0
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    let found = app.catalog.partition(table.id, &values)?.ok_or_else(|| {
        let text = format!("table {} has no partition {text}", table.name);
        ServiceError::new(Code::NoSuchPartition, text)
    })?;
    let mut schema = json!({
        "createTime": seconds(found.created_ms), "lastDDLTime": seconds(found.ddl_ms),
        "lastModifiedTime": seconds(found.modified_ms), "lastAccessTime": 0,
        "partitionSize": found.bytes, "partitionRecordNum": found.rows,
    });
    if let (true, Some(object)) = (head.params.has("extended"), schema.as_object_mut()) {
        for (key, value) in [("IsArchived", json!(false)), ("IsExstore", json!(false))] {
            object.insert(key.to_owned(), value);
        }
        object.insert(
            "LifeCycle".to_owned(),
            table.lifecycle.map_or(-1, i64::from).into(),
        );
        object.insert("PhysicalSize".to_owned(), found.bytes.into());
        object.insert("FileNum".to_owned(), 0.into());
        object.insert("Reserved".to_owned(), "{}".into());
    }
    Ok(xml(format!(
        "<?xml version=\"1.0\"?>\n<Partition><Schema>{}</Schema></Partition>",
        cdata(&schema.to_string())
    )))
}

/// A page of partitions, as elements or (`name`) as texts. `partition` names values that they must have.
fn partitions(app: &App, head: &Head, table: &Table) -> Answer {
    let wanted = head.params.get("partition").unwrap_or_default();
    let wanted = wanted
        .split([',', '/'])
        .filter_map(|pair| pair.split_once('='));
    let wanted: Vec<(&str, &str)> = wanted
        .map(|(key, value)| (key.trim(), value.trim().trim_matches(['\'', '"'])))
        .collect();
    let keys = &table.columns.partition_keys;
    let mut found = if table.is_partitioned() {
        app.catalog.partitions(table.id)?
    } else {
        Vec::new()
    };
    found.retain(|partition| {
        wanted.iter().all(|(name, value)| {
            keys.iter()
                .zip(&partition.values)
                .any(|(key, found)| key.name.eq_ignore_ascii_case(name) && found == value)
        })
    });
    if head.params.flag("reverse") {
        found.reverse();
    }
    let names = head.params.has("name");
    // Clients that ask for names ask once.
    let (page, marker) = if names && !head.params.has("maxitems") {
        (found.as_slice(), "<Marker/>".to_owned())
    } else {
        page(head, &found)?
    };
    let entries: Vec<String> = page
        .iter()
        .map(|partition| partition_xml(keys, partition, names))
        .collect();
    Ok(xml(format!(
        "<?xml version=\"1.0\"?>\n<Partitions>{marker}<MaxItems>{PAGE}</MaxItems>{}</Partitions>",
        entries.concat()
    )))
}

fn partition_xml(keys: &[Column], partition: &Partition, names: bool) -> String {
    let pairs = keys.iter().zip(&partition.values);
    if names {
        let pairs: Vec<String> = pairs
            .map(|(key, value)| format!("{}={value}", key.name))
            .collect();
        return format!(
            "<Partition><Name>{}</Name></Partition>",
            escape(&pairs.join("/"))
        );
    }
    let column = |(key, value): (&Column, &String)| {
        format!(
            "<Column Name=\"{}\" Value=\"{}\"/>",
            escape(&key.name),
            escape(value)
        )
    };
    let columns = pairs.map(column).collect::<Vec<_>>().concat();
    format!(
        "<Partition>{columns}<CreationTime>{}</CreationTime><LastDDLTime>{}</LastDDLTime>\
         <LastModifiedTime>{}</LastModifiedTime><PartitionSize>{}</PartitionSize>\
         <PartitionRecordCount>{}</PartitionRecordCount></Partition>",
        seconds(partition.created_ms),
        seconds(partition.ddl_ms),
        seconds(partition.modified_ms),
        partition.bytes,
        partition.rows
    )
}

/// The entries from the request's marker on, and the marker of the next page, which is empty at the end.
pub(super) fn page<'a, T>(
    head: &Head,
    entries: &'a [T],
) -> Result<(&'a [T], String), ServiceError> {
    let number = |name: &str, default: usize| match head.params.get(name) {
        None | Some("") => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            ServiceError::new(
                Code::InvalidArgument,
                format!("{name} {text:?} is no number"),
            )
        }),
    };
    let start = number("marker", 0)?.min(entries.len());
    let count = number("maxitems", PAGE)?.clamp(1, PAGE);
    let (_, rest) = entries.split_at(start);
    let (page, _) = rest.split_at(count.min(rest.len()));
    let end = start + page.len();
    let marker = if end < entries.len() {
        format!("<Marker>{end}</Marker>")
    } else {
        "<Marker/>".to_owned()
    };
    Ok((page, marker))
}

fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1_000)
}

/// The shared head of the tunnel's handlers.
pub(super) type SharedHead = Arc<Head>;
