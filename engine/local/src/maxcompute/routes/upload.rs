//! Upload sessions: create, reload, put a block, commit.

use std::io::{self, BufReader, Read as _};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use axum::body::Body;
use axum::response::IntoResponse as _;
use engine_model::Column;
use engine_model::limits::{BLOCK_ID_MAX, CELL_BYTES_MAX};
use serde_json::{Value, json};

use super::project::OWNER;
use super::table::SharedHead;
use super::{Answer, http_date, json as json_answer};
use crate::maxcompute::catalog::{Upload, UploadStatus};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::request::{Head, partition_spec};
use crate::maxcompute::server::App;
use crate::maxcompute::storage::StoredFile;
use crate::maxcompute::table::Table;
use crate::maxcompute::types::{arrow_schema, type_text};
use crate::maxcompute::wire::body::{BodyReader, pipe, pump};
use crate::maxcompute::wire::codec::Codec;
use crate::maxcompute::wire::frame::FrameReader;
use crate::maxcompute::wire::message::BatchReader;
use crate::maxcompute::wire::record::RecordReader;

/// Bytes of one block before compression; the service's own bound.
const BLOCK_BYTES_MAX: u64 = 100 << 30;

/// `POST R?uploads`.
pub(super) fn create(app: &App, head: &Head, table: &Table) -> Answer {
    let values = target(head, table)?;
    let now_ms = app.clock.now_ms();
    let upload = Upload {
        id: app.id(),
        table_id: table.id,
        values,
        overwrite: head.params.flag("overwrite"),
        status: UploadStatus::Normal,
        created_ms: now_ms,
        blocks: Vec::new(),
    };
    app.catalog
        .create_upload(&upload, head.params.flag("create_partition"))?;
    Ok(json_answer(&session(head, table, &upload)))
}

/// `GET R?uploadid`.
pub(super) fn reload(app: &App, head: &Head, table: &Table) -> Answer {
    let upload = find(app, head, table)?;
    Ok(json_answer(&session(head, table, &upload)))
}

/// `POST R?uploadid`. Repeated, it answers the same.
pub(super) fn commit(app: &App, head: &Head, table: &Table) -> Answer {
    let upload = find(app, head, table)?;
    let committed = app.catalog.commit_upload(&upload.id, app.clock.now_ms())?;
    Ok(json_answer(&session(head, table, &committed)))
}

/// `PUT R?uploadid&blockid`: streams the body into a file, which becomes the block only when all of it was right.
pub(super) async fn block(app: Arc<App>, head: SharedHead, table: String, body: Body) -> Answer {
    let (sender, reader) = pipe();
    let storing = Arc::clone(&app);
    let stored = tokio::task::spawn_blocking(move || store(&storing, &head, &table, reader));
    pump(body, sender).await;
    stored.await??;
    Ok(().into_response())
}

fn store(app: &App, head: &Head, table: &str, body: BodyReader) -> Result<(), ServiceError> {
    let table = app.table(table)?;
    let upload = find(app, head, &table)?;
    if upload.status != UploadStatus::Normal {
        let status = upload.status.text();
        let text = format!(
            "upload session {:?} is {status}; it takes no more blocks",
            upload.id
        );
        return Err(ServiceError::new(Code::StatusConflict, text));
    }
    let block = block_id(head)?;
    let version = match head.params.get("block_version") {
        None | Some("") => 0,
        Some(text) => text.parse::<u32>().map_err(|_| {
            ServiceError::new(
                Code::InvalidArgument,
                format!("block_version {text:?} is no number"),
            )
        })?,
    };
    let codec = Codec::from_name(&head.content_encoding).ok_or_else(|| {
        let text = format!("Content-Encoding {:?} is not known", head.content_encoding);
        ServiceError::new(Code::InvalidArgument, text)
    })?;
    let decoder = codec.decoder(BufReader::new(body));
    let decoder = decoder
        .map_err(|error| malformed(&error))?
        .take(BLOCK_BYTES_MAX);
    let columns = &table.columns.columns;
    let mut rows = if head.params.has("arrow") {
        Rows::Arrow(BatchReader::new(
            FrameReader::new(decoder),
            arrow_schema(columns),
        ))
    } else {
        Rows::Records(Box::new(RecordReader::new(decoder, columns)))
    };
    let file = receive(app, columns, &mut rows)?;
    let (now_ms, version) = (app.clock.now_ms(), i64::from(version));
    let put = app
        .catalog
        .put_block(&upload.id, block, version, file.as_ref(), now_ms);
    if let (Err(_), Some(file)) = (&put, &file) {
        // Nothing refers to the file: the session ended while it was written.
        app.catalog.files().remove(&file.name)?;
    }
    put
}

/// A block in either form.
enum Rows<R> {
    Arrow(BatchReader<FrameReader<R>>),
    Records(Box<RecordReader<R>>),
}

impl<R: io::Read> Rows<R> {
    fn next_batch(&mut self) -> io::Result<Option<RecordBatch>> {
        match self {
            Self::Arrow(batches) => batches.next_batch(),
            Self::Records(records) => records.next_batch(),
        }
    }
}

/// Writes a block into a file. Anything wrong with it leaves nothing behind.
fn receive<R: io::Read>(
    app: &App,
    columns: &[Column],
    rows: &mut Rows<R>,
) -> Result<Option<StoredFile>, ServiceError> {
    let files = app.catalog.files();
    let mut writer = files.create(&app.id(), arrow_schema(columns))?;
    while let Some(batch) = rows.next_batch().map_err(|error| malformed(&error))? {
        check_cells(&batch, columns)?;
        writer.write(&batch)?;
    }
    Ok(writer.finish()?)
}

/// No text and no bytes may be longer than `MaxFieldSize`.
fn check_cells(batch: &RecordBatch, columns: &[Column]) -> Result<(), ServiceError> {
    for (array, column) in batch.columns().iter().zip(columns) {
        let longest = match array.data_type() {
            DataType::Utf8 => longest(array.as_string::<i32>().value_offsets()),
            DataType::Binary => longest(array.as_binary::<i32>().value_offsets()),
            _ => 0,
        };
        if longest > CELL_BYTES_MAX {
            let text = format!(
                "column {:?} has a value of {longest} bytes; at most {CELL_BYTES_MAX}",
                column.name
            );
            return Err(ServiceError::new(Code::MalformedDataStream, text));
        }
    }
    Ok(())
}

fn longest(offsets: &[i32]) -> usize {
    let lengths = offsets
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]));
    lengths
        .max()
        .and_then(|longest| usize::try_from(longest).ok())
        .unwrap_or(0)
}

/// What the client is told of a body that can't be read.
fn malformed(error: &io::Error) -> ServiceError {
    let code = match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::TimedOut => Code::IncompleteBody,
        _ => Code::MalformedDataStream,
    };
    ServiceError::new(code, format!("the block was not taken: {error}"))
}

fn block_id(head: &Head) -> Result<u32, ServiceError> {
    let text = head.params.get("blockid").unwrap_or_default();
    let id = text.parse().ok().filter(|id| *id <= BLOCK_ID_MAX);
    id.ok_or_else(|| {
        let text = format!("block id {text:?} is not in 0..{BLOCK_ID_MAX}");
        ServiceError::new(Code::InvalidBlockID, text)
    })
}

/// The values of the table partition that the request names.
///
/// # Errors
/// `MissingPartitionSpec` where the table needs one, `InvalidPartitionSpec` where it has none.
pub(super) fn target(head: &Head, table: &Table) -> Result<Vec<String>, ServiceError> {
    let text = head.params.get("partition").unwrap_or_default();
    if text.is_empty() && table.is_partitioned() {
        let text = format!("table {} has partitions; name one", table.name);
        return Err(ServiceError::new(Code::MissingPartitionSpec, text));
    }
    Ok(partition_spec(table, text)?
        .0
        .into_iter()
        .map(|(_, value)| value)
        .collect())
}

/// The session that the request names, if it is one of this table and partition.
fn find(app: &App, head: &Head, table: &Table) -> Result<Upload, ServiceError> {
    let id = head.params.get("uploadid").unwrap_or_default();
    let upload = app.catalog.upload(id, app.clock.now_ms())?;
    let named = match head.params.get("partition") {
        None | Some("") => None,
        Some(text) => Some(
            partition_spec(table, text)?
                .0
                .into_iter()
                .map(|(_, value)| value)
                .collect(),
        ),
    };
    if upload.table_id != table.id || named.is_some_and(|named: Vec<String>| named != upload.values)
    {
        let text = format!("upload session {id:?} belongs to another table or partition");
        return Err(ServiceError::new(Code::InvalidResourceSpec, text));
    }
    Ok(upload)
}

/// The session's JSON.
fn session(head: &Head, table: &Table, upload: &Upload) -> Value {
    let block = |block: &crate::maxcompute::catalog::Block| {
        json!({
            "BlockID": block.id, "CreateTime": block.created_ms.div_euclid(1_000),
            "Date": http_date(block.created_ms), "FileName": block.file.as_deref().unwrap_or(""),
            "RecordCount": block.rows, "Version": block.version,
        })
    };
    let wanted = head.params.get("getblockid") != Some("false");
    let blocks: Vec<Value> = if wanted {
        upload.blocks.iter().map(block).collect()
    } else {
        Vec::new()
    };
    json!({
        "UploadID": upload.id, "Status": upload.status.text(), "Owner": OWNER,
        "Initiated": http_date(upload.created_ms), "IsOverwrite": upload.overwrite,
        "MaxFieldSize": CELL_BYTES_MAX, "QuotaName": "default",
        "Schema": schema(&table.columns.columns, table), "UploadedBlockList": blocks,
    })
}

/// The `Schema` of a session: `columns` as given, partition keys of the table.
pub(super) fn schema(columns: &[Column], table: &Table) -> Value {
    let column = |(position, column): (usize, &Column)| {
        json!({
            "column_id": position.to_string(), "name": column.name,
            "type": type_text(&column.column_type), "nullable": column.nullable,
            "comment": column.comment,
            "default_value": table.defaults.get(&column.name).map_or("", String::as_str),
        })
    };
    let columns: Vec<Value> = columns.iter().enumerate().map(column).collect();
    let keys: Vec<Value> = table
        .columns
        .partition_keys
        .iter()
        .enumerate()
        .map(column)
        .collect();
    json!({ "IsVirtualView": false, "columns": columns, "partitionKeys": keys })
}
