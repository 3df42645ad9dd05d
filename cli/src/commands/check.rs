//! `tidegate check`.

use super::{engine, say_now};
use crate::args::CheckArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn check(args: &CheckArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let checked = Surroundings::of_process().windows(&args.job, args.at.as_deref())?;
    if let (None, Some(job)) = (&args.at, checked.jobs.first()) {
        say_now(job, output);
    }
    let report = engine()?.check(&checked.jobs);
    output.result(
        || render::check::text(&checked.warnings, &report),
        || render::check::document(&checked.warnings, &report),
    )?;
    Ok(if report.is_good() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
