//! Bounds on what a run uses.

use super::super::*;
use super::{check, findings, inline_job};
use crate::ByteRate;

/// A job with this text as its `limits.bandwidth`.
fn bandwidth(text: &str) -> Bandwidth {
    let limits = format!(
        "limits: {{ bandwidth: {text} }}\nparameters: {{ slow: 64KiB, fast: 2GB/s }}\ncolumns:"
    );
    let checked = check(&inline_job(&[("columns:", &limits)]));
    checked.unwrap().job.limits.bandwidth
}

#[test]
fn bandwidth_is_one_rate_for_both_or_one_for_each() {
    let rate = |bytes| ByteRate::new(bytes);
    for (text, read, upload) in [
        ("unlimited", None, None),
        ("10MiB/s", rate(10 << 20), rate(10 << 20)),
        ("\"${slow}/s\"", rate(64 << 10), rate(64 << 10)),
        (
            "{ read: 50 MiB/s, upload: \"${fast}\" }",
            rate(50 << 20),
            rate(2_000_000_000),
        ),
        ("{ read: 1MB/s }", rate(1_000_000), None),
        ("{ upload: 1MB/s, read: unlimited }", None, rate(1_000_000)),
        ("{}", None, None),
    ] {
        assert_eq!(bandwidth(text), Bandwidth { read, upload }, "{text}");
    }
    let unsaid = check(&inline_job(&[])).unwrap().job.limits.bandwidth;
    assert_eq!(unsaid, Bandwidth::default());
}

#[test]
fn what_is_no_rate_is_refused_with_what_is_taken() {
    let found = |text: &str| {
        let limits = format!("limits: {{ bandwidth: {text} }}\ncolumns:");
        findings(&[("columns:", &limits)])
    };
    insta::assert_snapshot!(found("10Mbit/s"), @r#"job.yaml:6:22: error: limits.bandwidth: "10Mbit/s" is no rate; write `unlimited`, or bytes in a second such as `10MiB/s`, or `{ read: …, upload: … }`"#);
    insta::assert_snapshot!(found("[1MB/s, 1MB/s]"), @"job.yaml:6:22: error: limits.bandwidth: found a list where one rate is expected; write `10MiB/s`, `unlimited`, or `{ read: …, upload: … }`");
    insta::assert_snapshot!(found("0/s"), @"job.yaml:6:22: error: limits.bandwidth: 0B/s is too little to work with; give it 64KiB/s or more, or `unlimited`");
    insta::assert_snapshot!(found("{ read: 63KiB/s, upload: fast, write: 1MB/s }"), @r#"
        job.yaml:6:30: error: limits.bandwidth.read: 63KiB/s is too little to work with; give it 64KiB/s or more, or `unlimited`
        job.yaml:6:47: error: limits.bandwidth.upload: "fast" is no rate; write `unlimited`, or bytes in a second such as `10MiB/s`
        job.yaml:6:53: error: limits.bandwidth.write: is no key that is known here; known keys: `read`, `upload`
        "#);
    insta::assert_snapshot!(found("{ upload: { read: 1MB/s } }"), @"job.yaml:6:32: error: limits.bandwidth.upload: found a mapping of keys where a single value is expected");
    insta::assert_snapshot!(found(""), @"job.yaml:6:11: error: limits.bandwidth: has no value; write one, in quotes if it is empty or `null`, or take the key out");
}
