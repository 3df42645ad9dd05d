use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use engine::local::{LocalKafka, LocalKafkaConfig};
use tests::cache::{cached, class_path, root};
use tests::embedded::EmbeddedBroker;
use tests::job::{JobFile, mapped_columns, wider_table_ddl};
use tests::loader::Loader;
use tests::messages::{GeneratedMessage, MessageKind, MessagePlan};
use tests::produce::produce;
use tests::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server, TOKEN};
use tests::truth::{Reader, TableRequest, TableTruth, table_truth};
use tests::values::{ValueColumn, message, value_columns};

#[track_caller]
fn assert_passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}\n{}",
        said(&output.stdout),
        said(&output.stderr)
    );
}

/// `tests/sdk/pyodps`, before what it should check.
fn python(server: &Server) -> Command {
    let mut command = Command::new(cached("venv/bin/python"));
    command
        .arg(root().join("tests/sdk/pyodps"))
        .args([server.endpoint(), PROJECT, ACCESS_ID, ACCESS_SECRET])
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// `tests/sdk/odps-java`, likewise.
fn java(server: &Server) -> Command {
    let mut command = Command::new("java");
    command
        // The Arrow of the SDK manages memory of its own.
        .arg("--add-opens=java.base/java.nio=ALL-UNNAMED")
        .arg("-cp")
        .arg(class_path("odps-java"))
        .arg("OdpsCheck")
        .args([server.endpoint(), PROJECT, ACCESS_ID, ACCESS_SECRET])
        .arg(values());
    command
}

/// Values of every type, which both clients write and read.
fn values() -> PathBuf {
    root().join("tests/sdk/values.json")
}

#[test]
fn alibabas_python_client_takes_our_server_for_the_service() {
    let server = Server::start();
    assert_passes(&mut python(&server));
}

#[test]
fn alibabas_java_client_takes_our_server_for_the_service() {
    let server = Server::start();
    assert_passes(&mut java(&server));
}

#[test]
fn alibabas_clients_need_the_token_of_a_temporary_key() {
    let server = Server::start_with_token();
    let check = format!("token:{TOKEN}");
    assert_passes(python(&server).arg(&check));
    assert_passes(java(&server).arg(&check));
}

/// Python writes records and Java Arrow; each reads the other's in both forms.
#[test]
fn alibabas_clients_read_what_the_other_wrote() {
    let server = Server::start();
    assert_passes(python(&server).arg("fill"));
    assert_passes(java(&server).arg("fill"));
    assert_passes(python(&server).arg("values:java_filled"));
    assert_passes(java(&server).arg("values:pyodps_filled"));
}

/// Types of columns that this job leaves NULL. JSON is not among them: PyODPS reads no table in Arrow form
/// that has such a column.
const UNMAPPED: [&str; 13] = [
    "TINYINT",
    "SMALLINT",
    "INT",
    "FLOAT",
    "VARCHAR(20)",
    "CHAR(3)",
    "BINARY",
    "DATE",
    "TIMESTAMP_NTZ",
    "DECIMAL(38,0)",
    "ARRAY<BIGINT>",
    "MAP<STRING,BIGINT>",
    "STRUCT<a:BIGINT,b:ARRAY<STRING>>",
];

/// Loads a window of the embedded broker with our program and reads it back with both clients, in both forms.
#[test]
fn alibabas_clients_read_what_our_program_loaded() {
    let broker = EmbeddedBroker::start(3);
    let plan = MessagePlan::new(20_261_125, 6_000);
    produce(&broker.client(), "orders", plan.messages());
    let loader = Loader::with_table();
    let window = plan.start_ms + 3_600_000..plan.start_ms + plan.span_ms;
    let job = JobFile {
        more: "rejects: 1%".to_owned(),
        ..JobFile::new(
            broker.bootstrap(),
            "orders",
            loader.server.endpoint(),
            window,
        )
    };
    let expected = loader.topic_truth(&job, broker.bootstrap()).table;
    assert!(expected.rows > 5_000, "{expected:#?}");
    let columns = mapped_columns();
    let columns: Vec<String> = columns
        .iter()
        .map(|column| column["column"].as_str().unwrap().to_owned())
        .collect();
    for form in BLOCK_FORMS {
        loader.server.sql("DROP TABLE orders;");
        let ddl = wider_table_ddl("orders", &["ds"], &UNMAPPED);
        loader.server.sql(&ddl);
        let job = JobFile {
            maxcompute: form.to_owned(),
            ..job.clone()
        };
        loader.run(&job).json();
        assert_read_back(&loader, &columns, &expected, form);
    }
}

/// Every type with its extreme values, from JSON messages by our program to both clients, in both forms.
#[test]
fn alibabas_clients_read_every_type_as_it_was_produced() {
    let broker = EmbeddedBroker::start(1);
    let columns = value_columns();
    let rows = columns[0].values.len();
    let start_ms = 1_795_276_800_000;
    let messages = (0..).take(rows).map(|row| {
        let (key, payload) = message(&columns, row);
        GeneratedMessage {
            partition: 0,
            timestamp_ms: start_ms,
            key,
            payload: Some(payload.into_bytes()),
            headers: Vec::new(),
            kind: MessageKind::Order,
        }
    });
    produce(&broker.client(), "values", messages);
    let loader = Loader::with_table();
    let declared = columns
        .iter()
        .map(|column| format!("`{}` {}", column.name, column.column_type));
    let declared = declared.collect::<Vec<_>>().join(", ");
    for (table, form) in ["our_arrow", "our_records"].into_iter().zip(BLOCK_FORMS) {
        loader
            .server
            .sql(&format!("CREATE TABLE {table} ({declared});"));
        let job = JobFile {
            kafka: "key: bytes".to_owned(),
            table: table.to_owned(),
            maxcompute: form.to_owned(),
            partition: String::new(),
            columns: columns.iter().map(ValueColumn::job_line).collect(),
            ..JobFile::new(
                broker.bootstrap(),
                "values",
                loader.server.endpoint(),
                start_ms..start_ms + 1,
            )
        };
        loader.run(&job).json();
        assert_passes(python(&loader.server).arg(format!("values:{table}")));
        assert_passes(java(&loader.server).arg(format!("values:{table}")));
    }
}

/// What jobs say of the form of their blocks.
const BLOCK_FORMS: [&str; 2] = ["", "block_format: record, compression: zstd"];

#[track_caller]
fn assert_read_back(loader: &Loader, columns: &[String], expected: &TableTruth, form: &str) {
    for reader in Reader::ALL {
        let found = table_truth(&TableRequest {
            endpoint: loader.server.endpoint(),
            project: PROJECT,
            access_id: ACCESS_ID,
            access_secret: ACCESS_SECRET,
            table: "orders",
            partition: Some("ds=20261122"),
            columns,
            reader,
        });
        assert_eq!(&found, expected, "{reader:?}, {form:?}");
    }
    for number in 0..UNMAPPED.len() {
        let filled = format!("WHERE unmapped_{number} IS NOT NULL");
        assert_eq!(loader.server.count("orders", &filled), 0, "{filled}");
    }
}

#[test]
fn apaches_java_clients_take_our_broker_for_kafka() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = LocalKafka::start(LocalKafkaConfig {
        data: folder.path().to_owned(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        advertised_host: None,
    });
    let kafka = kafka.unwrap();
    let mut java = Command::new("java");
    java.arg("-cp")
        .arg(class_path("kafka-java"))
        .arg("BrokerCheck")
        .arg(kafka.brokers());
    assert_passes(&mut java);
    kafka.shutdown();
}
