//! The first rows of tables and table partitions.

use arrow::ipc::reader::StreamReader;

use super::Server;

const TEXT: &str = "/api/projects/prj/tables/t?data";
const ARROW: &str = "/projects/prj/schemas/default/tables/t/preview?";

async fn server() -> Server {
    let server = Server::start().await;
    server.ddl("create table t (a bigint, b timestamp) partitioned by (ds string)");
    for (ds, rows) in [
        ("x y", "(1, timestamp '2026-11-22 01:02:03.5'), (2, null)"),
        ("z", "(3, null)"),
    ] {
        server.ddl(&format!(
            "insert into t partition (ds='{ds}') values {rows}"
        ));
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_as_text_and_in_arrow_form() {
    let server = server().await;
    let text = server
        .get(&format!("{TEXT}&linenum=10&partition=ds=%27z%27"))
        .text();
    assert_eq!(text, "\"a\",\"b\",\"ds\"\n\"3\",\\N,\"z\"\n");
    let chosen = server.get(&format!("{TEXT}&linenum=1&cols=ds,A&partition=ds=%27z%27"));
    assert_eq!(chosen.text(), "\"ds\",\"a\"\n\"z\",\"3\"\n");

    let rows = |parameters: &str| {
        let answer = server.get(&format!("{ARROW}{parameters}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let batches = StreamReader::try_new(answer.body.as_slice(), None).unwrap();
        let names: Vec<String> = batches
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let rows: usize = batches.map(|batch| batch.unwrap().num_rows()).sum();
        (names.join(" "), rows)
    };
    assert_eq!(rows("limit=-1"), ("a b".to_owned(), 3));
    assert_eq!(rows("limit=1&columns=B"), ("b".to_owned(), 1));
    assert_eq!(rows("limit=0"), ("a b".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_preview_can_show_is_refused() {
    let server = server().await;
    for (rest, code) in [
        ("linenum=many", "InvalidArgument"),
        ("linenum=1&cols=a,nope", "InvalidColumnSpec"),
        ("linenum=1&partition=ds=%27nope%27", "NoSuchPartition"),
        ("linenum=1&partition=nope=%271%27", "InvalidPartitionSpec"),
    ] {
        let answer = server.get(&format!("{TEXT}&{rest}")).text();
        assert!(answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
    }
}
