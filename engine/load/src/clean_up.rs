//! What is left to do when a run is loaded.

use std::collections::BTreeSet;

use engine_model::RunReport;

use crate::Error;
use crate::border::Border;
use crate::journal::OpenRun;
use crate::resume::delete_files;
use crate::run::Ports;
use crate::stage::{holds_rejects, run_of_staged_file};

/// Deletes the staged rows, which the table holds now, and those of runs that this one has superseded. What fails here
/// changes nothing about the load, so it is only a warning.
pub(crate) fn clean_up(
    ports: &Ports<'_>,
    run: &OpenRun,
    report: &mut RunReport,
) -> Result<(), Error> {
    let kept: Vec<_> = report
        .windows
        .iter()
        .flat_map(|window| &window.reject_files)
        .collect();
    match leftovers(ports, run.id, |name| kept.iter().any(|kept| *kept == name)) {
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

/// The files of `run` in the staging folder that are not `kept`, and what runs that are not open have left, but rejected
/// messages.
pub(crate) fn leftovers(
    ports: &Ports<'_>,
    run: i64,
    kept: impl Fn(&str) -> bool,
) -> Result<Vec<String>, Error> {
    let staging = &*ports.staging;
    // First the files, then the runs: what another process begins in between is not among the files.
    let names = staging
        .list()
        .map_err(|error| Error::staging("looking for old files", &staging.location(), error))?;
    let open: BTreeSet<i64> = ports.journal.open_run_ids()?.into_iter().collect();
    let unneeded = |name: &String| {
        run_of_staged_file(name).is_some_and(|of| {
            of == run && !kept(name) || !open.contains(&of) && !holds_rejects(name)
        })
    };
    Ok(names.into_iter().filter(unneeded).collect())
}
