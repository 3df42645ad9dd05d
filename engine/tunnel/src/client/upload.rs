//! Upload sessions and their blocks.

use engine_model::job::BlockFormat;
use engine_model::limits::BLOCK_ID_MAX;
use engine_model::{PartitionSpec, TableName};

use super::Client;
use super::metadata::target;
use super::transport::{Outgoing, Try};
use super::tries::{Repeat, Small, Tries};
use crate::block::{BlockShape, Sent, Stop, queue};
use crate::error::Failure;
use crate::flow::{Outcome, Pass};
use crate::wire::{BodyForm, Method, Request, SessionAnswer, content_encoding, parse_session};
use crate::{
    BlockReceipt, BlockSource, ErrorKind, Missing, RecordBatches, Result, SessionKey, UploadSession,
};

impl Client {
    /// Opens an upload session, which lives for 24 hours. Its commit replaces what the table partition holds with
    /// `overwrite`, and appends without. A session that is never committed changes nothing.
    ///
    /// # Errors
    /// `NotFound(Partition)`: create it first. `NotFound(Table)`: there is no such table. `InvalidRequest`: the table
    /// partition isn't one of this table's, or the table takes no overwrite.
    pub async fn create_upload_session(
        &self,
        table: &TableName,
        partition: &PartitionSpec,
        overwrite: bool,
    ) -> Result<UploadSession> {
        let server = self.tunnel().await?;
        let mut request = self
            .tunnel_table(Method::Post, table, partition)
            .flag("uploads");
        if overwrite {
            request = request.param("overwrite", "true");
        }
        let small = Small {
            request,
            body: None,
            missing: if partition.is_empty() {
                Missing::Table
            } else {
                Missing::Partition
            },
            repeat: Repeat::Safe,
            action: format!("open an upload session for {}", target(table, partition)),
        };
        let answer = self
            .call(server, small, |answer| parse_session(&answer.body))
            .await?;
        let (table, partition) = (table.clone(), partition.clone());
        let key = SessionKey {
            table,
            partition,
            id: answer.id.clone(),
        };
        Ok(described(key, answer))
    }

    /// Asks the server about a session: its status, and the blocks that it has whole.
    ///
    /// # Errors
    /// `NotFound(Session)`: the server doesn't know it, or not any more.
    pub async fn reload(&self, key: &SessionKey) -> Result<UploadSession> {
        let server = self.tunnel().await?;
        let small = Small {
            request: self.session_request(Method::Get, key),
            body: None,
            missing: Missing::Session,
            repeat: Repeat::Safe,
            action: format!("look up upload {key}"),
        };
        let answer = self
            .call(server, small, |answer| parse_session(&answer.body))
            .await?;
        Ok(described(key.clone(), answer))
    }

    /// Sends one block. A block that is sent again replaces itself; a try that fails leaves what the server had.
    ///
    /// Blocks of one session may be sent at the same time, but not one block twice. A server that throttles gets fewer at
    /// once from all clones of this client, and more again when it takes them. Memory stays within
    /// [`UPLOAD_BYTES_MAX`](crate::UPLOAD_BYTES_MAX) and the record batch in progress.
    ///
    /// # Errors
    /// `InvalidRequest`: the block has no rows, or its id is over 19,999; nothing was sent. `Unsupported`: the rows don't
    /// fit `session.columns`, or a cell the limits of the service; the error names column and row. `Source`: the rows couldn't be read. `SessionExpired`, `NotFound(Session)`: the session is
    /// lost, and its blocks with it. `StatusConflict`: the session takes no blocks any more for another reason, such as
    /// its commit. `Corrupted`: the bytes arrived damaged, twice.
    pub async fn put_block(
        &self,
        session: &UploadSession,
        block_id: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt> {
        let action = format!("send block {block_id} of {}", session.key);
        if block_id > BLOCK_ID_MAX {
            let text = format!("block ids end at {BLOCK_ID_MAX}");
            return Err(Failure::new(ErrorKind::InvalidRequest, text).into_error(action));
        }
        let server = self.tunnel().await?;
        let request = self
            .session_request(Method::Put, &session.key)
            .param("blockid", block_id.to_string());
        let form = self.inner.config.form();
        let request = in_form(request, form, "Content-Encoding");
        let shape = BlockShape {
            form,
            columns: session.columns.columns.as_slice().into(),
            cell_bytes_max: session.cell_bytes_max,
        };
        let mut tries = Tries::new(self, server, Repeat::Safe, action);
        let mut damaged = false;
        loop {
            let pass = self.pass(&mut tries).await;
            let sent = match rows.open() {
                Ok(batches) => {
                    self.send(&mut tries, &request, batches, shape.clone())
                        .await
                }
                Err(error) => Err(Failure::source(error)),
            };
            pass.leave(outcome(&sent));
            match sent {
                Ok(Sent { rows, bytes }) => {
                    return Ok(BlockReceipt {
                        rows,
                        bytes,
                        tries: tries.count(),
                    });
                }
                // A line may garble bytes once. Twice the same means that the rows are the problem.
                Err(failure) if failure.kind == ErrorKind::Corrupted && !damaged => {
                    damaged = true;
                    let kind = ErrorKind::Disconnected;
                    tries.again(&request, Failure { kind, ..failure }).await?;
                }
                Err(failure) if failure.kind == ErrorKind::StatusConflict => {
                    let failure = self.explained(&session.key, failure).await;
                    tries.again(&request, failure).await?;
                }
                Err(failure) => tries.again(&request, failure).await?,
            }
        }
    }

    /// Waits until the server may get one more block. Each try needs a pass of its own, so that a block that waits for its
    /// next one holds up no other.
    async fn pass(&self, tries: &mut Tries<'_>) -> Pass<'_> {
        let clock = &self.inner.clock;
        let came = clock.elapsed();
        let pass = self.inner.gate.enter().await;
        tries.leave_out(clock.elapsed().saturating_sub(came));
        pass
    }

    /// Looks up why a session takes no block. The server says the same of one that is lost and of one that was
    /// committed, but only for a lost one a new session is the answer.
    async fn explained(&self, key: &SessionKey, conflict: Failure) -> Failure {
        match self.reload(key).await {
            Ok(session) if session.status.is_lost() => Failure {
                kind: ErrorKind::SessionExpired,
                message: format!("its status is {}", session.status),
                ..conflict
            },
            Err(error) if error.kind() == ErrorKind::NotFound(Missing::Session) => Failure {
                kind: error.kind(),
                ..conflict
            },
            _ => conflict,
        }
    }

    async fn send(
        &self,
        tries: &mut Tries<'_>,
        request: &Request,
        batches: RecordBatches,
        shape: BlockShape,
    ) -> Result<Sent, Failure> {
        let (encoder, queue) = queue(batches, shape, self.inner.upload_limit.clone());
        let encoding = tokio::task::spawn_blocking(move || encoder.run());
        let answer = match queue.body().await {
            Some(body) => {
                let attempt = Try {
                    request,
                    outgoing: Outgoing::Block(body, &queue),
                    missing: Missing::Session,
                    within: self.inner.config.timeouts.answer,
                };
                Some(self.exchange(tries.server(), attempt).await)
            }
            None => None,
        };
        queue.close();
        let ended = encoding.await;
        tries.leave_out(queue.held_up());
        let outcome = ended.map_err(|_| {
            Failure::new(ErrorKind::Source, "the thread that reads the rows panicked")
        })?;
        match (outcome, answer) {
            (Err(Stop::Failed(failure)), _) | (_, Some(Err(failure))) => Err(failure),
            (Ok(sent), Some(Ok(_))) => Ok(sent),
            (Err(Stop::Abandoned), _) | (Ok(_), None) => Err(Failure::new(
                ErrorKind::Protocol,
                "the server answered before the block's end",
            )),
        }
    }

    pub(super) fn session_request(&self, method: Method, key: &SessionKey) -> Request {
        self.tunnel_table(method, &key.table, &key.partition)
            .param("uploadid", &key.id)
    }
}

/// Says in which form rows travel, and in `header` how they are compressed.
pub(super) fn in_form(request: Request, form: BodyForm, header: &'static str) -> Request {
    let request = match form.format {
        BlockFormat::Arrow => request.flag("arrow"),
        BlockFormat::Record => request,
    };
    match content_encoding(form.format, form.compression) {
        Some(encoding) => request.header(header, encoding),
        None => request,
    }
}

fn outcome(sent: &Result<Sent, Failure>) -> Outcome {
    match sent {
        Ok(_) => Outcome::Taken,
        Err(failure) if failure.kind == ErrorKind::Throttled => Outcome::Throttled,
        Err(_) => Outcome::Other,
    }
}

fn described(key: SessionKey, answer: SessionAnswer) -> UploadSession {
    let SessionAnswer {
        id: _,
        status,
        columns,
        blocks,
        cell_bytes_max,
    } = answer;
    UploadSession {
        key,
        status,
        columns,
        blocks,
        cell_bytes_max,
    }
}
