//! Faults on request, over HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::{Server, fixture, parse};
use crate::maxcompute::{Fault, Route};

/// All bytes of the answer, up to the end of the connection, however that ends.
fn bytes(server: &Server, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    // The server may cut the connection before everything is sent.
    drop(stream.write_all(request));
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
    }
    bytes
}

fn head(method: &str, path: &str, rest: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{rest}\r\n").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_happen_where_they_are_wanted() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint, b string)");
    let base = "/projects/prj/tables/t";
    let faults = &server.faults;
    faults.add(
        Fault::answer(Route::CreateUpload, 429, "FlowExceeded")
            .header("retry-after", "3")
            .times(2),
    );
    for _ in 0..2 {
        let refused = server.post(&format!("{base}?uploads"));
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (429, "FlowExceeded")
        );
        assert_eq!(refused.header("retry-after"), Some("3"));
        assert!(refused.header("x-odps-request-id").is_some());
    }
    let id = server.session(&format!("{base}?uploads"));
    let (block, reload) = (
        format!("{base}?uploadid={id}&blockid=0&arrow"),
        format!("{base}?uploadid={id}"),
    );
    let body = fixture("arrow_multi_batch.bin");
    let length = format!("Content-Length: {}\r\n", body.len());
    let put = [head("PUT", &block, &length), body.clone()].concat();

    // The body's first bytes arrive, and nothing of them is kept.
    faults.add(Fault::cut_request(Route::PutBlock, 100));
    faults.add(Fault::cut_request(Route::PutBlock, 0));
    for _ in 0..2 {
        assert_eq!(bytes(&server, &put), b"");
        assert_eq!(server.blocks(&reload), []);
    }
    // The block is stored, but nobody says so.
    faults.add(Fault::lose_answer(Route::PutBlock));
    assert_eq!(bytes(&server, &put), b"");
    assert_eq!(server.blocks(&reload), [(0, 3)]);

    faults.add(Fault::lose_answer(Route::Commit));
    assert_eq!(bytes(&server, &head("POST", &reload, "")), b"");
    assert_eq!(server.get(&reload).json()["Status"], "closed");
    assert_eq!(server.count("t"), "3");
    assert_eq!(faults.left(), 0);

    // The same commit again, in an answer that is cut; then whole, for it has not that many bytes.
    for (limit, whole) in [(10, false), (100_000, true)] {
        faults.add(Fault::cut_answer(Route::Commit, limit));
        let answer = bytes(&server, &head("POST", &reload, ""));
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", answer.len());
        assert_eq!(answer.ends_with(b"0\r\n\r\n"), whole);
    }
    assert_eq!(
        (faults.calls(Route::Commit), faults.calls(Route::PutBlock)),
        (3, 3)
    );
    let xml = server.get("/api/projects/prj");
    faults.add(Fault::answer(Route::Project, 503, "ServiceUnavailable"));
    let refused = server.get("/api/projects/prj");
    assert_eq!((xml.status, refused.status), (200, 503));
    assert!(refused.text().contains("<Code>ServiceUnavailable</Code>"));
    faults.add(Fault::delay(Route::Metadata, Duration::from_millis(1)));
    assert_eq!(server.get("/api/projects/prj/tables/t").status, 200);
    assert_eq!(faults.left(), 0);
    assert_eq!(
        parse(&bytes(&server, &head("GET", &reload, ""))).status,
        200
    );
}
