//! The verbs, each in its file.

mod audit;
mod backfill;
mod bench;
mod check;
mod ddl;
mod demo;
mod history;
mod local;
mod params;
mod plan;
mod preview;
mod rejects;
mod report;
mod run;
mod sql;

use std::ffi::OsString;

use clap::Parser;
use engine::model::job::{CheckedWindows, Job};
use engine::{Engine, Error, ErrorKind, StateFolder};

use crate::args::{Cli, Command, JobArgs, StateArgs};
use crate::config::Surroundings;
use crate::environment;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Does what `arguments` say, the program's name first.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> Exit {
    let arguments: Vec<OsString> = arguments.collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let json = arguments.iter().any(|argument| argument == "--json");
            return explain(&error, &mut Output::standard(json));
        }
    };
    let mut output = Output::standard(cli.json);
    dispatch(cli.command, &mut output).unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit()
    })
}

fn dispatch(command: Command, output: &mut Output<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Demo(args) => demo::demo(&args, output),
        Command::Check(args) => check::check(&args, output),
        Command::Plan(args) => plan::plan(&args, output),
        Command::Preview(args) => preview::preview(&args, output),
        Command::Bench(args) => bench::bench(&args, output),
        Command::Run(args) => run::run(&args, output),
        Command::Backfill(args) => backfill::backfill(&args, output),
        Command::Audit(args) => audit::audit(&args, output),
        Command::History(args) => history::history(&args, output),
        Command::Report(args) => report::report(&args, output),
        Command::Rejects(args) => rejects::rejects(&args, output),
        Command::Params(args) => params::params(&args, output),
        Command::Ddl(args) => ddl::ddl(&args, output),
        Command::Sql(args) => sql::sql(args, output),
        Command::Local(args) => local::local(args, output),
    }
}

/// Prints help and version, or what is wrong with the command line.
fn explain(error: &clap::Error, output: &mut Output<'_>) -> Exit {
    let text = error.render().to_string();
    if error.exit_code() == 0 {
        return output
            .print(&text)
            .map_or_else(|failure| failure.exit(), |()| Exit::Done);
    }
    let message = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
    let failure = Failure::usage(message);
    output.failure(&failure);
    failure.exit()
}

fn engine() -> Result<Engine, Failure> {
    Ok(Engine::new(environment::cores())?)
}

/// The state folder of a command that only reads it, and makes none.
fn kept_state(args: &StateArgs) -> Result<StateFolder, Failure> {
    let folder = Surroundings::of_process().state_folder(args)?;
    let kept = StateFolder::existing(&folder)?;
    kept.ok_or_else(|| {
        let message = format!(
            "no run has kept anything in the state folder {}; name another with --state",
            folder.display()
        );
        Error::new(ErrorKind::Job, message).into()
    })
}

/// The job, after its warnings were said.
fn job(
    args: &JobArgs,
    at: Option<&str>,
    surroundings: &Surroundings<'_>,
    output: &mut Output<'_>,
) -> Result<Job, Failure> {
    let checked = surroundings.job(args, at)?;
    for warning in &checked.warnings {
        output.say(&warning.to_string());
    }
    if at.is_none() {
        say_now(&checked.job, output);
    }
    Ok(checked.job)
}

/// The jobs of a run, after their warnings were said.
fn windows(checked: CheckedWindows, output: &mut Output<'_>) -> Vec<Job> {
    for warning in &checked.warnings {
        output.say(&warning.to_string());
    }
    checked.jobs
}

fn say_now(job: &Job, output: &mut Output<'_>) {
    output.say(&format!(
        "note: no --at is given, so the scheduled time is now, {}",
        job.scheduled_time
    ));
}
