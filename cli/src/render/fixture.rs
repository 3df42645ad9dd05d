//! Values to render.

use std::collections::BTreeMap;

use engine::model::job::{Job, JobSpec, OffsetBounds, Setting};
use engine::model::params::ScheduledTime;
use engine::model::{
    Checksum, Content, Counts, Finding, LastLoad, LedgerEntry, LoadPlan, OffsetRange,
    PlannedPartition, PlannedWindow, Reach, RunReport, SLICE_FORMAT, Severity, SliceCounts,
    SliceRange, SliceSpec, StepFigures, Steps, TopicPartition, UnmappedFields, WindowCounts,
    WindowOutcome, WindowReport,
};
use engine::{
    Check, CheckReport, CheckStatus, Phase, PlanReport, RunRecord, RunState, WindowRecord,
};
use jiff::tz::TimeZone;

const JOB: &str = r#"
job: orders_daily
time_zone: Asia/Shanghai
source: { kafka: { brokers: ["127.0.0.1:9092"], topic: orders } }
window: { start: "${day}000000", end: "${dayAfter}000000" }
destination:
  maxcompute: { endpoint: "http://127.0.0.1:8090/api", project: shop, table: orders, partition: { ds: "${day}" } }
columns: { order_id: order.id }
parameters: { day: "$[yyyymmdd-1]", dayAfter: "$[yyyymmdd]" }
limits: { disk: 1GiB }
"#;

pub(crate) fn job() -> Job {
    let spec = JobSpec::parse("orders.yaml", JOB).unwrap();
    let zone = spec.time_zone(&TimeZone::UTC).unwrap();
    let setting = Setting {
        scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &zone).unwrap(),
        environment: None,
        sources: None,
        overrides: &[],
        env: &|_| None,
        default_time_zone: &TimeZone::UTC,
    };
    spec.check(&setting).unwrap().job
}

pub(crate) fn warning() -> Finding {
    Finding {
        severity: Severity::Warning,
        file: "orders.yaml".into(),
        line: 3,
        column: 1,
        path: "time_zone".to_owned(),
        message: "is missing".to_owned(),
    }
}

pub(crate) fn check_report() -> CheckReport {
    let check = |status, subject: &str, found: &str| Check {
        subject: subject.to_owned(),
        status,
        found: found.to_owned(),
    };
    CheckReport {
        checks: vec![
            check(
                CheckStatus::Ok,
                "brokers",
                "127.0.0.1:9092 answers, by its protocol Kafka 4.1",
            ),
            check(
                CheckStatus::Note,
                "timestamps",
                "message timestamps are create times",
            ),
            check(CheckStatus::Warning, "compaction", "the topic is compacted"),
            check(CheckStatus::Error, "table", "shop.orders does not exist"),
        ],
    }
}

fn windows() -> Vec<PlannedWindow> {
    let job = job();
    vec![PlannedWindow {
        window: job.window,
        partition: job.destination.partition,
    }]
}

pub(crate) fn plan_report() -> PlanReport {
    let orders = |partition| TopicPartition::new("orders", partition);
    let range = |start, end| OffsetRange::new(start, end).unwrap();
    let planned = |number, log_start, high_watermark, reach: Reach| PlannedPartition {
        topic_partition: orders(number),
        log_start,
        high_watermark,
        written_end: high_watermark,
        ranges: OffsetRange::merged(vec![reach.range]),
        reaches: vec![reach],
    };
    let busy = Reach {
        start_offset: Some(500_000),
        end_offset: Some(1_500_000),
        range: range(500_000, 2_000_000),
        left_out: Vec::new(),
        closed: true,
        retention_gap: false,
    };
    let young = Reach {
        start_offset: Some(70),
        end_offset: None,
        range: range(70, 100),
        left_out: Vec::new(),
        closed: false,
        retention_gap: true,
    };
    let idle = Reach {
        start_offset: None,
        range: range(5, 5),
        retention_gap: false,
        ..young.clone()
    };
    let partitions = vec![
        planned(0, 0, 2_000_000, busy),
        planned(1, 70, 100, young),
        planned(2, 5, 5, idle),
    ];
    let slice = |number, partition, range| SliceSpec {
        block_ids: BTreeMap::new(),
        format: SLICE_FORMAT,
        number,
        ranges: vec![SliceRange {
            topic_partition: orders(partition),
            range,
            windows: vec![0],
        }],
    };
    let slices = vec![
        slice(0, 0, range(500_000, 1_250_000)),
        slice(1, 0, range(1_250_000, 2_000_000)),
        slice(2, 1, range(70, 100)),
    ];
    let plan = LoadPlan {
        planned_at_ms: 1_795_400_000_000,
        windows: windows(),
        bounds: OffsetBounds::default(),
        newest_first: false,
        partitions,
        slices,
        message_bytes_mean: 512,
    };
    PlanReport {
        offsets: plan.offsets(),
        bytes_estimate: plan.bytes_estimate(),
        plan,
        disk_bytes_free: Some(20 << 30),
        sessions: 1,
        notes: vec!["no message at or after the window's end was seen yet in orders[1]".to_owned()],
    }
}

fn steps() -> Steps {
    let figures = |seconds, items, bytes| StepFigures {
        seconds,
        items,
        bytes,
    };
    Steps {
        plan: figures(0.25, 2, 0),
        read: figures(8.5, 1_500_137, 768_000_000),
        decode: figures(6.0, 500_104, 256_000_000),
        stage: figures(2.0, 500_100, 40_000_000),
        upload: figures(75.0, 500_100, 42_000_000),
        commit: figures(0.0, 1, 0),
    }
}

fn window_report(planned: PlannedWindow) -> WindowReport {
    WindowReport {
        window: planned.window,
        partition: planned.partition,
        outcome: WindowOutcome::Committed,
        session: Some("20261123001500abc".to_owned()),
        rows: 500_100,
        rows_past_look_up: 30,
        counted: Some(500_100),
        checksum: Some(Checksum(42)),
        last_load: Some(LastLoad {
            run: 7,
            rows: 500_099,
            content: Content::Changed,
        }),
        deleted: Vec::new(),
        rejected: BTreeMap::from([("not_json".to_owned(), 3), ("number".to_owned(), 1)]),
        reject_files: vec!["run-12-slice-0-window-0.rejects.parquet".to_owned()],
    }
}

pub(crate) fn report() -> RunReport {
    let entry = |partition, planned, outside_after, rows| LedgerEntry {
        topic_partition: TopicPartition::new("orders", partition),
        counts: Counts {
            planned,
            outside_before: 10,
            outside_after,
            outside_reach: 0,
            outside_reach_of: BTreeMap::new(),
            holes: 3,
            unread: 0,
            windows: BTreeMap::from([(
                0,
                WindowCounts {
                    rows,
                    tombstones_kept: 4,
                    tombstones_skipped: 5,
                    rejected: 2,
                },
            )]),
        },
        hole_spans: vec![OffsetRange { start: 7, end: 10 }],
        deleted: Vec::new(),
    };
    RunReport {
        run: 12,
        job: "orders_daily".to_owned(),
        scheduled_time: job().scheduled_time.to_string(),
        topic: "orders".to_owned(),
        table: "shop.orders".to_owned(),
        open: false,
        resumed: true,
        slices: SliceCounts {
            planned: 3,
            read: 2,
            kept: 1,
            uploaded: 2,
            uploaded_before: 1,
        },
        ledger: vec![
            entry(0, 1_500_020, 1_000_000, 500_000),
            entry(1, 120, 0, 100),
        ],
        bounds: OffsetBounds::default(),
        windows: windows().into_iter().map(window_report).collect(),
        steps: steps(),
        seconds: 95.4,
        memory_bytes_peak: Some(150 << 20),
        unmapped_fields: UnmappedFields {
            messages: 48,
            fields: [("coupon".to_owned(), 48), ("user.vip".to_owned(), 3)].into(),
            more: false,
        },
        warnings: vec![
            "no message at or after the window's end was seen yet in orders[1]".to_owned(),
        ],
    }
}

/// A run that is done, as the journal lists it.
pub(crate) fn run_record() -> RunRecord {
    RunRecord {
        run: 12,
        job: "orders_daily".to_owned(),
        scheduled_time: Some(job().scheduled_time.to_string()),
        target: "shop.orders at 127.0.0.1:8090/ds=20261122".to_owned(),
        state: RunState::Done,
        error: None,
        begun_ms: Some(1_795_364_100_000),
        ended_ms: Some(1_795_364_195_400),
        windows: vec![WindowRecord {
            window: job().window,
            phase: Phase::Done,
            outcome: Some(WindowOutcome::Committed),
        }],
        rows: Some(500_100),
        rejected: Some(4),
        seconds: Some(95.4),
    }
}
