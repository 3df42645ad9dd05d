//! What the findings say.

use jiff::tz::TimeZone;

use super::super::*;
use super::{check, check_with, findings, inline_job};

#[test]
#[expect(
    clippy::too_many_lines,
    reason = "a whole file of mistakes and their findings"
)]
fn all_mistakes_come_at_once() {
    let text = r#"jobb: orders
time_zone: Asia/Shangai
source:
  kafka:
    brokers: ["a b", "ok:9092", 7:x]
    topic: or ders
    key: strng
    value: avro
    encoding: GBKK
    options: { group.id: g, sasl: { password: p } }
    partition: 3
window:
  start: $[yyyymmdd-1]000000
  end: ${endTme}
  lateness: auto
  exit: idle 60s
destination:
  maxcompute:
    endpoint: service.maxcompute
    access_id: me
    table: p.orders
    partition: { ds: a/b, DS: "1" }
    write: overwrite
columns:
  a: order..id
  A: order.id
  b: order.id
  c: { from: x, value: 1 }
  d: { fro: x }
  e: "'web'"
  f: { from: __offset__, format: epoch_ms }
  g: { from: t, format: iso }
  h: { value: }
  i: [x]
  j: __ofset__
parameters:
  endTime: $[yyyyMMdd]000000
  yyyymmdd: $bizdate
  empty:
  loop: ${loop}
  none: ${env.NOPE}
  odd: ${odd2}
schedule: { cycle: daily, at: 24:00, rerun: { on: warning, times: 99, interval: soon } }
rejects: 5 percent
tombstones: [keep]
on_empty: ignore
on_retention_gap: warm
limits: { memory: 1MiB, disk: much, bandwidth: 10MiB, concurrency: 0 }
split: 1h
"#;
    let findings = check_with(text, None, None, &[("endtime", "x")]).unwrap_err();
    insta::assert_snapshot!(findings, @r#"
        job.yaml: error: parameters: a value is set for `endtime`, which is no declared parameter; did you mean `endTime`?
        job.yaml:1:1: error: jobb: is no key that is known here; did you mean `job`?
        job.yaml:1:1: error: job: is missing; name the job: `job: orders_daily`
        job.yaml:2:12: error: time_zone: "Asia/Shangai" is no known time zone; write a name such as `Asia/Shanghai` or an offset such as `+08:00`
        job.yaml:5:15: error: source.kafka.brokers[0]: "a b" is no address of a broker; write `host:port`
        job.yaml:5:33: error: source.kafka.brokers[2]: "7:x" is no address of a broker; write `host:port`
        job.yaml:6:12: error: source.kafka.topic: "or ders" holds ' ', and topics are named with letters, digits, `.`, `_` and `-`; name one topic
        job.yaml:7:10: error: source.kafka.key: "strng" is not among the values that this version knows: `string`, `bytes`, `long`, `integer`, `short`, `double` or `float`; did you mean `string`?
        job.yaml:8:12: error: source.kafka.value: "avro" is not among the values that this version knows: `json`, `delimited`, `string`, `bytes`, `long`, `integer`, `short`, `double` or `float`
        job.yaml:9:15: error: source.kafka.encoding: "GBKK" is no known encoding; did you mean `GBK`?
        job.yaml:10:16: error: source.kafka.options.group.id: has a key of its own; write `group` beside `topic`
        job.yaml:10:35: error: source.kafka.options.sasl: found a mapping of keys where the option's value is expected; write the whole name with its dots as one key
        job.yaml:11:5: error: source.kafka.partition: is no key that is known here; did you mean `partitions`?
        job.yaml:13:10: error: window.start: `$[yyyymmdd-1]` is a time expression, and those belong under `parameters`: declare one as `name: $[yyyymmdd-1]` and write `${name}` here
        job.yaml:14:8: error: window.end: "endTme" is no declared parameter; did you mean `${endTime}`?
        job.yaml:16:9: warning: window.exit: a run that hears nothing for that long leaves messages unread that are already in the log, and says how many; `tidegate check` says whether the topic is one for that. `planned` ends by itself
        job.yaml:19:5: error: destination.maxcompute.project: is missing; name the project of the table
        job.yaml:19:15: error: destination.maxcompute.endpoint: "service.maxcompute" is no endpoint; write a URL that begins with `https://` or `http://`
        job.yaml:20:16: error: destination.maxcompute.access_id: has no `access_secret` beside it; write both, or leave both to a `profile` or the environment
        job.yaml:21:12: error: destination.maxcompute.table: "p.orders" holds a dot; project and schema have keys of their own
        job.yaml:22:22: error: destination.maxcompute.partition.ds: "a/b" is no partition value: it holds '/', which a partition value can't; change it
        job.yaml:22:27: error: destination.maxcompute.partition.DS: is here twice, for names have no case; keep one
        job.yaml:23:12: error: destination.maxcompute.write: "overwrite" is not among the values that this version knows: `replace` or `append`
        job.yaml:25:6: error: columns.a: field path "order..id": expected a field name at position 6; write `a.b` for b within a, and `c[0]` for the first element of c
        job.yaml:26:3: error: columns.A: is mapped already on line 25, for columns have no case; keep one
        job.yaml:27:6: error: columns.b: `order.id` is mapped to `A` already, and a source goes to one column; take one out
        job.yaml:28:24: error: columns.c.value: stands beside `from`; a column has one source, keep one of the two
        job.yaml:29:6: error: columns.d: has no source; write `from: path` or `value: constant`
        job.yaml:29:8: error: columns.d.fro: is no key that is known here; did you mean `from`?
        job.yaml:30:6: error: columns.e: "'web'" holds '\'', which no field path does: a constant is written `{ value: … }`, and a key that holds a dot or a quote `['a.b']`
        job.yaml:31:34: error: columns.f.format: is for keys, payloads and their fields, and `__offset__` is none; take it out
        job.yaml:32:25: error: columns.g.format: "iso" is no format; write `epoch_s`, `epoch_ms`, `epoch_us`, `epoch_ns` or `base64`; other dates are read by patterns such as `%d/%m/%Y %H:%M:%S`
        job.yaml:33:8: error: columns.h.value: is null; leave the column out to have NULL in it, or write "" for an empty text
        job.yaml:34:6: error: columns.i: found a list where keys are expected; write `key: value` lines under it
        job.yaml:35:6: warning: columns.j: reads a field of the payload with the name `__ofset__`; did you mean `__offset__`?
        job.yaml:37:12: error: parameters.endTime: `$[yyyyMMdd]000000`, byte 2: `yyyyMMdd` is not how a format is spelled here; write `yyyymmdd`
        job.yaml:38:3: error: parameters.yyyymmdd: `yyyymmdd` can't be a parameter's name; choose one that is no date format, for `${…}` around it would be a date
        job.yaml:39:3: error: parameters.empty: found nothing where an expression is expected; write one such as `$[yyyymmdd-1]`, or `""`
        job.yaml:40:9: error: parameters.loop: `${loop}`, byte 0: `loop` depends on itself; break the circle loop → loop
        job.yaml:41:9: error: parameters.none: `${env.NOPE}`, byte 0: `NOPE` is not set in the environment; set the variable for this process
        job.yaml:42:8: error: parameters.odd: `${odd2}`, byte 0: `odd2` is no declared parameter; did you mean `odd`
        job.yaml:43:11: warning: schedule: this version runs a job when it is told to, and nothing but `tidegate backfill` follows this schedule; have a scheduler call `tidegate run` with `--at`
        job.yaml:43:20: error: schedule.cycle: "daily" is not among the values that this version knows: `minute`, `hour`, `day`, `week`, `month` or `year`
        job.yaml:43:31: error: schedule.at: "24:00" is no time of day; write `"00:15"`
        job.yaml:43:51: error: schedule.rerun.on: "warning" is not among the values that this version knows: `error`
        job.yaml:43:67: error: schedule.rerun.times: "99" is no number of reruns; write 0 to 10
        job.yaml:43:81: error: schedule.rerun.interval: "soon" is no duration; write one such as `2m` or `90s`
        job.yaml:44:10: error: rejects: "5 percent" is no limit; write a number of messages, or a share such as `0.5%`
        job.yaml:45:13: error: tombstones: found a list where a single value is expected
        job.yaml:46:11: error: on_empty: "ignore" is not among the values that this version knows: `fail`, `replace` or `keep`
        job.yaml:47:19: error: on_retention_gap: "warm" is not among the values that this version knows: `auto`, `fail` or `warn`; did you mean `warn`?
        job.yaml:48:19: error: limits.memory: 1MiB is too little to work with; give it 32MiB or more
        job.yaml:48:31: error: limits.disk: "much" is no size; write bytes, or a number with one of the units kB, MB, GB, TB, KiB, MiB, GiB and TiB, such as `96MiB`
        job.yaml:48:48: error: limits.bandwidth: "10MiB" is no rate; write `unlimited`, or bytes in a second such as `10MiB/s`, or `{ read: …, upload: … }`
        job.yaml:48:68: error: limits.concurrency: "0" is no number of lanes; write `auto`, or 1 to 1024
        job.yaml:49:1: error: split: is no key that is known here; known keys: `job`, `time_zone`, `source`, `window`, `destination`, `columns`, `parameters`, `schedule`, `rejects`, `tombstones`, `validation`, `empty_as_null`, `on_empty`, `on_retention_gap`, `verify`, `limits`
        "#);
}

#[test]
fn what_is_missing_is_named() {
    insta::assert_snapshot!(check("rejects: 0\n").unwrap_err(), @"
        job.yaml:1:1: warning: time_zone: is missing, so the machine's own is taken, UTC; write it down, or the job means other times elsewhere
        job.yaml:1:1: error: job: is missing; name the job: `job: orders_daily`
        job.yaml:1:1: error: source: is missing; add it; its keys: `kafka`
        job.yaml:1:1: error: window: is missing; add it; its keys: `start`, `end`, `split`, `lateness`, `exit`, `wait_closed`
        job.yaml:1:1: error: destination: is missing; add it; its keys: `maxcompute`
        job.yaml:1:1: error: columns: is missing; map each table column: `order_id: order.id`
        ");
    insta::assert_snapshot!(check("- a\n").unwrap_err(), @"job.yaml:1:1: error: found a list where keys are expected; write `key: value` lines under it");
    insta::assert_snapshot!(
        findings(&[
            ("{ brokers: [\"b:9092\"], topic: t }", "{ brokers: [] }"),
            ("start: 2026-11-22, end: 2026-11-23", "start:"),
            ("endpoint: \"https://mc/api\", project: p, table: t", "write: append"),
            ("{ c: a }", "{}"),
        ]),
        @r#"
        job.yaml:3:18: error: source.kafka.topic: is missing; name the topic to read
        job.yaml:3:29: error: source.kafka.brokers: lists no broker; write at least one `host:port`
        job.yaml:4:9: error: window.end: is missing; write `yyyymmddhh24miss` digits, ISO 8601, `{ epoch_ms: N }`, a parameter, `earliest`, `latest`, `group` or `{ offset: N }`
        job.yaml:4:11: error: window.start: has no value; write one, in quotes if it is empty or `null`, or take the key out
        job.yaml:5:28: error: destination.maxcompute.endpoint: is missing; name a `datasource`, or write `endpoint: "https://…/api"` of your region
        job.yaml:5:28: error: destination.maxcompute.project: is missing; name the project of the table
        job.yaml:5:28: error: destination.maxcompute.table: is missing; name the table to load into
        job.yaml:6:10: error: columns: maps 0 columns, and a table has 1 to 1200; map those to load
        "#
    );
}

#[test]
fn forms_and_compressions_of_blocks_are_among_those_of_the_service() {
    insta::assert_snapshot!(
        findings(&[("table: t", "table: t, block_format: records, compression: gzip")]),
        @r#"
        job.yaml:5:94: error: destination.maxcompute.block_format: "records" is not among the values that this version knows: `arrow` or `record`; did you mean `record`?
        job.yaml:5:116: error: destination.maxcompute.compression: "gzip" is not among the values that this version knows: `none`, `deflate`, `zstd`, `lz4` or `snappy`
        "#
    );
}

#[test]
fn windows_must_not_be_empty_and_carry_their_warnings() {
    let window = |text: &str| findings(&[("start: 2026-11-22, end: 2026-11-23", text)]);
    insta::assert_snapshot!(window("start: 20261123080000, end: 2026-11-23T08:00:00Z"), @"job.yaml:4:39: error: window.end: window end 2026-11-23T08:00:00+00:00 is not after its start 2026-11-23T08:00:00+00:00; check `window.end`");
    insta::assert_snapshot!(window("start: 2026112208, end: 202611230000000"), @"
        job.yaml:4:18: warning: window.start: 10 digits were read as 2026-11-22T08:00:00; write all 14 of `yyyymmddhh24miss`
        job.yaml:4:35: warning: window.end: 15 digits were read as 2026-11-23T00:00:00; write the 14 of `yyyymmddhh24miss`
        ");
    insta::assert_snapshot!(window("start: { epoch_ms: 1.5 }, end: { epoch_ms: 99999999999999999 }"), @r#"
        job.yaml:4:30: error: window.start.epoch_ms: "1.5" is no number of milliseconds since 1970; write digits
        job.yaml:4:54: error: window.end.epoch_ms: "99999999999999999" is no number of milliseconds since 1970; write digits
        "#);
    insta::assert_snapshot!(window("start: 20261399000000, end: ${env.WORD}"), @"job.yaml:4:40: error: this is no YAML: while parsing a flow mapping, did not find expected ',' or '}'; within `{ }` and `[ ]`, put quotes around `${…}` and `$[…]`");
    let text = inline_job(&[(
        "start: 2026-11-22, end: 2026-11-23",
        "start: { epoch_ms: 0 }, end: { epoch_ms: \"5\" }",
    )]);
    let job = check(&text).unwrap().job;
    assert_eq!(job.window, crate::Window::new(0, 5).unwrap());
}

#[test]
fn a_label_of_another_window_is_a_warning() {
    let hourly = inline_job(&[
        (
            "start: 2026-11-22, end: 2026-11-23",
            "start: 20261122090000, end: 20261122100000",
        ),
        (
            "table: t",
            "table: t, partition: { ds: \"20261122\", hh: \"10\" }",
        ),
    ]);
    let checked = check(&hourly).unwrap();
    insta::assert_snapshot!(Findings::new(checked.warnings), @"job.yaml:5:91: warning: destination.maxcompute.partition: `2026112210` labels the window by its end 20261122100000; a label by its start would be 2026112209: give it the shift of the start");
    assert!(
        check(&hourly.replace("\"10\"", "\"09\""))
            .unwrap()
            .warnings
            .is_empty()
    );
}

#[test]
fn payloads_that_are_not_json_have_no_fields() {
    let text = [
        ("topic: t", "topic: t, value: string"),
        ("{ c: a }", "{ c: a, v: __value__ }"),
    ];
    insta::assert_snapshot!(findings(&text), @r#"job.yaml:6:15: error: columns.c: "a" is a field of a JSON payload, and `source.kafka.value` is not `json`; change that, or map `__value__`"#);
}

#[test]
fn a_zone_is_read_before_all_else() {
    let zone = |text: &str| JobSpec::parse("j", text).unwrap().time_zone(&TimeZone::UTC);
    assert_eq!(zone("job: x").unwrap(), TimeZone::UTC);
    assert_eq!(zone("[]").unwrap(), TimeZone::UTC);
    assert_eq!(
        zone("time_zone: +08:00").unwrap(),
        TimeZone::fixed(jiff::tz::offset(8))
    );
    insta::assert_snapshot!(zone("time_zone: ${env.TZ}").unwrap_err(), @r#"j:1:12: error: time_zone: "${env.TZ}" is no known time zone; write a name such as `Asia/Shanghai` or an offset such as `+08:00`"#);
    insta::assert_snapshot!(findings(&[("time_zone: UTC\n", "")]), @"job.yaml:1:1: warning: time_zone: is missing, so the machine's own is taken, UTC; write it down, or the job means other times elsewhere");
}
