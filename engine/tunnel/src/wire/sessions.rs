//! Answers about upload and download sessions.

use std::collections::BTreeMap;

use engine_model::TableColumns;
use engine_model::limits::CELL_BYTES_MAX;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::metadata::{ColumnFields, columns};
use super::{AnswerError, excerpt};
use crate::{BlockInfo, SessionStatus};

/// What the server says of an upload session, on creating and on reloading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAnswer {
    /// The session's id; opaque.
    pub id: String,
    /// The status.
    pub status: SessionStatus,
    /// The table's columns, in the order in which rows must be sent.
    pub columns: TableColumns,
    /// The blocks that the server has whole.
    pub blocks: BTreeMap<u32, BlockInfo>,
    /// Bytes that a text or a BINARY may have.
    pub cell_bytes_max: usize,
}

/// What the server says of a download session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadAnswer {
    /// The session's id; opaque.
    pub id: String,
    /// Whether the server is still preparing it: ask again.
    pub initiating: bool,
    /// Rows of the table or table partition; meaningful once the session isn't initiating.
    pub rows: u64,
    /// The columns in the order in which rows come; empty where the server doesn't say them.
    pub columns: TableColumns,
}

/// The columns as sessions write them.
#[derive(Deserialize)]
struct Schema {
    columns: Vec<ColumnFields>,
    #[serde(rename = "partitionKeys", default)]
    partition_keys: Option<Vec<ColumnFields>>,
}

impl Schema {
    fn columns(self) -> Result<TableColumns, AnswerError> {
        columns(self.columns, self.partition_keys.unwrap_or_default())
    }
}

/// Reads the answer to creating or reloading an upload session.
///
/// # Errors
/// The answer isn't a session, or a column has a type that this client doesn't know.
pub fn parse_session(body: &[u8]) -> Result<SessionAnswer, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Session {
        #[serde(rename = "UploadID")]
        id: String,
        status: String,
        schema: Schema,
        uploaded_block_list: Option<Vec<Block>>,
        max_field_size: Option<i64>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Block {
        #[serde(rename = "BlockID")]
        id: u32,
        record_count: Option<i64>,
    }
    let session: Session = json("an upload session", body)?;
    let blocks = session.uploaded_block_list.unwrap_or_default().into_iter();
    Ok(SessionAnswer {
        id: session.id,
        status: SessionStatus::from_text(&session.status),
        columns: session.schema.columns()?,
        cell_bytes_max: session
            .max_field_size
            .and_then(|bytes| usize::try_from(bytes).ok())
            .filter(|bytes| *bytes > 0)
            .unwrap_or(CELL_BYTES_MAX),
        blocks: blocks
            .map(|block| {
                let rows = block.record_count.and_then(|rows| u64::try_from(rows).ok());
                (block.id, BlockInfo { rows })
            })
            .collect(),
    })
}

/// Reads the status from the answer to a commit, which may leave out the rest.
pub fn parse_session_status(body: &[u8]) -> Result<SessionStatus, AnswerError> {
    #[derive(Deserialize)]
    struct Session {
        #[serde(rename = "Status")]
        status: String,
    }
    let session: Session = json("an upload session", body)?;
    Ok(SessionStatus::from_text(&session.status))
}

/// Reads the answer to creating or reloading a download session.
pub fn parse_download(body: &[u8]) -> Result<DownloadAnswer, AnswerError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Download {
        #[serde(rename = "DownloadID")]
        id: String,
        status: String,
        record_count: Option<u64>,
        schema: Option<Schema>,
    }
    let download: Download = json("a download session", body)?;
    let initiating = download.status.eq_ignore_ascii_case("initiating");
    if !initiating && download.record_count.is_none() {
        return Err(AnswerError::new("the download session has no RecordCount"));
    }
    Ok(DownloadAnswer {
        id: download.id,
        initiating,
        rows: download.record_count.unwrap_or_default(),
        columns: download
            .schema
            .map(Schema::columns)
            .transpose()?
            .unwrap_or_default(),
    })
}

fn json<T: DeserializeOwned>(expected: &str, body: &[u8]) -> Result<T, AnswerError> {
    serde_json::from_slice(body).map_err(|error| {
        AnswerError::new(format!(
            "this is not {expected} ({error}): {}",
            excerpt(body)
        ))
    })
}

#[cfg(test)]
mod tests {
    use engine_model::{Column, ColumnType};
    use proptest::prelude::*;

    use super::*;

    const SESSION: &str = r#"{"UploadID":"2026x","Status":"NORMAL","Owner":"ALIYUN$x","IsOverwrite":false,"MaxFieldSize":1024,
        "Schema":{"IsVirtualView":false,"columns":[{"column_id":"0","name":"id","type":"decimal(10,2)","nullable":false}],
        "partitionKeys":[{"name":"ds","type":"string","nullable":true,"comment":""}]},
        "UploadedBlockList":[{"BlockID":7,"RecordCount":12,"CreateTime":0,"Date":"","FileName":"","Version":0},{"BlockID":2}]}"#;

    #[test]
    fn a_session_is_read_whole() {
        let session = parse_session(SESSION.as_bytes()).unwrap();
        assert_eq!(session.id, "2026x");
        assert_eq!(session.status, SessionStatus::Normal);
        assert_eq!(session.cell_bytes_max, 1024);
        assert_eq!(
            session.blocks,
            BTreeMap::from([
                (2, BlockInfo { rows: None }),
                (7, BlockInfo { rows: Some(12) })
            ])
        );
        let mut id = Column::new(
            "id",
            ColumnType::Decimal {
                precision: 10,
                scale: 2,
            },
        );
        id.nullable = false;
        assert_eq!(session.columns.columns, [id]);
        assert_eq!(session.columns.partition_keys.len(), 1);
    }

    #[test]
    fn a_commit_answer_needs_a_status_only() {
        assert_eq!(
            parse_session_status(br#"{"Status":"closed"}"#),
            Ok(SessionStatus::Closed)
        );
        assert_eq!(
            parse_session_status(br#"{"Status":"resting"}"#),
            Ok(SessionStatus::Unknown)
        );
        let error = parse_session_status(b"").unwrap_err().to_string();
        assert!(
            error.starts_with("this is not an upload session ("),
            "{error}"
        );
    }

    #[test]
    fn a_download_counts_its_rows_once_it_is_ready() {
        let ready = parse_download(br#"{"DownloadID":"d","Status":"normal","RecordCount":42}"#);
        assert_eq!(
            ready,
            Ok(DownloadAnswer {
                id: "d".into(),
                initiating: false,
                rows: 42,
                columns: TableColumns::default(),
            })
        );
        assert!(
            parse_download(br#"{"DownloadID":"d","Status":"Initiating"}"#)
                .unwrap()
                .initiating
        );
        assert!(parse_download(br#"{"DownloadID":"d","Status":"normal"}"#).is_err());
    }

    proptest! {
        #[test]
        fn no_answer_panics(body in prop::collection::vec(any::<u8>(), 0..200), at in 0..SESSION.len(), byte: u8) {
            let _refused = parse_session(&body);
            let mut damaged = SESSION.as_bytes().to_vec();
            damaged[at] = byte;
            let _may_be_read = parse_session(&damaged);
            let _may_be_read = parse_session_status(&damaged);
            let _refused = parse_download(&damaged);
        }
    }
}
