//! `tidegate plan`.

use super::{engine, job};
use crate::args::PlanArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn plan(args: &PlanArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let job = job(&args.job, Some(&args.at), &surroundings, output)?;
    let state = surroundings.state_folder(&args.state)?;
    let report = engine()?.plan(&job, &state)?;
    output.result(
        || render::plan::text(&job, &report),
        || serde_json::to_string_pretty(&report),
    )?;
    Ok(Exit::Done)
}
