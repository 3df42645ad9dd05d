//! After the commit: the table's own count of rows beside the ledger's.

use engine_model::job::WriteMode;
use engine_model::{PlannedWindow, WindowOutcome};

use crate::commit::target_key;
use crate::journal::{Journal, Load};
use crate::ports::TargetTable;
use crate::{Error, ErrorKind};

/// Counts the rows of targets where the job or the caller wants them counted.
pub(crate) struct Verify<'a> {
    pub(crate) wanted: bool,
    pub(crate) write: WriteMode,
    pub(crate) target: &'a dyn TargetTable,
}

/// What the table counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) rows: u64,
    /// What a person should look at.
    pub(crate) warning: Option<String>,
}

impl Verify<'_> {
    /// Rows that the window's target has before a commit that appends to them.
    pub(crate) fn before(&self, window: &PlannedWindow) -> Result<Option<u64>, Error> {
        if !self.wanted || self.write == WriteMode::Replace {
            return Ok(None);
        }
        self.target.count_rows(&window.partition).map(Some)
    }

    /// Counts once more what an earlier attempt at `run` committed; nothing where the target has other rows by now.
    ///
    /// # Errors
    ///
    /// As [`after`](Self::after).
    pub(crate) fn again(
        &self,
        run: i64,
        window: &PlannedWindow,
        outcome: WindowOutcome,
        journal: &Journal,
    ) -> Result<Option<Counted>, Error> {
        if !self.wanted {
            return Ok(None);
        }
        let held = journal.loads_held(&target_key(self.target, window))?;
        let is_ours = |load: &&Load| load.run == run && load.extent.window == window.window;
        let ours: u64 = held.iter().filter(is_ours).map(|load| load.rows).sum();
        let of_others = held.iter().any(|load| load.run != run);
        if self.write == WriteMode::Replace && of_others {
            return Ok(None);
        }
        self.after(window, outcome, ours, None)
    }

    /// Compares the rows that the target has now with the `rows` that were committed for a window which ended with
    /// `outcome`. `before` is what an append found; nothing where an earlier attempt committed.
    ///
    /// Under replace nobody else should write, so that a difference is an error. Other writers may append at any time,
    /// so that there it is a warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CountDiffers`]. The window is done for the journal, so that the same command does not load it again.
    pub(crate) fn after(
        &self,
        window: &PlannedWindow,
        outcome: WindowOutcome,
        rows: u64,
        before: Option<u64>,
    ) -> Result<Option<Counted>, Error> {
        let appended = self.write == WriteMode::Append;
        let untouched = match outcome {
            WindowOutcome::Committed | WindowOutcome::Emptied => false,
            WindowOutcome::Empty => appended,
            WindowOutcome::Kept | WindowOutcome::Superseded => true,
        };
        if !self.wanted || untouched {
            return Ok(None);
        }
        let target = target_key(self.target, window);
        let found = self
            .target
            .count_rows(&window.partition)
            .map_err(|error| uncounted(&target, window, error))?;
        let counted = |warning| {
            Ok(Some(Counted {
                rows: found,
                warning,
            }))
        };
        if !appended {
            if found == rows {
                return counted(None);
            }
            let message = format!(
                "{target} counts {}, and {} of {} were to replace all that it held: another writer was there, or the service \
                 lost some; look at the table, then run the same command again to count \
                 again, or with --replan to load anew",
                rows_of(found),
                rows_of(rows),
                window.window,
            );
            return Err(Error::new(ErrorKind::CountDiffers, message));
        }
        counted(match before {
            None => Some(format!(
                "{target} counts {found} rows; how many it had before {} were appended by an earlier attempt is not known, \
                 so that they can't be compared",
                rows_of(rows),
            )),
            Some(before) if found != before.saturating_add(rows) => Some(format!(
                "{target} counts {found} rows, and {before} before {} were appended: another writer was there, or the \
                 service lost some; look at the table",
                rows_of(rows),
            )),
            Some(_) => None,
        })
    }
}

fn rows_of(rows: u64) -> String {
    let noun = if rows == 1 { "row" } else { "rows" };
    format!("{rows} {noun}")
}

fn uncounted(target: &str, window: &PlannedWindow, error: Error) -> Error {
    let message = format!(
        "{} is committed, but the rows of {target} can't be counted: {error}; run the same command again to count them, \
         or without `verify`",
        window.window,
    );
    Error::with_source(error.kind(), message, error)
}
