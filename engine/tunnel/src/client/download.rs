//! Download sessions and the rows behind them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use engine_model::{Column, PartitionSpec, TableName};

use super::Client;
use super::metadata::target;
use super::transport::{Answer, Outgoing, Try};
use super::tries::{Repeat, Small, Tries};
use super::upload::in_form;
use crate::error::Failure;
use crate::session::DownloadSession;
use crate::wire::{
    BodyError, BodyForm, DownloadAnswer, Method, compression_of, parse_download, read_body,
};
use crate::{BoxError, ErrorKind, Missing, RecordBatches, Result, SessionKey};

/// Between two looks at a download session that the server still prepares: from the first to the last, as PyODPS does.
const PREPARING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Client {
    /// Opens a download session: the rows of the table partition, or of a table without partition keys, as they are now.
    /// It lives for 24 hours.
    ///
    /// # Errors
    /// `NotFound(Table)`, `NotFound(Partition)`: there is none such. `Protocol`: a column has a type that this client
    /// doesn't know, or the server names no columns.
    pub async fn open_download(
        &self,
        table: &TableName,
        partition: &PartitionSpec,
    ) -> Result<DownloadSession> {
        let action = format!("open a download session for {}", target(table, partition));
        let answer = self.prepared(table, partition, action.clone()).await?;
        if answer.columns.columns.is_empty() {
            let text = "the download session has no columns";
            return Err(Failure::new(ErrorKind::Protocol, text).into_error(action));
        }
        let key = SessionKey {
            table: table.clone(),
            partition: partition.clone(),
            id: answer.id,
        };
        Ok(DownloadSession {
            key,
            rows: answer.rows,
            columns: answer.columns,
        })
    }

    /// Reads the rows of `range`, counted from 0, in the form and compression of the
    /// [`ClientConfig`](crate::ClientConfig). The batches have the columns of `session` in their order, without partition
    /// keys.
    ///
    /// Memory: the answer for the range, as it comes and decompressed; batches are made of it as they are taken. Ask for
    /// less at a time where that is too much; an answer over 1 GiB is refused.
    ///
    /// # Errors
    /// `InvalidRequest`: the range isn't within the session's rows. `NotFound(Session)`: the session is lost. `Protocol`:
    /// the answer is damaged. What is found in the rows only, the batches tell: a wrong checksum, or fewer rows than asked
    /// for.
    pub async fn read_rows(
        &self,
        session: &DownloadSession,
        range: Range<u64>,
    ) -> Result<RecordBatches> {
        let DownloadSession { key, rows, .. } = session;
        let action = format!(
            "read rows {} to {} of download {key}",
            range.start, range.end
        );
        if range.start > range.end || range.end > *rows {
            let text = format!("it has {rows} rows");
            return Err(Failure::new(ErrorKind::InvalidRequest, text).into_error(action));
        }
        let expected = range.end - range.start;
        if expected == 0 {
            return Ok(Box::new(std::iter::empty()));
        }
        let asked = self.inner.config.form();
        let request = self
            .tunnel_table(Method::Get, &key.table, &key.partition)
            .param("downloadid", &key.id)
            .flag("data")
            .param("rowrange", format!("({},{expected})", range.start));
        let request = in_form(request, asked, "Accept-Encoding");
        let columns = session.columns.columns.as_slice().into();
        let server = self.tunnel().await?;
        let mut tries = Tries::new(self, server, Repeat::Safe, action);
        let answer = loop {
            let attempt = Try {
                request: &request,
                outgoing: Outgoing::Download,
                missing: Missing::Session,
                within: tries.patience(),
            };
            match self.exchange(server, attempt).await {
                Ok(answer) => break answer,
                Err(failure) => tries.again(&request, failure).await?,
            }
        };
        let batches = match batches(asked, columns, &answer) {
            Ok(batches) => batches,
            Err(problem) => {
                let failure = Failure {
                    request_id: answer.request_id,
                    ..Failure::new(ErrorKind::Protocol, problem)
                };
                return Err(tries.refuse(&request, failure));
            }
        };
        Ok(Box::new(Counted {
            batches,
            missing: expected,
            failed: false,
        }))
    }

    /// Opens a download session and waits until the server has prepared it.
    pub(super) async fn prepared(
        &self,
        table: &TableName,
        partition: &PartitionSpec,
        action: String,
    ) -> Result<DownloadAnswer> {
        let server = self.tunnel().await?;
        let ask = async |request, missing| {
            let small = Small {
                request,
                body: None,
                missing,
                repeat: Repeat::Safe,
                action: action.clone(),
            };
            self.call(server, small, |answer| parse_download(&answer.body))
                .await
        };
        let (mut wait, longest) = PREPARING;
        let started = self.inner.clock.elapsed();
        let create = self
            .tunnel_table(Method::Post, table, partition)
            .flag("downloads");
        let missing = if partition.is_empty() {
            Missing::Table
        } else {
            Missing::Partition
        };
        let mut answer = ask(create, missing).await?;
        loop {
            if !answer.initiating {
                return Ok(answer);
            }
            let id = answer.id;
            if self.inner.clock.elapsed().saturating_sub(started)
                > self.inner.config.timeouts.answer
            {
                let text = format!("download session {id} is still being prepared");
                return Err(Failure::new(ErrorKind::Timeout, text).into_error(action));
            }
            self.inner.clock.sleep(wait).await;
            wait = (wait * 2).min(longest);
            let reload = self
                .tunnel_table(Method::Get, table, partition)
                .param("downloadid", &id);
            answer = match ask(reload, Missing::Session).await {
                // The table partition was there a moment ago, so that only the session can be what is missing.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound(_)) => {
                    let text = format!("the server forgot download session {id} ({error})");
                    return Err(Failure::new(ErrorKind::Protocol, text).into_error(action));
                }
                answer => answer?,
            };
        }
    }
}

/// Reads an answer, which the server may have left uncompressed.
fn batches(
    asked: BodyForm,
    columns: Arc<[Column]>,
    answer: &Answer,
) -> Result<impl Iterator<Item = Result<RecordBatch, BodyError>> + Send + use<>, String> {
    let encoding = answer.encoding.as_deref();
    let compression = compression_of(encoding).ok_or_else(|| {
        let found = encoding.unwrap_or_default();
        format!("it is compressed as {found:?}")
    })?;
    let form = BodyForm {
        compression,
        ..asked
    };
    read_body(form, columns, answer.body.clone()).map_err(|error| error.to_string())
}

/// Batches that must have as many rows as were asked for.
struct Counted<B> {
    batches: B,
    /// Rows that didn't come yet.
    missing: u64,
    failed: bool,
}

impl<B: Iterator<Item = Result<RecordBatch, BodyError>>> Iterator for Counted<B> {
    type Item = Result<RecordBatch, BoxError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = match self.batches.next() {
            Some(Ok(batch)) => match self.missing.checked_sub(batch.num_rows() as u64) {
                Some(missing) => {
                    self.missing = missing;
                    Ok(batch)
                }
                None => Err("the answer has more rows than were asked for".into()),
            },
            Some(Err(error)) => Err(error.into()),
            None if self.missing > 0 => {
                Err(format!("the answer ends {} rows early", self.missing).into())
            }
            None => return None,
        };
        self.failed = next.is_err();
        Some(next)
    }
}
