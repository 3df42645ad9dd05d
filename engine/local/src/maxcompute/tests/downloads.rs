//! Download sessions.

use std::io::Read as _;

use super::{Server, fixture};

const BASE: &str = "/projects/prj/tables/t";

/// Loads three rows; `overwrite` goes with the request for the session.
fn load(server: &Server, overwrite: &str) {
    let id = server.session(&format!("{BASE}?uploads{overwrite}"));
    let body = fixture("arrow_multi_batch.bin");
    let block = format!("{BASE}?uploadid={id}&blockid=0&arrow");
    assert_eq!(server.put(&block, "", &body).status, 200);
    assert_eq!(server.post(&format!("{BASE}?uploadid={id}")).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_kept_over_a_restart_and_a_download_reads_one_moment() {
    let mut server = Server::start().await;
    server.ddl("create table t (a bigint, b string)");
    load(&server, "");
    let download = server.post(&format!("{BASE}?downloads")).json();
    assert_eq!(download["RecordCount"], 3);
    let id = download["DownloadID"].as_str().unwrap();
    load(&server, "&overwrite=true");
    load(&server, "");
    server.restart().await;
    assert_eq!(server.count("t"), "6");
    let checked = format!("{BASE}?downloadid={id}&data&rowrange=(0,3)");
    let modified = server.get(&checked);
    assert_eq!(
        (modified.status, modified.code().as_str()),
        (412, "TableModified")
    );
    let data =
        |rest: &str| format!("{BASE}?downloadid={id}&data&disable_modified_check=true&{rest}");
    let records = server.get(&data("rowrange=(0,3)"));
    assert_eq!(
        (records.status, records.header("content-encoding")),
        (200, None)
    );
    assert!(
        records.body.starts_with(&[0x08, 0x02, 0x12, 0x01, b'a']),
        "{:?}",
        records.body
    );
    // Columns are numbered as they were asked for.
    let swapped = server.get(&data("rowrange=(0,1)&columns=b,A"));
    assert!(
        swapped.body.starts_with(&[0x0a, 0x01, b'a', 0x10, 0x02]),
        "{:?}",
        swapped.body
    );
    let past_end = server.get(&data("rowrange=(7,3)"));
    assert_eq!(
        past_end.body,
        [0xf0, 0xff, 0xff, 0x7f, 0x00, 0xf8, 0xff, 0xff, 0x7f, 0x00]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_packed_as_asked_and_refuses_what_is_no_range_or_column() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint, b string)");
    load(&server, "");
    let id = server.post(&format!("{BASE}?downloads")).json();
    let id = id["DownloadID"].as_str().unwrap();
    let data = |rest: &str| format!("{BASE}?downloadid={id}&data&{rest}");
    let records = server.get(&data("rowrange=(0,3)"));
    for (rest, code) in [
        ("rowrange=3", "InvalidRowRange"),
        ("rowrange=(0,-1)", "InvalidRowRange"),
        ("rowrange=(0,1)&columns=z", "InvalidColumnSpec"),
    ] {
        assert_eq!(server.get(&data(rest)).code(), code, "{rest}");
    }
    let deflated = server.request(
        "GET",
        &data("rowrange=(0,3)"),
        "Accept-Encoding: deflate\r\n",
        b"",
    );
    assert_eq!(deflated.header("content-encoding"), Some("deflate"));
    let mut plain = Vec::new();
    flate2::read::ZlibDecoder::new(deflated.body.as_slice())
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, records.body);
    assert_eq!(
        server.get(&format!("{BASE}?downloadid=nope")).code(),
        "NoSuchDownload"
    );
}
