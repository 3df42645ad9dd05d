//! `tidegate backfill`.

use engine::WindowOrder;

use super::run::load;
use super::{engine, windows};
use crate::args::BackfillArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

pub(super) fn backfill(args: &BackfillArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let range = (args.from.as_str(), args.to.as_str());
    let checked = surroundings.backfill(&args.job, range, args.every)?;
    let mut jobs = windows(checked, output);
    let state = surroundings.state_folder(&args.load.state)?;
    let order: WindowOrder = args.order.into();
    if args.only_missing {
        let wanted = jobs.len();
        jobs = engine()?.missing(&jobs, &state)?;
        if jobs.is_empty() {
            let text = format!("nothing to do: the targets of all {wanted} windows hold rows");
            output.result(|| text, || Ok("{\"windows\": []}".to_owned()))?;
            return Ok(Exit::Done);
        }
    }
    if args.plan {
        let report = engine()?.plan(&jobs, &state, order)?;
        output.result(
            || render::plan::text(&jobs[0], &report),
            || serde_json::to_string_pretty(&report),
        )?;
        return Ok(Exit::Done);
    }
    load(
        &jobs,
        &args.load,
        &args.load.options(order),
        &surroundings,
        output,
    )
}
