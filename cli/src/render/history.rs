//! The runs that were.

use engine::{Phase, RunRecord, RunState};

use super::number::{count, seconds};
use super::table::Columns;
use super::time::second;

/// A line for each run, the newest first; `more` where there are older ones.
pub(crate) fn text(runs: &[RunRecord], more: bool) -> String {
    if runs.is_empty() {
        return "no run was found".to_owned();
    }
    let mut columns = Columns::new(&[
        "run>",
        "state",
        "begun",
        "ended",
        "job",
        "window",
        "rows>",
        "rejected>",
        "time>",
        "target",
        "error",
    ]);
    let instant = |ms: Option<i64>| ms.map_or("-".to_owned(), second);
    let number = |number: Option<u64>| number.map_or("-".to_owned(), count);
    for run in runs {
        columns.row([
            run.run.to_string(),
            state(run.state).to_owned(),
            instant(run.begun_ms),
            instant(run.ended_ms),
            run.job.clone(),
            windows(run),
            number(run.rows),
            number(run.rejected),
            run.seconds.map_or("-".to_owned(), seconds),
            target(run),
            run.error.as_deref().map_or(String::new(), first_line),
        ]);
    }
    let mut text = columns.text();
    if more {
        text.push_str("\n\nthere are older ones: --limit N lists more, --limit 0 all of them");
    }
    text
}

/// The state in a word or two.
pub(super) fn state(state: RunState) -> &'static str {
    match state {
        RunState::Open => "open",
        RunState::Failed => "failed",
        RunState::Done => "done",
        RunState::GivenUp => "given up",
    }
}

/// From the first window's start to the last one's end, and how many there are where it is not one, and are done where the
/// run is not.
fn windows(run: &RunRecord) -> String {
    let windows = &run.windows;
    let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
        return "-".to_owned();
    };
    let all = first.window.through(last.window);
    match windows.len() {
        1 => all.to_string(),
        many if run.state.is_open() => {
            let done = windows.iter().filter(|window| window.phase == Phase::Done);
            format!("{all} in {many} windows, {} done", done.count())
        }
        many => format!("{all} in {many} windows"),
    }
}

/// Where the rows went; of several windows, only the table.
pub(super) fn target(run: &RunRecord) -> String {
    let table = run.target.split('/').next().unwrap_or_default();
    if run.windows.len() > 1 {
        table.to_owned()
    } else {
        run.target.clone()
    }
}

fn first_line(error: &str) -> String {
    error.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use engine::WindowRecord;
    use engine::model::Window;

    use super::*;
    use crate::render::fixture;

    #[test]
    fn runs_are_listed_a_line_each() {
        let done = fixture::run_record();
        let hour = 3_600_000;
        let start = done.windows[0].window.start_ms;
        let hours = (0..24).map(|number| WindowRecord {
            window: Window::new(start + number * hour, start + (number + 1) * hour).unwrap(),
            ..done.windows[0]
        });
        let failed = RunRecord {
            run: 13,
            state: RunState::Failed,
            error: Some("the disk is full; free space there\nand more".to_owned()),
            ended_ms: None,
            rows: None,
            rejected: None,
            seconds: None,
            windows: hours.collect(),
            ..done.clone()
        };
        let old = RunRecord {
            run: 3,
            state: RunState::GivenUp,
            begun_ms: None,
            ..failed.clone()
        };
        let old = RunRecord {
            error: None,
            windows: done.windows.clone(),
            ..old
        };
        insta::assert_snapshot!(text(&[failed, done, old], true), @"
        run  state     begun                 ended                 job           window                                                                  rows  rejected    time  target                                     error
         13  failed    2026-11-22T16:15:00Z  -                     orders_daily  [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z) in 24 windows, 24 done        -         -       -  shop.orders at 127.0.0.1:8090              the disk is full; free space there
         12  done      2026-11-22T16:15:00Z  2026-11-22T16:16:35Z  orders_daily  [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)                         500,100         4  1m 35s  shop.orders at 127.0.0.1:8090/ds=20261122
          3  given up  -                     -                     orders_daily  [2026-11-21T16:00:00Z, 2026-11-22T16:00:00Z)                               -         -       -  shop.orders at 127.0.0.1:8090/ds=20261122

        there are older ones: --limit N lists more, --limit 0 all of them
        ");
    }

    #[test]
    fn no_run_is_no_table() {
        assert_eq!(text(&[], false), "no run was found");
    }
}
