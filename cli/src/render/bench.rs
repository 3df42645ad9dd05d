//! How fast each step was, and what binds.

use engine::{BenchReport, LoadStep};

use super::number::{bytes, count, of, seconds};
use super::table::{Columns, pairs};

/// What was measured, a line for each step, and what to change.
pub(crate) fn text(report: &BenchReport) -> String {
    let mut parts = vec![facts(report), steps(report)];
    let advice = report.advice.iter().map(|advice| format!("- {advice}"));
    parts.push(advice.collect::<Vec<_>>().join("\n"));
    parts.join("\n\n")
}

fn facts(report: &BenchReport) -> String {
    let measured = format!(
        "{} of {}, on {} and {}, {}",
        count(report.offsets_measured),
        of(report.offsets, "offset"),
        of(report.lanes as u64, "lane"),
        of(report.cores as u64, "core"),
        match report.repetitions {
            1 => "once".to_owned(),
            times => format!("the median of {times} times"),
        },
    );
    let mut lines = vec![
        ("job", report.job.clone()),
        ("topic", report.topic.clone()),
        ("measured", measured),
    ];
    if let Some(all) = report.steps.last() {
        let rows = count(all.rows.unwrap_or(0));
        lines.push((
            "rows",
            format!("{rows}, and {} rejected", of(all.rejected, "message")),
        ));
        let written = format!(
            "{} of messages, {} of staged files, {} of blocks",
            bytes(all.bytes),
            bytes(all.bytes_staged),
            bytes(all.bytes_sent)
        );
        lines.push(("bytes", written));
    }
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(name, value)| (name, [value]))
        .collect();
    pairs(&lines)
}

fn steps(report: &BenchReport) -> String {
    let mut columns = Columns::new(&[
        "step",
        "messages/s>",
        "MB/s>",
        "CPU s/GB>",
        "cores busy>",
        "most memory so far>",
        "time>",
    ]);
    let not_known = || "not known".to_owned();
    for measure in &report.steps {
        columns.row([
            name(measure.step).to_owned(),
            count(measure.messages_per_second),
            megabytes(measure.bytes_per_second),
            format!("{:.2}", measure.cpu_seconds_per_gb),
            measure
                .machine_busy
                .map_or_else(not_known, |busy| format!("{:.0} %", busy * 100.0)),
            measure.memory_bytes_peak.map_or_else(not_known, bytes),
            seconds(measure.seconds),
        ]);
    }
    columns.text()
}

fn name(step: LoadStep) -> &'static str {
    match step {
        LoadStep::Read => "read",
        LoadStep::Decode => "+ decode",
        LoadStep::Stage => "+ stage",
        LoadStep::Upload => "+ encode blocks",
    }
}

/// 10⁶ bytes, to one place.
fn megabytes(bytes: u64) -> String {
    let tenths = (bytes + 50_000) / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use engine::{Bound, StepMeasure};

    use super::*;

    fn measure(step: LoadStep, tenths: u64) -> StepMeasure {
        let time = f64::from(u32::try_from(tenths).unwrap()) / 10.0;
        StepMeasure {
            step,
            seconds: time,
            messages: 2_000_000,
            bytes: 600_000_000,
            rows: (step > LoadStep::Read).then_some(1_999_990),
            rejected: u64::from(step > LoadStep::Read) * 10,
            bytes_staged: u64::from(step > LoadStep::Decode) * 250_000_000,
            bytes_sent: u64::from(step == LoadStep::Upload) * 400_000_000,
            messages_per_second: 20_000_000 / tenths,
            bytes_per_second: 6_000_000_000 / tenths,
            cpu_seconds: time * 2.0,
            cpu_seconds_per_gb: time * 2.0 / 0.6,
            machine_busy: Some(0.97),
            memory_bytes_peak: Some(300 << 20),
        }
    }

    #[test]
    fn each_step_has_a_line_and_what_binds_comes_last() {
        let mut report = BenchReport {
            job: "orders_daily".to_owned(),
            topic: "orders".to_owned(),
            offsets: 90_000_000,
            offsets_measured: 2_000_000,
            lanes: 2,
            cores: 2,
            repetitions: 1,
            steps: LoadStep::ALL
                .into_iter()
                .zip([25, 70, 90, 110])
                .map(|(step, tenths)| measure(step, tenths))
                .collect(),
            bound: Bound::Cores,
            advice: vec!["the cores bind".to_owned(), "map fewer fields".to_owned()],
        };
        insta::assert_snapshot!(text(&report), @"
        job       orders_daily
        topic     orders
        measured  2,000,000 of 90,000,000 offsets, on 2 lanes and 2 cores, once
        rows      1,999,990, and 10 messages rejected
        bytes     572.20 MiB of messages, 238.42 MiB of staged files, 381.47 MiB of blocks

        step             messages/s   MB/s  CPU s/GB  cores busy  most memory so far    time
        read                800,000  240.0      8.33        97 %          300.00 MiB  2.50 s
        + decode            285,714   85.7     23.33        97 %          300.00 MiB  7.00 s
        + stage             222,222   66.7     30.00        97 %          300.00 MiB  9.00 s
        + encode blocks     181,818   54.5     36.67        97 %          300.00 MiB  11.0 s

        - the cores bind
        - map fewer fields
        ");
        report.repetitions = 5;
        for measure in &mut report.steps {
            (measure.machine_busy, measure.memory_bytes_peak) = (None, None);
        }
        let text = text(&report);
        assert!(text.contains("the median of 5 times"), "{text}");
        assert_eq!(text.matches("not known").count(), 8, "{text}");
        let document = serde_json::to_value(&report).unwrap();
        assert_eq!(
            (&document["bound"], &document["steps"][1]["step"]),
            (&"cores".into(), &"decode".into())
        );
        report.bound = Bound::Step(LoadStep::Upload);
        assert_eq!(serde_json::to_value(&report).unwrap()["bound"], "upload");
    }
}
