//! `tidegate history`.

use super::kept_state;
use crate::args::HistoryArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn history(args: &HistoryArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let state = kept_state(&args.state)?;
    let limit = (args.limit > 0).then_some(args.limit);
    // One more than is shown tells whether there are more.
    let asked = limit.map(|limit| limit.saturating_add(1));
    let mut runs = state.history(args.job.as_deref(), asked)?;
    let more = limit.is_some_and(|limit| runs.len() > limit);
    runs.truncate(limit.unwrap_or(usize::MAX));
    output.result(
        || render::history::text(&runs, more),
        || serde_json::to_string_pretty(&runs),
    )?;
    Ok(Exit::Done)
}
