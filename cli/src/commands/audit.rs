//! `tidegate audit`.

use engine::model::job::Verify;
use engine::{AuditOptions, LoadOptions};

use super::run::watched;
use super::{engine, kept_state, windows};
use crate::args::AuditArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn audit(args: &AuditArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let checked = match (&args.at, &args.from, &args.to) {
        (None, Some(from), Some(to)) => surroundings.backfill(&args.job, (from, to), args.every)?,
        (at, ..) => surroundings.windows(&args.job, at.as_deref())?,
    };
    let jobs = windows(checked, output);
    let state = kept_state(&args.state)?;
    let verify = if args.verify {
        Verify::Count
    } else {
        Verify::None
    };
    let options = AuditOptions {
        lateness: args.lateness,
        repair: args.repair.then(|| LoadOptions {
            verify,
            ..LoadOptions::default()
        }),
    };
    let engine = engine()?;
    let report = watched(output, |progress, cancel| {
        engine.audit(&jobs, &state, &options, progress, cancel)
    })?;
    output.result(
        || render::audit::text(&report),
        || serde_json::to_string_pretty(&report),
    )?;
    let repaired = report.repairs.len() == report.incomplete().count();
    Ok(if repaired && report.is_whole() {
        Exit::Done
    } else {
        Exit::NeedsALook
    })
}
