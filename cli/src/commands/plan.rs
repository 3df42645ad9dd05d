//! `tidegate plan`.

use engine::WindowOrder;

use super::{engine, windows};
use crate::args::PlanArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn plan(args: &PlanArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let jobs = windows(surroundings.windows(&args.job, Some(&args.at))?, output);
    let state = surroundings.state_folder(&args.state)?;
    let report = engine()?.plan(&jobs, &state, WindowOrder::OldestFirst)?;
    output.result(
        || render::plan::text(&jobs[0], &report),
        || serde_json::to_string_pretty(&report),
    )?;
    Ok(Exit::Done)
}
