//! Rejected messages, for people and programs.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine_load::rejects::{Reject, RejectHeader, read_rejects, reject_files};
use engine_load::{Error, ErrorKind};
use serde::Serialize;

use crate::state::StateFolder;

/// What a run rejected.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RejectedMessages {
    /// The run; none where no run rejected anything.
    pub run: Option<i64>,
    /// Messages by reason.
    pub reasons: BTreeMap<String, u64>,
    /// The first of them.
    pub messages: Vec<RejectedMessage>,
    /// Other runs that rejected messages, which are still kept.
    pub other_runs: Vec<i64>,
}

/// One rejected message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedMessage {
    /// The topic.
    pub topic: String,
    /// The topic partition's number.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The timestamp, in ms since the epoch.
    pub timestamp_ms: i64,
    /// The reason's stable name.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// The key; absent where there is none.
    pub key: Option<Content>,
    /// The payload; absent where there is none.
    pub payload: Option<Content>,
    /// The headers in order.
    pub headers: Vec<RejectedHeader>,
}

/// A header of a rejected message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RejectedHeader {
    /// The key.
    pub key: Content,
    /// The value; absent where there is none.
    pub value: Option<Content>,
}

/// Bytes as JSON can hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// What is UTF-8, as text.
    Text(String),
    /// Anything else.
    Bytes {
        /// In base64.
        base64: String,
    },
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |error| Self::Bytes {
                base64: BASE64_STANDARD.encode(error.into_bytes()),
            },
            Self::Text,
        )
    }
}

impl From<Reject> for RejectedMessage {
    fn from(reject: Reject) -> Self {
        Self {
            topic: reject.topic_partition.topic.to_string(),
            partition: reject.topic_partition.partition,
            offset: reject.offset,
            timestamp_ms: reject.timestamp_ms,
            reason: reject.reason,
            detail: reject.detail,
            key: reject.key.map(Content::from),
            payload: reject.payload.map(Content::from),
            headers: reject
                .headers
                .into_iter()
                .map(RejectedHeader::from)
                .collect(),
        }
    }
}

impl From<RejectHeader> for RejectedHeader {
    fn from((key, value): RejectHeader) -> Self {
        Self {
            key: key.into(),
            value: value.map(Content::from),
        }
    }
}

impl StateFolder {
    /// What run `run` rejected, or the last run that rejected anything, with the first `messages_max` messages of it; with `job`,
    /// only runs of the job of that name are looked at. With
    /// `export`, all of them are written there, a JSON document a line; the file must not be there yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] where the run rejected nothing that is still kept, or the file is there; [`ErrorKind::Staging`] and
    /// [`ErrorKind::Corrupt`] where something can't be read or written.
    pub fn rejected(
        &self,
        run: Option<i64>,
        job: Option<&str>,
        messages_max: usize,
        export: Option<&Path>,
    ) -> Result<RejectedMessages, Error> {
        let staging = self.staging()?;
        let mut files = reject_files(&*staging)?;
        if let Some(job) = job {
            let runs = self.journal().runs_of(job)?;
            files.retain(|run, _| runs.contains(run));
        }
        let Some(run) = run.or_else(|| files.keys().next_back().copied()) else {
            return Ok(RejectedMessages::default());
        };
        let names = files.remove(&run).ok_or_else(|| {
            let known: Vec<String> = files.keys().map(ToString::to_string).collect();
            let known = if known.is_empty() {
                "no run did".to_owned()
            } else {
                format!("these did: {}", known.join(", "))
            };
            let message = format!("run {run} keeps no rejected messages; {known}");
            Error::new(ErrorKind::Job, message)
        })?;
        let mut export = export.map(Export::create).transpose()?;
        let mut found = RejectedMessages {
            run: Some(run),
            other_runs: files.into_keys().collect(),
            ..RejectedMessages::default()
        };
        for name in names {
            read_rejects(&*staging, &name, |reject| {
                *found.reasons.entry(reject.reason.clone()).or_default() += 1;
                if export.is_none() && found.messages.len() >= messages_max {
                    return Ok(());
                }
                let message = RejectedMessage::from(reject);
                if let Some(export) = &mut export {
                    export.write(&message)?;
                }
                if found.messages.len() < messages_max {
                    found.messages.push(message);
                }
                Ok(())
            })?;
        }
        export.map(Export::finish).transpose()?;
        Ok(found)
    }
}

/// A file of JSON lines, readable for its owner alone: messages are the user's data.
struct Export {
    path: String,
    file: BufWriter<std::fs::File>,
}

impl Export {
    fn create(path: &Path) -> Result<Self, Error> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let shown = path.display().to_string();
        let file = options.open(path).map_err(|error| {
            let message =
                format!("{shown} can't be made: {error}; name a file that isn't there yet");
            Error::with_source(ErrorKind::Job, message, error)
        })?;
        Ok(Self {
            path: shown,
            file: BufWriter::new(file),
        })
    }

    fn write(&mut self, message: &RejectedMessage) -> Result<(), Error> {
        let line = serde_json::to_string(message).map_err(std::io::Error::from);
        let written = line.and_then(|line| writeln!(self.file, "{line}"));
        written.map_err(|error| unwritten(&self.path, error))
    }

    fn finish(mut self) -> Result<(), Error> {
        self.file
            .flush()
            .map_err(|error| unwritten(&self.path, error))
    }
}

fn unwritten(path: &str, error: std::io::Error) -> Error {
    let message = format!("{path} can't be written: {error}");
    Error::with_source(ErrorKind::Staging, message, error)
}
