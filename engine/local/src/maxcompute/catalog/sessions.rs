//! Upload sessions with their blocks, and download sessions with the files that they read.

use engine_model::Column;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::tables::{files_of, insert_partition, partition, replace_files};
use super::{Catalog, retire};
use crate::maxcompute::error::{Code, ServiceError};
use crate::maxcompute::storage::StoredFile;

/// How long a session can be used after it was created, in ms; the service's 24 hours.
pub(crate) const SESSION_MS: i64 = 24 * 3_600_000;
/// How long an ended or expired session can still be asked about, in ms since it was created. A loader that comes back
/// after a night and a day still learns whether its commit happened.
const RECORD_MS: i64 = 7 * 24 * 3_600_000;

/// Where an upload session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UploadStatus {
    /// Open for blocks.
    Normal,
    /// Committed.
    Closed,
    /// Older than 24 hours without a commit; its blocks are gone.
    Expired,
}

impl UploadStatus {
    /// As in the session's JSON.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Closed => "closed",
            Self::Expired => "expired",
        }
    }
}

/// An upload session.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) table_id: i64,
    /// Values of the target's partition keys.
    pub(crate) values: Vec<String>,
    pub(crate) overwrite: bool,
    pub(crate) status: UploadStatus,
    pub(crate) created_ms: i64,
    /// Completed blocks by id.
    pub(crate) blocks: Vec<Block>,
}

/// A completed block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) id: u32,
    pub(crate) version: i64,
    /// `None` for a block without rows.
    pub(crate) file: Option<String>,
    pub(crate) rows: i64,
    pub(crate) bytes: i64,
    pub(crate) created_ms: i64,
}

/// A download session: what it reads doesn't change while it lives.
#[derive(Clone, Debug)]
pub(crate) struct Download {
    pub(crate) id: String,
    /// `t/<table id>` or `i/<instance id>`.
    pub(crate) resource: String,
    pub(crate) values: Vec<String>,
    pub(crate) columns: Vec<Column>,
    pub(crate) created_ms: i64,
    pub(crate) files: Vec<DownloadFile>,
}

/// A file that a download session reads.
#[derive(Clone, Debug)]
pub(crate) struct DownloadFile {
    pub(crate) name: String,
    pub(crate) rows: i64,
}

impl Catalog {
    /// Opens an upload session, and creates its partition first where `create_partition` asks for it.
    ///
    /// # Errors
    /// `NoSuchPartition` for a partition that is missing.
    pub(crate) fn create_upload(
        &self,
        upload: &Upload,
        create_partition: bool,
    ) -> Result<(), ServiceError> {
        self.change(|transaction| {
            forget_sessions(transaction, upload.created_ms)?;
            if create_partition {
                insert_partition(
                    transaction,
                    upload.table_id,
                    &upload.values,
                    upload.created_ms,
                )?;
            }
            existing(transaction, upload.table_id, &upload.values)?;
            transaction.execute(
                "INSERT INTO uploads (id, table_id, spec, overwrite, status, created_ms)
                 VALUES (?1, ?2, ?3, ?4, 'normal', ?5)",
                params![
                    upload.id,
                    upload.table_id,
                    serde_json::to_string(&upload.values)?,
                    upload.overwrite,
                    upload.created_ms
                ],
            )?;
            Ok(())
        })
    }

    /// The session of that id as of `now_ms`.
    ///
    /// # Errors
    /// `NoSuchUpload` for one that never was or is long gone.
    pub(crate) fn upload(&self, id: &str, now_ms: i64) -> Result<Upload, ServiceError> {
        self.transaction(|transaction| upload(transaction, id, now_ms))
    }

    /// Makes `file` the content of a block, in place of what it had. A version older than the one that is there is
    /// ignored, with its file.
    ///
    /// # Errors
    /// `StatusConflict` for a session that is no longer open.
    pub(crate) fn put_block(
        &self,
        upload_id: &str,
        block: u32,
        version: i64,
        file: Option<&StoredFile>,
        now_ms: i64,
    ) -> Result<(), ServiceError> {
        self.change(|transaction| {
            let session = upload(transaction, upload_id, now_ms)?;
            open(&session)?;
            let present = session.blocks.iter().find(|present| present.id == block);
            if present.is_some_and(|present| present.version > version) {
                let name = file.map(|file| file.name.as_str());
                transaction.execute(
                    "INSERT OR IGNORE INTO retired SELECT ?1 WHERE ?1 IS NOT NULL",
                    [name],
                )?;
                return Ok(());
            }
            transaction.execute(
                "INSERT OR IGNORE INTO retired SELECT file FROM blocks
                 WHERE upload_id = ?1 AND block = ?2 AND file IS NOT NULL",
                params![upload_id, block],
            )?;
            transaction.execute(
                "INSERT OR REPLACE INTO blocks (upload_id, block, version, file, rows, bytes, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![
                    upload_id,
                    block,
                    version,
                    file.map(|file| &file.name),
                    file.map_or(0, |file| file.rows),
                    file.map_or(0, |file| file.bytes),
                    now_ms
                ],
            )?;
            Ok(())
        })
    }

    /// Makes all blocks of a session visible, in one transaction. A session that is closed already is left as it is.
    ///
    /// # Errors
    /// `StatusConflict` for an expired session, `NoSuchPartition` when the target was dropped meanwhile.
    pub(crate) fn commit_upload(&self, id: &str, now_ms: i64) -> Result<Upload, ServiceError> {
        self.change(|transaction| {
            let session = upload(transaction, id, now_ms)?;
            if session.status == UploadStatus::Closed {
                return Ok(session);
            }
            open(&session)?;
            let partition_id = existing(transaction, session.table_id, &session.values)?;
            let files: Vec<(String, i64, i64)> = session
                .blocks
                .iter()
                .filter_map(|block| Some((block.file.clone()?, block.rows, block.bytes)))
                .collect();
            replace_files(transaction, partition_id, session.overwrite, &files, now_ms)?;
            transaction.execute("UPDATE uploads SET status = 'closed' WHERE id = ?1", [id])?;
            // From here on the files belong to the partition: dropping it must not leave them to the session.
            transaction.execute("UPDATE blocks SET file = NULL WHERE upload_id = ?1", [id])?;
            Ok(Upload {
                status: UploadStatus::Closed,
                ..session
            })
        })
    }

    /// Opens a download session over a table partition as it is now.
    ///
    /// # Errors
    /// `NoSuchPartition` for a partition that is missing.
    pub(crate) fn create_table_download(
        &self,
        mut download: Download,
        table_id: i64,
    ) -> Result<Download, ServiceError> {
        self.transaction(|transaction| {
            let partition_id = existing(transaction, table_id, &download.values)?;
            let files = files_of(transaction, partition_id)?;
            download.files = files
                .into_iter()
                .map(|(name, rows)| DownloadFile { name, rows })
                .collect();
            insert_download(transaction, &download)?;
            Ok(download)
        })
    }

    /// Whether a download session reads what its table partition holds now, too.
    ///
    /// # Errors
    /// `NoSuchPartition` for a partition that is gone.
    pub(crate) fn is_current(
        &self,
        download: &Download,
        table_id: i64,
    ) -> Result<bool, ServiceError> {
        self.transaction(|transaction| {
            let partition_id = existing(transaction, table_id, &download.values)?;
            let files = files_of(transaction, partition_id)?;
            let names = files.iter().map(|(name, _)| name);
            Ok(names.eq(download.files.iter().map(|file| &file.name)))
        })
    }

    /// Opens a download session over files that are known, those of a query's result.
    pub(crate) fn create_download(&self, download: &Download) -> Result<(), ServiceError> {
        self.transaction(|transaction| insert_download(transaction, download))
    }

    /// The download session of that id.
    ///
    /// # Errors
    /// `NoSuchDownload` for one that never was, is over, or reads another resource.
    pub(crate) fn download(
        &self,
        id: &str,
        resource: &str,
        now_ms: i64,
    ) -> Result<Download, ServiceError> {
        self.transaction(|transaction| {
            let found = transaction
                .prepare(
                    "SELECT spec, columns, created_ms FROM downloads
                     WHERE id = ?1 AND resource = ?2 AND created_ms > ?3",
                )?
                .query_row(params![id, resource, now_ms - SESSION_MS], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?))
                })
                .optional()?;
            let (spec, columns, created_ms) = found.ok_or_else(|| {
                let text = format!("there is no download session {id:?} here; open a new one");
                ServiceError::new(Code::NoSuchDownload, text)
            })?;
            let files = transaction
                .prepare(
                    "SELECT name, rows FROM download_files WHERE download_id = ?1 ORDER BY position",
                )?
                .query_map([id], |row| Ok(DownloadFile { name: row.get(0)?, rows: row.get(1)? }))?
                .collect::<Result<_, _>>()?;
            Ok(Download {
                id: id.to_owned(),
                resource: resource.to_owned(),
                values: serde_json::from_str(&spec)?,
                columns: serde_json::from_str(&columns)?,
                created_ms,
                files,
            })
        })
    }
}

fn upload(connection: &Connection, id: &str, now_ms: i64) -> Result<Upload, ServiceError> {
    let found = connection
        .prepare("SELECT table_id, spec, overwrite, status, created_ms FROM uploads WHERE id = ?1")?
        .query_row([id], |row| {
            let status: String = row.get(3)?;
            Ok((
                row.get(0)?,
                row.get::<_, String>(1)?,
                row.get(2)?,
                status,
                row.get(4)?,
            ))
        })
        .optional()?;
    let (table_id, spec, overwrite, status, created_ms) = found.ok_or_else(|| {
        let text = format!("there is no upload session {id:?}; open a new one");
        ServiceError::new(Code::NoSuchUpload, text)
    })?;
    let status = match status.as_str() {
        "closed" => UploadStatus::Closed,
        _ if now_ms - created_ms >= SESSION_MS => UploadStatus::Expired,
        _ => UploadStatus::Normal,
    };
    let blocks = connection
        .prepare(
            "SELECT block, version, file, rows, bytes, created_ms FROM blocks
             WHERE upload_id = ?1 ORDER BY block",
        )?
        .query_map([id], |row| {
            Ok(Block {
                id: row.get(0)?,
                version: row.get(1)?,
                file: row.get(2)?,
                rows: row.get(3)?,
                bytes: row.get(4)?,
                created_ms: row.get(5)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let values = serde_json::from_str(&spec)?;
    Ok(Upload {
        id: id.to_owned(),
        table_id,
        values,
        overwrite,
        status,
        created_ms,
        blocks,
    })
}

fn open(session: &Upload) -> Result<(), ServiceError> {
    if session.status == UploadStatus::Normal {
        return Ok(());
    }
    let text = format!(
        "upload session {:?} is {}; only a normal one takes blocks and commits",
        session.id,
        session.status.text()
    );
    Err(ServiceError::new(Code::StatusConflict, text))
}

/// The id of the partition of these values.
fn existing(
    connection: &Connection,
    table_id: i64,
    values: &[String],
) -> Result<i64, ServiceError> {
    let found = partition(connection, table_id, values)?;
    found.map(|partition| partition.id).ok_or_else(|| {
        let text = format!("the partition with the values {values:?} does not exist; add it first");
        ServiceError::new(Code::NoSuchPartition, text)
    })
}

fn insert_download(transaction: &Transaction<'_>, download: &Download) -> Result<(), ServiceError> {
    forget_sessions(transaction, download.created_ms)?;
    transaction.execute(
        "INSERT INTO downloads (id, resource, spec, columns, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            download.id,
            download.resource,
            serde_json::to_string(&download.values)?,
            serde_json::to_string(&download.columns)?,
            download.created_ms
        ],
    )?;
    let mut insert = transaction.prepare(
        "INSERT INTO download_files (download_id, position, name, rows) VALUES (?1, ?2, ?3, ?4)",
    )?;
    for (position, file) in (0_i64..).zip(&download.files) {
        insert.execute(params![download.id, position, file.name, file.rows])?;
    }
    Ok(())
}

/// Lets go of the files of expired sessions, and of old sessions altogether.
fn forget_sessions(transaction: &Transaction<'_>, now_ms: i64) -> Result<(), ServiceError> {
    let expired = now_ms - SESSION_MS;
    retire(
        transaction,
        "SELECT file FROM blocks JOIN uploads ON uploads.id = upload_id
         WHERE file IS NOT NULL AND status = 'normal' AND uploads.created_ms <= ?1",
        expired,
    )?;
    transaction.execute(
        "DELETE FROM blocks WHERE upload_id IN
         (SELECT id FROM uploads WHERE status = 'normal' AND created_ms <= ?1)",
        [expired],
    )?;
    transaction.execute(
        "DELETE FROM uploads WHERE created_ms <= ?1",
        [now_ms - RECORD_MS],
    )?;
    retire(
        transaction,
        "SELECT name FROM download_files JOIN downloads ON downloads.id = download_id
         WHERE created_ms <= ?1",
        expired,
    )?;
    transaction.execute("DELETE FROM downloads WHERE created_ms <= ?1", [expired])?;
    Ok(())
}
