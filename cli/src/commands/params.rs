//! `tidegate params`.

use engine::model::params::{evaluate, explain, lint, parse};

use crate::args::ParamsArgs;
use crate::config::Surroundings;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render::params::Evaluated;

pub(super) fn params(args: &ParamsArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let surroundings = Surroundings::of_process();
    let zone = surroundings.zone(args.time_zone.as_deref())?;
    let at = surroundings.scheduled_time("--at", args.at.as_deref(), &zone)?;
    let wrong = |error| Failure::usage(format!("expression {error}"));
    let expression = parse(&args.expression).map_err(wrong)?;
    let evaluated = Evaluated {
        expression: &args.expression,
        value: evaluate(&expression, &at).map_err(wrong)?,
        parts: explain(&expression, &at).map_err(wrong)?,
        notes: lint(&expression),
        at,
    };
    output.result(|| evaluated.text(), || evaluated.document())?;
    Ok(Exit::Done)
}
