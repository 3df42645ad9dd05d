//! A tunnel that takes blocks and forgets them: what an upload costs when the service costs nothing.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use engine_model::Column;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Result;
use crate::blocks::runtime;
use crate::fields::MappedFields;
use crate::process::serve_until_closed;

/// A tunnel with one upload session at a time, into any table that has these columns.
struct Sink {
    schema: Value,
    blocks: Mutex<BTreeSet<u32>>,
}

/// Serves until the standard input ends, and says in a line on the standard output where.
pub fn serve(fields: &MappedFields) -> Result<()> {
    let sink = Arc::new(Sink::new(fields));
    runtime()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = format!("http://{}/api", listener.local_addr()?);
        let router = Router::new().fallback(answer).with_state(sink);
        let ended = tokio::task::spawn_blocking(move || serve_until_closed(&endpoint));
        let serve = axum::serve(listener, router).with_graceful_shutdown(async {
            // However it ends: nobody needs the server any more.
            drop(ended.await);
        });
        Ok(serve.await?)
    })
}

async fn answer(State(sink): State<Arc<Sink>>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let value = |wanted: &str| {
        query.split('&').find_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name == wanted).then(|| value.to_owned())
        })
    };
    if let Some(block) = value("blockid") {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return StatusCode::BAD_REQUEST.into_response();
            }
        }
        return match block.parse() {
            Ok(block) => {
                sink.lock().insert(block);
                ().into_response()
            }
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        };
    }
    if value("downloads").is_some() {
        return sink.nothing();
    }
    if parts.method == Method::POST && value("uploads").is_some() {
        sink.lock().clear();
        return sink.session("normal");
    }
    if value("uploadid").is_some() {
        let committed = parts.method == Method::POST;
        return sink.session(if committed { "closed" } else { "normal" });
    }
    if value("service").is_some() {
        let host = parts.headers.get("host");
        return host
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
            .to_owned()
            .into_response();
    }
    StatusCode::NOT_FOUND.into_response()
}

impl Sink {
    fn new(fields: &MappedFields) -> Self {
        let column = |(number, column): (usize, &Column)| {
            json!({
                "column_id": number.to_string(), "name": column.name, "comment": "",
                "type": column.column_type.to_string(), "nullable": true, "default_value": "",
            })
        };
        let table = fields.table();
        let columns =
            |columns: &[Column]| columns.iter().enumerate().map(column).collect::<Value>();
        Self {
            schema: json!({
                "IsVirtualView": false, "columns": columns(&table.columns),
                "partitionKeys": columns(&table.partition_keys),
            }),
            blocks: Mutex::default(),
        }
    }

    fn session(&self, status: &str) -> Response {
        let blocks: Vec<Value> = self
            .lock()
            .iter()
            .map(|id| json!({ "BlockID": id, "CreateTime": 0, "Date": "", "FileName": "", "Version": 0 }))
            .collect();
        let session = json!({
            "UploadID": "one", "Status": status, "Owner": "", "Initiated": "", "IsOverwrite": true,
            "MaxFieldSize": 8_388_608, "QuotaName": "default", "Schema": self.schema,
            "UploadedBlockList": blocks,
        });
        ([("content-type", "application/json")], session.to_string()).into_response()
    }

    /// A download session: no rows.
    fn nothing(&self) -> Response {
        let session = json!({
            "DownloadID": "none", "Status": "normal", "Owner": "", "Initiated": "", "RecordCount": 0,
            "Schema": self.schema,
        });
        ([("content-type", "application/json")], session.to_string()).into_response()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<u32>> {
        // A set of numbers is whole at any time.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
