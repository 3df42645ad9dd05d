//! Runs that were, as the state folder keeps them.

use engine_load::{Error, ErrorKind, RunRecord, SliceProgress};
use engine_model::RunReport;
use serde::Serialize;

use crate::state::StateFolder;

/// What is kept of one run.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum KeptRun {
    /// It is done, and this is its report.
    Done(Box<RunReport>),
    /// It is not done, or no report of it is kept.
    Record(Box<UnfinishedRun>),
}

/// What the journal knows of a run without a report.
#[derive(Clone, Debug, Serialize)]
pub struct UnfinishedRun {
    /// The run and its windows.
    #[serde(flatten)]
    pub record: RunRecord,
    /// How far its slices are; nothing where it was given up.
    pub slices: Option<SliceProgress>,
}

impl StateFolder {
    /// The runs, the newest first: all of them, or those of the job named `job`; with a `limit` no more than that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`] where the journal can't be read.
    pub fn history(
        &self,
        job: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<RunRecord>, Error> {
        self.journal().history(job, limit)
    }

    /// What is kept of run `run`, or of the last one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] where there is no such run; [`ErrorKind::Journal`] where the journal can't be read.
    pub fn kept_run(&self, run: Option<i64>) -> Result<KeptRun, Error> {
        let journal = self.journal();
        let record = match run {
            Some(run) => journal.record(run)?,
            None => journal.history(None, Some(1))?.pop().ok_or_else(|| {
                let message = format!("{} keeps no run yet", self.path().display());
                Error::new(ErrorKind::Job, message)
            })?,
        };
        if let Some(report) = journal.report(record.run)? {
            return Ok(KeptRun::Done(Box::new(report)));
        }
        let slices = journal.slices(record.run)?;
        Ok(KeptRun::Record(Box::new(UnfinishedRun { record, slices })))
    }
}
