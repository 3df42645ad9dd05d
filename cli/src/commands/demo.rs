//! `tidegate demo`.

use std::fs;
use std::path::{Path, PathBuf};

use engine::demo::{Comparison, Demo, JOB_FILE, Produced};
use engine::model::RunReport;
use engine::{Error, ErrorKind, LoadOptions, QueryResult, StateFolder, WindowOrder};
use serde::Serialize;

use super::engine;
use super::run::watched;
use crate::args::DemoArgs;
use crate::environment::Stopwatch;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::render;

/// What the demonstration found.
#[derive(Serialize)]
struct Found {
    produced: Produced,
    report: RunReport,
    query: QueryResult,
    comparisons: Vec<Comparison>,
    seconds: f64,
}

pub(super) fn demo(args: &DemoArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let folder = Folder::new(args.keep.as_deref())?;
    let found = show(args, &folder, output)?;
    let agree = found.comparisons.iter().all(Comparison::agrees);
    output.result(
        || render::demo::comparisons(&found.comparisons),
        || serde_json::to_string_pretty(&found),
    )?;
    if !agree {
        // The document has the comparisons, and there is only one.
        output.say("error: what was loaded is not what was produced; the lines that say so begin with `differs`");
        return Ok(Exit::Failed);
    }
    let kept = folder.is_kept().then_some(folder.path());
    explain(output, &render::demo::next_steps(kept, found.seconds))?;
    Ok(Exit::Done)
}

fn show(args: &DemoArgs, folder: &Folder, output: &mut Output<'_>) -> Result<Found, Failure> {
    let stopwatch = Stopwatch::start();
    let mut demo = Demo::start(folder.path())?;
    let (brokers, endpoint) = (demo.kafka().brokers(), demo.maxcompute().endpoint());
    explain(
        output,
        &render::demo::begin(&brokers, &endpoint, args.messages),
    )?;
    let produced = demo.produce(args.messages)?.clone();
    explain(output, &render::demo::produced(&produced))?;
    demo.create_table()?;
    explain(output, &render::demo::table(&Demo::ddl()))?;

    let job = demo.job()?;
    let state = StateFolder::open(folder.path().join("state"))?;
    let engine = engine()?;
    let plan = engine.plan(
        std::slice::from_ref(&job),
        state.path(),
        WindowOrder::OldestFirst,
    )?;
    explain(
        output,
        &render::demo::heading("The plan of the daily run that is due at 2022-11-22 00:15"),
    )?;
    explain(output, &render::plan::text(&job, &plan))?;
    explain(output, &render::demo::heading("The run"))?;
    let options = LoadOptions::default();
    let report = watched(output, |progress, cancel| {
        let report = engine.run(
            std::slice::from_ref(&job),
            &state,
            &options,
            progress,
            cancel,
        );
        report.map_err(|error| match error.kind() {
            ErrorKind::Stopped => Error::new(
                ErrorKind::Stopped,
                "stopped as asked; a demonstration begins anew each time, with --keep in another folder",
            ),
            _ => error,
        })
    })?;
    let kept_staging = folder.is_kept().then(|| state.staging_path());
    explain(
        output,
        &render::report::text(&report, kept_staging.as_deref()),
    )?;

    let query = demo.sql(Demo::query())?;
    explain(output, &render::demo::heading(Demo::query()))?;
    explain(output, &render::query::text(&query))?;
    explain(
        output,
        &render::demo::heading("What was produced beside what was loaded"),
    )?;
    let comparisons = demo.compare(&report, args.flip_count)?;
    demo.shutdown();
    let seconds = stopwatch.elapsed().as_secs_f64();
    Ok(Found {
        produced,
        report,
        query,
        comparisons,
        seconds,
    })
}

/// Prints what only people want to read.
fn explain(output: &mut Output<'_>, text: &str) -> Result<(), Failure> {
    if output.is_json() {
        Ok(())
    } else {
        output.print(text)
    }
}

/// Where the demonstration's data is.
enum Folder {
    /// Stays.
    Kept(PathBuf),
    /// Goes with the demonstration.
    Temporary(PathBuf),
}

impl Folder {
    fn new(keep: Option<&Path>) -> Result<Self, Failure> {
        let failed = |path: &Path, error: &std::io::Error| {
            Failure::from(Error::new(
                ErrorKind::Staging,
                format!(
                    "the demonstration's folder {} can't be made: {error}",
                    path.display()
                ),
            ))
        };
        let Some(path) = keep else {
            let path = std::env::temp_dir().join(format!("tidegate-demo-{}", std::process::id()));
            fs::create_dir(&path).map_err(|error| failed(&path, &error))?;
            return Ok(Self::Temporary(path));
        };
        fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
        let mut entries = fs::read_dir(path).map_err(|error| failed(path, &error))?;
        if entries.next().is_some() {
            return Err(Failure::usage(format!(
                "--keep: the folder {} is not empty; name another",
                path.display()
            )));
        }
        let job = Demo::kept_job_file();
        fs::write(path.join(JOB_FILE), job).map_err(|error| failed(path, &error))?;
        Ok(Self::Kept(path.to_owned()))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) | Self::Temporary(path) => path,
        }
    }

    fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self {
            // What stays behind in the system's temporary folder, the system deletes.
            fs::remove_dir_all(path).ok();
        }
    }
}
