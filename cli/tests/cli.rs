//! The program from outside: exit codes and what goes where.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is how a test fails"
)]

use std::fs;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const JOB: &str = r#"
job: orders_daily
time_zone: Asia/Shanghai
source: { kafka: { brokers: ["127.0.0.1:1"], topic: orders } }
window: { start: "${day}000000", end: "${dayAfter}000000" }
destination:
  maxcompute:
    { endpoint: "http://127.0.0.1:1/api", project: shop, access_id: id, access_secret: "${env.SECRET}",
      table: orders, partition: { ds: "${day}" } }
columns: { order_id: order.id }
parameters: { day: "$[yyyymmdd-1]", dayAfter: "$[yyyymmdd]" }
"#;

/// Both servers at once, and each alone: they say where they are, and end when asked.
#[test]
fn servers_say_where_they_serve_and_end_when_asked() {
    let home = Home::with_job(JOB);
    let free = ["--kafka-port", "0", "--maxcompute-port", "0"];
    let listen = ["--listen", "127.0.0.1:0"];
    for (arguments, brokers, endpoint) in [
        ([&["local"][..], &free].concat(), true, true),
        ([&["local", "kafka"][..], &listen].concat(), true, false),
        (
            [&["local", "maxcompute"][..], &listen].concat(),
            false,
            true,
        ),
    ] {
        let mut command = home.command(&[&arguments[..], &["--data", "data", "--json"]].concat());
        let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
        let said = serde_json::Deserializer::from_reader(server.stdout.take().unwrap());
        let said: Value = said.into_iter().next().unwrap().unwrap();
        assert_eq!(said["brokers"].is_string(), brokers, "{said}");
        assert_eq!(said["endpoint"].is_string(), endpoint, "{said}");
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        assert_eq!(server.wait().unwrap().code(), Some(0), "{arguments:?}");
    }
    let nowhere = home.run(&["local"]);
    assert_eq!(nowhere.code, Some(2));
    assert!(nowhere.err.contains("--data <DIR>"), "{}", nowhere.err);
}

/// A folder with a job file, which is the home of the programs that run there.
struct Home(TempDir);

impl Home {
    fn with_job(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("orders.yaml"), text).unwrap();
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("SECRET", "hush")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(arguments).output().unwrap();
        let ended = Ended {
            code: status.code(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        };
        assert!(
            !ended.out.contains("hush") && !ended.err.contains("hush"),
            "{ended:?}"
        );
        ended
    }
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

#[test]
fn help_and_version_are_results() {
    let home = Home::with_job(JOB);
    let version = home.run(&["--version"]);
    assert_eq!(
        version.out,
        concat!("tidegate ", env!("CARGO_PKG_VERSION"), "\n")
    );
    let help = home.run(&["run", "--help"]);
    assert!(help.out.contains("Usage: tidegate run"), "{help:?}");
    assert_eq!((version.code, help.code), (Some(0), Some(0)));
}

#[test]
fn a_wrong_command_line_is_2() {
    let home = Home::with_job(JOB);
    for arguments in [
        &["run", "orders.yaml"][..],
        &["lode"],
        &[],
        &["ddl", "--topic", "t", "--at", "x"],
    ] {
        let ended = home.run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
    }
    let ended = home.run(&["run", "orders.yaml", "--json"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(2), ""));
    assert_eq!(ended.document()["error"]["kind"], "usage");
    let missing = home.run(&["plan", "none.yaml", "--at", "2026-11-23"]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing
            .err
            .starts_with("error: the job file none.yaml can't be read: "),
        "{missing:?}"
    );
}

#[test]
fn a_wrong_job_file_is_2_with_all_findings() {
    let home = Home::with_job(
        &JOB.replace("topic: orders", "topic: \"a b\"")
            .replace("job: orders_daily", "job: '-'"),
    );
    for verb in ["check", "plan", "preview", "run"] {
        let ended = home.run(&[verb, "orders.yaml", "--at", "2026-11-23T00:15:00"]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        let lines: Vec<&str> = ended.err.lines().collect();
        assert!(
            lines.len() == 2 && lines[0].starts_with("orders.yaml:2:6: error: job: "),
            "{ended:?}"
        );
        assert!(
            lines[1].contains(": error: source.kafka.topic: "),
            "{ended:?}"
        );
    }
    let ended = home.run(&["check", "orders.yaml", "--json"]);
    let error = &ended.document()["error"];
    assert_eq!(
        (ended.code, &error["kind"]),
        (Some(2), &Value::from("job_file"))
    );
    assert_eq!(error["findings"].as_array().unwrap().len(), 2);
}

#[test]
fn an_expression_is_evaluated_without_a_job() {
    let home = Home::with_job(JOB);
    let arguments = [
        "params",
        "$[yyyymmdd-1]",
        "--at",
        "2026-11-23T00:15:00",
        "--time-zone",
        "Asia/Shanghai",
    ];
    let ended = home.run(&arguments);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    assert!(
        ended.out.starts_with("value           20261122\n"),
        "{ended:?}"
    );
    let ended = home.run(&[&arguments[..], &["--json"]].concat());
    assert_eq!(ended.document()["value"], "20261122");
    let ended = home.run(&["params", "$[yyyymmdd", "--at", "2026-11-23"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.err.starts_with("error: expression `$[yyyymmdd`"),
        "{ended:?}"
    );
}

#[test]
fn a_table_is_named_as_its_job_names_it() {
    let job = JOB
        .replace("table: orders", "table: orders_raw")
        .replace("ds: \"${day}\"", "region: cn, ds: \"${day}\"")
        .replace("columns: { order_id: order.id }", "");
    let home = Home::with_job(&job);
    let ended = home.run(&["ddl", "orders.yaml"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for part in [
        "CREATE TABLE IF NOT EXISTS `orders_raw` (",
        "\nPARTITIONED BY (`region` STRING, `ds` STRING)\n",
    ] {
        assert!(ended.out.contains(part), "{ended:?}");
    }
    let other = home.run(&["ddl", "orders.yaml", "--partition-by", "hh", "--json"]);
    assert_eq!(other.document()["partition_keys"][0]["name"], "hh");
    let wrong = Home::with_job(&job.replace("topic: orders", "topic: \"a b\""));
    let wrong = wrong.run(&["ddl", "orders.yaml"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.err.contains("source.kafka.topic: "), "{wrong:?}");
}

#[test]
fn a_sample_needs_to_know_its_brokers() {
    let home = Home::with_job(JOB);
    for (arguments, part) in [
        (&["--topic", "t", "--infer", "10"][..], "--brokers"),
        (&["--topic", "t", "--brokers", "h:1"], "--infer"),
        (&["--infer", "10"], "--topic"),
        (&["orders.yaml", "--topic", "t"], "cannot be used with"),
        (&["orders.yaml", "--infer", "0"], "0 is not in"),
        (&["--topic", "t", "--env", "dev"], "cannot be used with"),
        (&["--env", "dev"], "<JOB>"),
        (&[], "no topic is named; name a job file, or add --topic"),
    ] {
        let ended = home.run(&[&["ddl"][..], arguments].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{ended:?}");
        assert!(ended.err.contains(part), "{ended:?}");
    }
}

#[test]
fn a_table_is_described_without_a_server() {
    let ended = Home::with_job(JOB).run(&["ddl", "--topic", "orders"]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended
            .out
            .starts_with("CREATE TABLE IF NOT EXISTS `orders` ("),
        "{ended:?}"
    );
}

#[test]
fn who_only_reads_makes_no_state_folder() {
    let home = Home::with_job(JOB);
    for command in [
        &["history"][..],
        &["report"],
        &["report", "3"],
        &["rejects"],
    ] {
        let ended = home.run(&[command, &["--state", "nowhere"]].concat());
        assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
        assert_eq!(
            ended.err,
            "error: no run has kept anything in the state folder nowhere; name another with --state\n"
        );
    }
    assert!(!home.0.path().join("nowhere").try_exists().unwrap());
}

// Each of these waits 10 s for an answer, so they are tests of their own.

#[test]
fn a_check_that_finds_an_error_is_1() {
    let check = Home::with_job(JOB).run(&["check", "orders.yaml", "--json"]);
    assert_eq!(
        (check.code, &check.document()["good"]),
        (Some(1), &Value::Bool(false))
    );
    assert!(check.err.starts_with("note: no --at is given"), "{check:?}");
}

#[test]
fn a_run_without_a_broker_is_1() {
    let home = Home::with_job(JOB);
    let run = home.run(&["run", "orders.yaml", "--at", "2026-11-23T00:15:00"]);
    assert_eq!((run.code, run.out.as_str()), (Some(1), ""));
    assert!(
        run.err.starts_with("error: ") && run.err.contains("127.0.0.1:1"),
        "{run:?}"
    );
    assert!(home.0.path().join(".local/state/tidegate").is_dir());
}

#[test]
fn a_statement_without_a_server_is_1() {
    let home = Home::with_job(JOB);
    let server = ["--endpoint", "http://127.0.0.1:1/api/", "--project", "shop"];
    let credentials = ["--access-id", "id", "--secret-from-env", "SECRET"];
    let sql = home.run(&[&["sql", "SELECT 1", "--json"], &server[..], &credentials].concat());
    assert_eq!(
        (sql.code, &sql.document()["error"]["kind"]),
        (Some(1), &Value::from("target"))
    );

    let unset = ["--access-id", "id", "--secret-from-env", "NONE"];
    let sql = home.run(&[&["sql", "SELECT 1"], &server[..], &unset].concat());
    assert_eq!(sql.code, Some(2));
    assert!(
        sql.err.contains("the environment variable NONE is not set"),
        "{sql:?}"
    );
}

#[test]
fn a_statement_takes_a_profile_and_a_proxy() {
    let home = Home::with_job(JOB);
    fs::write(
        home.0.path().join("credentials"),
        "[load]\ntype = sts\naccess_key_id = id\naccess_key_secret = hush\nsecurity_token = hush-hush\n",
    )
    .unwrap();
    let server = ["--endpoint", "http://service.test/api", "--project", "shop"];
    let profile = ["--profile", "load", "--credentials-file", "credentials"];
    let proxy = ["--proxy", "http://127.0.0.1:1"];
    let sql = home.run(&[&["sql", "SELECT 1"], &server[..], &profile, &proxy].concat());
    assert_eq!(sql.code, Some(1), "{sql:?}");
    assert!(
        sql.err
            .contains("check `endpoint`, `proxy` and the network"),
        "{sql:?}"
    );

    let other = ["--profile", "lode", "--credentials-file", "credentials"];
    let sql = home.run(&[&["sql", "SELECT 1"], &server[..], &other, &proxy].concat());
    assert!(
        sql.err
            .contains("it has no profile \"lode\"; it has \"load\""),
        "{sql:?}"
    );
    // The environment's proxy holds where none is named.
    let mut command = home.command(&[&["sql", "SELECT 1"], &server[..], &profile].concat());
    let output = command
        .env("http_proxy", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("cannot reach http://service.test/api: connection refused"),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn nobody_hears_of_a_reader_who_left() {
    let home = Home::with_job(JOB);
    let mut command = home.command(&["ddl", "--topic", "orders"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(
        (ended.status.code(), ended.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
