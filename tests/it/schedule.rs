use std::fs;

use tests::program;

/// One row of the table of schedules that DataWorks' users know: when a run is due, its three expressions, and what
/// comes of them.
struct Row {
    at: &'static str,
    start: &'static str,
    end: &'static str,
    partition: &'static str,
    window: [&'static str; 2],
    label: &'static str,
}

const ROWS: [Row; 7] = [
    // Every five minutes.
    Row {
        at: "2022-11-22T10:00",
        start: "$[yyyymmddhh24mi-8/24/60]00",
        end: "$[yyyymmddhh24mi-3/24/60]00",
        partition: "$[yyyymmddhh24mi-8/24/60]",
        window: ["2022-11-22T09:52:00", "2022-11-22T09:57:00"],
        label: "202211220952",
    },
    // Hourly.
    Row {
        at: "2022-11-22T10:05",
        start: "$[yyyymmddhh24-1/24]0000",
        end: "$[yyyymmddhh24]0000",
        partition: "$[yyyymmddhh24]",
        window: ["2022-11-22T09:00:00", "2022-11-22T10:00:00"],
        label: "2022112210",
    },
    // Every two hours.
    Row {
        at: "2022-11-22T10:05",
        start: "$[yyyymmddhh24-2/24]0000",
        end: "$[yyyymmddhh24]0000",
        partition: "$[yyyymmddhh24]",
        window: ["2022-11-22T08:00:00", "2022-11-22T10:00:00"],
        label: "2022112210",
    },
    // Every three hours, with the five zeros that are published.
    Row {
        at: "2022-11-22T10:05",
        start: "$[yyyymmddhh24-3/24]00000",
        end: "$[yyyymmddhh24]0000",
        partition: "$[yyyymmddhh24]",
        window: ["2022-11-22T07:00:00", "2022-11-22T10:00:00"],
        label: "2022112210",
    },
    // Daily.
    Row {
        at: "2022-11-22T00:05",
        start: "$[yyyymmdd-1]000000",
        end: "$[yyyymmdd]000000",
        partition: "$[yyyymmdd-1]",
        window: ["2022-11-21T00:00:00", "2022-11-22T00:00:00"],
        label: "20221121",
    },
    // Weekly.
    Row {
        at: "2022-11-22T00:05",
        start: "$[yyyymmdd-7]000000",
        end: "$[yyyymmdd]000000",
        partition: "$[yyyymmdd-1]",
        window: ["2022-11-15T00:00:00", "2022-11-22T00:00:00"],
        label: "20221121",
    },
    // Monthly.
    Row {
        at: "2022-11-22T00:05",
        start: "$[add_months(yyyymmdd,-1)]000000",
        end: "$[yyyymmdd]000000",
        partition: "$[yyyymmdd-1]",
        window: ["2022-10-22T00:00:00", "2022-11-22T00:00:00"],
        label: "20221121",
    },
];

#[test]
fn a_run_of_each_schedule_plans_its_window_and_table_partition() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = engine::demo::Demo::start(&folder.path().join("data")).unwrap();
    demo.produce(100).unwrap();
    demo.create_table().unwrap();
    let (brokers, endpoint) = (demo.kafka().brokers(), demo.maxcompute().endpoint());
    let text = engine::demo::Demo::job_file(&brokers, &endpoint);
    for row in ROWS {
        let text = text
            .replace(
                "startTime: $[yyyymmdd-1]000000",
                &format!("startTime: {}", row.start),
            )
            .replace(
                "endTime: $[yyyymmdd]000000",
                &format!("endTime: {}", row.end),
            )
            .replace(
                "partition: $[yyyymmdd-1]",
                &format!("partition: {}", row.partition),
            )
            .replace("${env.TIDEGATE_DEMO_SECRET}", "demo-secret");
        let job = folder.path().join("job.yaml");
        fs::write(&job, text).unwrap();
        let state = folder.path().join("state");
        let arguments = [
            "plan",
            job.to_str().unwrap(),
            "--at",
            row.at,
            "--state",
            state.to_str().unwrap(),
            "--json",
        ];
        let plan = program::run(&arguments, "").json();
        let window = &plan["windows"][0];
        let in_zone = |bound: &str| {
            let zoned: jiff::ZonedDateTime = format!("{bound}[Asia/Shanghai]").parse().unwrap();
            zoned.timestamp().as_millisecond()
        };
        assert_eq!(
            window["window"]["start_ms"],
            in_zone(row.window[0]),
            "{} at {}",
            row.start,
            row.at
        );
        assert_eq!(
            window["window"]["end_ms"],
            in_zone(row.window[1]),
            "{} at {}",
            row.end,
            row.at
        );
        assert_eq!(
            window["partition"],
            serde_json::json!([["ds", row.label]]),
            "{} at {}",
            row.partition,
            row.at
        );
    }
    demo.shutdown();
}

#[test]
fn params_evaluates_the_five_minute_expressions() {
    for (expression, value) in [
        ("$[yyyymmddhh24mi-8/24/60]00", "20221122095200"),
        ("$[yyyymmddhh24mi-3/24/60]00", "20221122095700"),
        ("$[yyyymmddhh24mi-8/24/60]", "202211220952"),
    ] {
        let ended = program::run(
            &["params", expression, "--at", "2022-11-22T10:00", "--json"],
            "",
        );
        assert_eq!(ended.json()["value"], value, "{expression}");
    }
}
