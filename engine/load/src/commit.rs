//! The commit step: everything is checked once more, then a window becomes visible in one call.

use std::collections::BTreeMap;

use engine_model::job::{OnEmpty, RejectLimit, WriteMode};
use engine_model::{Checksum, PlannedWindow, SliceReport, WindowCounts, WindowOutcome};

use crate::border::{Border, OnBorder};
use crate::extent::{Extent, PartitionRead};
use crate::journal::{Change, Journal, Phase, WindowState};
use crate::ports::TargetTable;
use crate::upload::{Uploads, named};
use crate::{Error, ErrorKind};

/// What the commits of a run need to know.
pub(crate) struct Commits<'a> {
    pub(crate) run: i64,
    /// The windows' states when this attempt began.
    pub(crate) begun: &'a [WindowState],
    pub(crate) write: WriteMode,
    pub(crate) rejects: RejectLimit,
    pub(crate) on_empty: OnEmpty,
    pub(crate) target: &'a dyn TargetTable,
    pub(crate) journal: &'a Journal,
    pub(crate) on_border: OnBorder<'a>,
}

/// A window whose slices are all staged and uploaded.
pub(crate) struct LoadedWindow<'a> {
    pub(crate) number: u32,
    pub(crate) planned: &'a PlannedWindow,
    pub(crate) extent: Extent,
    /// What was read for it.
    pub(crate) reads: Vec<PartitionRead>,
    pub(crate) counts: WindowCounts,
    /// Offsets that were planned for it and not read, as nothing came any more.
    pub(crate) unread: u64,
    /// Rows by block id.
    pub(crate) blocks: BTreeMap<u32, u64>,
    /// The checksum of its rows, where it is known.
    pub(crate) checksum: Option<Checksum>,
    /// The first rejected message in words, where there is one.
    pub(crate) first_reject: Option<String>,
}

/// How a window ended, and the session that was committed for it.
pub(crate) type Committed = (WindowOutcome, Option<String>);

impl Commits<'_> {
    /// Commits one window, whose ledger balances.
    pub(crate) fn commit(
        &self,
        window: &LoadedWindow<'_>,
        uploads: &Uploads<'_>,
    ) -> Result<Committed, Error> {
        check_reject_share(self.rejects, window)?;
        let rows: u64 = window.blocks.values().sum();
        if rows != window.counts.rows {
            let message = format!(
                "window {}: {} rows were decoded and {rows} were staged; nothing was committed",
                window.planned.window, window.counts.rows,
            );
            return Err(Error::new(ErrorKind::Unbalanced, message));
        }
        self.check_unread(window)?;
        let (outcome, session) = if rows == 0 {
            self.commit_empty(window, uploads)?
        } else {
            self.commit_rows(window, uploads)?
        };
        self.record(window, outcome)?;
        Ok((outcome, session))
    }

    /// Fails where a part of a window would replace rows that exist.
    fn check_unread(&self, window: &LoadedWindow<'_>) -> Result<(), Error> {
        let partition = &window.planned.partition;
        if window.unread == 0
            || self.write == WriteMode::Append
            || self.target.row_count(partition)?.unwrap_or(0) == 0
        {
            return Ok(());
        }
        let message = format!(
            "window {}: {} offsets are unread, for nothing came for as long as `exit: idle` waits, and {} holds rows that the \
             part that was read would replace; run it with --replan when the brokers answer, or with `exit: planned`",
            window.planned.window,
            window.unread,
            target_key(self.target, window.planned),
        );
        Err(Error::new(ErrorKind::Job, message))
    }

    /// Journals how a window ended.
    fn record(&self, window: &LoadedWindow<'_>, outcome: WindowOutcome) -> Result<(), Error> {
        let target = target_key(self.target, window.planned);
        let change = outcome.changed_target().then_some(Change {
            target: &target,
            extent: &window.extent,
            replaced: self.write == WriteMode::Replace,
            rows: window.counts.rows,
            checksum: window.checksum,
        });
        let recorded =
            self.journal
                .window_done(self.run, window.number, outcome, &window.reads, change);
        recorded.map_err(|error| {
            let message = format!(
                "window {} is in {target}, but its record is not written: {error}; run the same command again to \
                 write it",
                window.planned.window,
            );
            Error::with_source(error.kind(), message, error)
        })?;
        (self.on_border)(Border::WindowJournalled)
    }

    /// The outcome of a window that an earlier attempt committed without living to tell. Where the server still knows
    /// the session, its blocks are compared with those that were to be committed.
    pub(crate) fn already_done(
        &self,
        window: &LoadedWindow<'_>,
        session: Option<String>,
    ) -> Result<Committed, Error> {
        let outcome = if window.counts.rows == 0 {
            WindowOutcome::Emptied
        } else {
            WindowOutcome::Committed
        };
        if let Some(session) = &session {
            self.target
                .commit(&window.planned.partition, session, &window.blocks)
                .map_err(|error| self.uncommitted(window.number, error, session))?;
        }
        self.record(window, outcome)?;
        Ok((outcome, session))
    }

    fn commit_rows(
        &self,
        window: &LoadedWindow<'_>,
        uploads: &Uploads<'_>,
    ) -> Result<Committed, Error> {
        let session = uploads.session(window.number)?;
        (self.on_border)(Border::CommitReady)?;
        self.journal
            .set_phase(self.run, window.number, Phase::Committing)?;
        (self.on_border)(Border::CommitJournalled)?;
        self.target
            .commit(&window.planned.partition, &session, &window.blocks)
            .map_err(|error| self.uncommitted(window.number, error, &session))?;
        (self.on_border)(Border::CommitAnswered)?;
        Ok((WindowOutcome::Committed, Some(session)))
    }

    fn commit_empty(
        &self,
        window: &LoadedWindow<'_>,
        uploads: &Uploads<'_>,
    ) -> Result<Committed, Error> {
        let partition = &window.planned.partition;
        let held = self.target.row_count(partition)?.unwrap_or(0);
        if held == 0 || self.write == WriteMode::Append {
            return Ok((WindowOutcome::Empty, None));
        }
        match self.on_empty {
            OnEmpty::Keep => Ok((WindowOutcome::Kept, None)),
            OnEmpty::Replace => {
                let (_, session) = self.commit_rows(window, uploads)?;
                Ok((WindowOutcome::Emptied, session))
            }
            OnEmpty::Fail => {
                let message = format!(
                    "window {} has no rows, and {} holds {held}, which an empty load would take away; set `on_empty: \
                     replace` to empty it or `on_empty: keep` to leave it",
                    window.planned.window,
                    target_key(self.target, window.planned),
                );
                Err(Error::new(ErrorKind::Job, message))
            }
        }
    }

    /// A commit that failed, with what to do. The window's phase goes back only where it is sure that nothing of the
    /// commit happened or can still happen, also of one that an earlier attempt sent.
    fn uncommitted(&self, window: u32, error: Error, session: &str) -> Error {
        let error = named(error, session);
        let begun = &self.begun[window as usize];
        let sent_before =
            begun.phase == Phase::Committing && begun.session.as_deref() == Some(session);
        let message = match error.kind() {
            ErrorKind::CommitUnknown => format!(
                "whether upload session {session} was committed is not known ({error}); {}",
                match self.write {
                    WriteMode::Replace =>
                        "run the same command again: it asks the server and commits again if needed",
                    WriteMode::Append =>
                        "run the same command again: it asks the server; where that no longer knows, look at the table and \
                         add --assume committed or --assume not-committed",
                },
            ),
            ErrorKind::CommittedDiffers => format!(
                "{error}; look at the table, then run the same command again: with --assume committed to leave it as it \
                 is, or where the job replaces with --assume not-committed to load it anew",
            ),
            _ if sent_before => return error,
            _ => {
                let Err(unwritten) = self.journal.set_phase(self.run, window, Phase::Loading)
                else {
                    return error;
                };
                format!("{error}; and the journal failed: {unwritten}")
            }
        };
        Error::with_source(error.kind(), message, error)
    }
}

/// The name of a table partition, as the key of locks and of the journal.
pub(crate) fn target_key(target: &dyn TargetTable, window: &PlannedWindow) -> String {
    let name = target.name();
    if window.partition.is_empty() {
        name
    } else {
        format!("{name}/{}", window.partition)
    }
}

/// Rows by block id, for the slices that have rows for a window.
pub(crate) fn blocks<'a>(
    reports: impl IntoIterator<Item = &'a SliceReport>,
    window: u32,
) -> BTreeMap<u32, u64> {
    reports
        .into_iter()
        .filter_map(|report| {
            Some((
                report.block_id(window),
                report.windows.get(&window)?.rows.as_ref()?.rows,
            ))
        })
        .collect()
}

/// The checksum of a window's rows; nothing where that of a slice's is not known.
pub(crate) fn checksum<'a>(
    reports: impl IntoIterator<Item = &'a SliceReport>,
    window: u32,
) -> Option<Checksum> {
    let staged = reports
        .into_iter()
        .filter_map(|report| report.windows.get(&window));
    staged
        .filter(|staged| staged.rows.is_some())
        .map(|staged| staged.checksum)
        .sum()
}

fn check_reject_share(limit: RejectLimit, window: &LoadedWindow<'_>) -> Result<(), Error> {
    let (rejected, messages) = (window.counts.rejected, window.counts.messages());
    if limit.allows(rejected, messages) {
        return Ok(());
    }
    let message = format!(
        "window {}: {rejected} of {messages} messages were rejected, more than `rejects` allows; nothing was committed: \
         correct the mapping or raise `rejects`; `tidegate rejects` shows them, and the first is {}",
        window.planned.window,
        window.first_reject.as_deref().unwrap_or("not known"),
    );
    Err(Error::new(ErrorKind::Rejects, message))
}
