//! What is left to do when a run is loaded.

use std::collections::BTreeSet;

use engine_model::RunReport;

use crate::Error;
use crate::border::Border;
use crate::journal::OpenRun;
use crate::resume::delete_files;
use crate::run::Ports;
use crate::stage::{holds_rejects, run_of_staged_file, run_prefix};

/// Deletes the staged rows, which the table holds now. What fails here changes nothing about the load, so it is only a warning.
pub(crate) fn clean_up(
    ports: &Ports<'_>,
    run: &OpenRun,
    report: &mut RunReport,
) -> Result<(), Error> {
    match unneeded_files(ports, run, report) {
        Ok(unneeded) => {
            for name in unneeded {
                if let Err(error) = delete_files(&*ports.staging, [name]) {
                    report.warnings.push(error.to_string());
                    break;
                }
                (ports.on_border)(Border::FileDeleted)?;
            }
        }
        Err(error) => report.warnings.push(error.to_string()),
    }
    Ok(())
}

/// The run's files in the staging folder, but those of rejected messages, and the rows of runs that it has superseded.
fn unneeded_files(
    ports: &Ports<'_>,
    run: &OpenRun,
    report: &RunReport,
) -> Result<Vec<String>, Error> {
    let prefix = run_prefix(run.id);
    let kept: Vec<_> = report
        .windows
        .iter()
        .flat_map(|window| &window.reject_files)
        .collect();
    let staging = &*ports.staging;
    let names = staging
        .list()
        .map_err(|error| Error::staging("looking for old files", &staging.location(), error))?;
    let open: BTreeSet<i64> = ports.journal.open_run_ids()?.into_iter().collect();
    let ended = |name: &str| {
        let run = run_of_staged_file(name);
        run.is_some_and(|run| !open.contains(&run)) && !holds_rejects(name)
    };
    let unneeded = names
        .into_iter()
        .filter(|name| (name.starts_with(&prefix) && !kept.contains(&name)) || ended(name));
    Ok(unneeded.collect())
}
