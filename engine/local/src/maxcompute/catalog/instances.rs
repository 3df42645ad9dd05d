//! SQL instances: what was asked, how it ended, where the rows are.

use engine_model::Column;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Catalog, retire};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::storage::StoredFile;

/// Instances that can be asked about; older ones are forgotten with their results.
const KEPT: i64 = 10_000;

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceStatus {
    Running,
    Success,
    Failed,
    Cancelled,
}

impl InstanceStatus {
    /// The task's status, as in `taskstatus`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    fn from_text(text: &str) -> Self {
        match text {
            "Running" => Self::Running,
            "Success" => Self::Success,
            "Cancelled" => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// Rows of a query.
#[derive(Clone, Debug)]
pub(crate) struct ResultSet {
    pub(crate) columns: Vec<Column>,
    /// `None` for a result without rows.
    pub(crate) file: Option<StoredFile>,
}

/// A SQL instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) id: String,
    /// The name of its only task, which answers repeat.
    pub(crate) task: String,
    /// The `Job` element as it was submitted.
    pub(crate) job: String,
    pub(crate) status: InstanceStatus,
    /// The text of the result: what SHOW and DESC print, or the error.
    pub(crate) text: String,
    /// The rows of a SELECT.
    pub(crate) rows: Option<ResultSet>,
    pub(crate) created_ms: i64,
    pub(crate) ended_ms: Option<i64>,
}

impl Catalog {
    /// Records a new instance.
    pub(crate) fn create_instance(&self, instance: &Instance) -> Result<(), ServiceError> {
        self.change(|transaction| {
            transaction.execute(
                "INSERT INTO instances (id, task, job, status, text, rows, created_ms)
                 VALUES (?1, ?2, ?3, ?4, '', 0, ?5)",
                params![
                    instance.id,
                    instance.task,
                    instance.job,
                    instance.status.text(),
                    instance.created_ms
                ],
            )?;
            forget_instances(transaction)
        })
    }

    /// Records how an instance ended. The first end counts: one that was cancelled stays so.
    pub(crate) fn end_instance(
        &self,
        id: &str,
        status: InstanceStatus,
        text: &str,
        rows: Option<&ResultSet>,
        now_ms: i64,
    ) -> Result<(), ServiceError> {
        let columns = rows
            .map(|rows| serde_json::to_string(&rows.columns))
            .transpose()?;
        let file = rows.and_then(|rows| rows.file.as_ref());
        self.change(|transaction| {
            let ended = transaction.execute(
                "UPDATE instances SET status = ?2, text = ?3, columns = ?4, file = ?5, rows = ?6,
                 ended_ms = ?7 WHERE id = ?1 AND status = 'Running'",
                params![
                    id,
                    status.text(),
                    text,
                    columns,
                    file.map(|file| &file.name),
                    file.map_or(0, |file| file.rows),
                    now_ms
                ],
            )?;
            if let (0, Some(file)) = (ended, file) {
                transaction.execute("INSERT OR IGNORE INTO retired VALUES (?1)", [&file.name])?;
            }
            Ok(())
        })
    }

    /// The instance of that id.
    ///
    /// # Errors
    /// `NoSuchObject` for one that never was or is forgotten.
    pub(crate) fn instance(&self, id: &str) -> Result<Instance, ServiceError> {
        self.transaction(|transaction| {
            let found: Option<(Instance, Option<String>, Option<StoredFile>)> = transaction
                .prepare(
                    "SELECT task, job, status, text, columns, file, rows, created_ms, ended_ms
                     FROM instances WHERE id = ?1",
                )?
                .query_row([id], |row| {
                    let columns: Option<String> = row.get(4)?;
                    let file: Option<String> = row.get(5)?;
                    let file = match file {
                        Some(name) => Some(StoredFile {
                            name,
                            rows: row.get(6)?,
                            bytes: 0,
                        }),
                        None => None,
                    };
                    let instance = Instance {
                        id: id.to_owned(),
                        task: row.get(0)?,
                        job: row.get(1)?,
                        status: InstanceStatus::from_text(&row.get::<_, String>(2)?),
                        text: row.get(3)?,
                        rows: None,
                        created_ms: row.get(7)?,
                        ended_ms: row.get(8)?,
                    };
                    Ok((instance, columns, file))
                })
                .optional()?;
            let (instance, columns, file) = found.ok_or_else(|| {
                ServiceError::new(Code::NoSuchObject, format!("there is no instance {id:?}"))
            })?;
            let columns: Option<Vec<Column>> =
                columns.as_deref().map(serde_json::from_str).transpose()?;
            let rows = columns.map(|columns| ResultSet { columns, file });
            Ok(Instance { rows, ..instance })
        })
    }

    /// Ends the instances that an earlier life of the server left running.
    pub(crate) fn fail_running_instances(&self, now_ms: i64) -> Result<(), ServiceError> {
        self.transaction(|transaction| {
            transaction.execute(
                "UPDATE instances SET status = 'Failed', ended_ms = ?1,
                 text = 'ODPS-0420153: Internal server error - the server was stopped; run it again'
                 WHERE status = 'Running'",
                [now_ms],
            )?;
            Ok(())
        })
    }
}

fn forget_instances(transaction: &Transaction<'_>) -> Result<(), ServiceError> {
    let old = "(SELECT id FROM instances ORDER BY id DESC LIMIT -1 OFFSET ?1)";
    let select = format!("SELECT file FROM instances WHERE file IS NOT NULL AND id IN {old}");
    retire(transaction, &select, KEPT)?;
    transaction.execute(&format!("DELETE FROM instances WHERE id IN {old}"), [KEPT])?;
    Ok(())
}
