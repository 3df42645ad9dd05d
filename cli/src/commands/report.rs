//! `tidegate report`.

use engine::KeptRun;

use super::kept_state;
use crate::args::ReportArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn report(args: &ReportArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let state = kept_state(&args.state)?;
    let kept = state.kept_run(args.run)?;
    output.result(
        || match &kept {
            KeptRun::Done(report) => render::report::text(report, Some(&state.staging_path())),
            KeptRun::Record(unfinished) => render::record::text(unfinished),
        },
        || serde_json::to_string_pretty(&kept),
    )?;
    Ok(Exit::Done)
}
