//! The borders of a run, where tests let it crash.

use std::fmt;
use std::str::FromStr;

/// A point between two effects that outlive a run: what lies before it is there after a crash, what lies behind it isn't.
///
/// Each effect of a run has a border on either side, so that crashing at each of them tries all that a crash can leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Border {
    /// The run is in the journal; files of runs that it takes the place of are still there.
    RunBegun,
    /// The rows of a slice are written for a window, under a temporary name.
    RowsWritten,
    /// They have their name.
    RowsPublished,
    /// The rejected messages of a slice are written for a window, under a temporary name.
    RejectsWritten,
    /// They have their name.
    RejectsPublished,
    /// All files of a slice are durable; the journal knows nothing of it.
    SliceStaged,
    /// The journal has the slice; nothing of it is sent.
    SliceJournalled,
    /// A window's first block is ready and has no upload session.
    SessionNeeded,
    /// Its table partition is there.
    PartitionCreated,
    /// Its upload session is open; nobody but the server knows it.
    SessionOpened,
    /// The journal has the session.
    SessionJournalled,
    /// A block is about to be sent.
    BlockReady,
    /// The session has the block.
    BlockUploaded,
    /// A window is loaded and checked.
    CommitReady,
    /// The journal says that its commit is sent, which comes next.
    CommitJournalled,
    /// The server says that it is committed.
    CommitAnswered,
    /// The journal has the outcome of a window.
    WindowJournalled,
    /// One of the staged files of a window that is done is deleted.
    FileDeleted,
    /// All windows are done, and the report is made.
    RunLoaded,
    /// The journal has the report.
    RunEnded,
    /// No staged file is left, and only the caller doesn't know yet.
    CleanedUp,
}

impl Border {
    /// All of them, in the order of a run, each with the name that tests call it by.
    pub const ALL: [(Self, &'static str); 21] = [
        (Self::RunBegun, "run_begun"),
        (Self::RowsWritten, "rows_written"),
        (Self::RowsPublished, "rows_published"),
        (Self::RejectsWritten, "rejects_written"),
        (Self::RejectsPublished, "rejects_published"),
        (Self::SliceStaged, "slice_staged"),
        (Self::SliceJournalled, "slice_journalled"),
        (Self::SessionNeeded, "session_needed"),
        (Self::PartitionCreated, "partition_created"),
        (Self::SessionOpened, "session_opened"),
        (Self::SessionJournalled, "session_journalled"),
        (Self::BlockReady, "block_ready"),
        (Self::BlockUploaded, "block_uploaded"),
        (Self::CommitReady, "commit_ready"),
        (Self::CommitJournalled, "commit_journalled"),
        (Self::CommitAnswered, "commit_answered"),
        (Self::WindowJournalled, "window_journalled"),
        (Self::FileDeleted, "file_deleted"),
        (Self::RunLoaded, "run_loaded"),
        (Self::RunEnded, "run_ended"),
        (Self::CleanedUp, "cleaned_up"),
    ];

    /// The border's name in snake case.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(border, _)| *border == self);
        named.map_or("", |(_, name)| name)
    }
}

/// Called whenever a run passes a border, from any of its threads; the run fails there with the error that it returns.
/// Does nothing in the product.
pub type OnBorder<'a> = &'a (dyn Fn(Border) -> Result<(), crate::Error> + Sync);

/// One passing of a border, written `block_uploaded:3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The border.
    pub border: Border,
    /// Which of its passings, from 1, counted over all slices and windows of an attempt.
    pub number: u64,
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.border.name(), self.number)
    }
}

impl FromStr for Passing {
    type Err = String;

    /// Reads `NAME:COUNT`, or `NAME` for its first passing. The error is a sentence for whoever wrote it.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').unwrap_or((text, "1"));
        let border = Border::ALL.iter().find(|(_, known)| *known == name);
        let Some((border, _)) = border else {
            let names = Border::ALL.map(|(_, name)| name).join(", ");
            return Err(format!("{name:?} is no border; there are {names}"));
        };
        match number.parse() {
            Ok(number) if number > 0 => Ok(Self {
                border: *border,
                number,
            }),
            _ => Err(format!(
                "{number:?} is no passing of {name}; count them from 1"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_border_has_a_name_of_its_own_and_is_read_by_it() {
        assert!(Border::ALL.is_sorted_by_key(|(border, _)| *border));
        let names: BTreeSet<_> = Border::ALL.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), Border::ALL.len());
        for (border, name) in Border::ALL {
            assert_eq!(border.name(), name);
            let passing = Passing { border, number: 3 };
            assert_eq!(passing.to_string().parse(), Ok(passing));
            assert_eq!(name.parse(), Ok(Passing { border, number: 1 }));
        }
    }

    #[test]
    fn what_is_no_passing_is_refused() {
        let error = "block_lost:1".parse::<Passing>().unwrap_err();
        assert!(
            error.starts_with("\"block_lost\" is no border; there are run_begun,"),
            "{error}"
        );
        for text in ["run_begun:0", "run_begun:", "run_begun:x", "run_begun:-1"] {
            let error = text.parse::<Passing>().unwrap_err();
            assert!(error.contains("count them from 1"), "{error}");
        }
    }
}
