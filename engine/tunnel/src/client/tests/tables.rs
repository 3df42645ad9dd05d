//! Operations on tables and table partitions.

use engine_model::ddl::DdlSpec;
use engine_model::{Column, ColumnType};

use super::server::{Reply, Server, answer};
use super::sql::{TERMINATED, status, submitted, task};
use super::*;
use crate::{ErrorKind, Missing};

fn three_level() -> TableName {
    TableName {
        schema: Some("s".into()),
        ..table()
    }
}

/// What a statement's result is read from.
fn statement(result: &str) -> [Reply; 4] {
    [
        submitted(),
        answer(200, TERMINATED),
        status("Success"),
        task(result),
    ]
}

#[tokio::test]
async fn a_table_and_a_table_partition_are_there_or_not() {
    let gone = |code: &str| answer(404, format!("<Error><Code>{code}</Code><Message/></Error>"));
    let server = Server::start([
        answer(200, "<Table/>"),
        answer(200, "<Partition/>"),
        gone("NoSuchObject"),
        gone("NoSuchPartition"),
        gone("NoSuchTable"),
        gone("NoSuchProject"),
        answer(403, ""),
    ])
    .await;
    let (client, _clock) = client(config(&server));
    let (table, partition, whole) = (three_level(), partition(), PartitionSpec::default());
    assert!(client.exists(&table, &whole).await.unwrap());
    assert!(client.exists(&table, &partition).await.unwrap());
    assert!(!client.exists(&table, &whole).await.unwrap());
    assert!(!client.exists(&table, &partition).await.unwrap());
    assert!(!client.exists(&table, &partition).await.unwrap());
    for kind in [
        ErrorKind::NotFound(Missing::Project),
        ErrorKind::PermissionDenied,
    ] {
        let error = client.exists(&table, &partition).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let base = "GET /api/projects/wire_prj/tables/t?curr_project=wire_prj&curr_schema=s";
    let of_partition = format!("{base}&partition=ds%3D%2720260302%27");
    assert_eq!(server.lines()[..2], [base.to_owned(), of_partition]);
}

#[tokio::test]
async fn table_partitions_are_listed_page_by_page() {
    let page = |marker: &str, day: &str| {
        answer(
            200,
            format!(
                "<Partitions><Marker>{marker}</Marker><Partition><Column Name=\"ds\" Value=\"{day}\"/></Partition></Partitions>"
            ),
        )
    };
    let server = Server::start([page("m 1", "1"), answer(500, ""), page("", "2")]).await;
    let (client, _clock) = client(config(&server));
    let found = client.partitions(&table()).await.unwrap();
    let days: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(days, ["ds=1", "ds=2"]);
    let base =
        "GET /api/projects/wire_prj/tables/t?curr_project=wire_prj&partitions&expectmarker=true";
    let second = format!("{base}&marker=m%201");
    assert_eq!(server.lines(), [base.to_owned(), second.clone(), second]);
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let page = || answer(200, "<Partitions><Marker>m</Marker></Partitions>");
    let server = Server::start((0..1_000).map(|_| page())).await;
    let error = client(config(&server))
        .0
        .partitions(&table())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(
        error
            .to_string()
            .ends_with("the list goes on after 1000 pages"),
        "{error}"
    );
}

#[tokio::test]
async fn tables_are_made_counted_and_dropped_by_sql() {
    let count = "<Result Format=\"csv\"><![CDATA[\"_c0\"\n42\n]]></Result>";
    let script = ["<Result/>", "<Result/>", "<Result/>", count, count].map(statement);
    let server = Server::start(script.into_iter().flatten()).await;
    let (client, _clock) = client(config(&server));
    let spec = DdlSpec {
        table: "t".into(),
        columns: vec![Column::new("id", ColumnType::BigInt)],
        partition_keys: vec![Column::new("ds", ColumnType::String)],
        lifecycle_days: 7,
    };
    client.create_table(&spec).await.unwrap();
    client.drop_table(&table()).await.unwrap();
    let error = client
        .drop_partition(&table(), &PartitionSpec::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    client
        .drop_partition(&three_level(), &partition())
        .await
        .unwrap();
    assert_eq!(
        client.count(&three_level(), &partition()).await.unwrap(),
        42
    );
    assert_eq!(
        client
            .count(&table(), &PartitionSpec::default())
            .await
            .unwrap(),
        42
    );
    assert_eq!(server.lines().len(), 20);
    let bodies = server
        .arrived()
        .into_iter()
        .filter(|arrived| arrived.line.starts_with("POST"));
    let bodies: Vec<_> = bodies
        .map(|arrived| String::from_utf8(arrived.body).unwrap())
        .collect();
    for (body, (sql, levels)) in bodies.iter().zip([
        ("CREATE TABLE IF NOT EXISTS `t` (", 2),
        ("DROP TABLE IF EXISTS `wire_prj`.`t`;", 2),
        (
            "ALTER TABLE `wire_prj`.`s`.`t` DROP IF EXISTS PARTITION (ds=&apos;20260302&apos;);",
            3,
        ),
        (
            "SELECT COUNT(*) FROM `wire_prj`.`s`.`t` WHERE ds=&apos;20260302&apos;;",
            3,
        ),
        ("SELECT COUNT(*) FROM `wire_prj`.`t`;", 2),
    ]) {
        assert!(body.contains(&format!("<Query>{sql}")), "{body}");
        // Three levels have to be switched on.
        assert_eq!(
            body.contains("odps.namespace.schema"),
            levels == 3,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_result_that_is_no_count_is_refused() {
    for result in [
        "<Result/>",
        "<Result Format=\"csv\"><![CDATA[\"a\"\nx\n]]></Result>",
    ] {
        let server = Server::start(statement(result)).await;
        let error = client(config(&server))
            .0
            .count(&table(), &partition())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(
            error
                .to_string()
                .contains("the result of instance i1 is no count"),
            "{error}"
        );
    }
}
