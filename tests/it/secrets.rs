use std::fs;
use std::path::Path;

use tests::embedded::EmbeddedBroker;
use tests::job::{JobFile, table_ddl};
use tests::messages::MessagePlan;
use tests::produce::produce;
use tests::program::{Ended, program};
use tests::server::{ACCESS_ID, ACCESS_SECRET, PROJECT, Server, TOKEN, TOKEN_VARIABLE};

const PASSWORD: &str = "a password of Kafka's";
const PASSWORD_VARIABLE: &str = "TEST_KAFKA_PASSWORD";
const WRONG_SECRET: &str = "no secret that is known";

/// Everything that must stay where the job file took it from.
const SECRETS: [&str; 4] = [ACCESS_SECRET, TOKEN, PASSWORD, WRONG_SECRET];

/// Runs a command with all secrets in its environment, `secret` as the one of the access key.
fn run(arguments: &[&str], secret: &str) -> Ended {
    program(arguments, secret)
        .env(TOKEN_VARIABLE, TOKEN)
        .env(PASSWORD_VARIABLE, PASSWORD)
        // Of a program that panics, too.
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap()
        .into()
}

#[track_caller]
fn assert_silent(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{secret:?} is in {what}");
    }
}

/// Looks through every file below `folder`, and returns how many there are.
fn look_through(folder: &Path) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += look_through(&path);
        } else {
            assert_silent(&path.display().to_string(), &fs::read(&path).unwrap());
            files += 1;
        }
    }
    files
}

/// A job that takes all but the access id from the environment.
fn job(plan: &MessagePlan, broker: &EmbeddedBroker, server: &Server) -> JobFile {
    let window = plan.start_ms..plan.start_ms + plan.span_ms;
    let options = format!(
        "options: {{ sasl.password: \"${{env.{PASSWORD_VARIABLE}}}\", sasl.username: loader }}"
    );
    JobFile {
        kafka: options,
        maxcompute: format!("security_token: \"${{env.{TOKEN_VARIABLE}}}\""),
        more: "rejects: 5%".to_owned(),
        ..JobFile::new(broker.bootstrap(), "orders", server.endpoint(), window)
    }
}

/// Commands that work and commands that fail: neither what they print nor what they keep holds a secret.
#[test]
fn no_command_prints_or_keeps_a_secret() {
    let broker = EmbeddedBroker::start(2);
    let plan = MessagePlan {
        partitions: 2,
        ..MessagePlan::new(3, 2_000)
    };
    produce(&broker.client(), "orders", plan.messages());
    let server = Server::start_with_token();
    server.sql(&table_ddl("orders", &["ds"]));
    let job = job(&plan, &broker, &server);
    let folder = tempfile::tempdir().unwrap();
    let file = job.write(folder.path());
    let file = file.to_str().unwrap();
    let state = folder.path().join("state");
    let state = state.to_str().unwrap();
    let at = ["--at", "2026-11-23T00:15"];
    let load = [
        &["run", file, "--state", state, "--allow-open-window"][..],
        &at,
    ]
    .concat();
    let sql = [
        "sql",
        "SELECT COUNT(*) FROM orders;",
        "--endpoint",
        server.endpoint(),
        "--project",
        PROJECT,
        "--access-id",
        ACCESS_ID,
        "--secret-from-env",
        "TEST_ACCESS_SECRET",
        "--token-from-env",
        TOKEN_VARIABLE,
    ];
    let commands: [Vec<&str>; 6] = [
        [&["check", file][..], &at].concat(),
        [&["plan", file, "--state", state][..], &at].concat(),
        [&["preview", file][..], &at].concat(),
        load,
        sql.to_vec(),
        vec!["sql", "SELECT COUNT(*) FROM orders;", "--job", file],
    ];
    for command in &commands {
        for json in [&[][..], &["--json"]] {
            for (secret, code) in [(WRONG_SECRET, 1), (ACCESS_SECRET, 0)] {
                let ended = run(&[command, json].concat(), secret);
                assert_eq!(ended.code, Some(code), "{command:?}: {ended:#?}");
                assert_silent(
                    &format!("what {command:?} printed"),
                    ended.stdout.as_bytes(),
                );
                assert_silent(&format!("what {command:?} said"), ended.stderr.as_bytes());
            }
        }
    }
    assert!(server.count("orders", "") > 1_000, "the run loaded rows");
    assert!(
        look_through(Path::new(state)) > 0,
        "the run kept its journal"
    );
}
