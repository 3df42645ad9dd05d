//! Many clients at once.

use std::thread;

use super::{Server, fixture};

const WRITERS: usize = 8;
const BLOCKS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_do_not_disturb_each_other() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint, b string) partitioned by (ds string)");
    let base = "/projects/prj/tables/t";
    let body = fixture("arrow_multi_batch.bin");
    let load = |writer: usize| {
        // Two writers share a partition: one session each, so that all rows are there in the end.
        let partition = format!("partition=ds={}", writer / 2);
        let id = server.session(&format!("{base}?uploads&{partition}&create_partition=true"));
        for block in 0..BLOCKS {
            let path = format!("{base}?uploadid={id}&{partition}&blockid={block}&arrow");
            let answer = server.put(&path, "", &body);
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let session = format!("{base}?uploadid={id}&{partition}");
        assert_eq!(server.blocks(&session).len(), BLOCKS);
        let committed = server.post(&session);
        assert_eq!(committed.status, 200, "{}", committed.text());
        // What it wrote, it can read, while others go on.
        let download = server.post(&format!("{base}?downloads&{partition}")).json();
        let rows = download["RecordCount"].as_u64().unwrap();
        assert!(rows == 18 || rows == 36, "{rows} rows");
        let download = download["DownloadID"].as_str().unwrap();
        // The other writer of the partition may have committed since.
        let data = "data&disable_modified_check=true";
        let path = format!("{base}?downloadid={download}&{partition}&{data}&rowrange=(0,{rows})");
        let answer = server.get(&path);
        assert!(
            answer.body.starts_with(&[0x08, 0x02, 0x12, 0x01, b'a']),
            "{}",
            answer.status
        );
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let load = &load;
            thread::Builder::new()
                .name(format!("writer {writer}"))
                .spawn_scoped(scope, move || load(writer))
                .unwrap();
        }
    });
    assert_eq!(server.count("t"), (WRITERS * BLOCKS * 3).to_string());
    assert_eq!(
        server.files(),
        WRITERS * BLOCKS + 1,
        "blocks, and the count's result"
    );
}
