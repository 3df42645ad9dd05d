//! Download sessions and their rows.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use engine_model::job::{BlockFormat, Compression};
use engine_model::{Column, ColumnType};

use super::server::{Server, answer};
use super::*;
use crate::wire::{BodyEncoder, content_encoding};
use crate::{DownloadSession, ErrorKind, Missing, RecordBatches, SessionKey};

/// A session of a table with one column.
fn session(rows: u64) -> DownloadSession {
    let key = SessionKey {
        table: table(),
        partition: partition(),
        id: "d1".into(),
    };
    let columns = engine_model::TableColumns {
        columns: vec![Column::new("id", ColumnType::BigInt)],
        ..Default::default()
    };
    DownloadSession { key, rows, columns }
}

fn body(config: &ClientConfig, ids: &[i64]) -> Vec<u8> {
    let columns = session(0).columns.columns;
    let array = std::sync::Arc::new(arrow::array::Int64Array::from(ids.to_vec()));
    let batch = RecordBatch::try_new(crate::wire::arrow_schema(&columns), vec![array]).unwrap();
    let mut body = Vec::new();
    let take = |piece: bytes::Bytes| {
        body.extend_from_slice(&piece);
        Ok(())
    };
    let mut encoder = BodyEncoder::new(config.form(), columns.into(), 1024, take).unwrap();
    encoder.write(&batch).unwrap();
    encoder.finish().unwrap();
    body
}

fn ids(batches: RecordBatches) -> Result<Vec<i64>, String> {
    let mut ids = Vec::new();
    for batch in batches {
        let batch = batch.map_err(|error| error.to_string())?;
        ids.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(ids)
}

#[tokio::test]
async fn a_session_says_how_many_rows_there_are_and_of_which_columns() {
    let columns = r#""Schema":{"columns":[{"name":"id","type":"bigint","nullable":true}]}"#;
    let server = Server::start([
        answer(
            200,
            format!(r#"{{"DownloadID":"d1","Status":"initiating",{columns}}}"#),
        ),
        answer(
            200,
            format!(r#"{{"DownloadID":"d1","Status":"normal","RecordCount":3,{columns}}}"#),
        ),
        answer(
            200,
            r#"{"DownloadID":"d1","Status":"normal","RecordCount":3}"#,
        ),
    ])
    .await;
    let (client, _clock) = client(config(&server));
    let opened = client.open_download(&table(), &partition()).await.unwrap();
    assert_eq!(opened, session(3));
    let error = client
        .open_download(&table(), &partition())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error
            .to_string()
            .ends_with("the download session has no columns"),
        "{error}"
    );
}

#[tokio::test]
async fn rows_are_read_in_the_form_and_compression_of_the_settings() {
    for format in [BlockFormat::Arrow, BlockFormat::Record] {
        for compression in [Compression::None, Compression::Zstd, Compression::Lz4] {
            let mut asked = ClientConfig::new("http://h/api", "p", credentials());
            (asked.block_format, asked.compression) = (format, compression);
            let encoding = content_encoding(format, compression);
            let reply = answer(200, body(&asked, &[5, 6]));
            let reply = match encoding {
                Some(encoding) => reply.with("Content-Encoding", encoding),
                None => reply,
            };
            let server = Server::start([reply]).await;
            let mut config = config(&server);
            (config.block_format, config.compression) = (format, compression);
            let (client, _clock) = client(config);
            let batches = client.read_rows(&session(9), 4..6).await.unwrap();
            assert_eq!(ids(batches), Ok(vec![5, 6]));
            let arrived = &server.arrived()[0];
            let flag = if format == BlockFormat::Arrow {
                "&arrow"
            } else {
                ""
            };
            assert_eq!(
                arrived.line,
                format!(
                    "GET /projects/wire_prj/tables/t?curr_project=wire_prj&partition=ds%3D20260302\
                     &downloadid=d1&data&rowrange=%284%2C2%29{flag}"
                )
            );
            assert_eq!(arrived.header("accept-encoding"), encoding);
        }
    }
}

#[tokio::test]
async fn answers_that_are_damaged_or_of_other_rows_are_refused() {
    let plain = ClientConfig::new("http://h/api", "p", credentials());
    let mut damaged = body(&plain, &[1, 2]);
    damaged[40] ^= 1;
    let server = Server::start([
        answer(200, damaged),
        answer(200, "").with("Content-Encoding", "br"),
        answer(200, body(&plain, &[1, 2])),
        answer(200, body(&plain, &[1, 2])),
        answer(404, r#"{"Code":"NoSuchDownload","Message":"?"}"#),
    ])
    .await;
    let (client, _clock) = client(config(&server));
    let refused = async |range| client.read_rows(&session(9), range).await.err().unwrap();
    let error = refused(0..2).await;
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error.to_string().contains("wrong checksum at position"),
        "{error}"
    );
    let error = refused(0..2).await.to_string();
    assert!(error.contains("it is compressed as \"br\""), "{error}");
    let batches = client.read_rows(&session(9), 0..3).await.unwrap();
    assert_eq!(ids(batches), Err("the answer ends 1 rows early".into()));
    let batches = client.read_rows(&session(9), 0..1).await.unwrap();
    assert_eq!(
        ids(batches),
        Err("the answer has more rows than were asked for".into())
    );
    assert_eq!(
        refused(0..2).await.kind(),
        ErrorKind::NotFound(Missing::Session)
    );
    let error = refused(3..10).await;
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert_eq!(
        error.to_string(),
        "cannot read rows 3 to 10 of download session d1 of wire_prj.t/ds=20260302: it has 9 rows"
    );
    let nothing = client.read_rows(&session(9), 9..9).await.unwrap();
    assert_eq!(ids(nothing), Ok(vec![]));
    assert_eq!(server.lines().len(), 5);
}
