//! How a command ends: exit codes and errors.

use std::process::ExitCode;

use engine::ErrorKind;
use engine::model::Findings;
use serde_json::{Value, json};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done = 0,
    /// Something that the world refused; the same command may work later.
    Failed = 1,
    /// The command line or the job file is wrong, whatever the world is like.
    Usage = 2,
    /// With `--strict`: a good run that somebody should look at.
    NeedsALook = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended without its result.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// For programs, in snake case.
    kind: &'static str,
    message: String,
    /// The findings in the files, where they are the failure.
    findings: Option<Findings>,
}

impl Failure {
    /// A command line that can't be followed.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            kind: "usage",
            message: message.into(),
            findings: None,
        }
    }

    /// What went wrong outside of the engine.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            kind: "internal",
            message: message.into(),
            findings: None,
        }
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// For people: `error: …`, or one finding a line.
    pub(crate) fn text(&self) -> String {
        match &self.findings {
            Some(findings) => findings.to_string(),
            None => format!("error: {}", self.message),
        }
    }

    /// For programs: `{"error": {"kind", "message"}}`, with `findings` where the files are wrong.
    pub(crate) fn document(&self) -> Value {
        let mut error = json!({ "kind": self.kind, "message": self.message });
        if let Some(findings) = &self.findings {
            error["findings"] = json!(findings);
        }
        json!({ "error": error })
    }
}

impl From<Findings> for Failure {
    fn from(findings: Findings) -> Self {
        let message = findings.to_string();
        Self {
            exit: Exit::Usage,
            kind: "job_file",
            message,
            findings: Some(findings),
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Job => "job",
            ErrorKind::Source => "source",
            ErrorKind::Target => "target",
            ErrorKind::SessionGone => "session_gone",
            ErrorKind::CommitUnknown => "commit_unknown",
            ErrorKind::CommittedDiffers => "committed_differs",
            ErrorKind::Staging => "staging",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Journal => "journal",
            ErrorKind::Locked => "locked",
            ErrorKind::Rejects => "rejects",
            ErrorKind::Unbalanced => "unbalanced",
            ErrorKind::CountDiffers => "count_differs",
            ErrorKind::Stopped => "stopped",
            _ => "internal",
        };
        Self {
            exit: Exit::Failed,
            kind,
            message: error.to_string(),
            findings: None,
        }
    }
}
