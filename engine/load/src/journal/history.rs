//! What the journal tells people about runs, also about those that ended long ago.

use engine_model::{RunReport, Window, WindowOutcome};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{Journal, Phase, from_json, load_run, rows};
use crate::{Error, ErrorKind};

/// A run, as the journal knows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunRecord {
    /// The run's number.
    pub run: i64,
    /// The job's name.
    pub job: String,
    /// When the run was due, with the job's time zone; nothing where an older version began it.
    pub scheduled_time: Option<String>,
    /// Where the rows of its first window go: table, server and table partition.
    pub target: String,
    /// How far it is.
    pub state: RunState,
    /// What its last attempt failed by; nothing while one is under way, and where a process was killed.
    pub error: Option<String>,
    /// When it was begun, in ms since the epoch; nothing where an older version began it.
    pub begun_ms: Option<i64>,
    /// When it was done or given up, in ms since the epoch.
    pub ended_ms: Option<i64>,
    /// Its windows, in time order.
    pub windows: Vec<WindowRecord>,
    /// Rows that the table got, of a run that is done.
    pub rows: Option<u64>,
    /// Messages that became no rows, of a run that is done.
    pub rejected: Option<u64>,
    /// Wall time of the last attempt in seconds, of a run that is done.
    pub seconds: Option<f64>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// An attempt is under way, or its process was killed.
    Open,
    /// The last attempt failed, and the same command goes on.
    Failed,
    /// All windows are done, and the report is kept.
    Done,
    /// Another run of the same target took its place.
    GivenUp,
}

impl RunState {
    /// Whether the same command would go on with the run.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Failed)
    }
}

/// A window of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WindowRecord {
    /// The message timestamps.
    pub window: Window,
    /// How far it is.
    pub phase: Phase,
    /// How it ended, once it is done.
    pub outcome: Option<WindowOutcome>,
}

/// How far the slices of a run are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SliceProgress {
    /// Slices of the plan.
    pub planned: usize,
    /// Slices that are staged and need not be read again.
    pub staged: usize,
}

impl Journal {
    /// The runs, the newest first: all of them, or those of one job; with a `limit` no more than that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`] where it can't be read.
    pub fn history(
        &self,
        job: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<RunRecord>, Error> {
        let connection = self.lock();
        let limit = limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let runs = rows(
            &connection,
            "SELECT id FROM runs WHERE ?1 IS NULL OR job = ?1 ORDER BY id DESC LIMIT ?2",
            params![job, limit],
            |row| row.get(0),
        )?;
        runs.into_iter()
            .map(|run| record(&connection, run))
            .collect()
    }

    /// The numbers of the runs of one job, in order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`] where it can't be read.
    pub fn runs_of(&self, job: &str) -> Result<Vec<i64>, Error> {
        rows(
            &self.lock(),
            "SELECT id FROM runs WHERE job = ?1 ORDER BY id",
            [job],
            |row| row.get(0),
        )
    }

    /// One run.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] where there is none of that number; [`ErrorKind::Journal`] where it can't be read.
    pub fn record(&self, run: i64) -> Result<RunRecord, Error> {
        let connection = self.lock();
        let known: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM runs WHERE id = ?1)",
            [run],
            |row| row.get(0),
        )?;
        if known {
            return record(&connection, run);
        }
        let (first, last): (Option<i64>, Option<i64>) =
            connection.query_row("SELECT MIN(id), MAX(id) FROM runs", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let known = match first.zip(last) {
            None => "there is none at all yet".to_owned(),
            Some((first, last)) if first == last => format!("there is only run {first}"),
            Some((first, last)) => {
                format!("there are runs {first} to {last}: `tidegate history` lists them")
            }
        };
        Err(Error::new(
            ErrorKind::Job,
            format!("there is no run {run}; {known}"),
        ))
    }

    /// The report of a run that is done; nothing of one that isn't.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`] where it can't be read.
    pub fn report(&self, run: i64) -> Result<Option<RunReport>, Error> {
        report(&self.lock(), run)
    }

    /// How far the slices of a run that has not ended are; nothing of one that has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`] where it can't be read.
    pub fn slices(&self, run: i64) -> Result<Option<SliceProgress>, Error> {
        let connection = self.lock();
        let state: Option<String> = connection
            .query_row("SELECT state FROM runs WHERE id = ?1", [run], |row| {
                row.get(0)
            })
            .optional()?;
        if state.as_deref() != Some("open") {
            return Ok(None);
        }
        let open = load_run(&connection, run)?;
        Ok(Some(SliceProgress {
            planned: open.plan.slices.len(),
            staged: open.staged.len(),
        }))
    }
}

fn record(connection: &Connection, run: i64) -> Result<RunRecord, Error> {
    let windows = rows(
        connection,
        "SELECT start_ms, end_ms, phase, outcome FROM windows WHERE run = ?1 ORDER BY number",
        [run],
        |row| {
            let window = Window {
                start_ms: row.get(0)?,
                end_ms: row.get(1)?,
            };
            Ok((window, row.get::<_, String>(2)?, row.get(3)?))
        },
    )?;
    let windows = windows
        .into_iter()
        .map(|(window, phase, outcome): (_, _, Option<String>)| {
            Ok(WindowRecord {
                window,
                phase: Phase::known(&phase)?,
                outcome: outcome.as_deref().map(from_json).transpose()?,
            })
        })
        .collect::<Result<_, Error>>()?;
    let (mut record, state) = connection.query_row(
        "SELECT id, job, scheduled_time, \
         (SELECT target FROM windows WHERE run = runs.id AND number = 0), error, begun_ms, ended_ms, state \
         FROM runs WHERE id = ?1",
        [run],
        |row| Ok((bare_record(row)?, row.get::<_, String>(7)?)),
    )?;
    record.windows = windows;
    record.state = match (state.as_str(), &record.error) {
        ("done", _) => RunState::Done,
        ("given up", _) => RunState::GivenUp,
        (_, Some(_)) => RunState::Failed,
        (_, None) => RunState::Open,
    };
    if let Some(report) = report(connection, run)? {
        let rejected = |report: &RunReport| {
            let windows = report.windows.iter();
            windows.flat_map(|window| window.rejected.values()).sum()
        };
        record.rows = Some(report.windows.iter().map(|window| window.rows).sum());
        record.rejected = Some(rejected(&report));
        record.seconds = Some(report.seconds);
    }
    Ok(record)
}

/// What stands in a row of `runs`.
fn bare_record(row: &Row<'_>) -> rusqlite::Result<RunRecord> {
    Ok(RunRecord {
        run: row.get(0)?,
        job: row.get(1)?,
        scheduled_time: row.get(2)?,
        target: row.get(3)?,
        state: RunState::Open,
        error: row.get(4)?,
        begun_ms: row.get(5)?,
        ended_ms: row.get(6)?,
        windows: Vec::new(),
        rows: None,
        rejected: None,
        seconds: None,
    })
}

fn report(connection: &Connection, run: i64) -> Result<Option<RunReport>, Error> {
    let text: Option<Option<String>> = connection
        .query_row("SELECT report FROM runs WHERE id = ?1", [run], |row| {
            row.get(0)
        })
        .optional()?;
    text.flatten().as_deref().map(from_json).transpose()
}
