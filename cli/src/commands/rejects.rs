//! `tidegate rejects`.

use super::kept_state;
use crate::args::RejectsArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn rejects(args: &RejectsArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let found = kept_state(&args.state)?.rejected(
        args.run,
        args.job.as_deref(),
        args.messages,
        args.export.as_deref(),
    )?;
    output.result(
        || render::rejects::text(&found, args.export.as_deref()),
        || serde_json::to_string_pretty(&found),
    )?;
    Ok(Exit::Done)
}
