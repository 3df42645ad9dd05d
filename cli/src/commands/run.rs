//! `tidegate run`.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use engine::model::RunReport;
use engine::model::job::Job;
use engine::{Cancel, Error, Halt, LoadOptions, Passing, Progress, StateFolder, WindowOrder};

use super::{engine, windows};
use crate::args::{LoadArgs, RunArgs};
use crate::config::Surroundings;
use crate::environment;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::progress::Display;
use crate::render;
use crate::signals::Signals;

/// Each names a passing of a border, such as `block_uploaded:3`, at which the program is to abort or to hold still: ways for
/// tests to try crashes, and to change the world while a run is where they want it.
const HALT_VARIABLES: [(&str, Halt); 2] = [
    ("TIDEGATE_CRASH_AT", Halt::Abort),
    ("TIDEGATE_STOP_AT", Halt::Stop),
];
/// How often signals and counters are looked at.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(100);

pub(super) fn run(args: &RunArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let jobs = windows(surroundings.windows(&args.job, Some(&args.at))?, output);
    let options = args.load.options(WindowOrder::OldestFirst);
    load(&jobs, &args.load, &options, &surroundings, output)
}

/// Loads the windows of `jobs` and shows the report.
pub(super) fn load(
    jobs: &[Job],
    args: &LoadArgs,
    options: &LoadOptions,
    surroundings: &Surroundings<'_>,
    output: &mut Output<'_>,
) -> Result<Exit, Failure> {
    let state = StateFolder::open(surroundings.state_folder(&args.state)?)?;
    let engine = engine()?;
    let options = &LoadOptions {
        halts: halts()?,
        ..options.clone()
    };
    let report = watched(output, |progress, cancel| {
        engine.run(jobs, &state, options, progress, cancel)
    })?;
    output.result(
        || render::report::text(&report, Some(&state.staging_path())),
        || serde_json::to_string_pretty(&report),
    )?;
    Ok(exit(&report, args.strict))
}

/// Where tests want the program to halt.
fn halts() -> Result<Vec<(Passing, Halt)>, Failure> {
    let named = HALT_VARIABLES.iter().filter_map(|&(variable, halt)| {
        let passing: Result<Passing, String> = environment::variable(variable)?.parse();
        let halt = passing.map(|passing| (passing, halt));
        Some(halt.map_err(|error| Failure::usage(format!("{variable}: {error}"))))
    });
    named.collect()
}

/// Runs `load` on a thread of its own, and meanwhile shows how far it is and passes signals on to it.
pub(super) fn watched<T: Send>(
    output: &mut Output<'_>,
    load: impl FnOnce(&Progress, &Cancel) -> Result<T, Error> + Send,
) -> Result<T, Failure> {
    let failed = |what: &str, error| Failure::internal(format!("{what} failed: {error}"));
    let signals = Signals::catch().map_err(|error| failed("catching signals", error))?;
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let mut display = Display::for_output(output);
    let (sender, ended) = sync_channel(1);
    let result = thread::scope(|scope| {
        let (progress, cancel) = (&progress, &cancel);
        let thread = thread::Builder::new().name("run".to_owned());
        let handle = thread
            .spawn_scoped(scope, move || {
                let result = load(progress, cancel);
                // The receiver is there until this thread has ended.
                sender.send(()).ok();
                result
            })
            .map_err(|error| failed("starting a thread", error))?;
        // A thread that panics drops its sender, which ends the loop too.
        while ended.recv_timeout(LOOK_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            if signals.asked_to_stop() && !cancel.is_cancelled() {
                cancel.cancel();
                display.say(
                    output,
                    "stopping at the next border; a second Ctrl-C or SIGTERM kills at once",
                );
            }
            display.update(progress, output);
        }
        handle.join().map_err(|_| {
            Failure::internal("the run's thread panicked, a defect of this program; run the same command to go on")
        })
    });
    display.finish();
    Ok(result??)
}

/// What the caller is told about a good run.
fn exit(report: &RunReport, strict: bool) -> Exit {
    let rejected = report
        .windows
        .iter()
        .any(|window| !window.rejected.is_empty());
    if strict && (rejected || !report.warnings.is_empty()) {
        Exit::NeedsALook
    } else {
        Exit::Done
    }
}

#[cfg(test)]
mod tests {
    use engine::ErrorKind;

    use super::*;
    use crate::render::fixture;

    #[test]
    fn only_strict_runs_tell_that_they_need_a_look() {
        let report = fixture::report();
        assert!(!report.warnings.is_empty() && !report.windows[0].rejected.is_empty());
        assert_eq!(
            (exit(&report, false), exit(&report, true)),
            (Exit::Done, Exit::NeedsALook)
        );

        let mut rejects_only = report.clone();
        rejects_only.warnings.clear();
        assert_eq!(exit(&rejects_only, true), Exit::NeedsALook);
        let mut good = rejects_only;
        good.windows[0].rejected.clear();
        assert_eq!(exit(&good, true), Exit::Done);
    }

    #[test]
    fn the_result_of_the_thread_comes_back() {
        let mut output = Output::new(true, std::io::sink(), std::io::sink());
        assert_eq!(watched(&mut output, |_, _| Ok(7)).unwrap(), 7);
        let failure = watched(&mut output, |_, _| {
            Err::<(), _>(Error::new(ErrorKind::Locked, "orders is locked"))
        });
        assert_eq!(failure.unwrap_err().text(), "error: orders is locked");
        let failure = watched(&mut output, |_, _| -> Result<(), _> { panic!("broken") });
        assert!(failure.unwrap_err().text().contains("panicked"));
    }
}
