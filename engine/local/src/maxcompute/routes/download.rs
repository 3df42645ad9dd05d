//! Download sessions on tables and on the results of queries.

use std::io;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int32Array, Int64Array, RecordBatch, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit, TimestampNanosecondType};
use arrow::error::ArrowError;
use axum::response::{IntoResponse as _, Response};
use engine_model::{Column, ColumnType};
use serde_json::json;

use super::project::OWNER;
use super::table::SharedHead;
use super::upload::{schema, target};
use super::{Answer, http_date, json as json_answer, set_header};
use crate::maxcompute::catalog::{Download, DownloadFile, InstanceStatus};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::request::Head;
use crate::maxcompute::server::App;
use crate::maxcompute::table::Table;
use crate::maxcompute::types::type_text;
use crate::maxcompute::wire::body::{AnswerWriter, answer};
use crate::maxcompute::wire::codec::Codec;
use crate::maxcompute::wire::frame::FrameWriter;
use crate::maxcompute::wire::message::BatchWriter;
use crate::maxcompute::wire::record::RecordWriter;

/// Rows of a result that a client may read which asked for the limited form.
const LIMITED_ROWS: i64 = 10_000;

/// `POST R?downloads` on a table.
pub(super) async fn create_for_table(app: Arc<App>, head: SharedHead, table: String) -> Answer {
    app.blocking(move |app| {
        let table = app.table(&table)?;
        let download = Download {
            id: app.id(),
            resource: table_resource(&table),
            values: target(&head, &table)?,
            columns: table.columns.columns.clone(),
            created_ms: app.clock.now_ms(),
            files: Vec::new(),
        };
        let download = app.catalog.create_table_download(download, table.id)?;
        Ok(json_answer(&session(&download, Some(&table))))
    })
    .await
}

/// `POST R?downloads` on an instance.
pub(super) async fn create_for_instance(app: Arc<App>, head: SharedHead, id: String) -> Answer {
    app.blocking(move |app| {
        let instance = app.catalog.instance(&id)?;
        let refuse =
            |code, text: &str| Err(ServiceError::new(code, format!("instance {id}: {text}")));
        let rows = match (instance.status, instance.rows) {
            (InstanceStatus::Running, _) => {
                return refuse(Code::InstanceNotTerminate, "it is still running");
            }
            (InstanceStatus::Success, Some(rows)) => rows,
            (InstanceStatus::Success, None) => {
                return refuse(
                    Code::InstanceTypeNotSupported,
                    "it is no query; read its result text",
                );
            }
            _ => return refuse(Code::TaskFailed, &instance.text),
        };
        let limited = head.params.has("instance_tunnel_limit_enabled");
        let files = rows.file.into_iter().map(|file| DownloadFile {
            rows: if limited {
                file.rows.min(LIMITED_ROWS)
            } else {
                file.rows
            },
            name: file.name,
        });
        let download = Download {
            id: app.id(),
            resource: format!("i/{id}"),
            values: Vec::new(),
            columns: rows.columns,
            created_ms: app.clock.now_ms(),
            files: files.collect(),
        };
        app.catalog.create_download(&download)?;
        Ok(json_answer(&session(&download, None)))
    })
    .await
}

/// `GET R?downloadid` on a table, for the session or (`data`) its rows: those of the moment when the session was opened,
/// which a client has to ask for expressly (`disable_modified_check`) once the table holds others.
pub(super) async fn read_table(app: Arc<App>, head: SharedHead, table: String) -> Answer {
    let found = {
        let (head, app) = (Arc::clone(&head), Arc::clone(&app));
        app.blocking(move |app| {
            let table = app.table(&table)?;
            let download = find(app, &head, &table_resource(&table))?;
            if head.params.has("data")
                && !head.params.flag("disable_modified_check")
                && !app.catalog.is_current(&download, table.id)?
            {
                let text = format!("table {} was changed since; open a new session", table.name);
                return Err(ServiceError::new(Code::TableModified, text));
            }
            Ok((download, table))
        })
        .await?
    };
    let (download, table) = found;
    read(&app, &head, download, Some(&table))
}

/// `GET R?downloadid` on an instance.
pub(super) async fn read_instance(app: Arc<App>, head: SharedHead, id: String) -> Answer {
    let download = {
        let (head, app) = (Arc::clone(&head), Arc::clone(&app));
        app.blocking(move |app| find(app, &head, &format!("i/{id}")))
            .await?
    };
    read(&app, &head, download, None)
}

fn read(app: &Arc<App>, head: &Head, download: Download, table: Option<&Table>) -> Answer {
    if !head.params.has("data") {
        return Ok(json_answer(&session(&download, table)));
    }
    let scan = Scan::of(head, download)?;
    let (writer, body) = answer();
    let mut response = Response::new(body).into_response();
    set_header(&mut response, "content-type", "application/octet-stream");
    if scan.codec != Codec::Identity {
        set_header(&mut response, "content-encoding", scan.codec.name());
    }
    let sending = Arc::clone(app);
    app.tasks(|tasks| {
        tasks.spawn_blocking(move || scan.send(&sending, writer));
    });
    Ok(response)
}

fn find(app: &App, head: &Head, resource: &str) -> Result<Download, ServiceError> {
    let id = head.params.get("downloadid").unwrap_or_default();
    app.catalog.download(id, resource, app.clock.now_ms())
}

fn table_resource(table: &Table) -> String {
    format!("t/{}", table.id)
}

fn session(download: &Download, table: Option<&Table>) -> serde_json::Value {
    let rows: i64 = download.files.iter().map(|file| file.rows).sum();
    let schema = if let Some(table) = table {
        schema(&download.columns, table)
    } else {
        let column = |(position, column): (usize, &Column)| {
            json!({
                "column_id": position.to_string(), "name": column.name,
                "type": type_text(&column.column_type), "nullable": true,
                "comment": "", "default_value": "",
            })
        };
        let columns: Vec<_> = download.columns.iter().enumerate().map(column).collect();
        json!({ "IsVirtualView": false, "columns": columns, "partitionKeys": [] })
    };
    json!({
        "DownloadID": download.id, "Status": "normal", "RecordCount": rows, "Owner": OWNER,
        "Initiated": http_date(download.created_ms), "QuotaName": "default", "Schema": schema,
        "SupportReadByRawSize": false,
    })
}

/// What one `data` request reads.
struct Scan {
    files: Vec<DownloadFile>,
    /// Columns to decode, in table order.
    columns: Vec<usize>,
    /// For each column of the answer its position among `columns`.
    order: Vec<usize>,
    types: Vec<ColumnType>,
    start: usize,
    count: usize,
    codec: Codec,
    arrow: bool,
    /// Whether instants travel as seconds and nanoseconds, as results of queries have them in Arrow form.
    split_instants: bool,
}

impl Scan {
    fn of(head: &Head, download: Download) -> Result<Self, ServiceError> {
        let (start, count) = row_range(head)?;
        let arrow = head.params.has("arrow");
        let requested = requested_columns(head, &download.columns)?;
        let mut columns = requested.clone();
        columns.sort_unstable();
        columns.dedup();
        // Numbers in records are positions in the request; in Arrow form PyODPS reads table order and sorts itself.
        let answered = if arrow && !head.java {
            columns.clone()
        } else {
            requested
        };
        let order = answered
            .iter()
            .filter_map(|wanted| columns.binary_search(wanted).ok())
            .collect();
        let types = answered
            .iter()
            .filter_map(|column| download.columns.get(*column))
            .map(|column| column.column_type.clone())
            .collect();
        let codec = Codec::accepted(&head.accept_encoding);
        let split_instants = arrow && download.resource.starts_with("i/");
        let files = download.files;
        Ok(Self {
            files,
            columns,
            order,
            types,
            start,
            count,
            codec,
            arrow,
            split_instants,
        })
    }

    /// Writes the answer from a blocking thread. A failure breaks the connection.
    fn send(self, app: &App, mut writer: AnswerWriter) {
        match self.write(app, &mut writer) {
            // A client that has gone needs no end.
            Ok(()) => drop(writer.finish()),
            Err(error) => writer.abort(error),
        }
    }

    fn write(&self, app: &App, sink: &mut AnswerWriter) -> io::Result<()> {
        let encoder = self.codec.encoder(sink)?;
        if self.arrow {
            let mut frame = FrameWriter::new(encoder);
            let mut messages = BatchWriter::new();
            self.batches(app, |batch| {
                let split = if self.split_instants {
                    Some(split_instants(batch))
                } else {
                    None
                };
                let split = split.transpose().map_err(io::Error::other)?;
                messages
                    .write(split.as_ref().unwrap_or(batch), &mut frame)
                    .map_err(io::Error::other)
            })?;
            frame.finish()?.finish()?;
        } else {
            let mut records = RecordWriter::new(encoder, self.types.clone());
            self.batches(app, |batch| records.write(batch))?;
            records.finish()?.finish()?;
        }
        Ok(())
    }

    /// Calls `each` with the batches of the row range, columns in the order of the answer.
    fn batches(
        &self,
        app: &App,
        mut each: impl FnMut(&RecordBatch) -> io::Result<()>,
    ) -> io::Result<()> {
        let (mut skip, mut left) = (self.start, self.count);
        for file in &self.files {
            let rows = usize::try_from(file.rows).map_err(io::Error::other)?;
            let here = rows.saturating_sub(skip).min(left);
            if here > 0 {
                let reader = app
                    .catalog
                    .files()
                    .read(&file.name, &self.columns, skip, here);
                for batch in reader.map_err(io::Error::other)? {
                    let batch = batch.map_err(io::Error::other)?;
                    each(&batch.project(&self.order).map_err(io::Error::other)?)?;
                }
            }
            skip = skip.saturating_sub(rows);
            left -= here;
        }
        Ok(())
    }
}

/// Puts `struct<sec: int64, nano: int32>` in place of the columns that count nanoseconds.
pub(super) fn split_instants(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let parts: Fields = vec![
        Field::new("sec", DataType::Int64, true),
        Field::new("nano", DataType::Int32, true),
    ]
    .into();
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if *field.data_type() != DataType::Timestamp(TimeUnit::Nanosecond, None) {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
            continue;
        }
        let instants = column.as_primitive::<TimestampNanosecondType>();
        let seconds: Int64Array = instants.unary(|nanos| nanos.div_euclid(1_000_000_000));
        let nanos: Int32Array =
            instants.unary(|nanos| i32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0));
        let split = StructArray::try_new(
            parts.clone(),
            vec![Arc::new(seconds), Arc::new(nanos)],
            column.nulls().cloned(),
        )?;
        fields.push(Arc::new(Field::new(
            field.name(),
            DataType::Struct(parts.clone()),
            true,
        )));
        columns.push(Arc::new(split));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// `rowrange=(start,count)`.
fn row_range(head: &Head) -> Result<(usize, usize), ServiceError> {
    let text = head.params.get("rowrange").unwrap_or_default();
    let range = text
        .trim()
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let range = range.and_then(|range| {
        let (start, count) = range.split_once(',')?;
        Some((start.trim().parse().ok()?, count.trim().parse().ok()?))
    });
    range.ok_or_else(|| {
        let text = format!("rowrange {text:?} is not (start,count)");
        ServiceError::new(Code::InvalidRowRange, text)
    })
}

/// Positions of the columns in `columns=a,b`, in that order; all without it.
fn requested_columns(head: &Head, columns: &[Column]) -> Result<Vec<usize>, ServiceError> {
    let names = match head.params.get("columns") {
        None | Some("") => return Ok((0..columns.len()).collect()),
        Some(names) => names,
    };
    let position = |name: &str| {
        let found = columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name.trim()));
        found.ok_or_else(|| {
            ServiceError::new(
                Code::InvalidColumnSpec,
                format!("there is no column {name:?}"),
            )
        })
    };
    names.split(',').map(position).collect()
}
