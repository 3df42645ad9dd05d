//! What is known of a run that has no report.

use engine::model::job::OffsetBounds;
use engine::{Phase, RunRecord, RunState, UnfinishedRun, WindowRecord};
use jiff::tz::TimeZone;

use super::history::{state, target};
use super::number::count;
use super::table::{cell, pairs};
use super::time::{second, window_lines, zone_of};

/// The run, how far its windows and slices are, and how to go on with it.
pub(crate) fn text(run: &UnfinishedRun) -> String {
    let UnfinishedRun { record, slices } = run;
    let scheduled = record.scheduled_time.as_deref().unwrap_or_default();
    let zone = zone_of(scheduled);
    let mut lines = vec![("job", vec![format!("{}, run {}", record.job, record.run)])];
    if !scheduled.is_empty() {
        lines.push(("due", vec![scheduled.to_owned()]));
    }
    lines.push(("target", vec![cell(&target(record))]));
    lines.push(("state", vec![explained(record)]));
    for (name, instant_ms) in [("begun", record.begun_ms), ("ended", record.ended_ms)] {
        lines.extend(instant_ms.map(|ms| (name, vec![second(ms)])));
    }
    if record.windows.len() > 1 {
        lines.push(("windows", vec![phases(&record.windows)]));
    }
    lines.extend(
        record
            .windows
            .iter()
            .map(|window| ("window", window_text(window, &zone))),
    );
    if let Some(slices) = slices {
        let (planned, staged) = (slices.planned as u64, slices.staged as u64);
        let text = format!("{} planned, {} staged", count(planned), count(staged));
        lines.push(("slices", vec![text]));
    }
    if record.state.is_open() {
        lines.push(("go on", go_on(record)));
    }
    pairs(&lines)
}

fn explained(record: &RunRecord) -> String {
    let name = state(record.state);
    match (record.state, &record.error) {
        (RunState::Open, _) => format!("{name}: it is under way, or its process was killed"),
        (RunState::GivenUp, _) => {
            format!("{name}: another run of the same target took its place")
        }
        (RunState::Failed, Some(error)) => format!("{name}: {}", cell(error)),
        (RunState::Failed | RunState::Done, _) => name.to_owned(),
    }
}

/// How many windows there are in each phase.
fn phases(windows: &[WindowRecord]) -> String {
    let of = |phase| {
        windows
            .iter()
            .filter(|window| window.phase == phase)
            .count() as u64
    };
    format!(
        "{}: {} done, {} committing, {} loading",
        count(windows.len() as u64),
        count(of(Phase::Done)),
        count(of(Phase::Committing)),
        count(of(Phase::Loading)),
    )
}

fn window_text(window: &WindowRecord, zone: &TimeZone) -> Vec<String> {
    let mut lines = window_lines(window.window, &OffsetBounds::default(), zone);
    let phase = match window.phase {
        Phase::Loading => "loading: nothing of it is in the table yet",
        Phase::Committing => "committing: its commit was sent, or was about to be",
        Phase::Done => "done",
    };
    lines.push(phase.to_owned());
    lines
}

fn go_on(record: &RunRecord) -> Vec<String> {
    // The windows of several are perhaps those of several scheduled times: with the first of them another run would begin.
    if record.windows.len() > 1 {
        return vec!["the same command goes on from here".to_owned()];
    }
    let scheduled = record.scheduled_time.as_deref();
    // Without the zone's name, which shells would take for a pattern; the job has it.
    let at = scheduled.and_then(|time| time.split('[').next());
    vec![
        "the same command goes on from here:".to_owned(),
        format!("tidegate run <job file> --at {}", at.unwrap_or("<time>")),
    ]
}

#[cfg(test)]
mod tests {
    use engine::SliceProgress;

    use super::*;
    use crate::render::fixture;

    #[test]
    fn a_run_that_failed_says_how_far_it_is_and_how_to_go_on() {
        let mut record = RunRecord {
            state: RunState::Failed,
            error: Some("the disk is full".to_owned()),
            ended_ms: None,
            ..fixture::run_record()
        };
        record.windows[0].phase = Phase::Loading;
        let slices = SliceProgress {
            planned: 1_200,
            staged: 7,
        };
        let mut run = UnfinishedRun {
            record,
            slices: Some(slices),
        };
        insta::assert_snapshot!(text(&run), @"
        job     orders_daily, run 12
        due     2026-11-23T00:15:00+08:00[Asia/Shanghai]
        target  shop.orders at 127.0.0.1:8090/ds=20261122
        state   failed: the disk is full
        begun   2026-11-22T16:15:00Z
        window  [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)
                [2026-11-22T00:00:00+08:00, 2026-11-23T00:00:00+08:00) in Asia/Shanghai
                loading: nothing of it is in the table yet
        slices  1,200 planned, 7 staged
        go on   the same command goes on from here:
                tidegate run <job file> --at 2026-11-23T00:15:00+08:00
        ");

        run.record.state = RunState::Open;
        run.record.error = None;
        run.record.windows[0].phase = Phase::Committing;
        run.record.scheduled_time = None;
        let open = text(&run);
        for part in [
            "state   open: it is under way",
            "committing: ",
            "--at <time>",
        ] {
            assert!(open.contains(part), "{open}");
        }
        run.record.windows.push(run.record.windows[0]);
        let many = text(&run);
        assert!(
            many.contains("the same command goes on from here") && !many.contains("tidegate run"),
            "{many}"
        );
        run.record.state = RunState::GivenUp;
        run.slices = None;
        let given_up = text(&run);
        assert!(
            !given_up.contains("go on") && !given_up.contains("slices"),
            "{given_up}"
        );
    }
}
