//! What became of a window whose run was begun before: the one place that judges commits nobody saw the end of.

use std::collections::BTreeMap;

use engine_model::PlannedWindow;
use engine_model::job::WriteMode;

use crate::journal::{Phase, WindowState};
use crate::ports::{SessionState, TargetTable};
use crate::{Error, ErrorKind};

/// What to take for true about a commit whose answer never came and whose session is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assume {
    /// The rows are in the table.
    Committed,
    /// The rows are not in the table.
    NotCommitted,
}

/// What is known of a window that is not done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing of it is in the table, and nothing of it is on its way there. Blocks have to be sent to a new session.
    Anew,
    /// The session takes blocks, and has these, with their rows. Where a commit was sent, it did not come to anything yet.
    Open {
        session: String,
        blocks: BTreeMap<u32, u64>,
    },
    /// The session was committed, or is being committed: [`TargetTable::commit`] waits for the end and compares the blocks.
    Committed { session: String },
    /// A person says that the rows are in the table.
    Assumed,
}

/// Asks the server, and where that doesn't know, the person.
pub(crate) struct Settle<'a> {
    pub(crate) target: &'a dyn TargetTable,
    pub(crate) write: WriteMode,
    pub(crate) assume: Option<Assume>,
}

impl Settle<'_> {
    /// The fate of a window of run `run` that is not done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::CommitUnknown`] where neither the server nor the person knows, and it makes a difference.
    pub(crate) fn fate(
        &self,
        run: i64,
        planned: &PlannedWindow,
        state: &WindowState,
    ) -> Result<Fate, Error> {
        let Some(session) = state.session.clone() else {
            return Ok(Fate::Anew);
        };
        match self.target.session(&planned.partition, &session)? {
            SessionState::Open(blocks) => Ok(Fate::Open { session, blocks }),
            // Whatever our journal says: blocks that are in the table must not be sent again.
            SessionState::Committing | SessionState::Committed => match (self.assume, self.write) {
                (Some(Assume::Committed), _) => Ok(Fate::Assumed),
                (Some(Assume::NotCommitted), WriteMode::Replace) => Ok(Fate::Anew),
                _ => Ok(Fate::Committed { session }),
            },
            SessionState::Gone if state.phase == Phase::Loading => Ok(Fate::Anew),
            SessionState::Gone => match (self.assume, self.write) {
                (Some(Assume::Committed), _) => Ok(Fate::Assumed),
                // Whatever it left, a replace takes its place.
                (Some(Assume::NotCommitted), _) | (None, WriteMode::Replace) => Ok(Fate::Anew),
                (None, WriteMode::Append) => {
                    let message = format!(
                        "whether run {run} committed {} is not known: the server no longer knows its upload session \
                         {session}; look at the table, then run again with --assume committed or --assume not-committed",
                        planned.window,
                    );
                    Err(Error::new(ErrorKind::CommitUnknown, message))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use engine_model::{PartitionSpec, TableColumns, Window};

    use super::*;
    use crate::ports::{BlockReceipt, BlockSource};

    /// A server that knows one thing about every session.
    struct Says(SessionState);

    impl TargetTable for Says {
        fn name(&self) -> String {
            String::new()
        }
        fn columns(&self) -> Result<TableColumns, Error> {
            Ok(TableColumns::default())
        }
        fn row_count(&self, _: &PartitionSpec) -> Result<Option<u64>, Error> {
            Ok(None)
        }
        fn count_rows(&self, _: &PartitionSpec) -> Result<u64, Error> {
            Ok(0)
        }
        fn create_partition(&self, _: &PartitionSpec) -> Result<(), Error> {
            Ok(())
        }
        fn open_session(&self, _: &PartitionSpec, _: bool) -> Result<String, Error> {
            Ok(String::new())
        }
        fn session(&self, _: &PartitionSpec, _: &str) -> Result<SessionState, Error> {
            Ok(self.0.clone())
        }
        fn put_block(
            &self,
            _: &PartitionSpec,
            _: &str,
            _: u32,
            _: &dyn BlockSource,
        ) -> Result<BlockReceipt, Error> {
            Ok(BlockReceipt { bytes: 0 })
        }
        fn commit(&self, _: &PartitionSpec, _: &str, _: &BTreeMap<u32, u64>) -> Result<(), Error> {
            Ok(())
        }
    }

    fn fate(
        phase: Phase,
        says: SessionState,
        write: WriteMode,
        assume: Option<Assume>,
    ) -> Result<Fate, ErrorKind> {
        let planned = PlannedWindow {
            window: Window {
                start_ms: 0,
                end_ms: 1,
            },
            partition: PartitionSpec(Vec::new()),
        };
        let state = WindowState {
            phase,
            session: Some("s".to_owned()),
            outcome: None,
        };
        let target = &Says(says);
        let settle = Settle {
            target,
            write,
            assume,
        };
        settle
            .fate(1, &planned, &state)
            .map_err(|error| error.kind())
    }

    #[test]
    fn every_case_is_decided_and_no_row_is_loaded_twice() {
        use Assume::{Committed, NotCommitted};
        use Phase::{Committing, Loading};
        use WriteMode::{Append, Replace};
        let blocks = BTreeMap::from([(3, 7)]);
        let session = || "s".to_owned();
        let committed = || Ok(Fate::Committed { session: session() });
        for (write, assume) in [
            (Append, None),
            (Replace, None),
            (Append, Some(Committed)),
            (Replace, Some(NotCommitted)),
        ] {
            for phase in [Loading, Committing] {
                let open = fate(phase, SessionState::Open(blocks.clone()), write, assume);
                let expected = Fate::Open {
                    session: session(),
                    blocks: blocks.clone(),
                };
                assert_eq!(open, Ok(expected));
            }
        }
        for says in [SessionState::Committing, SessionState::Committed] {
            for phase in [Loading, Committing] {
                let fate = |write, assume| fate(phase, says.clone(), write, assume);
                assert_eq!(fate(Append, None), committed());
                assert_eq!(fate(Replace, None), committed());
                assert_eq!(fate(Append, Some(Committed)), Ok(Fate::Assumed));
                assert_eq!(fate(Replace, Some(Committed)), Ok(Fate::Assumed));
                // The server knows better.
                assert_eq!(fate(Append, Some(NotCommitted)), committed());
                assert_eq!(fate(Replace, Some(NotCommitted)), Ok(Fate::Anew));
            }
        }
        let gone = |phase, write, assume| fate(phase, SessionState::Gone, write, assume);
        for assume in [None, Some(Committed), Some(NotCommitted)] {
            assert_eq!(gone(Loading, Append, assume), Ok(Fate::Anew));
            assert_eq!(gone(Loading, Replace, assume), Ok(Fate::Anew));
        }
        assert_eq!(
            gone(Committing, Append, None),
            Err(ErrorKind::CommitUnknown)
        );
        assert_eq!(gone(Committing, Replace, None), Ok(Fate::Anew));
        assert_eq!(gone(Committing, Append, Some(Committed)), Ok(Fate::Assumed));
        assert_eq!(gone(Committing, Append, Some(NotCommitted)), Ok(Fate::Anew));
    }
}
