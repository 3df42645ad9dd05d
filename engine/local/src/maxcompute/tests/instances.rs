//! SQL instances.

use super::{Server, fixture};

#[tokio::test(flavor = "multi_thread")]
async fn instances_answer_what_they_are_asked() {
    let server = Server::start().await;
    let (status, text) = server.sql("select 'a\"b' x, null y, 1.5 z");
    assert_eq!(
        (status.as_str(), text.as_str()),
        ("Success", "\"x\",\"y\",\"z\"\n\"a\"\"b\",\\N,\"1.5\"\n")
    );
    let (status, text) = server.sql("select * from nowhere");
    assert_eq!(status, "Failed");
    assert_eq!(
        text,
        "ODPS-0130131:[1,15] Table not found - table prj.nowhere cannot be resolved"
    );
    assert_eq!(
        server
            .get("/api/projects/prj/instances/nope?taskstatus")
            .status,
        404
    );
    assert_eq!(server.post("/api/projects/prj/instances").status, 400);
    let path = "/projects/prj/instances/nope?downloads";
    assert_eq!(server.post(path).code(), "NoSuchObject");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_can_be_stopped() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint, b string)");
    let base = "/projects/prj/tables/t";
    let id = server.session(&format!("{base}?uploads"));
    let body = fixture("arrow_multi_batch.bin");
    for block in 0..40 {
        assert_eq!(
            server
                .put(
                    &format!("{base}?uploadid={id}&blockid={block}&arrow"),
                    "",
                    &body
                )
                .status,
            200
        );
    }
    assert_eq!(server.post(&format!("{base}?uploadid={id}")).status, 200);
    // 120^6 rows: it never ends by itself.
    let job = "<Instance><Job><Tasks><SQL><Name>T</Name><Query>select count(a.a + b.a + c.a + d.a + e.a + f.a) \
        from t a cross join t b cross join t c cross join t d cross join t e cross join t f</Query></SQL></Tasks></Job></Instance>";
    let submitted = server.request("POST", "/api/projects/prj/instances", "", job.as_bytes());
    let location = submitted.header("location").unwrap();
    let path = location.split_once("the.host:81").unwrap().1.to_owned();
    assert!(server.get(&path).text().contains("Running"));
    let stop = b"<Instance><Status>Terminated</Status></Instance>";
    assert_eq!(server.put(&path, "", stop).status, 200);
    assert!(
        server
            .get(&format!("{path}?taskstatus"))
            .text()
            .contains("<Status>Cancelled</Status>")
    );
    // Stopping the server waits for statements: this one must have been interrupted.
    server.running.unwrap().stop().await;
}
