//! The journal: what a run has done, so that a crash costs no more than the slice under way.
//!
//! SQLite with a write-ahead log and full synchronisation: what a call wrote is there after a power loss.

mod history;
mod loads;
mod schema;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine_model::job::WriteMode;
use engine_model::{LoadPlan, SLICE_FORMAT, SliceReport, WindowOutcome};
use rusqlite::{Connection, ErrorCode, Params, Row, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind};

pub use history::{RunRecord, RunState, SliceProgress, WindowRecord};
pub(crate) use loads::{Change, LastRead, Load};

/// The journal of one state folder.
#[derive(Debug)]
pub struct Journal {
    connection: Mutex<Connection>,
    path: PathBuf,
}

/// A run that was begun and has not ended.
#[derive(Clone, Debug)]
pub(crate) struct OpenRun {
    pub(crate) id: i64,
    /// The plan, frozen when the run began.
    pub(crate) plan: LoadPlan,
    /// What its commits do to the rows that are there.
    pub(crate) write: WriteMode,
    /// The windows' states, in the plan's order.
    pub(crate) windows: Vec<WindowState>,
    /// The slices that are staged, by number.
    pub(crate) staged: BTreeMap<u32, SliceReport>,
}

/// What a run loads that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenLoad {
    pub(crate) run: i64,
    pub(crate) fingerprint: String,
    /// The targets of its windows, in the plan's order.
    pub(crate) targets: Vec<String>,
}

/// How far the upload of one window has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WindowState {
    pub(crate) phase: Phase,
    /// The upload session, once one was opened.
    pub(crate) session: Option<String>,
    /// How the window ended, once it is done.
    pub(crate) outcome: Option<WindowOutcome>,
}

/// The phases of a window, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Slices are read, staged and uploaded.
    Loading,
    /// The commit was sent, or was about to be.
    Committing,
    /// The commit is known to have happened, or there was nothing to commit.
    Done,
}

impl Phase {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Loading, "loading"),
        (Self::Committing, "committing"),
        (Self::Done, "done"),
    ];

    fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(phase, _)| *phase == self)
            .map_or("", |(_, name)| name)
    }

    /// The phase of a name that the journal holds.
    fn known(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(phase, _)| *phase).ok_or_else(|| {
            let message = format!("the journal holds an unknown phase {name:?}");
            Error::new(ErrorKind::Journal, message)
        })
    }
}

/// A run that begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewRun<'a> {
    /// Where the windows go, in the plan's order.
    pub(crate) targets: &'a [String],
    pub(crate) fingerprint: &'a str,
    pub(crate) job: &'a str,
    /// When it was due, as people read it.
    pub(crate) scheduled_time: &'a str,
    /// When it begins, in ms since the epoch.
    pub(crate) begun_ms: i64,
    /// The topic's id, where the brokers give one.
    pub(crate) topic_id: Option<&'a str>,
    pub(crate) write: WriteMode,
    pub(crate) plan: &'a LoadPlan,
}

impl Journal {
    /// Opens the journal at `path`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Journal`] where the file is no journal, damaged, or of a newer version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let open = || -> Result<Connection, Error> {
            make_private(path).map_err(|error| {
                let message =
                    format!("it can't be written: {error}; name another state folder with --state");
                Error::with_source(ErrorKind::Journal, message, error)
            })?;
            let mut connection = Connection::open(path)?;
            schema::prepare(&mut connection)?;
            schema::check(&connection)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| {
            let path = path.display();
            let advice = advice(&error).unwrap_or_default();
            let message = format!("the journal {path} can't be used: {error}{advice}");
            Error::with_source(ErrorKind::Journal, message, error)
        })?;
        Ok(Self {
            connection: Mutex::new(connection),
            path: path.to_owned(),
        })
    }

    /// Says of an error of SQLite's which file it is about, and what to do.
    pub(crate) fn named(&self, error: Error) -> Error {
        let Some(advice) = advice(&error) else {
            return error;
        };
        let path = self.path.display();
        let message = format!("{error}; the journal is {path}{advice}");
        Error::with_source(error.kind(), message, error)
    }

    /// The run that was begun with this very `fingerprint`, loads into these `targets` in this order, and has not ended.
    pub(crate) fn open_run(
        &self,
        targets: &[String],
        fingerprint: &str,
    ) -> Result<Option<OpenRun>, Error> {
        let connection = self.lock();
        let found: Vec<i64> = rows(
            &connection,
            "SELECT id FROM runs WHERE fingerprint = ?1 AND state = 'open' ORDER BY id DESC",
            [fingerprint],
            |row| row.get(0),
        )?;
        for run in found {
            let loads: Vec<String> = rows(
                &connection,
                "SELECT target FROM windows WHERE run = ?1 ORDER BY number",
                [run],
                |row| row.get(0),
            )?;
            if loads == targets {
                return load_run(&connection, run).map(Some);
            }
        }
        Ok(None)
    }

    /// A run as it is now, that this process has begun or found.
    pub(crate) fn run(&self, run: i64) -> Result<OpenRun, Error> {
        load_run(&self.lock(), run)
    }

    /// The open runs of which a commit into `target` was sent, or was about to be, and whose end is not known.
    pub(crate) fn undecided_runs(&self, target: &str) -> Result<Vec<OpenRun>, Error> {
        let connection = self.lock();
        let found = rows(
            &connection,
            "SELECT DISTINCT runs.id FROM runs JOIN windows ON windows.run = runs.id \
             WHERE windows.target = ?1 AND runs.state = 'open' AND windows.phase = 'committing' ORDER BY runs.id",
            [target],
            |row| row.get(0),
        )?;
        found
            .into_iter()
            .map(|run| load_run(&connection, run))
            .collect()
    }

    /// What the runs load that have not ended, the newest first.
    pub(crate) fn open_loads(&self) -> Result<Vec<OpenLoad>, Error> {
        let found: Vec<(i64, String, String)> = rows(
            &self.lock(),
            "SELECT runs.id, runs.fingerprint, windows.target FROM runs JOIN windows ON windows.run = runs.id \
             WHERE runs.state = 'open' ORDER BY runs.id DESC, windows.number",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut loads: Vec<OpenLoad> = Vec::new();
        for (run, fingerprint, target) in found {
            match loads.last_mut().filter(|load| load.run == run) {
                Some(load) => load.targets.push(target),
                None => loads.push(OpenLoad {
                    run,
                    fingerprint,
                    targets: vec![target],
                }),
            }
        }
        Ok(loads)
    }

    /// The runs that have not ended, of all targets.
    pub(crate) fn open_run_ids(&self) -> Result<Vec<i64>, Error> {
        rows(
            &self.lock(),
            "SELECT id FROM runs WHERE state = 'open' ORDER BY id",
            [],
            |row| row.get(0),
        )
    }

    /// Begins a run. Open runs of the same fingerprint, which it begins anew, are given up and their slices forgotten. Windows of
    /// others that go into its targets stay what they are until this run has loaded something there.
    pub(crate) fn begin_run(&self, new: &NewRun<'_>) -> Result<i64, Error> {
        let NewRun {
            targets,
            fingerprint,
            job,
            scheduled_time,
            begun_ms,
            topic_id,
            write,
            plan,
        } = *new;
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        let begun_anew = "SELECT id FROM runs JOIN windows ON run = id \
             WHERE fingerprint = ?1 AND state = 'open' AND number = 0 AND target = ?2";
        let first = targets.first().map_or("", String::as_str);
        let found: Vec<i64> = rows(&transaction, begun_anew, [fingerprint, first], |row| {
            row.get(0)
        })?;
        for older in found {
            give_up(&transaction, older, begun_ms)?;
        }
        transaction.execute(
            "INSERT INTO runs (fingerprint, job, state, plan, scheduled_time, begun_ms, topic_id, replaces) \
             VALUES (?1, ?2, 'open', ?3, ?4, ?5, ?6, ?7)",
            params![
                fingerprint,
                job,
                to_json(plan)?,
                scheduled_time,
                begun_ms,
                topic_id,
                write == WriteMode::Replace,
            ],
        )?;
        let run = transaction.last_insert_rowid();
        for ((number, window), target) in (0_u32..).zip(&plan.windows).zip(targets) {
            transaction.execute(
                "INSERT INTO windows (run, number, target, phase, start_ms, end_ms, partition) \
                 VALUES (?1, ?2, ?3, 'loading', ?4, ?5, ?6)",
                params![
                    run,
                    number,
                    target,
                    window.window.start_ms,
                    window.window.end_ms,
                    window.partition.to_string()
                ],
            )?;
        }
        transaction.commit()?;
        Ok(run)
    }

    /// Records a slice as staged; its files are durable.
    pub(crate) fn slice_staged(&self, run: i64, report: &SliceReport) -> Result<(), Error> {
        self.execute(
            "INSERT OR REPLACE INTO slices (run, number, report) VALUES (?1, ?2, ?3)",
            params![run, report.number, to_json(report)?],
        )
    }

    /// Forgets a slice whose staged files are lost, so that it is read again.
    pub(crate) fn slice_lost(&self, run: i64, number: u32) -> Result<(), Error> {
        self.execute(
            "DELETE FROM slices WHERE run = ?1 AND number = ?2",
            params![run, number],
        )
    }

    /// Records the upload session of a window, before any block is sent to it.
    pub(crate) fn session_opened(&self, run: i64, window: u32, session: &str) -> Result<(), Error> {
        self.execute(
            "UPDATE windows SET session = ?3, phase = 'loading' WHERE run = ?1 AND number = ?2",
            params![run, window, session],
        )
    }

    /// Records a window's phase.
    pub(crate) fn set_phase(&self, run: i64, window: u32, phase: Phase) -> Result<(), Error> {
        self.execute(
            "UPDATE windows SET phase = ?3 WHERE run = ?1 AND number = ?2",
            params![run, window, phase.name()],
        )
    }

    /// Begins another attempt at an open run: how the last one failed is forgotten.
    pub(crate) fn begin_attempt(&self, run: i64) -> Result<(), Error> {
        self.execute("UPDATE runs SET error = NULL WHERE id = ?1", [run])
    }

    /// Records what an attempt failed by.
    pub(crate) fn attempt_failed(&self, run: i64, error: &Error) -> Result<(), Error> {
        self.execute(
            "UPDATE runs SET error = ?2 WHERE id = ?1 AND state = 'open'",
            params![run, error.to_string()],
        )
    }

    /// Ends a run at `ended_ms`, in ms since the epoch, and keeps its report; what was only needed to go on with it is
    /// forgotten.
    pub(crate) fn end_run(
        &self,
        run: i64,
        ended_ms: i64,
        report: &impl Serialize,
    ) -> Result<(), Error> {
        let report = to_json(report)?;
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute("DELETE FROM slices WHERE run = ?1", [run])?;
        transaction.execute(
            "UPDATE runs SET state = 'done', report = ?2, plan = '', ended_ms = ?3, error = NULL WHERE id = ?1",
            params![run, report, ended_ms],
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Keeps another report of a run that ended.
    pub(crate) fn keep_report(&self, run: i64, report: &impl Serialize) -> Result<(), Error> {
        self.execute(
            "UPDATE runs SET report = ?2 WHERE id = ?1 AND state = 'done'",
            params![run, to_json(report)?],
        )
    }

    fn execute(&self, sql: &str, params: impl Params) -> Result<(), Error> {
        self.lock().execute(sql, params)?;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic between two statements leaves no transaction open: dropping it rolls it back.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do about the error of SQLite's that `error` comes from, empty where its text says it; `None` for other errors.
fn advice(error: &Error) -> Option<&'static str> {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let code = loop {
        let error = cause?;
        if let Some(error) = error.downcast_ref::<rusqlite::Error>() {
            break error.sqlite_error_code();
        }
        cause = error.source();
    };
    Some(match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => schema::DAMAGED,
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
            "; see that its disk works and has space, and run the same command again: it goes on from here"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            "; make its folder writable, or name another state folder with --state"
        }
        _ => "",
    })
}

/// Makes the file, for its owner alone, where it is missing: it holds pieces of rejected messages. SQLite gives the files
/// beside it the same permissions.
fn make_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map(drop)
}

/// Ends a run without a report, as another one took its place; its slices are forgotten.
fn give_up(transaction: &Transaction<'_>, run: i64, ended_ms: i64) -> Result<(), Error> {
    transaction.execute("DELETE FROM slices WHERE run = ?1", [run])?;
    transaction.execute(
        "UPDATE runs SET state = 'given up', plan = '', ended_ms = ?2 WHERE id = ?1",
        [run, ended_ms],
    )?;
    Ok(())
}

fn load_run(connection: &Connection, run: i64) -> Result<OpenRun, Error> {
    let (plan, replaces): (String, bool) = connection.query_row(
        "SELECT plan, replaces FROM runs WHERE id = ?1",
        [run],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let windows = rows(
        connection,
        "SELECT phase, session, outcome FROM windows WHERE run = ?1 ORDER BY number",
        [run],
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get::<_, Option<String>>(2)?,
            ))
        },
    )?;
    let windows = windows
        .into_iter()
        .map(|(phase, session, outcome)| {
            let phase = Phase::known(&phase)?;
            let outcome = outcome.as_deref().map(from_json).transpose()?;
            Ok(WindowState {
                phase,
                session,
                outcome,
            })
        })
        .collect::<Result<_, Error>>()?;
    let reports = rows(
        connection,
        "SELECT report FROM slices WHERE run = ?1",
        [run],
        |row| row.get::<_, String>(0),
    )?;
    let staged = reports
        .iter()
        .map(|report| {
            let report = from_json::<SliceReport>(report)?;
            check_format(report.format)?;
            Ok((report.number, report))
        })
        .collect::<Result<_, Error>>()?;
    let plan: LoadPlan = from_json(&plan)?;
    for slice in &plan.slices {
        check_format(slice.format)?;
    }
    Ok(OpenRun {
        id: run,
        plan,
        write: if replaces {
            WriteMode::Replace
        } else {
            WriteMode::Append
        },
        windows,
        staged,
    })
}

/// Refuses slices that another version wrote in a way that this one doesn't know.
fn check_format(format: u32) -> Result<(), Error> {
    if format == SLICE_FORMAT {
        return Ok(());
    }
    let message = format!(
        "the journal holds slices of format {format}, and this version knows format {SLICE_FORMAT}; run it with \
         the version that began it, or begin anew with another state folder"
    );
    Err(Error::new(ErrorKind::Journal, message))
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement
        .query_map(params, map)?
        .collect::<Result<_, _>>()?;
    Ok(rows)
}

fn to_json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| {
        Error::with_source(
            ErrorKind::Journal,
            "a journal entry can't be written",
            error,
        )
    })
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("the journal holds an entry that this version can't read: {error}");
        Error::with_source(ErrorKind::Journal, message, error)
    })
}

#[cfg(test)]
mod tests;
