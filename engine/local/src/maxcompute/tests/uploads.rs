//! Upload sessions.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;

use super::{Server, fixture, parse};

const COLUMNS: &str = "k0 string, k1 string, k2 string, k3 string, k4 string, k5 string";

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one block's story")]
async fn a_wrong_body_leaves_the_block_as_it_was() {
    let server = Server::start().await;
    server.ddl(&format!("create table t ({COLUMNS})"));
    let base = "/projects/prj/tables/t";
    let id = server.session(&format!("{base}?uploads"));
    let block = format!("{base}?uploadid={id}&blockid=0&arrow");
    let good = fixture("arrow_kafka_like.bin");
    assert_eq!(server.put(&block, "", &good).status, 200);
    let reload = format!("{base}?uploadid={id}");
    let before = server.blocks(&reload);
    assert_eq!(before, [(0, 200)]);

    let mut wrong_crc = good.clone();
    *wrong_crc.last_mut().unwrap() ^= 1;
    let mut wrong_middle = good.clone();
    wrong_middle[5_000] ^= 1;
    let zlib = fixture("arrow_kafka_like_zlib.bin");
    let cases: [(&str, &[u8], &str); 8] = [
        ("", &wrong_crc, "MalformedDataStream"),
        ("", &wrong_middle, "MalformedDataStream"),
        ("", &good[..good.len() - 1], "MalformedDataStream"),
        ("", &fixture("arrow_one_row.bin"), "MalformedDataStream"),
        (
            "Content-Encoding: deflate\r\n",
            &zlib[..zlib.len() - 9],
            "MalformedDataStream",
        ),
        (
            "Content-Encoding: deflate\r\n",
            &good,
            "MalformedDataStream",
        ),
        ("Content-Encoding: zstd\r\n", b"", "MalformedDataStream"),
        ("Content-Encoding: br\r\n", &good, "InvalidArgument"),
    ];
    for (headers, body, code) in cases {
        let answer = server.put(&block, headers, body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{headers}{}",
            answer.text()
        );
        assert!(answer.json()["Message"].as_str().unwrap().len() > 10);
        assert_eq!(server.blocks(&reload), before);
    }
    // A connection that is cut inside the body.
    let mut cut = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "PUT {block} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        good.len()
    );
    cut.write_all(head.as_bytes()).unwrap();
    cut.write_all(&good[..9_000]).unwrap();
    cut.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    cut.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty() || parse(&answer).status == 400);
    assert_eq!(server.blocks(&reload), before);
    assert_eq!(server.files(), 1, "nothing of the wrong bodies is left");

    // The same block again, in every encoding, replaces itself.
    for (name, encoding) in [
        ("zstd", "zstd"),
        ("snappy", "x-snappy-framed"),
        ("lz4", "x-odps-lz4-frame"),
        ("zlib", "deflate"),
    ] {
        let body = fixture(&format!("arrow_kafka_like_{name}.bin"));
        let answer = server.put(&block, &format!("Content-Encoding: {encoding}\r\n"), &body);
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    assert_eq!(server.blocks(&reload), before);
    // Empty bodies are blocks without rows.
    for (number, body) in [(1, &b""[..]), (2, &[0; 4])] {
        assert_eq!(
            server
                .put(
                    &format!("{base}?uploadid={id}&blockid={number}&arrow="),
                    "",
                    body
                )
                .status,
            200
        );
    }
    assert_eq!(server.blocks(&reload), [(0, 200), (1, 0), (2, 0)]);
    assert_eq!(server.count("t"), "0");
    let committed = server.post(&reload).json();
    assert_eq!(committed["Status"], "closed");
    assert_eq!(server.count("t"), "200");
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn sessions_refuse_what_is_not_theirs() {
    let mut server = Server::start().await;
    server.ddl("create table day (a bigint, b string) partitioned by (ds string)");
    server.ddl("create table plain (a bigint, b string)");
    let (day, plain) = (
        "/projects/prj/schemas/default/tables/DAY",
        "/projects/prj/tables/plain",
    );
    let body = fixture("arrow_multi_batch.bin");
    for (path, status, code) in [
        (
            format!("{day}?uploads=1&partition=ds%3D1"),
            404,
            "NoSuchPartition",
        ),
        (format!("{day}?uploads"), 400, "MissingPartitionSpec"),
        (
            format!("{day}?uploads&partition=dt%3D1"),
            400,
            "InvalidPartitionSpec",
        ),
        (
            format!("{plain}?uploads&partition=ds%3D1"),
            400,
            "InvalidPartitionSpec",
        ),
        (
            "/projects/prj/tables/none?uploads".to_owned(),
            404,
            "NoSuchTable",
        ),
        (
            "/projects/other/tables/plain?uploads".to_owned(),
            404,
            "NoSuchProject",
        ),
        (
            "/projects/prj/schemas/s/tables/plain?uploads".to_owned(),
            404,
            "NoSuchSchema",
        ),
        (format!("{plain}?uploadid=nope"), 404, "NoSuchUpload"),
    ] {
        let answer = server.post(&path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    let id = server.session(&format!(
        "{day}?uploads=&partition=ds='1'&create_partition=true&overwrite=true"
    ));
    let block = |rest: &str| format!("{day}?uploadid={id}&partition=ds=1{rest}");
    for (path, status, code) in [
        (block("&blockid=20000&arrow"), 400, "InvalidBlockID"),
        (block("&blockid=-1&arrow"), 400, "InvalidBlockID"),
        (block("&arrow"), 400, "InvalidBlockID"),
        (block("&blockid=0"), 400, "MalformedDataStream"),
        (
            block("&blockid=0&arrow&block_version=x"),
            400,
            "InvalidArgument",
        ),
        (
            format!("{day}?uploadid={id}&partition=ds=2&blockid=0&arrow"),
            400,
            "InvalidResourceSpec",
        ),
        (
            format!("{plain}?uploadid={id}&blockid=0&arrow"),
            400,
            "InvalidResourceSpec",
        ),
    ] {
        let answer = server.put(&path, "", &body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    assert_eq!(
        server.put(&block("&blockid=19999&arrow"), "", &body).status,
        200
    );
    server.restart().await;
    assert_eq!(server.blocks(&block("")), [(19_999, 3)]);
    // Asked twice, a commit says the same; then the session takes nothing more.
    for _ in 0..2 {
        let committed = server.post(&block(""));
        assert_eq!(
            (committed.status, committed.json()["Status"].as_str()),
            (200, Some("closed"))
        );
        assert_eq!(committed.json()["IsOverwrite"], true);
    }
    assert_eq!(server.count("day"), "3");
    let late = server.put(&block("&blockid=1&arrow"), "", &body);
    assert_eq!((late.status, late.code().as_str()), (409, "StatusConflict"));

    let stale = server.session(&format!("{plain}?uploads"));
    server.now_ms.fetch_add(24 * 3_600_000, Ordering::Relaxed);
    let path = format!("{plain}?uploadid={stale}");
    assert_eq!(server.get(&path).json()["Status"], "expired");
    assert_eq!(server.post(&path).code(), "StatusConflict");
    // A table that is created anew is another table.
    let session = server.session(&format!("{plain}?uploads"));
    server.ddl("drop table plain");
    server.ddl("create table plain (a bigint, b string)");
    assert_eq!(
        server.post(&format!("{plain}?uploadid={session}")).code(),
        "NoSuchUpload"
    );
}
