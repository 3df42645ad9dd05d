//! `tidegate bench`.

use engine::BenchOptions;

use super::run::watched;
use super::{engine, windows};
use crate::args::BenchArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn bench(args: &BenchArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let jobs = windows(surroundings.windows(&args.job, Some(&args.at))?, output);
    let state = surroundings.state_folder(&args.state)?;
    let engine = engine()?;
    let options = BenchOptions {
        messages: args.messages,
        repetitions: args.repetitions.get(),
    };
    let report = watched(output, |progress, cancel| {
        engine.bench(&jobs, &state, options, progress, cancel)
    })?;
    output.result(
        || render::bench::text(&report),
        || serde_json::to_string_pretty(&report),
    )?;
    Ok(Exit::Done)
}
