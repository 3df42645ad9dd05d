//! `tidegate rejects`.

use engine::StateFolder;

use crate::args::RejectsArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn rejects(args: &RejectsArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let state = StateFolder::open(Surroundings::of_process().state_folder(&args.state)?)?;
    let found = state.rejected(args.run, args.messages, args.export.as_deref())?;
    output.result(
        || render::rejects::text(&found, args.export.as_deref()),
        || serde_json::to_string_pretty(&found),
    )?;
    Ok(Exit::Done)
}
