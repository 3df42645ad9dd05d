use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::params::{parse, parse_bound};

mod tiling;

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(text: &str) -> ScheduledTime {
    ScheduledTime::parse(text, &zone("Asia/Shanghai")).unwrap()
}

fn value(expression: &str, at: &ScheduledTime) -> String {
    evaluate(&parse(expression).unwrap(), at).unwrap()
}

/// Expressions and times as the service's documents and their readers write them. Where the documents contradict
/// themselves, the result is the one that their rules give.
const WORKED_EXAMPLES: &str = "\
 1 | $[yyyymmddhh24mi-8/24/60]00      | 2022-11-22 10:00:00 | 20221122095200
 2 | $[yyyymmddhh24mi-3/24/60]00      | 2022-11-22 10:00:00 | 20221122095700
 3 | $[yyyymmddhh24mi-8/24/60]        | 2022-11-22 10:00:00 | 202211220952
 4 | $[yyyymmddhh24mi-8/24/60]00      | 2022-11-22 00:05:00 | 20221121235700
 5 | $[yyyymmddhh24mi-8/24/60]        | 2022-11-22 00:00:00 | 202211212352
 6 | $[yyyymmddhh24-1/24]0000         | 2022-11-22 10:05:00 | 20221122090000
 7 | $[yyyymmddhh24]0000              | 2022-11-22 10:05:00 | 20221122100000
 8 | $[yyyymmddhh24]                  | 2022-11-22 10:05:00 | 2022112210
 9 | $[yyyymmddhh24-1/24]             | 2022-11-22 10:05:00 | 2022112209
10 | $[yyyymmddhh24-1/24]0000         | 2022-11-22 00:15:00 | 20221121230000
11 | $[yyyymmddhh24]                  | 2022-11-22 00:15:00 | 2022112200
12 | $[yyyymmddhh24-2/24]0000         | 2022-11-22 10:05:00 | 20221122080000
13 | $[yyyymmddhh24-3/24]00000        | 2022-11-22 10:05:00 | 202211220700000
14 | $[yyyymmddhh24-3/24]0000         | 2022-11-22 10:05:00 | 20221122070000
15 | $[yyyymmdd-1]000000              | 2022-11-22 00:05:00 | 20221121000000
16 | $[yyyymmdd]000000                | 2022-11-22 00:05:00 | 20221122000000
17 | $[yyyymmdd-1]                    | 2022-11-22 00:05:00 | 20221121
18 | $[yyyymmdd-7]000000              | 2022-11-22 00:05:00 | 20221115000000
19 | $[add_months(yyyymmdd,-1)]000000 | 2022-11-22 00:05:00 | 20221022000000
20 | $[add_months(yyyymmdd,-1)]000000 | 2022-12-01 00:15:00 | 20221101000000
21 | $[yyyymmdd-1]                    | 2022-12-01 00:15:00 | 20221130
22 | $[add_months(yyyymmdd,-1)]       | 2025-03-31 00:15:00 | 20250228
23 | $[add_months(yyyymmdd,1)]        | 2024-01-31 00:15:00 | 20240229
24 | $[add_months(yyyymmdd,-12)]      | 2024-02-29 00:15:00 | 20230228
25 | $[add_months(yyyymmdd,12*2)]     | 2020-12-01 12:30:00 | 20221201
26 | $[add_months(yyyymm,-1)]         | 2025-03-31 00:15:00 | 202502
27 | $[add_months(yyyymmdd,-1)-1/24]  | 2025-03-31 00:15:00 | 20250227
28 | $[yyyymmddhh24miss]              | 2025-11-01 02:30:45 | 20251101023045
29 | $[yyyy-mm-dd]                    | 2025-11-01 02:30:45 | 2025-11-01
30 | $[hh24:mi:ss-1/24/60]            | 2025-11-01 02:30:45 | 02:29:45
31 | $[hh]                            | 2025-11-01 14:30:45 | 02
32 | $[hh12]                          | 2025-11-01 00:30:45 | 12
33 | $[mi]                            | 2025-11-01 02:30:45 | 30
33 | $[mm]                            | 2025-11-01 02:30:45 | 11
34 | ${yyyymmdd}                      | 2025-11-01 02:30:45 | 20251031
35 | ${yyyy-mm-dd}                    | 2025-11-01 02:30:45 | 2025-10-31
36 | ${mm}                            | 2025-11-01 02:30:45 | 10
36 | ${dd}                            | 2025-11-01 02:30:45 | 31
37 | ${yyyymmdd-1}                    | 2025-11-01 02:30:45 | 20251030
38 | ${yyyymmdd-7*1}                  | 2025-11-01 02:30:45 | 20251024
39 | ${yyyymmdd+1}                    | 2025-11-01 02:30:45 | 20251101
40 | ${yyyymm-1}                      | 2025-11-01 02:30:45 | 202509
41 | ${yyyy-1}                        | 2025-11-01 02:30:45 | 2024
42 | ${yyyymm}01                      | 2023-10-28 00:05:00 | 20231001
43 | $bizdate                         | 2025-11-01 02:30:45 | 20251031
43 | $gmtdate                         | 2025-11-01 02:30:45 | 20251101
44 | $cyctime                         | 2025-11-01 02:30:45 | 20251101023045
45 | $bizmonth                        | 2025-11-01 02:30:45 | 202510
46 | $bizmonth                        | 2025-11-15 02:30:45 | 202510
47 | $[yyyymmddhh24-1/24]             | 2025-07-27 00:05:00 | 2025072623
48 | $[hh24-15/24/60]                 | 2025-07-27 00:05:00 | 23
49 | $[mi-15/24/60]                   | 2025-07-27 00:05:00 | 50
50 | $[yyyymmdd-15/24/60]             | 2025-07-27 00:05:00 | 20250726
51 | $[yyyymm-15/24/60]               | 2025-08-01 00:05:00 | 202507
52 | $[yyyy-15/24/60]                 | 2026-01-01 00:05:00 | 2025
53 | $[yyyymmdd-1-1/24]               | 2025-11-01 00:30:45 | 20251030
54 | $[yyyymmdd+7*2]                  | 2020-12-01 12:30:00 | 20201215
55 | $[hh24miss+2/24]                 | 2020-12-01 12:30:00 | 143000
56 | $[hh24miss-2/24/60]              | 2020-12-01 12:30:00 | 122800
57 | $[yyyymm-1]                      | 2026-03-22 14:30:00 | 202603
58 | $[yyyymmddhh24miss-30/24/60/60]  | 2026-03-01 00:00:10 | 20260228235940
59 | dt_$[yyyymmdd]_h$[hh24]          | 2025-11-01 02:30:45 | dt_20251101_h02
60 | $[yyyy-mm-dd-2]                  | 2019-01-14 01:00:00 | 2019-01-12
61 | ${yyyymmdd}                      | 2025-03-16 00:00:00 | 20250315
61 | $[yyyymmddhh24miss]              | 2025-03-16 00:00:00 | 20250316000000
";

#[test]
fn worked_examples() {
    for row in WORKED_EXAMPLES.lines() {
        let [number, expression, scheduled, expected] = cells(row);
        let found = value(expression, &at(scheduled));
        assert_eq!(found, expected, "row {number}: {expression} at {scheduled}");
    }
}

/// The usual schedules as a whole.
const USUAL_SCHEDULES: &str = "\
5 minutes | start | 2022-11-22 10:00:00 | $[yyyymmddhh24mi-8/24/60]00      | 20221122095200
5 minutes | end   | 2022-11-22 10:00:00 | $[yyyymmddhh24mi-3/24/60]00      | 20221122095700
5 minutes | label | 2022-11-22 10:00:00 | $[yyyymmddhh24mi-8/24/60]        | 202211220952
hour      | start | 2022-11-22 10:05:00 | $[yyyymmddhh24-1/24]0000         | 20221122090000
hour      | end   | 2022-11-22 10:05:00 | $[yyyymmddhh24]0000              | 20221122100000
hour      | label | 2022-11-22 10:05:00 | $[yyyymmddhh24]                  | 2022112210
2 hours   | start | 2022-11-22 10:05:00 | $[yyyymmddhh24-2/24]0000         | 20221122080000
2 hours   | end   | 2022-11-22 10:05:00 | $[yyyymmddhh24]0000              | 20221122100000
2 hours   | label | 2022-11-22 10:05:00 | $[yyyymmddhh24]                  | 2022112210
3 hours   | start | 2022-11-22 10:05:00 | $[yyyymmddhh24-3/24]00000        | 202211220700000
3 hours   | end   | 2022-11-22 10:05:00 | $[yyyymmddhh24]0000              | 20221122100000
3 hours   | label | 2022-11-22 10:05:00 | $[yyyymmddhh24]                  | 2022112210
day       | start | 2022-11-22 00:05:00 | $[yyyymmdd-1]000000              | 20221121000000
day       | end   | 2022-11-22 00:05:00 | $[yyyymmdd]000000                | 20221122000000
day       | label | 2022-11-22 00:05:00 | $[yyyymmdd-1]                    | 20221121
week      | start | 2022-11-22 00:05:00 | $[yyyymmdd-7]000000              | 20221115000000
week      | end   | 2022-11-22 00:05:00 | $[yyyymmdd]000000                | 20221122000000
week      | label | 2022-11-22 00:05:00 | $[yyyymmdd-1]                    | 20221121
month     | start | 2022-11-22 00:05:00 | $[add_months(yyyymmdd,-1)]000000 | 20221022000000
month     | end   | 2022-11-22 00:05:00 | $[yyyymmdd]000000                | 20221122000000
month     | label | 2022-11-22 00:05:00 | $[yyyymmdd-1]                    | 20221121
";

#[test]
fn usual_schedules() {
    const HOUR_MS: i64 = 3_600_000;
    let lengths_ms = [1, 12, 24, 36, 288, 7 * 288, 31 * 288].map(|length| length * HOUR_MS / 12);
    let rows: Vec<&str> = USUAL_SCHEDULES.lines().collect();
    assert_eq!(rows.len(), 3 * lengths_ms.len());
    for (schedule, length_ms) in rows.chunks(3).zip(lengths_ms) {
        let mut bounds_ms = Vec::new();
        for row in schedule {
            let [name, role, scheduled, expression, expected] = cells(row);
            let at = at(scheduled);
            assert_eq!(value(expression, &at), expected, "{name}: {role}");
            if role != "label" {
                let bound = parse_bound(expected, at.at().time_zone()).unwrap();
                bounds_ms.push(bound.instant_ms);
            }
        }
        assert_eq!(bounds_ms[1] - bounds_ms[0], length_ms, "{schedule:?}");
    }
}

#[test]
fn days_are_counted_on_the_calendar_and_hours_in_elapsed_time() {
    let rows = [
        // The clocks skip 02:00 to 03:00 on 10 March 2024.
        ("2024-03-10T03:00", "$[yyyymmddhh24mi-1/24]", "202403100100"),
        ("2024-03-10T03:00", "$[hh24:mi-10/24/60]", "01:50"),
        ("2024-03-11T02:30", "$[yyyymmddhh24mi-1]", "202403100230"),
        (
            "2024-03-11T02:30",
            "$[yyyymmddhh24mi-24/24]",
            "202403100230",
        ),
        (
            "2024-03-11T02:30",
            "$[yyyymmddhh24mi-1+1/24]",
            "202403100430",
        ),
        ("2024-03-10T12:00", "$[yyyymmddhh24mi-1]", "202403091200"),
        (
            "2024-03-10T12:00",
            "$[yyyymmddhh24mi-1/2-12/24]",
            "202403091100",
        ),
        // They show 01:00 to 02:00 twice on 3 November 2024.
        (
            "2024-11-03T01:30-04:00",
            "$[yyyymmddhh24mi-1/24]",
            "202411030030",
        ),
        (
            "2024-11-03T01:30-05:00",
            "$[yyyymmddhh24mi-1/24]",
            "202411030130",
        ),
        (
            "2024-11-03T01:30-05:00",
            "$[yyyymmddhh24mi+1/24]",
            "202411030230",
        ),
        (
            "2024-11-03T01:30-04:00",
            "$[yyyymmddhh24mi+1/24]",
            "202411030130",
        ),
    ];
    let zone = zone("America/New_York");
    for (scheduled, expression, expected) in rows {
        let at = ScheduledTime::parse(scheduled, &zone).unwrap();
        assert_eq!(
            value(expression, &at),
            expected,
            "{expression} at {scheduled}"
        );
    }
}

#[test]
fn extensions() {
    let at = at("2024-03-31 13:07:09");
    for (expression, expected) in [
        ("$[last_day(yyyymmdd)]", "20240331"),
        ("$[last_day(yyyymmdd,-1)]", "20240229"),
        ("$[first_day(yyyymmdd,-1)]", "20240201"),
        ("$[first_day(yyyymmdd)-1]", "20240229"),
        ("$[add_months(yyyymmdd,+1)]", "20240430"),
        ("$[yy.mm.dd_hh12:mi:ss]", "24.03.31_01:07:09"),
        ("$[yyyy-mm-ddThh24:mi]", "2024-03-31T13:07"),
        ("$[YYYYMMDDHH24MISS]", "20240331130709"),
        ("$yyyymmdd/$yyyy/$mm/$dd", "20240330/2024/03/30"),
        (
            "${bdp.system.bizdate}_${bdp.system.cyctime}",
            "20240330_20240331130709",
        ),
        ("$bizdate000000", "20240330000000"),
        ("$bizmonth", "202402"),
        ("${yymm-1}", "2402"),
        ("$$[yyyy] costs 5$$", "$[yyyy] costs 5$"),
        ("", ""),
        ("plain", "plain"),
    ] {
        assert_eq!(value(expression, &at), expected, "{expression}");
    }
}

#[test]
fn the_calendar_ends() {
    let at = at("2024-03-31 00:15:00");
    for expression in [
        "$[yyyymmdd-3000000]",
        "$[yyyymmdd-9223372036854775807]",
        "$[yyyymmdd+9223372036854775807+9223372036854775807]",
        "$[yyyymmdd-800000]",
        "$[yyyymmdd-9223372036854775807/24]",
        "$[add_months(yyyymm,9223372036854775807)]",
        "$[add_months(yyyymm,-24300)]",
        "${yyyy+8000}",
        "${yyyy-2024}",
        "${yyyymm+9223372036854775807}",
        "${yyyymmdd-9223372036854775807}",
    ] {
        let error = evaluate(&parse(expression).unwrap(), &at).unwrap_err();
        assert_eq!(error.kind(), ParamErrorKind::OutOfRange, "{expression}");
        assert_eq!(error.expression(), Some(expression));
    }
    assert_eq!(value("$[yyyy]", &self::at("9999-12-30 00:00:00")), "9999");
}

#[test]
fn the_scheduled_time_is_cut_to_the_second() {
    let zoned = date(1969, 12, 31)
        .at(23, 59, 58, 750_000_000)
        .to_zoned_datetime(TimeZone::UTC)
        .unwrap();
    let at = ScheduledTime::new(zoned);
    assert_eq!(at.to_string(), "1969-12-31T23:59:58+00:00[UTC]");
    assert_eq!(at.business_date(), Some(date(1969, 12, 30)));
}

#[test]
fn references_need_the_other_parameters() {
    let error = evaluate(&parse("a${b}").unwrap(), &at("2024-03-31")).unwrap_err();
    assert_eq!(error.kind(), ParamErrorKind::ReferenceAlone);
    assert_eq!((error.position(), error.found()), (1, "${b}"));
}

/// The cells of a row that are separated by ` | `.
fn cells<const N: usize>(row: &str) -> [&str; N] {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    cells.try_into().unwrap()
}

proptest! {
    #[test]
    fn every_shift_is_exact(minutes in 0_i64..2_000_000, seconds in -86_399_i64..86_400) {
        let base = at("2024-03-31 13:07:09");
        let expression = format!("$[yyyymmddhh24miss-{minutes}/24/60{seconds:+}/24/60/60]");
        // Shanghai has had no change of clocks since 1991, so elapsed and calendar time agree.
        let expected = base.at().datetime() - SignedDuration::from_secs(minutes * 60 - seconds);
        prop_assert_eq!(value(&expression, &base), expected.strftime("%Y%m%d%H%M%S").to_string());
    }

    #[test]
    fn business_months_clamp(months in -2000_i64..2000) {
        let base = at("2024-04-01 00:15:00");
        let expected = date(2024, 3, 31) + Span::new().months(months);
        let format = "${yyyymm+0}".replace("+0", &format!("{months:+}"));
        prop_assert_eq!(value(&format, &base), expected.strftime("%Y%m").to_string());
    }
}
