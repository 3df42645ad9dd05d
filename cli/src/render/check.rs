//! What `check` found.

use engine::model::Finding;
use engine::{CheckReport, CheckStatus};
use serde_json::json;

use super::table::Columns;

/// The findings in the job file, then a line for each thing that was looked at, then the verdict.
pub(crate) fn text(warnings: &[Finding], report: &CheckReport) -> String {
    let mut lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    if !warnings.is_empty() {
        lines.push(String::new());
    }
    let mut columns = Columns::new(&["status", "subject", "found"]);
    for check in &report.checks {
        let status = match check.status {
            CheckStatus::Ok => "ok",
            CheckStatus::Note => "note",
            CheckStatus::Warning => "warning",
            CheckStatus::Error => "error",
        };
        columns.row([status, &check.subject, &check.found]);
    }
    lines.push(columns.text());
    let errors = report
        .checks
        .iter()
        .filter(|check| check.status == CheckStatus::Error)
        .count();
    lines.push(match errors {
        0 => "\nthe job can run".to_owned(),
        1 => "\nthe job can't run: 1 error".to_owned(),
        errors => format!("\nthe job can't run: {errors} errors"),
    });
    lines.join("\n")
}

/// `good`, `findings` of the job file and `checks`.
pub(crate) fn document(warnings: &[Finding], report: &CheckReport) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&json!({
        "good": report.is_good(),
        "findings": warnings,
        "checks": report.checks,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::fixture;

    #[test]
    fn findings_come_before_checks_and_the_verdict_last() {
        let report = fixture::check_report();
        insta::assert_snapshot!(text(&[fixture::warning()], &report), @"
            orders.yaml:3:1: warning: time_zone: is missing

            status   subject     found
            ok       brokers     127.0.0.1:9092 answers, by its protocol Kafka 4.1
            note     timestamps  message timestamps are create times
            warning  compaction  the topic is compacted
            error    table       shop.orders does not exist

            the job can't run: 1 error
            ");
        let mut good = report;
        good.checks
            .retain(|check| check.status != CheckStatus::Error);
        assert!(text(&[], &good).ends_with("\nthe job can run"));
    }

    #[test]
    fn programs_get_the_same() {
        let document = document(&[fixture::warning()], &fixture::check_report()).unwrap();
        insta::assert_snapshot!(document, @r#"
            {
              "checks": [
                {
                  "found": "127.0.0.1:9092 answers, by its protocol Kafka 4.1",
                  "status": "ok",
                  "subject": "brokers"
                },
                {
                  "found": "message timestamps are create times",
                  "status": "note",
                  "subject": "timestamps"
                },
                {
                  "found": "the topic is compacted",
                  "status": "warning",
                  "subject": "compaction"
                },
                {
                  "found": "shop.orders does not exist",
                  "status": "error",
                  "subject": "table"
                }
              ],
              "findings": [
                {
                  "column": 1,
                  "file": "orders.yaml",
                  "line": 3,
                  "message": "is missing",
                  "path": "time_zone",
                  "severity": "warning"
                }
              ],
              "good": false
            }
            "#);
    }
}
