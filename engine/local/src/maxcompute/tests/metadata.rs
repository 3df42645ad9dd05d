//! What describes projects, tables and table partitions.

use super::Server;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "a table of cases")]
async fn metadata_has_what_clients_insist_on() {
    let server = Server::start().await;
    server.ddl("create table t (a bigint comment '<&>') partitioned by (ds string, hh string)");
    server.ddl("alter table t add partition (ds='1', hh='2') partition (ds='1', hh='3') partition (ds='2', hh='2')");
    let project = server.get("/api/projects/PRJ");
    for header in [
        "x-odps-owner",
        "x-odps-creation-time",
        "last-modified",
        "x-odps-request-id",
    ] {
        assert!(project.header(header).is_some(), "{header}");
    }
    assert!(project.text().contains("<Properties>"));
    assert_eq!(
        server.get("/api/projects/prj/tunnel?service").text(),
        "the.host:81"
    );
    assert_eq!(server.put("/api/projects/prj/logs", "", b"x").status, 200);
    assert_eq!(
        server.get("/api/tenants").json()["Tenant"]["Parameters"],
        serde_json::json!({})
    );
    let table = server.get("/api/projects/prj/tables/T?extended").text();
    for part in [
        "\"Reserved\"",
        "<CreationTime>Mon, 02 Mar 2026 03:04:05 GMT</CreationTime>",
        "\"comment\":\"<&>\"",
    ] {
        assert!(table.contains(part), "{part}: {table}");
    }
    let missing = server.get("/api/projects/prj/tables/none");
    assert_eq!(missing.status, 404);
    for part in [
        "<Code>NoSuchTable</Code>",
        "<Message>",
        "<RequestId>2",
        "<HostId>the.host:81</HostId>",
    ] {
        assert!(missing.text().contains(part), "{part}");
    }
    let page = server
        .get("/api/projects/prj/tables/t?partitions&expectmarker=true&maxitems=2")
        .text();
    assert!(
        page.contains("<Marker>2</Marker>") && page.matches("<Partition>").count() == 2,
        "{page}"
    );
    let rest = server
        .get("/api/projects/prj/tables/t?partitions&marker=2&maxitems=2")
        .text();
    assert!(
        rest.contains("<Marker/>") && rest.contains("<Column Name=\"ds\" Value=\"2\"/>"),
        "{rest}"
    );
    let named = server
        .get("/api/projects/prj/tables/t?partitions&name&partition=ds=%271%27")
        .text();
    assert!(
        named.contains("<Name>ds=1/hh=2</Name>") && !named.contains("ds=2"),
        "{named}"
    );
    let one = "/api/projects/prj/tables/t?partition=ds%3D%271%27%2Chh%3D%272%27";
    assert_eq!(server.get(one).status, 200);
    assert!(
        server
            .get(&one.replace("%272", "%279"))
            .text()
            .contains("NoSuchPartition")
    );
    assert!(
        server
            .get("/api/projects/prj/tables?expectmarker=true")
            .text()
            .contains("<Marker/>")
    );
    assert!(
        server
            .get("/api/projects/prj/schemas")
            .text()
            .contains("<Name>default</Name>")
    );
    assert_eq!(server.get("/nowhere").status, 400);
    for path in ["/api/projects/prj/tables/t", "/api/projects/prj"] {
        let answer = server.request("DELETE", path, "", b"");
        assert_eq!(answer.status, 405);
        assert!(
            answer.text().contains("<Code>MethodNotAllowed</Code>"),
            "{path}"
        );
    }
}
