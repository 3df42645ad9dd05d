//! Secrets and values from the environment stay where they are put.

use super::super::*;
use super::{ORDERS, SOURCES, check, check_with, findings, inline_job};

#[test]
fn nothing_of_the_environment_can_be_seen() {
    let job = ORDERS
        .replace(
            "  partition: $[yyyymmdd-1]",
            "  partition: $[yyyymmdd-1]\n  word: ${env.WORD}",
        )
        .replace("    group:", "    group: \"${word}\" #");
    let checked = check_with(&job, Some(SOURCES), Some("dev"), &[]).unwrap();
    let job = &checked.job;
    // They are where they belong …
    assert_eq!(
        job.source.options["sasl.password"].expose(),
        "kafka-hunter2"
    );
    assert_eq!(
        job.destination.connection.access_id.as_deref(),
        Some("id-hunter2")
    );
    let secret = job.destination.connection.access_secret.as_ref().unwrap();
    assert_eq!(secret.expose(), "secret-hunter2");
    // … and nowhere else.
    let spec = SourcesSpec::parse("s", "a: hunter2").unwrap();
    let mut job = job.clone();
    assert_eq!(job.source.group.take().as_deref(), Some("word-hunter2"));
    for text in [
        format!("{job:?} {job:#?} {:?}", checked.warnings),
        serde_json::to_string(&job.identity()).unwrap(),
        format!("{spec:?} {:?}", JobSpec::parse("j", "a: hunter2").unwrap()),
    ] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // Where rows, names and reports are made of a value, it is refused; elsewhere it is kept out of the finding.
    for (from, to) in [
        ("job: j", "job: \"${env.WORD}\""),
        ("topic: t", "topic: \"${env.WORD}\""),
        ("topic: t", "topic: t, value: \"${env.WORD}\""),
        ("topic: t", "topic: t, datasource: \"${env.WORD}\""),
        ("b:9092", "${env.TRAP}"),
        ("end: 2026-11-23", "end: \"${env.WORD}\""),
        ("project: p", "project: \"${env.WORD}\""),
        ("https://mc/api", "${env.WORD}"),
        ("https://mc/api", "https://${env.WORD}@mc"),
        ("table: t", "table: \"${env.WORD}\""),
        ("table: t", "table: t, partition: { ds: \"${env.WORD}\" }"),
        ("c: a", "c: \"${env.WORD}\""),
        ("c: a", "c: { value: \"x${env.WORD}\" }"),
        ("columns:", "rejects: ${env.WORD}\ncolumns:"),
        ("columns:", "limits: { memory: \"${env.WORD}\" }\ncolumns:"),
        (
            "columns:",
            "limits: { concurrency: \"${env.WORD}\" }\ncolumns:",
        ),
        (
            "columns:",
            "limits: { bandwidth: \"${w}\" }\nparameters: { w: \"a${env.WORD}\" }\ncolumns:",
        ),
        ("columns:", "schedule: { at: \"${env.WORD}\" }\ncolumns:"),
    ] {
        let findings = check(&inline_job(&[(from, to)])).expect_err(to).to_string();
        assert!(!findings.contains("hunter2"), "{findings}");
        assert!(
            findings.contains("environment") || findings.contains("before `@`"),
            "{findings}"
        );
    }
}

#[test]
fn secrets_in_the_file_are_allowed_with_a_warning() {
    let text = inline_job(&[
        (
            "project: p",
            "project: p, access_id: i, access_secret: s3cret, security_token: t0ken",
        ),
        (
            "topic: t",
            "topic: t, options: { sasl.password: s3cret, sasl.username: u }",
        ),
    ]);
    let checked = check(&text).unwrap();
    assert!(
        !format!("{checked:?}").contains("s3cret") && !format!("{checked:?}").contains("t0ken")
    );
    assert_eq!(
        checked.job.source.options["sasl.username"],
        OptionValue::Plain("u".to_owned())
    );
    insta::assert_snapshot!(Findings::new(checked.warnings), @"
        job.yaml:3:77: warning: source.kafka.options.sasl.password: is a secret written into the file, for all its readers; take it from the environment, as `${env.NAME}`
        job.yaml:5:99: warning: destination.maxcompute.access_secret: is a secret written into the file, for all its readers; take it from the environment, as `${env.NAME}`
        job.yaml:5:123: warning: destination.maxcompute.security_token: is a secret written into the file, for all its readers; take it from the environment, as `${env.NAME}`
        ");
    insta::assert_snapshot!(findings(&[("project: p", "project: p, access_secret: x, security_token: y")]), @"
        job.yaml:5:85: error: destination.maxcompute.access_secret: has no `access_id` beside it; write both, or leave both to a `profile` or the environment
        job.yaml:5:85: warning: destination.maxcompute.access_secret: is a secret written into the file, for all its readers; take it from the environment, as `${env.NAME}`
        job.yaml:5:104: warning: destination.maxcompute.security_token: is a secret written into the file, for all its readers; take it from the environment, as `${env.NAME}`
        ");
    insta::assert_snapshot!(findings(&[("project: p", "project: p, security_token: \"${env.SECRET}\"")]), @"job.yaml:5:86: error: destination.maxcompute.security_token: has no `access_id` and `access_secret` beside it; write all three or none");
}

#[test]
fn a_mistake_in_a_secret_does_not_show_it() {
    let secret = |text: &str| {
        let change = format!("project: p, access_id: i, access_secret: \"{text}\"");
        findings(&[("project: p", &change)])
    };
    for text in ["a$[s3cret]", "a${s3cret}", "${s3cret", "a$bizdate-s3cret"] {
        let shown = secret(text);
        assert!(
            shown.contains("that is no reference") && !shown.contains("s3cret"),
            "{shown}"
        );
    }
    insta::assert_snapshot!(secret("${env.NOPE}"), @"job.yaml:5:99: error: destination.maxcompute.access_secret: environment variable `NOPE` is not set; set it for this process");
    let option = [(
        "topic: t",
        "topic: t, options: { ssl.key.password: \"$[s3cret]\" }",
    )];
    assert!(!findings(&option).contains("s3cret"));
}

#[test]
fn a_profile_stands_in_for_an_access_key() {
    let with = |keys: &str| inline_job(&[("project: p", &format!("project: p, {keys}"))]);
    let checked = check(&with(
        "profile: load, credentials_file: \"/${env.WORD}/c\", ca_file: /ca.pem, proxy: \"http://proxy:3128/\"",
    ))
    .unwrap();
    let connection = &checked.job.destination.connection;
    assert_eq!(connection.profile.as_deref(), Some("load"));
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().unwrap().display().to_string();
    assert_eq!(path(&connection.credentials_file), "/word-hunter2/c");
    assert_eq!(path(&connection.ca_file), "/ca.pem");
    assert_eq!(connection.proxy.as_deref(), Some("http://proxy:3128"));
    let errors = |keys: &str| check(&with(keys)).unwrap_err().to_string();
    insta::assert_snapshot!(errors("access_id: i, access_secret: \"${env.SECRET}\", profile: load"), @"job.yaml:5:81: error: destination.maxcompute.access_id: is one source of the access key, and destination.maxcompute.profile (line 5) is another; keep one of the two");
    insta::assert_snapshot!(errors("proxy: \"http://u:hunter2@proxy\""), @"job.yaml:5:77: error: destination.maxcompute.proxy: holds a user before `@`; take the key out and export HTTPS_PROXY, which may hold one");
    insta::assert_snapshot!(errors("proxy: \"proxy:3128\", ca_file: \"\""), @r#"
    job.yaml:5:77: error: destination.maxcompute.proxy: "proxy:3128" is no proxy; write a URL that begins with `https://` or `http://`
    job.yaml:5:100: error: destination.maxcompute.ca_file: is empty; write the path of a file or take the key out
    "#);
}
