//! Upload sessions and blocks.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use engine_model::job::{BlockFormat, Compression};

use super::server::{Reply, Server, answer};
use super::*;
use crate::wire::frame;
use crate::{
    BlockInfo, BlockSource, BoxError, ErrorKind, Missing, RecordBatches, SessionKey, SessionStatus,
    UploadSession,
};

/// Batches of ids; `None` is a batch that can't be read.
pub(super) struct Ids {
    batches: Vec<Option<Vec<i64>>>,
    opened: AtomicU32,
}

impl Ids {
    pub(super) fn new(batches: impl IntoIterator<Item = Option<Vec<i64>>>) -> Self {
        Self {
            batches: batches.into_iter().collect(),
            opened: AtomicU32::new(0),
        }
    }
}

fn ids(ids: Vec<i64>) -> RecordBatch {
    let array: ArrayRef = Arc::new(Int64Array::from(ids));
    RecordBatch::try_from_iter([("id", array)]).unwrap()
}

impl BlockSource for Ids {
    fn open(&self) -> Result<RecordBatches, BoxError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let batches = self.batches.clone().into_iter();
        Ok(Box::new(batches.map(|batch| {
            batch.map(ids).ok_or("the disk is gone".into())
        })))
    }
}

pub(super) fn session() -> UploadSession {
    let key = SessionKey {
        table: table(),
        partition: partition(),
        id: "s1".into(),
    };
    let answer = crate::wire::parse_session(session_json("normal", &[]).as_bytes()).unwrap();
    UploadSession {
        key,
        status: answer.status,
        columns: answer.columns,
        blocks: answer.blocks,
        cell_bytes_max: answer.cell_bytes_max,
    }
}

#[tokio::test]
async fn a_session_is_opened_and_reloaded() {
    let server = Server::start([
        answer(200, session_json("normal", &[])),
        answer(200, session_json("closed", &[(3, 7)])),
        answer(404, r#"{"Code":"NoSuchUpload","Message":"?"}"#),
        answer(404, r#"{"Code":"NoSuchPartition","Message":"?"}"#),
    ])
    .await;
    let (client, _clock) = client(config(&server));
    let opened = client
        .create_upload_session(&table(), &partition(), false)
        .await
        .unwrap();
    assert_eq!(opened, session());
    let reloaded = client.reload(&opened.key).await.unwrap();
    assert_eq!(reloaded.status, SessionStatus::Closed);
    assert_eq!(reloaded.blocks[&3], BlockInfo { rows: Some(7) });
    let error = client.reload(&opened.key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound(Missing::Session));
    assert!(error.to_string().starts_with(
        "cannot look up upload session s1 of wire_prj.t/ds=20260302: the server doesn't know the session"
    ));
    let error = client
        .create_upload_session(&table(), &partition(), true)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound(Missing::Partition));
    let base = "/projects/wire_prj/tables/t?curr_project=wire_prj&partition=ds%3D20260302";
    let reload = format!("GET {base}&uploadid=s1");
    assert_eq!(
        server.lines(),
        [
            format!("POST {base}&uploads"),
            reload.clone(),
            reload,
            format!("POST {base}&uploads&overwrite=true"),
        ]
    );
}

#[tokio::test]
async fn a_block_is_sent_as_pyodps_sends_it() {
    let server = Server::start([answer(200, "")]).await;
    let mut session = session();
    session.key.table.table = "arrow_partitioned".into();
    session.key.id = "2026030203040500wire000045".into();
    let (client, _clock) = client(config(&server));
    let rows = Ids::new([Some(vec![1]), Some(vec![]), Some(vec![2])]);
    let receipt = client.put_block(&session, 0, &rows).await.unwrap();
    let arrived = &server.arrived()[0];
    assert_eq!(
        arrived.line,
        "PUT /projects/wire_prj/tables/arrow_partitioned?curr_project=wire_prj&partition=ds%3D20260302\
         &uploadid=2026030203040500wire000045&blockid=0&arrow"
    );
    // The recorded signature: order and spelling of the parameters don't count.
    assert_eq!(
        arrived.header("authorization"),
        Some("ODPS DummyAccessId0001:Ty376GAdRlhaN8N+jDqS0oH3HOg=")
    );
    assert_eq!(arrived.header("transfer-encoding"), Some("chunked"));
    assert_eq!(
        arrived.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!((receipt.rows, receipt.tries), (2, 1));
    assert_eq!(receipt.bytes, arrived.body.len() as u64);
    let data = frame::decode(&arrived.body).unwrap();
    let messages = data
        .windows(4)
        .filter(|window| *window == [0xff; 4])
        .count();
    assert_eq!(messages, 2, "the batch without rows is left out");
}

#[tokio::test]
async fn a_block_is_sent_in_the_form_and_compression_of_the_settings() {
    for (format, compression, flag, encoding) in [
        (BlockFormat::Arrow, Compression::None, "&arrow", None),
        (
            BlockFormat::Arrow,
            Compression::Lz4,
            "&arrow",
            Some("x-odps-lz4-frame"),
        ),
        (BlockFormat::Record, Compression::None, "", None),
        (
            BlockFormat::Record,
            Compression::Lz4,
            "",
            Some("x-lz4-frame"),
        ),
        (
            BlockFormat::Record,
            Compression::Deflate,
            "",
            Some("deflate"),
        ),
        (BlockFormat::Record, Compression::Zstd, "", Some("zstd")),
        (
            BlockFormat::Record,
            Compression::Snappy,
            "",
            Some("x-snappy-framed"),
        ),
    ] {
        let server = Server::start([answer(200, "")]).await;
        let mut config = config(&server);
        (config.block_format, config.compression) = (format, compression);
        let form = config.form();
        let (client, _clock) = client(config);
        let rows = Ids::new([Some(vec![1, 2]), Some(vec![3])]);
        let receipt = client.put_block(&session(), 4, &rows).await.unwrap();
        let arrived = &server.arrived()[0];
        let query = format!("&uploadid=s1&blockid=4{flag}");
        assert!(arrived.line.ends_with(&query), "{}", arrived.line);
        assert_eq!(arrived.header("content-encoding"), encoding);
        assert_eq!(receipt.bytes, arrived.body.len() as u64);
        let columns = session().columns.columns.into();
        let body = arrived.body.clone().into();
        let read: Vec<_> = crate::wire::read_body(form, columns, body)
            .unwrap()
            .flat_map(|batch| {
                batch
                    .unwrap()
                    .column(0)
                    .as_primitive::<Int64Type>()
                    .values()
                    .to_vec()
            })
            .collect();
        assert_eq!(read, [1, 2, 3]);
    }
}

#[tokio::test]
async fn a_cell_that_the_service_refuses_is_named_before_its_row_is_sent() {
    let server = Server::start([]).await;
    let (client, _clock) = client(config(&server));
    let rows = Ids::new([Some(vec![1, 2]), Some(vec![3, i64::MIN])]);
    let error = client.put_block(&session(), 7, &rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(
        error.to_string(),
        "cannot send block 7 of session s1 of wire_prj.t/ds=20260302: column id, row 3 of the block, counted from 0: \
         found -9223372036854775808, which BIGINT keeps for itself (PUT /projects/wire_prj/tables/t)"
    );
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_failed_block_is_read_again_and_sent_alike() {
    let server = Server::start([
        answer(503, r#"{"Code":"ServiceUnavailable","Message":"busy"}"#),
        Reply::Cut,
        answer(429, r#"{"Code":"FlowExceeded","Message":"slow"}"#).with("Retry-After", "9"),
        answer(200, ""),
    ])
    .await;
    let (client, clock) = client(config(&server));
    let rows = Ids::new((0..300).map(|n| Some((n * 1000..(n + 1) * 1000).collect())));
    let receipt = client.put_block(&session(), 7, &rows).await.unwrap();
    assert_eq!((receipt.rows, receipt.tries), (300_000, 4));
    assert_eq!(rows.opened.load(Ordering::Relaxed), 4);
    let arrived = server.arrived();
    assert_eq!(arrived.len(), 4);
    assert!(arrived[0].body.len() > 2_400_000);
    assert!(
        arrived
            .iter()
            .all(|try_| try_.whole && try_.body == arrived[0].body)
    );
    frame::decode(&arrived[0].body).unwrap();
    assert_eq!(clock.waits()[2], Duration::from_secs(9));
}

#[tokio::test]
async fn a_block_without_rows_is_never_sent() {
    let server = Server::start([]).await;
    let (client, _clock) = client(config(&server));
    for rows in [Ids::new([]), Ids::new([Some(vec![]), Some(vec![])])] {
        let error = client.put_block(&session(), 0, &rows).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(
            error.to_string().starts_with(
                "cannot send block 0 of session s1 of wire_prj.t/ds=20260302: it has no rows; leave an empty block out"
            ),
            "{error}"
        );
    }
    let error = client
        .put_block(&session(), 20_000, &Ids::new([]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().ends_with("block ids end at 19999"),
        "{error}"
    );
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused_before_anything_is_sent() {
    struct Texts;
    impl BlockSource for Texts {
        fn open(&self) -> Result<RecordBatches, BoxError> {
            let array: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
            let batch = RecordBatch::try_from_iter([("id", array)])?;
            Ok(Box::new(std::iter::once(Ok(batch))))
        }
    }
    let server = Server::start([]).await;
    let error = client(config(&server))
        .0
        .put_block(&session(), 0, &Texts)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("column id is BIGINT"), "{error}");
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_cannot_be_read_cut_the_body_and_are_not_tried_again() {
    let batch = || Some((0..50_000).collect());
    let server = Server::start([answer(200, "")]).await;
    let (client, _clock) = client(config(&server));
    let rows = Ids::new([batch(), batch(), None]);
    let error = client.put_block(&session(), 0, &rows).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert!(
        error
            .to_string()
            .contains("the rows can't be read: the disk is gone"),
        "{error}"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the disk is gone"
    );
    assert_eq!(rows.opened.load(Ordering::Relaxed), 1);
    // The server notices a moment later.
    while server.arrived().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!server.arrived()[0].whole);
}

#[tokio::test]
async fn a_damaged_block_is_sent_once_more() {
    let damaged = || answer(400, r#"{"Code":"CorruptedDataStream","Message":"crc"}"#);
    let server = Server::start([damaged(), damaged()]).await;
    let (client, _clock) = client(config(&server));
    let error = client
        .put_block(&session(), 0, &Ids::new([Some(vec![1])]))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert_eq!(server.lines().len(), 2);
    assert_eq!(error.tries(), 2);
}

/// Rows without an end, and a count of the batches taken.
pub(super) struct Endless(pub(super) Arc<AtomicUsize>);

/// Bytes of each of its batches.
const ENDLESS_BATCH_BYTES: usize = 80_000;

impl BlockSource for Endless {
    fn open(&self) -> Result<RecordBatches, BoxError> {
        let taken = Arc::clone(&self.0);
        Ok(Box::new(std::iter::repeat_with(move || {
            taken.fetch_add(1, Ordering::Relaxed);
            Ok(ids(vec![7; ENDLESS_BATCH_BYTES / 8]))
        })))
    }
}

#[tokio::test]
async fn a_refusal_ends_a_block_that_is_still_being_sent() {
    let server = Server::start([Reply::Early(
        403,
        r#"{"Code":"AccessDenied","Message":"no"}"#,
    )])
    .await;
    let (client, _clock) = client(config(&server));
    let error = client
        .put_block(&session(), 0, &Endless(Arc::default()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn a_server_that_takes_no_bytes_holds_up_memory_and_time_only_so_far() {
    let server = Server::start([Reply::Hang]).await;
    let mut config = config(&server);
    config.timeouts.stall = Duration::from_millis(100);
    config.retry.tries_max = 1;
    let (client, _clock) = client(config);
    let taken = Arc::new(AtomicUsize::new(0));
    let error = client
        .put_block(&session(), 0, &Endless(Arc::clone(&taken)))
        .await
        .unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connect),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("the connection took no byte for 1 s"),
        "{error}"
    );
    // What the sockets of both sides hold comes on top of what an upload may.
    let sockets = 32 << 20;
    let bytes = taken.load(Ordering::Relaxed) * ENDLESS_BATCH_BYTES;
    assert!(bytes < crate::UPLOAD_BYTES_MAX + sockets, "{bytes}");
}

#[tokio::test]
async fn a_dropped_upload_lets_its_source_go() {
    let server = Server::start([Reply::Hang]).await;
    let (client, _clock) = client(config(&server));
    let taken = Arc::new(AtomicUsize::new(0));
    let session = session();
    let rows = Endless(Arc::clone(&taken));
    let mut upload = Box::pin(client.put_block(&session, 0, &rows));
    while server.arrived().is_empty() {
        tokio::select! {
            biased;
            outcome = &mut upload => panic!("{outcome:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(
        Arc::strong_count(&taken) > 2,
        "the encoder holds the source"
    );
    drop(upload);
    while Arc::strong_count(&taken) > 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_source_that_cannot_be_opened_is_not_tried_again() {
    struct Missing;
    impl BlockSource for Missing {
        fn open(&self) -> Result<RecordBatches, BoxError> {
            Err("no such file".into())
        }
    }
    let server = Server::start([]).await;
    let error = client(config(&server))
        .0
        .put_block(&session(), 0, &Missing)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source);
    assert_eq!(server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_session_that_takes_no_block_is_asked_why() {
    let state = |status| answer(200, session_json(status, &[]));
    let gone = answer(404, r#"{"Code":"NoSuchUpload","Message":"?"}"#);
    let forbidden = answer(403, r#"{"Code":"NoPermission","Message":"no"}"#);
    for (reply, kind) in [
        (state("expired"), ErrorKind::SessionExpired),
        (state("canceled"), ErrorKind::SessionExpired),
        (state("critical"), ErrorKind::SessionExpired),
        (gone, ErrorKind::NotFound(Missing::Session)),
        (state("closed"), ErrorKind::StatusConflict),
        (state("committing"), ErrorKind::StatusConflict),
        (forbidden, ErrorKind::StatusConflict),
    ] {
        let conflict = answer(409, r#"{"Code":"StatusConflict","Message":"not open"}"#);
        let server = Server::start([conflict, reply]).await;
        let (client, _clock) = client(config(&server));
        let error = client
            .put_block(&session(), 0, &Ids::new([Some(vec![1])]))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(server.lines().len(), 2);
    }
}

#[tokio::test]
async fn an_expired_session_is_named_with_its_status() {
    let server = Server::start([
        answer(409, r#"{"Code":"StatusConflict","Message":"not open"}"#),
        answer(200, session_json("expired", &[])),
    ])
    .await;
    let (client, _clock) = client(config(&server));
    let error = client
        .put_block(&session(), 0, &Ids::new([Some(vec![1])]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(
            "the session can't be used any more; open a new one: StatusConflict: its status is expired (PUT "
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_stall() {
    // The connection takes the whole block at once, so that only the answer is missing.
    let server = Server::start([Reply::Hang]).await;
    let mut config = config(&server);
    config.timeouts.stall = Duration::from_secs(1);
    config.timeouts.answer = Duration::from_millis(1200);
    config.retry.tries_max = 1;
    let (client, _clock) = client(config);
    let error = client
        .put_block(&session(), 0, &Ids::new([Some(vec![1])]))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("no answer within 2 s"),
        "{error}"
    );
}
