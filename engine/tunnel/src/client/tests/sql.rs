//! SQL statements from submission to result.

use super::server::{Reply, Server, answer};
use super::*;
use crate::{ErrorKind, Missing};

const RUNNING: &str = "<Instance><Status>Running</Status></Instance>";
pub(super) const TERMINATED: &str = "<Instance><Status>Terminated</Status></Instance>";

pub(super) fn submitted() -> Reply {
    answer(201, "").with("Location", "http://host/api/projects/wire_prj/instances/i1")
}

pub(super) fn task(inner: &str) -> Reply {
    answer(
        200,
        format!("<Instance><Tasks><Task><Name>N</Name>{inner}</Task></Tasks></Instance>"),
    )
}

pub(super) fn status(status: &str) -> Reply {
    task(&format!("<Status>{status}</Status>"))
}

#[tokio::test]
async fn a_statement_runs_to_its_rows() {
    let server = Server::start([
        submitted(),
        answer(200, RUNNING),
        answer(200, RUNNING),
        answer(200, TERMINATED),
        status("Success"),
        task("<Result Format=\"csv\"><![CDATA[\"n\",\"s\"\n3,\\N\n]]></Result>"),
    ])
    .await;
    let (client, clock) = client(config(&server));
    let result = client.execute("SELECT '<a>';").await.unwrap();
    assert_eq!(result.instance, "i1");
    assert_eq!(result.header, ["n", "s"]);
    assert_eq!(result.rows, [[Some("3".to_owned()), None]]);
    assert_eq!(
        clock.waits(),
        [Duration::from_millis(100), Duration::from_millis(200)]
    );
    let instance = "GET /api/projects/wire_prj/instances/i1?curr_project=wire_prj";
    assert_eq!(
        server.lines(),
        [
            "POST /api/projects/wire_prj/instances?curr_project=wire_prj".to_owned(),
            instance.to_owned(),
            instance.to_owned(),
            instance.to_owned(),
            format!("{instance}&taskstatus"),
            format!("{instance}&result"),
        ]
    );
    let body = String::from_utf8(server.arrived()[0].body.clone()).unwrap();
    assert!(
        body.contains("<Query>SELECT &apos;&lt;a&gt;&apos;;</Query>"),
        "{body}"
    );
    assert_eq!(
        server.arrived()[0].header("content-type"),
        Some("application/xml")
    );
}

#[tokio::test]
async fn a_text_has_a_row_for_each_line() {
    let result = "<Result Format=\"text\"><![CDATA[ds=1\nds=2\n]]></Result>";
    let server = Server::start([
        submitted(),
        answer(200, TERMINATED),
        status("Success"),
        task(result),
    ])
    .await;
    let result = client(config(&server))
        .0
        .execute("SHOW PARTITIONS t")
        .await
        .unwrap();
    assert!(result.header.is_empty());
    assert_eq!(
        result.rows,
        [[Some("ds=1".to_owned())], [Some("ds=2".to_owned())]]
    );
}

#[tokio::test]
async fn a_failed_statement_tells_why() {
    for (text, kind, expected) in [
        (
            "ODPS-0130161:[1,1] Parse exception - bad",
            ErrorKind::Sql,
            "cannot run the SQL statement (instance i1): ODPS-0130161:[1,1] Parse exception - bad",
        ),
        (
            "FAILED: ODPS-0130131:[1,13] Table not found",
            ErrorKind::NotFound(Missing::Table),
            "cannot run the SQL statement (instance i1): the table does not exist: ODPS-0130131:[1,13] Table not found",
        ),
        (
            "strange",
            ErrorKind::Sql,
            "cannot run the SQL statement (instance i1): strange",
        ),
    ] {
        let result = task(&format!(
            "<Result Format=\"text\"><![CDATA[{text}]]></Result>"
        ));
        let server = Server::start([
            submitted(),
            answer(200, TERMINATED),
            status("Failed"),
            result,
        ])
        .await;
        let error = client(config(&server))
            .0
            .execute("SELEC 1")
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{text}");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn a_cancelled_or_endless_statement_is_an_error() {
    let server = Server::start([
        submitted(),
        answer(200, TERMINATED),
        status("Cancelled"),
        task("<Result/>"),
    ])
    .await;
    let error = client(config(&server))
        .0
        .execute("SELECT 1")
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot run the SQL statement (instance i1): it was cancelled"
    );

    let mut script = vec![submitted()];
    script.extend((0..5).map(|_| answer(200, RUNNING)));
    let server = Server::start(script).await;
    let mut config = config(&server);
    config.timeouts.statement = Duration::from_secs(1);
    let error = client(config).0.execute("SELECT 1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "cannot run the SQL statement (instance i1): it still runs after 1 s"
    );
}

#[tokio::test]
async fn a_statement_that_may_have_been_submitted_is_not_submitted_again() {
    for lost in [answer(500, ""), Reply::Cut] {
        let server = Server::start([lost]).await;
        let error = client(config(&server))
            .0
            .execute("INSERT INTO t SELECT 1")
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Server | ErrorKind::Disconnected),
            "{error}"
        );
        assert_eq!(server.lines().len(), 1);
    }
    // Nor is one that a server that never answered is silent about, though it counts as out of reach.
    let server = Server::start([Reply::Hang]).await;
    let mut impatient = config(&server);
    impatient.timeouts.answer = Duration::from_millis(50);
    let error = client(impatient)
        .0
        .execute("INSERT INTO t SELECT 1")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(server.lines().len(), 1);

    // One that the server surely didn't take is.
    let server = Server::start([
        answer(503, ""),
        answer(429, ""),
        submitted(),
        answer(200, TERMINATED),
        status("Success"),
        task("<Result/>"),
    ])
    .await;
    client(config(&server))
        .0
        .execute("INSERT INTO t SELECT 1")
        .await
        .unwrap();
    assert_eq!(server.lines().len(), 6);
}

#[tokio::test]
async fn a_table_partition_is_created_by_sql_that_may_be_repeated() {
    let server = Server::start([
        Reply::Cut,
        submitted(),
        answer(200, TERMINATED),
        status("Success"),
        task("<Result/>"),
    ])
    .await;
    let (client, _clock) = client(config(&server));
    let mut table = table();
    table.schema = Some("s".into());
    table.table = "odd`name".into();
    client.create_partition(&table, &partition()).await.unwrap();
    assert_eq!(server.lines().len(), 5);
    let body = String::from_utf8(server.arrived()[1].body.clone()).unwrap();
    let sql = "ALTER TABLE `wire_prj`.`s`.`odd``name` ADD IF NOT EXISTS PARTITION (ds=&apos;20260302&apos;);";
    assert!(body.contains(sql), "{body}");
    // A table without partition keys needs none.
    client
        .create_partition(&table, &PartitionSpec::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_answer_without_an_instance_is_refused() {
    let server = Server::start([answer(201, "")]).await;
    let error = client(config(&server))
        .0
        .execute("SELECT 1")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("no Location"), "{error}");
}

#[tokio::test]
async fn only_success_is_success() {
    let server = Server::start([submitted(), answer(200, TERMINATED), status("Suspended")]).await;
    let error = client(config(&server))
        .0
        .create_partition(&table(), &partition())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error
            .to_string()
            .contains("the status of its task is `Suspended`"),
        "{error}"
    );
    assert_eq!(server.lines().len(), 3);
}
