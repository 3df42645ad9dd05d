//! `tidegate preview`.

use super::{engine, job};
use crate::args::PreviewArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn preview(args: &PreviewArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let job = job(&args.job, args.at.as_deref(), &surroundings, output)?;
    let preview = engine()?.preview(&job, args.rows.get())?;
    output.result(
        || render::preview::text(&job, &preview),
        || serde_json::to_string_pretty(&preview),
    )?;
    Ok(Exit::Done)
}
