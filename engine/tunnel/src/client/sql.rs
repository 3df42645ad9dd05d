//! SQL: submit, wait, read the result.

use std::time::Duration;

use serde_json::Map;

use super::Client;
use super::tries::{Repeat, Small};
use crate::error::Failure;
use crate::wire::{
    AnswerError, InstanceResult, InstanceStatus, Method, SqlRows, TaskStatus, classify, parse_csv,
    submission,
};
use crate::{Error, ErrorKind, Missing, Result};

/// Between two looks at a running instance: the first wait and the longest. Statements of a loader take a second or two.
const RUNNING: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What a statement returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlResult {
    /// The id of the instance that ran it.
    pub instance: String,
    /// Names of the columns. Empty where the statement returned text, such as `SHOW PARTITIONS`.
    pub header: Vec<String>,
    /// The rows, at most 10,000: a cell for each column, `None` for NULL. A text has a row with one cell for each line.
    pub rows: Vec<Vec<Option<String>>>,
}

/// A statement and how it is run.
pub(super) struct Statement<'a> {
    pub(super) sql: &'a str,
    /// Follows "cannot" in an error.
    pub(super) action: &'a str,
    pub(super) repeat: Repeat,
    /// The schema of names that have none; with it names have three levels.
    pub(super) schema: Option<&'a str>,
}

impl Client {
    /// Runs one SQL statement to its end and reads its result.
    ///
    /// A statement whose submission may have reached the server isn't submitted again. Dropping the call doesn't stop
    /// the instance.
    ///
    /// # Errors
    /// `Sql`: it failed, with the server's message. `Timeout`: it still ran after
    /// [`Timeouts::statement`](crate::Timeouts::statement). `Protocol`: how it ended can't be told. Errors name the instance as soon as there is one.
    pub async fn execute(&self, sql: &str) -> Result<SqlResult> {
        self.run(Statement {
            sql,
            action: "run the SQL statement",
            repeat: Repeat::IfRefused,
            schema: self.inner.config.schema.as_deref(),
        })
        .await
    }

    pub(super) async fn run(&self, statement: Statement<'_>) -> Result<SqlResult> {
        let instance = self.submit(&statement).await?;
        let action = format!(
            "{} (instance {})",
            statement.action,
            self.redact(instance.clone())
        );
        self.wait_for(&instance, &action).await?;
        let status = self
            .instance(&instance, "taskstatus", &action, TaskStatus::parse)
            .await?;
        let result = self
            .instance(&instance, "result", &action, InstanceResult::parse)
            .await?;
        match status {
            TaskStatus::Success => {}
            TaskStatus::Failed => return Err(self.failed(&result.text, action)),
            TaskStatus::Cancelled => {
                return Err(Failure::new(ErrorKind::Sql, "it was cancelled").into_error(action));
            }
        }
        let SqlRows { header, rows } = if result.csv {
            parse_csv(&result.text).map_err(|error| {
                Failure::new(ErrorKind::Protocol, error.to_string()).into_error(action)
            })?
        } else {
            let rows = result.text.lines().map(|line| vec![Some(line.to_owned())]);
            SqlRows {
                header: Vec::new(),
                rows: rows.collect(),
            }
        };
        Ok(SqlResult {
            instance,
            header,
            rows,
        })
    }

    async fn submit(&self, statement: &Statement<'_>) -> Result<String> {
        let Statement {
            sql,
            action,
            repeat,
            schema,
        } = *statement;
        let project = &self.inner.config.project;
        let mut settings = Map::new();
        if let Some(schema) = schema {
            let mut set = |name: &str, value: &str| settings.insert(name.into(), value.into());
            set("odps.namespace.schema", "true");
            set("odps.sql.allow.namespace.schema", "true");
            set("odps.default.schema", schema);
        }
        let body = submission(sql, &settings);
        let small = Small {
            request: self.rest(Method::Post, ["projects", project, "instances"]),
            body: Some(&body),
            missing: Missing::Project,
            repeat,
            action: action.to_owned(),
        };
        self.call(&self.inner.rest, small, |answer| {
            let id = answer
                .location
                .as_deref()
                .and_then(|location| location.rsplit('/').next());
            let missing = || AnswerError::new("the answer has no Location with an instance");
            id.filter(|id| !id.is_empty())
                .map(str::to_owned)
                .ok_or_else(missing)
        })
        .await
    }

    async fn wait_for(&self, instance: &str, action: &str) -> Result<()> {
        let clock = &self.inner.clock;
        let longest_run = self.inner.config.timeouts.statement;
        let started = clock.elapsed();
        let (mut wait, longest) = RUNNING;
        while self
            .instance(instance, "", action, InstanceStatus::parse)
            .await?
            == InstanceStatus::Running
        {
            if clock.elapsed().saturating_sub(started) > longest_run {
                let text = format!("it still runs after {} s", longest_run.as_secs());
                return Err(Failure::new(ErrorKind::Timeout, text).into_error(action));
            }
            clock.sleep(wait).await;
            wait = (wait * 2).min(longest);
        }
        Ok(())
    }

    /// Asks about an instance; `what` is the parameter that says what is asked.
    async fn instance<T>(
        &self,
        instance: &str,
        what: &'static str,
        action: &str,
        parse: impl FnOnce(&str) -> Result<T, AnswerError>,
    ) -> Result<T> {
        let project = &self.inner.config.project;
        let request = self.rest(Method::Get, ["projects", project, "instances", instance]);
        let small = Small {
            request: if what.is_empty() {
                request
            } else {
                request.flag(what)
            },
            body: None,
            missing: Missing::Instance,
            repeat: Repeat::Safe,
            action: action.to_owned(),
        };
        self.call(&self.inner.rest, small, |answer| parse(&answer.text()))
            .await
    }

    /// The error of a statement whose result is `text`, such as
    /// `ODPS-0130131:[1,13] Table not found - table p.t cannot be resolved`.
    fn failed(&self, text: &str, action: String) -> Error {
        let text = self.redact(text.trim().to_owned());
        let is_code = |code: &str| {
            code.strip_prefix("ODPS-").is_some_and(|digits| {
                digits.len() == 7 && digits.bytes().all(|b| b.is_ascii_digit())
            })
        };
        // "FAILED: " stands before the code in some services' answers.
        let body = text
            .strip_prefix("FAILED:")
            .map_or(text.as_str(), str::trim_start);
        let code = body
            .split(':')
            .next()
            .filter(|code| is_code(code))
            .map(str::to_owned);
        let known = classify(400, code.as_deref(), Missing::Table);
        let kind = if known == ErrorKind::InvalidRequest {
            ErrorKind::Sql
        } else {
            known
        };
        Failure {
            code,
            ..Failure::new(kind, body)
        }
        .into_error(action)
    }
}
