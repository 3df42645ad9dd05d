//! Bounds that are offsets, parts of a window, and the windows of a backfill.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::{check, findings, inline_job};
use crate::job::{
    CheckedWindows, Every, Exit, JobSpec, Lateness, OffsetBound, OffsetBounds, Setting,
};
use crate::params::ScheduledTime;
use crate::{Findings, Window};

const TIMES: &str = "start: 2026-11-22, end: 2026-11-23";

fn bounds(window: &str) -> (Window, OffsetBounds) {
    let text = inline_job(&[(TIMES, window), ("topic: t", "topic: t, group: g")]);
    let job = check(&text).unwrap_or_else(|error| panic!("{error}")).job;
    (job.window, job.offsets)
}

#[test]
fn a_side_is_bounded_by_time_or_by_offset() {
    let day = Window::new(1_795_305_600_000, 1_795_392_000_000).unwrap();
    let (window, offsets) = bounds("start: earliest, end: { offset: 7 }");
    assert_eq!(window, Window::ALL);
    assert_eq!(offsets.start, Some(OffsetBound::Earliest));
    assert_eq!(offsets.end, Some(OffsetBound::At(7)));
    let (window, offsets) = bounds("start: group, end: 2026-11-23");
    assert_eq!((window.start_ms, window.end_ms), (i64::MIN, day.end_ms));
    assert_eq!(
        (offsets.start, offsets.end),
        (Some(OffsetBound::Group), None)
    );
    let (window, offsets) = bounds("start: 2026-11-22, end: latest");
    assert_eq!((window.start_ms, window.end_ms), (day.start_ms, i64::MAX));
    assert_eq!(
        (offsets.start, offsets.end),
        (None, Some(OffsetBound::Latest))
    );
    let (_, offsets) = bounds("start: { offsets: { 0: 5, 3: 0 } }, end: latest");
    let each = BTreeMap::from([(0, 5), (3, 0)]);
    assert_eq!(offsets.start, Some(OffsetBound::Each(each)));
}

#[test]
fn bounds_that_can_hold_nothing_are_named() {
    let window = |text: &str| findings(&[(TIMES, text)]);
    insta::assert_snapshot!(window("start: earliest, end: earliest"), @"job.yaml:4:33: error: window.end: nothing lies before `earliest`; write a time, an offset or `latest`");
    insta::assert_snapshot!(window("start: latest, end: latest"), @"job.yaml:4:31: error: window.end: nothing lies between `start: latest` and an end that is fixed when the run is planned; write another start");
    insta::assert_snapshot!(window("start: { offset: 7 }, end: { offset: 7 }"), @"job.yaml:4:38: error: window.end: is where the window starts, so nothing lies in it; check both");
    insta::assert_snapshot!(window("start: { offset: 7 }, end: { offset: 6 }"), @"job.yaml:4:38: error: window.end: offset 6 is not after the start 7; check both");
    insta::assert_snapshot!(window("start: group, end: latest"), @"job.yaml:4:18: error: window.start: is the position of a consumer group, and `source.kafka.group` names none; name it");
    insta::assert_snapshot!(window("start: { offset: -1 }, end: { offsets: { a: 1, 2: x } }"), @r#"
        job.yaml:4:28: error: window.start.offset: "-1" is no offset; write 0 or a higher number
        job.yaml:4:52: error: window.end.offsets.a: is no number of a topic partition; write `{ 0: N, 1: M }`
        job.yaml:4:61: error: window.end.offsets.2: "x" is no offset; write 0 or a higher number
        "#);
    insta::assert_snapshot!(window("start: { offset: 1, epoch_ms: 5 }, end: { offsets: {} }"), @"
        job.yaml:4:18: error: window.start: takes one of `epoch_ms`, `offset` and `offsets`
        job.yaml:4:62: error: window.end.offsets: names no topic partition; write `{ 0: N, 1: M }`
        ");
    insta::assert_snapshot!(window("start: earliest, end: { offset: 1 }, lateness: 2h, wait_closed: 1m, split: 1h"), @"
        job.yaml:4:58: warning: window.lateness: has no effect, for the window ends at an offset; take it out
        job.yaml:4:75: warning: window.wait_closed: has no effect, for the window ends at an offset; take it out
        job.yaml:4:86: error: window.split: cuts a window between two times, and a bound is an offset; write times, or take it out
        ");
    let topics = |text: &str| {
        findings(&[
            ("topic: t", text),
            (TIMES, "start: { offsets: { 0: 1 } }, end: latest"),
        ])
    };
    insta::assert_snapshot!(topics("topic: [a, b], partitions: [1]"), @"
        job.yaml:3:68: error: source.kafka.partitions: chooses topic partitions of one topic, and several are listed; leave it out, or name one topic
        job.yaml:4:29: error: window.start.offsets: are those of one topic's partitions, and several topics are listed; name one
        ");
    insta::assert_snapshot!(topics("topic: [a, a]"), @r#"job.yaml:3:52: error: source.kafka.topic[1]: "a" is listed twice; leave one out"#);
    insta::assert_snapshot!(topics("topic: [], partitions: [x, 1, 1]"), @r#"
        job.yaml:3:48: error: source.kafka.topic: lists no topic; name at least one
        job.yaml:3:65: error: source.kafka.partitions[0]: "x" is no number of a topic partition; write 0 or a higher number
        job.yaml:3:71: error: source.kafka.partitions[2]: 1 is listed twice; leave one out
        "#);
}

#[test]
fn lateness_and_exit_are_words_or_durations() {
    let job = |more: &str| {
        let text = inline_job(&[(TIMES, &format!("{TIMES}, {more}"))]);
        check(&text).unwrap_or_else(|error| panic!("{error}")).job
    };
    assert_eq!(job("lateness: auto").lateness, Lateness::default());
    assert_eq!(
        job("lateness: 2h 30m").lateness,
        Lateness::Margin(9_000_000)
    );
    assert_eq!(job("lateness: 3d").lateness, Lateness::Margin(259_200_000));
    assert_eq!(job("lateness: exact").lateness, Lateness::Exact);
    assert_eq!(
        job("exit: idle 60s").exit,
        Exit::Idle(std::time::Duration::from_mins(1))
    );
    assert_eq!(job("wait_closed: 10m").wait_closed.unwrap().as_secs(), 600);
    let window = |text: &str| findings(&[(TIMES, &format!("{TIMES}, {text}"))]);
    insta::assert_snapshot!(window("lateness: -1h, exit: idle, wait_closed: soon, split: 0h"), @r#"
        job.yaml:4:57: error: window.lateness: "-1h" is neither `auto`, `exact` nor `none`, nor a duration such as `2h`
        job.yaml:4:68: error: window.exit: "idle" is neither `planned` nor `idle` with a duration of a second or more, such as `idle 60s`
        job.yaml:4:87: error: window.wait_closed: "soon" is no duration; write one such as `10m`
        job.yaml:4:100: error: window.split: "0h" is no length of time; write one such as `1d`, `1h` or `30m`
        "#);
}

#[test]
fn chosen_topic_partitions_are_in_order() {
    let text = inline_job(&[("topic: t", "topic: t, partitions: [3, 0]")]);
    let source = check(&text).unwrap().job.source;
    assert_eq!(source.partitions, Some(vec![0, 3]));
    let text = inline_job(&[("topic: t", "topic: [b, a]")]);
    assert_eq!(check(&text).unwrap().job.source.topics, ["b", "a"]);
}

/// The windows of a job file, read in the zone of the file.
fn windows(
    text: &str,
    resolve: impl FnOnce(&JobSpec, &Setting<'_>) -> Result<CheckedWindows, Findings>,
) -> Vec<String> {
    let spec = JobSpec::parse("job.yaml", text).unwrap();
    let zone = spec.time_zone(&TimeZone::UTC).unwrap();
    let setting = Setting {
        scheduled_time: &ScheduledTime::parse("2026-11-23T00:15", &zone).unwrap(),
        environment: None,
        sources: None,
        overrides: &[],
        env: &|_| None,
        default_time_zone: &TimeZone::UTC,
    };
    match resolve(&spec, &setting) {
        Ok(checked) => checked
            .jobs
            .iter()
            .map(|job| format!("{} {}", job.window, job.destination.partition))
            .collect(),
        Err(findings) => vec![findings.to_string()],
    }
}

#[test]
fn a_window_is_split_in_its_zone_and_each_part_has_its_partition() {
    let text = inline_job(&[
        ("time_zone: UTC", "time_zone: America/New_York"),
        (TIMES, "start: 2026-11-01, end: 2026-11-02, split: 6h"),
        (
            "table: t",
            "table: t, partition: { ds: \"${window.yyyymmdd}\", hh: \"${window.hh24}\" }",
        ),
    ]);
    // The day has 25 hours.
    insta::assert_snapshot!(windows(&text, JobSpec::check_windows).join("\n"), @"
        [2026-11-01T04:00:00Z, 2026-11-01T10:00:00Z) ds=20261101,hh=00
        [2026-11-01T10:00:00Z, 2026-11-01T16:00:00Z) ds=20261101,hh=05
        [2026-11-01T16:00:00Z, 2026-11-01T22:00:00Z) ds=20261101,hh=11
        [2026-11-01T22:00:00Z, 2026-11-02T04:00:00Z) ds=20261101,hh=17
        [2026-11-02T04:00:00Z, 2026-11-02T05:00:00Z) ds=20261101,hh=23
        ");
    let days = text
        .replace("6h", "1d")
        .replace("end: 2026-11-02", "end: 2026-11-03T12:00:00");
    insta::assert_snapshot!(windows(&days, JobSpec::check_windows).join("\n"), @"
        [2026-11-01T04:00:00Z, 2026-11-02T05:00:00Z) ds=20261101,hh=00
        [2026-11-02T05:00:00Z, 2026-11-03T05:00:00Z) ds=20261102,hh=00
        [2026-11-03T05:00:00Z, 2026-11-03T17:00:00Z) ds=20261103,hh=00
        ");
    let tiny = text.replace("6h", "1s");
    insta::assert_snapshot!(windows(&tiny, JobSpec::check_windows).join("\n"), @"job.yaml: error: window.split: makes more than 20000 parts of the window [2026-11-01T04:00:00Z, 2026-11-02T05:00:00Z); make them longer");
    let elsewhere = text.replace("{ c: a }", "{ c: { value: \"${window.yyyymmdd}\" } }");
    insta::assert_snapshot!(windows(&elsewhere, JobSpec::check_windows).join("\n"), @"job.yaml:6:24: error: columns.c.value: `${window.yyyymmdd}` is the start of the window, which is for `destination.maxcompute.partition` of a window that starts at a time; declare a parameter for other places");
    let wrong = text.replace("window.hh24", "window.hour");
    insta::assert_snapshot!(windows(&wrong, JobSpec::check_windows).join("\n"), @"job.yaml:5:123: error: destination.maxcompute.partition.hh: `${window.hour}`: `$[hour]`, byte 2: `hour` is not expected here; the tokens are yyyy yy mm dd hh24 hh12 hh mi ss");
}

fn backfill(text: &str, from: &str, to: &str, every: Option<&str>) -> String {
    let zone = JobSpec::parse("job.yaml", text)
        .unwrap()
        .time_zone(&TimeZone::UTC)
        .unwrap();
    let time = |text: &str| ScheduledTime::parse(text, &zone).unwrap().at().clone();
    let every = every.map(|every| every.parse::<Every>().unwrap());
    let found = windows(text, |spec, setting| {
        spec.check_backfill(setting, (&time(from), &time(to)), every)
    });
    found.join("\n")
}

#[test]
fn a_backfill_has_the_windows_that_start_in_its_range() {
    let daily = inline_job(&[
        (TIMES, "start: \"${a}\", end: \"${b}\""),
        ("table: t", "table: t, partition: { ds: \"${a}\" }"),
    ]) + "\nparameters: { a: \"$[yyyymmdd-1]\", b: \"$[yyyymmdd]\" }\nschedule: { cycle: day, at: \"00:15\" }\n";
    insta::assert_snapshot!(backfill(&daily, "2022-10-30", "2022-11-02", None), @"
        [2022-10-30T00:00:00Z, 2022-10-31T00:00:00Z) ds=20221030
        [2022-10-31T00:00:00Z, 2022-11-01T00:00:00Z) ds=20221031
        [2022-11-01T00:00:00Z, 2022-11-02T00:00:00Z) ds=20221101
        ");
    assert_eq!(
        backfill(&daily, "2022-10-01", "2022-11-01", None)
            .lines()
            .count(),
        31
    );
    let hourly = daily
        .replace("cycle: day", "cycle: hour")
        .replace("$[yyyymmdd-1]", "$[yyyymmddhh24-1/24]")
        .replace("$[yyyymmdd]", "$[yyyymmddhh24]");
    insta::assert_snapshot!(backfill(&hourly, "2022-11-01T22:00", "2022-11-02", None), @"
        [2022-11-01T22:00:00Z, 2022-11-01T23:00:00Z) ds=2022110122
        [2022-11-01T23:00:00Z, 2022-11-02T00:00:00Z) ds=2022110123
        ");
    insta::assert_snapshot!(backfill(&hourly, "2022-11-01", "2022-11-02", Some("12h")), @"
        [2022-11-01T11:00:00Z, 2022-11-01T12:00:00Z) ds=2022110111
        [2022-11-01T23:00:00Z, 2022-11-02T00:00:00Z) ds=2022110123
        ");
    let monthly = daily
        .replace("cycle: day", "cycle: month")
        .replace("$[yyyymmdd-1]", "$[add_months(yyyymmdd,-1)]");
    insta::assert_snapshot!(backfill(&monthly, "2022-10-01", "2022-12-01", None), @"
        [2022-10-01T00:00:00Z, 2022-11-01T00:00:00Z) ds=20221001
        [2022-11-01T00:00:00Z, 2022-12-01T00:00:00Z) ds=20221101
        ");
    insta::assert_snapshot!(backfill(&daily.replace("cycle: day", "cycle: minute"), "2022-10-01", "2022-12-01", None), @"job.yaml: error: schedule: says no distance between the windows of a backfill; write `cycle: day`, or pass --every 1d");
    let fixed = daily
        .replace("$[yyyymmdd-1]", "20200101")
        .replace("$[yyyymmdd]", "20200102");
    insta::assert_snapshot!(backfill(&fixed, "2022-10-01", "2022-10-03", None), @"job.yaml: error: window: none starts at or after 2022-10-01T00:00:00+00:00[UTC] and before 2022-10-03T00:00:00+00:00[UTC]; check --from and --to");
}
