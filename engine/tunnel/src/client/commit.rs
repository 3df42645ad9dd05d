//! The commit, which must be right also when answers get lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::transport::{Outgoing, Try};
use super::tries::{Repeat, Tries};
use super::{Client, Server};
use crate::error::Failure;
use crate::session::{BlockDifference, CommitStep, commit_step};
use crate::wire::{Method, Request, parse_session_status};
use crate::{Committed, ErrorKind, Missing, Result, SessionKey, SessionStatus, UploadSession};

impl Client {
    /// Makes all blocks of a session visible at once, after comparing the server's block list with `expected`: rows by
    /// block id. No block at all is allowed; with overwrite it empties the table partition.
    ///
    /// When an answer is lost the session is asked about and the commit repeated where it didn't happen. Call again
    /// after a crash or an error: a session that is closed with the same blocks counts as committed.
    ///
    /// # Errors
    /// `BlockListDiffers`: nothing was committed; the text names the blocks. `CommittedDiffers`: the session was
    /// committed earlier, with other blocks. `SessionExpired`, `NotFound(Session)`: nothing was committed.
    /// `CommitUnknown`: it may have happened. Other kinds: it did not happen.
    pub async fn commit(
        &self,
        key: &SessionKey,
        expected: &BTreeMap<u32, u64>,
    ) -> Result<Committed> {
        let server = self.tunnel().await?;
        let request = self.session_request(Method::Post, key);
        let mut tries = Tries::new(self, server, Repeat::Safe, format!("commit {key}"));
        // Whether a commit may be on its way.
        let mut asked = false;
        loop {
            let session = self.reload(key).await.map_err(|error| {
                if asked {
                    error.into_kind(ErrorKind::CommitUnknown)
                } else {
                    error
                }
            })?;
            let failure = match commit_step(session.status, asked) {
                CommitStep::Done => return compare(&session, expected, &mut tries),
                CommitStep::GiveUp(kind) => {
                    let text = format!("its status is {}", session.status);
                    return Err(tries.end(Failure::new(kind, text)));
                }
                CommitStep::Wait => {
                    asked = true;
                    // As with throttling, only the deadline ends the waiting.
                    let text = format!("its status is still {}", session.status);
                    let failure = Failure::new(ErrorKind::Throttled, text);
                    let waited = tries.look_again(&request, failure).await;
                    waited.map_err(|error| error.into_kind(ErrorKind::CommitUnknown))?;
                    continue;
                }
                CommitStep::Ask => {
                    let committed = compare(&session, expected, &mut tries).map_err(|error| {
                        if asked {
                            error.into_kind(ErrorKind::CommitUnknown)
                        } else {
                            error
                        }
                    })?;
                    match self.ask(server, &request, tries.patience()).await {
                        Ok(()) => return Ok(committed),
                        Err(failure) => {
                            asked |= may_have_acted(failure.kind);
                            failure
                        }
                    }
                }
            };
            // Whatever ended the last try: one before it may still be under way.
            tries.again(&request, failure).await.map_err(|error| {
                if asked {
                    error.into_kind(ErrorKind::CommitUnknown)
                } else {
                    error
                }
            })?;
        }
    }

    /// Asks once for the commit. An answer that doesn't say that the session is closed is a failure of the server,
    /// after which the session's status tells what happened.
    async fn ask(
        &self,
        server: &Server,
        request: &Request,
        within: Duration,
    ) -> Result<(), Failure> {
        let attempt = Try {
            request,
            outgoing: Outgoing::Nothing,
            missing: Missing::Session,
            within,
        };
        let answer =
            self.exchange(server, attempt)
                .await
                .map_err(|failure| match failure.kind {
                    // Someone committed or ended it; the status says which.
                    ErrorKind::StatusConflict => Failure {
                        kind: ErrorKind::Server,
                        ..failure
                    },
                    _ => failure,
                })?;
        match parse_session_status(&answer.body) {
            Ok(SessionStatus::Closed) => Ok(()),
            Ok(status) => {
                let text = format!("the answer says that its status is {status}");
                Err(Failure::new(ErrorKind::Server, text))
            }
            Err(error) => Err(Failure::new(
                ErrorKind::Server,
                self.redact(error.to_string()),
            )),
        }
    }
}

/// Whether a server may have committed although the try failed: not where it couldn't be reached or refused.
fn may_have_acted(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Server | ErrorKind::Disconnected | ErrorKind::Timeout
    )
}

fn compare(
    session: &UploadSession,
    expected: &BTreeMap<u32, u64>,
    tries: &mut Tries<'_>,
) -> Result<Committed> {
    let closed = session.status == SessionStatus::Closed;
    // A server may forget the list of a session that is closed.
    if closed && session.blocks.is_empty() {
        return Ok(Committed {
            rows_compared: false,
        });
    }
    let difference = BlockDifference::new(expected, &session.blocks);
    if difference.is_empty() {
        return Ok(Committed {
            rows_compared: difference.rows_compared,
        });
    }
    let failure = if closed {
        let text = format!(
            "it was committed before, with other blocks: {difference}; look at the table and load it again where its \
             rows are wrong"
        );
        Failure::new(ErrorKind::CommittedDiffers, text)
    } else {
        let text = format!("the server has other blocks than were sent: {difference}");
        Failure::new(ErrorKind::BlockListDiffers, text)
    };
    Err(tries.end(failure))
}
