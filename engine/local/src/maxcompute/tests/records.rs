//! Blocks in the record form.

use serde_json::Value;

use super::{Server, fixture};

/// A table with the columns of a recorded body.
fn table(server: &Server, name: &str, recorded: &str) {
    let description: Value = serde_json::from_slice(&fixture(&format!("{recorded}.json"))).unwrap();
    let columns = description["columns"].as_array().unwrap().iter();
    let columns = columns.map(|column| {
        let (name, column_type) = (column["name"].as_str(), column["type"].as_str());
        format!("`{}` {}", name.unwrap(), column_type.unwrap())
    });
    let columns = columns.collect::<Vec<_>>().join(", ");
    server.ddl(&format!("create table {name} ({columns})"));
}

fn encoding(name: &str) -> String {
    format!("Content-Encoding: {name}\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_taken_in_every_codec_and_read_back() {
    let server = Server::start().await;
    table(&server, "t", "rec_kafka_like");
    let base = "/projects/prj/tables/t";
    let id = server.session(&format!("{base}?uploads"));
    for (block, (name, codec)) in [
        ("rec_kafka_like", ""),
        ("rec_kafka_like_zlib", "deflate"),
        ("rec_kafka_like_zstd", "zstd"),
        ("rec_kafka_like_snappy", "x-snappy-framed"),
        ("rec_kafka_like_lz4", "x-lz4-frame"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("{base}?uploadid={id}&blockid={block}");
        let answer = server.put(&path, &encoding(codec), &fixture(&format!("{name}.bin")));
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    }
    let reload = format!("{base}?uploadid={id}");
    assert_eq!(
        server.blocks(&reload),
        [(0, 200), (1, 200), (2, 200), (3, 200), (4, 200)]
    );
    assert_eq!(server.post(&reload).json()["Status"], "closed");
    let download = server.post(&format!("{base}?downloads")).json();
    assert_eq!(download["RecordCount"], 1_000);
    let read = |start: usize| {
        let download = download["DownloadID"].as_str().unwrap();
        let range = format!("rowrange=({start},200)");
        server
            .get(&format!("{base}?downloadid={download}&data&{range}"))
            .body
    };
    let first = read(0);
    assert!(first.len() > 10_000);
    for start in [200, 400, 600, 800] {
        assert!(read(start) == first, "rows from {start} on");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_records_leave_the_block_as_it_was() {
    let server = Server::start().await;
    table(&server, "t", "rec_all_types");
    let base = "/projects/prj/tables/t";
    let id = server.session(&format!("{base}?uploads"));
    let (block, reload) = (
        format!("{base}?uploadid={id}&blockid=7"),
        format!("{base}?uploadid={id}"),
    );
    let good = fixture("rec_all_types.bin");
    assert_eq!(server.put(&block, "", &good).status, 200);
    let mut wrong = good.clone();
    wrong[1] ^= 2;
    let cases: [(&[u8], &str); 8] = [
        (&wrong, ""),
        (&good[..good.len() - 1], ""),
        (&good[..20], ""),
        (b"", ""),
        (&good, "deflate"),
        (&good, "x-lz4-frame"),
        (&fixture("rec_strings.bin"), ""),
        (&fixture("arrow_all_types.bin"), ""),
    ];
    for (body, codec) in cases {
        let answer = server.put(&block, &encoding(codec), body);
        let code = answer.code();
        assert_eq!((answer.status, code.as_str()), (400, "MalformedDataStream"));
        assert_eq!(server.blocks(&reload), [(7, 2)]);
    }
    assert_eq!(server.files(), 1);
    assert_eq!(server.post(&reload).status, 200);
    // The other writer's rows come back in this server's own bytes, which are the same as far as decimals go.
    let (status, rows) = server.sql("select c_bigint, c_dec, c_json, c_map, c_struct from t");
    assert_eq!(status, "Success", "{rows}");
    let first = rows.lines().nth(1).unwrap();
    assert_eq!(
        first,
        "\"4\",\"1.100000000000000000\",\"{\"\"k\"\": 1}\",\"{\"\"k\"\":2}\",\"{\"\"a\"\":1,\"\"b\"\":null}\""
    );
    assert_eq!(rows.lines().nth(2), Some("\\N,\\N,\\N,\\N,\\N"));
}
