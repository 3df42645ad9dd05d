//! Tables and table partitions.

use engine_model::ddl::DdlSpec;
use engine_model::{Column, ColumnType, PartitionSpec, TableName};
use engine_tunnel::{ErrorKind, Missing};

use super::{Context, refused, spec};
use crate::rows::{COLUMNS, Rows};

/// Columns, their types and the partition keys come back as they were declared.
pub(super) async fn tables_are_described(context: &Context) {
    let declared = [
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL(38,18)",
        "DECIMAL(10,2)",
        "STRING",
        "VARCHAR(20)",
        "CHAR(3)",
        "BINARY",
        "BOOLEAN",
        "DATE",
        "DATETIME",
        "TIMESTAMP",
        "TIMESTAMP_NTZ",
        "JSON",
        "ARRAY<BIGINT>",
        "MAP<STRING,BIGINT>",
        "STRUCT<a:BIGINT,b:ARRAY<STRING>>",
    ];
    let columns = declared.iter().enumerate();
    let columns: Vec<String> = columns
        .map(|(number, text)| format!("c{number} {text}"))
        .collect();
    let columns = columns.join(", ");
    let shape = format!("({columns}) PARTITIONED BY (ds STRING, hh BIGINT) LIFECYCLE 7");
    let table = context.create("described", &shape).await;
    let found = context.client.table_columns(&table).await.unwrap();
    let types: Vec<&ColumnType> = found
        .columns
        .iter()
        .map(|column| &column.column_type)
        .collect();
    let expected: Vec<ColumnType> = declared.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(types, expected.iter().collect::<Vec<_>>());
    let keys: Vec<&str> = found
        .partition_keys
        .iter()
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(keys, ["ds", "hh"]);
    let partition = spec(&[("ds", "20261122"), ("hh", "8")]);
    context
        .client
        .create_partition(&table, &partition)
        .await
        .unwrap();
    let session = context.open(&table, &partition, false).await;
    assert_eq!(session.columns.columns, found.columns);
    context.drop(&table).await;
}

/// Tables and table partitions are made, listed and dropped, each once or as often as one likes.
pub(super) async fn tables_and_table_partitions_come_and_go(context: &Context) {
    let client = &context.client;
    let table = context.table("come_and_go");
    let whole = PartitionSpec::default();
    context.drop(&table).await;
    assert!(!client.exists(&table, &whole).await.unwrap());
    let columns = vec![Column::new("id", ColumnType::BigInt)];
    let definition = DdlSpec {
        table: table.table.clone(),
        columns,
        partition_keys: vec![Column::new("ds", ColumnType::String)],
        lifecycle_days: 7,
    };
    for _ in 0..2 {
        client.create_table(&definition).await.unwrap();
        assert!(client.exists(&table, &whole).await.unwrap());
    }
    let days: Vec<PartitionSpec> = ["20261121", "20261122", "20261123"]
        .map(|day| spec(&[("ds", day)]))
        .into();
    for day in &days {
        assert!(!client.exists(&table, day).await.unwrap());
        client.create_partition(&table, day).await.unwrap();
        assert!(client.exists(&table, day).await.unwrap());
    }
    assert_eq!(client.partitions(&table).await.unwrap(), days);
    for _ in 0..2 {
        client.drop_partition(&table, &days[1]).await.unwrap();
        assert!(!client.exists(&table, &days[1]).await.unwrap());
    }
    let left = [days[0].clone(), days[2].clone()];
    assert_eq!(client.partitions(&table).await.unwrap(), left);
    for _ in 0..2 {
        client.drop_table(&table).await.unwrap();
        assert!(!client.exists(&table, &whole).await.unwrap());
    }
    refused(
        client.partitions(&table).await,
        ErrorKind::NotFound(Missing::Table),
    );
}

/// A project, a table and a table partition that aren't there are named as what they are.
pub(super) async fn missing_things_are_told_apart(context: &Context) {
    let client = &context.client;
    client.check_access().await.unwrap();
    let shape = format!("{COLUMNS} PARTITIONED BY (ds STRING)");
    let table = context.create("missing", &shape).await;
    let absent = context.table("absent");
    let whole = PartitionSpec::default();
    let day = spec(&[("ds", "20261122")]);
    let no_table = ErrorKind::NotFound(Missing::Table);
    refused(client.table_columns(&absent).await, no_table);
    refused(
        client.create_upload_session(&absent, &whole, false).await,
        no_table,
    );
    refused(client.row_count(&absent, &whole).await, no_table);
    refused(client.create_partition(&absent, &day).await, no_table);
    let query = format!("SELECT * FROM {absent};");
    refused(client.execute(&query).await, no_table);
    let no_partition = ErrorKind::NotFound(Missing::Partition);
    refused(
        client.create_upload_session(&table, &day, false).await,
        no_partition,
    );
    refused(client.row_count(&table, &day).await, no_partition);
    refused(client.execute("SELECT FROM WHERE;").await, ErrorKind::Sql);
    context.drop(&table).await;
}

/// A commit with overwrite replaces its own table partition only.
pub(super) async fn table_partitions_are_apart(context: &Context) {
    let shape = format!("{COLUMNS} PARTITIONED BY (ds STRING, hh STRING)");
    let table = context.create("apart", &shape).await;
    let first = spec(&[("ds", "20261122"), ("hh", "08")]);
    let second = spec(&[("ds", "20261122"), ("hh", "09")]);
    for partition in [&first, &second] {
        let made = context.client.create_partition(&table, partition).await;
        made.unwrap();
        context
            .load(&table, partition, false, &Rows::of(0..3))
            .await;
    }
    context.load(&table, &first, true, &Rows::of(5..7)).await;
    assert_eq!(context.ids(&table, &first).await, [5, 6]);
    assert_eq!(context.ids(&table, &second).await, [0, 1, 2]);
    let query = format!("SELECT COUNT(*) FROM {table} WHERE ds = 20261122;");
    assert_eq!(context.sql(&query).await, [[Some("5".to_owned())]]);
    context.drop(&table).await;
}

/// Making a table partition again changes nothing.
pub(super) async fn table_partitions_are_made_once(context: &Context) {
    let shape = format!("{COLUMNS} PARTITIONED BY (ds STRING)");
    let table = context.create("made", &shape).await;
    let day = spec(&[("ds", "20261122")]);
    let create = async || context.client.create_partition(&table, &day).await.unwrap();
    create().await;
    context.load(&table, &day, false, &Rows::of(0..2)).await;
    create().await;
    assert_eq!(context.ids(&table, &day).await, [0, 1]);
    context.drop(&table).await;
}

/// A session needs a value for every partition key, and none of a table without.
pub(super) async fn all_levels_are_needed(context: &Context) {
    let shape = format!("{COLUMNS} PARTITIONED BY (ds STRING, hh STRING)");
    let table = context.create("levels", &shape).await;
    let plain = context.create("plain", COLUMNS).await;
    for (table, partition) in [
        (&table, PartitionSpec::default()),
        (&table, spec(&[("ds", "20261122")])),
        (&table, spec(&[("nope", "20261122"), ("hh", "08")])),
        (&plain, spec(&[("ds", "20261122")])),
    ] {
        let session = context
            .client
            .create_upload_session(table, &partition, false);
        refused(session.await, ErrorKind::InvalidRequest);
    }
    context.drop(&table).await;
    context.drop(&plain).await;
}

/// A table is the same under `project.schema.table`, where there are schemas.
pub(super) async fn names_with_three_levels_work(context: &Context) {
    let Some(schema) = &context.schema else {
        return;
    };
    let table = context.create("levelled", COLUMNS).await;
    let spelled = TableName {
        schema: Some(schema.to_uppercase()),
        table: table.table.to_uppercase(),
        ..table.clone()
    };
    let whole = PartitionSpec::default();
    context.load(&spelled, &whole, false, &Rows::of(0..3)).await;
    assert_eq!(context.ids(&table, &whole).await, [0, 1, 2]);
    let found = context.client.table_columns(&spelled).await.unwrap();
    assert_eq!(found.columns.len(), 2);
    context.drop(&table).await;
}
