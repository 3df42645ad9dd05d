//! Tables, table partitions and row counts.

use engine_model::{Column, ColumnType};

use super::server::{Server, answer};
use super::*;
use crate::{ErrorKind, Missing};

const NO_TABLE: &str =
    "<Error><Code>NoSuchTable</Code><Message>gone</Message><RequestId/><HostId/></Error>";

#[tokio::test]
async fn a_table_is_described() {
    let body = "<Table><Schema><![CDATA[{\"columns\":[{\"name\":\"a\",\"type\":\"BIGINT\"}],\"partitionKeys\":[]}]]></Schema></Table>";
    let server = Server::start([answer(200, body), answer(404, NO_TABLE)]).await;
    let (client, _clock) = client(config(&server));
    let mut table = table();
    table.schema = Some("s".into());
    let columns = client.table_columns(&table).await.unwrap();
    assert_eq!(columns.columns, [Column::new("a", ColumnType::BigInt)]);

    let error = client.table_columns(&table).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound(Missing::Table));
    assert_eq!(
        error.to_string(),
        "cannot read the columns of wire_prj.s.t: the table does not exist: NoSuchTable: gone \
         (GET /projects/wire_prj/tables/t, status 404)"
    );
    assert_eq!(
        server.lines(),
        ["GET /api/projects/wire_prj/tables/t?curr_project=wire_prj&curr_schema=s"; 2]
    );
}

#[tokio::test]
async fn rows_are_counted_by_a_download_session() {
    let server = Server::start([
        answer(200, r#"{"DownloadID":"d1","Status":"initiating"}"#),
        answer(200, r#"{"DownloadID":"d1","Status":"initiating"}"#),
        answer(
            200,
            r#"{"DownloadID":"d1","Status":"normal","RecordCount":42}"#,
        ),
    ])
    .await;
    let (client, clock) = client(config(&server));
    assert_eq!(client.row_count(&table(), &partition()).await.unwrap(), 42);
    let base = "/projects/wire_prj/tables/t?curr_project=wire_prj&partition=ds%3D20260302";
    let reload = format!("GET {base}&downloadid=d1");
    assert_eq!(
        server.lines(),
        [format!("POST {base}&downloads"), reload.clone(), reload]
    );
    assert_eq!(
        clock.waits(),
        [Duration::from_millis(100), Duration::from_millis(200)]
    );
}

#[tokio::test]
async fn a_download_session_that_is_never_ready_is_given_up() {
    let preparing = || answer(200, r#"{"DownloadID":"d1","Status":"initiating"}"#);
    let server = Server::start((0..7).map(|_| preparing())).await;
    let mut config = config(&server);
    config.timeouts.answer = Duration::from_secs(3);
    let (client, _clock) = client(config);
    let error = client
        .row_count(&table(), &PartitionSpec::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "cannot count the rows of wire_prj.t: download session d1 is still being prepared"
    );
}

#[tokio::test]
async fn only_the_first_answer_tells_that_a_table_partition_is_missing() {
    let missing = |code: &str| answer(404, format!(r#"{{"Code":"{code}","Message":"?"}}"#));
    for (code, kind) in [
        ("NoSuchPartition", Missing::Partition),
        ("NoSuchObject", Missing::Partition),
        ("NoSuchTable", Missing::Table),
    ] {
        let server = Server::start([missing(code)]).await;
        let (client, _clock) = client(config(&server));
        let error = client.row_count(&table(), &partition()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound(kind), "{error}");
    }
    for code in ["NoSuchDownload", "NoSuchPartition", "NoSuchObject"] {
        let preparing = answer(200, r#"{"DownloadID":"d1","Status":"initiating"}"#);
        let server = Server::start([preparing, missing(code)]).await;
        let (client, _clock) = client(config(&server));
        let error = client.row_count(&table(), &partition()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        let expected = "the server forgot download session d1 (";
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(server.lines().len(), 2);
    }
}
