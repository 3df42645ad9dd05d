use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::*;

/// Arguments with which each command parses.
const MINIMAL: [&[&str]; 17] = [
    &["demo"],
    &["check", "orders.yaml"],
    &["plan", "orders.yaml", "--at", "2026-11-23"],
    &["preview", "orders.yaml"],
    &["run", "orders.yaml", "--at", "2026-11-23"],
    &[
        "backfill",
        "orders.yaml",
        "--from",
        "2026-10-01",
        "--to",
        "2026-11-01",
    ],
    &["audit", "orders.yaml", "--at", "2026-11-23"],
    &["bench", "orders.yaml", "--at", "2026-11-23"],
    &["history"],
    &["report"],
    &["rejects"],
    &["params", "$bizdate"],
    &["ddl", "--topic", "orders"],
    &[
        "sql",
        "SELECT 1",
        "--endpoint",
        "http://127.0.0.1:18090/api",
        "--project",
        "shop",
        "--access-id",
        "id",
        "--secret-from-env",
        "SECRET",
    ],
    &["local", "--data", "demo-data"],
    &["local", "kafka", "--data", "demo-data"],
    &["local", "maxcompute", "--data", "demo-data"],
];

#[test]
fn the_commands_hold_together() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_takes_json_and_has_help_with_an_example() {
    let mut whole = Cli::command().term_width(100);
    whole.build();
    let mut text = whole.render_long_help().to_string();
    let commands = whole.get_subcommands().flat_map(|command| {
        let inner = command.get_subcommands();
        let inner = inner.map(|inner| {
            (
                format!("{} {}", command.get_name(), inner.get_name()),
                inner,
            )
        });
        std::iter::once((command.get_name().to_owned(), command)).chain(inner)
    });
    for (name, command) in commands {
        let mut command = command.clone().term_width(100);
        let help = command.render_long_help().to_string();
        assert!(
            help.contains(&format!("Example: tidegate {name} ")),
            "{help}"
        );
        assert!(help.contains("--json"), "{help}");
        let words: Vec<&str> = name.split(' ').collect();
        let arguments = MINIMAL
            .iter()
            .find(|arguments| arguments.starts_with(&words));
        let arguments = arguments.unwrap_or_else(|| panic!("add `{name}` to the test"));
        for json in [false, true] {
            let json = if json { &["--json"][..] } else { &[] };
            let all = ["tidegate"].iter().chain(*arguments).chain(json);
            let cli = Cli::try_parse_from(all).unwrap();
            assert_eq!(cli.json, !json.is_empty());
        }
        text.extend(["\n--- tidegate ", &name, "\n", &help]);
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn parameters_are_set_by_name_and_value() {
    let parsed = |text: &str| assignment(text).ok();
    let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
    assert_eq!(parsed("day=20261122"), pair("day", "20261122"));
    assert_eq!(parsed("where=a=b"), pair("where", "a=b"));
    assert_eq!(parsed("empty="), pair("empty", ""));
    assert_eq!(
        (parsed("day"), parsed("=20261122"), parsed(" =1")),
        (None, None, None)
    );
}

#[test]
fn a_statement_needs_one_project() {
    let parsed = |words: &[&str]| {
        let all = ["tidegate", "sql", "SELECT 1"].iter().chain(words);
        Cli::try_parse_from(all)
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    let endpoint = ["--endpoint", "http://127.0.0.1:18090/api"];
    let project = ["--project", "shop"];
    let job = ["--job", "orders.yaml"];
    assert_eq!(parsed(&job), Ok(()));
    assert_eq!(parsed(&[endpoint, project].concat()), Ok(()));
    for missing in [&[][..], &endpoint, &project] {
        assert_eq!(parsed(missing), Err(ErrorKind::MissingRequiredArgument));
    }
    for two in [[job, endpoint], [job, ["--region", "cn-shanghai"]]] {
        assert_eq!(parsed(&two.concat()), Err(ErrorKind::ArgumentConflict));
    }
    let environment = [&["--env", "dev"][..], &endpoint, &project].concat();
    assert_eq!(parsed(&environment), Err(ErrorKind::ArgumentConflict));
    let alone = parsed(&["--env", "dev"]);
    assert_eq!(alone, Err(ErrorKind::MissingRequiredArgument));
}

#[test]
fn an_audit_is_of_one_time_or_of_a_range() {
    let parsed = |words: &[&str]| {
        let all = ["tidegate", "audit", "orders.yaml"].iter().chain(words);
        Cli::try_parse_from(all)
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    let at = ["--at", "2026-11-23"];
    let range = ["--from", "2026-10-01", "--to", "2026-11-01"];
    assert_eq!(parsed(&at), Ok(()));
    assert_eq!(parsed(&range), Ok(()));
    assert_eq!(
        parsed(&[&range[..], &["--every", "1h", "--lateness", "exact"]].concat()),
        Ok(())
    );
    assert_eq!(parsed(&[]), Err(ErrorKind::MissingRequiredArgument));
    assert_eq!(parsed(&range[..2]), Err(ErrorKind::MissingRequiredArgument));
    let both = [&at[..], &range].concat();
    assert_eq!(parsed(&both), Err(ErrorKind::ArgumentConflict));
    for wrong in ["none", "soon", ""] {
        let lateness = [&at[..], &["--lateness", wrong]].concat();
        assert_eq!(
            parsed(&lateness),
            Err(ErrorKind::ValueValidation),
            "{wrong}"
        );
    }
    let alone = [&at[..], &["--verify"]].concat();
    assert_eq!(parsed(&alone), Err(ErrorKind::MissingRequiredArgument));
}

#[test]
fn a_run_and_a_plan_have_no_default_time() {
    for verb in ["plan", "bench", "run"] {
        let error = Cli::try_parse_from(["tidegate", verb, "orders.yaml"]).unwrap_err();
        assert!(error.to_string().contains("--at <TIME>"), "{error}");
    }
}

#[test]
fn a_plan_takes_no_flags_that_it_would_ignore() {
    let parsed = |words: &[&str]| {
        let all = ["tidegate"].iter().chain(MINIMAL[5]).chain(words);
        Cli::try_parse_from(all)
            .map(|_| ())
            .map_err(|error| error.kind())
    };
    assert_eq!(
        parsed(&["--plan", "--only-missing", "--state", "s"]),
        Ok(())
    );
    for flag in [
        &["--allow-open-window"][..],
        &["--replace-other-window"],
        &["--replan"],
        &["--assume", "committed"],
        &["--verify"],
        &["--strict"],
    ] {
        assert_eq!(parsed(flag), Ok(()));
        let both = [&["--plan"], flag].concat();
        assert_eq!(parsed(&both), Err(ErrorKind::ArgumentConflict), "{flag:?}");
    }
}
