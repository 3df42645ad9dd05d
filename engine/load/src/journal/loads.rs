//! What targets got from us: windows that are done.

use engine_model::{Checksum, PlannedPartition, TopicPartition, Window, WindowOutcome};
use rusqlite::{OptionalExtension, Transaction, params};

use super::{Journal, from_json, give_up, rows, to_json};
use crate::extent::{Extent, PartitionRead};
use crate::ports::TopicDescription;
use crate::{Error, ErrorKind};

/// A window that a target got from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) run: i64,
    pub(crate) extent: Extent,
    /// Rows that were loaded.
    pub(crate) rows: u64,
}

/// What a window that is done has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) target: &'a str,
    pub(crate) extent: &'a Extent,
    /// Whether what the target held before was taken away.
    pub(crate) replaced: bool,
    /// Rows that were loaded, and their checksum where it is known.
    pub(crate) rows: u64,
    pub(crate) checksum: Option<Checksum>,
}

/// What the last run that loaded a window read for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastRead {
    pub(crate) run: i64,
    pub(crate) outcome: WindowOutcome,
    /// Of the topic that was read, where the brokers gave one.
    pub(crate) topic_id: Option<String>,
    /// By topic partition.
    pub(crate) reads: Vec<PartitionRead>,
}

impl LastRead {
    /// What it read of a topic partition; nothing of one that it did not know.
    pub(crate) fn of(&self, topic_partition: &TopicPartition) -> Option<&PartitionRead> {
        let mut reads = self.reads.iter();
        reads.find(|read| read.topic_partition == *topic_partition)
    }

    /// Whether the topic was deleted and made anew since, as far as brokers tell.
    pub(crate) fn is_of_another_topic(&self, topic: &TopicDescription) -> bool {
        let ids = self.topic_id.as_ref().zip(topic.topic_id.as_ref());
        ids.is_some_and(|(then, now)| then != now)
    }

    /// Whether it was made of messages of the topic partition that are not kept any more.
    pub(crate) fn read_before(&self, partition: &PlannedPartition) -> bool {
        let read = self.of(&partition.topic_partition);
        let first = read.and_then(|read| read.ranges.first());
        first.is_some_and(|first| first.start < partition.log_start)
    }
}

impl Journal {
    /// Records how a window ended, what was read for it, and what it has changed, of which later runs know. Windows of other open
    /// runs that would go into the target are superseded, where it was replaced or got the very same window; a run of which
    /// nothing else is left is given up.
    pub(crate) fn window_done(
        &self,
        run: i64,
        window: u32,
        outcome: WindowOutcome,
        reads: &[PartitionRead],
        change: Option<Change<'_>>,
    ) -> Result<(), Error> {
        let mut connection = self.lock();
        let transaction = connection.transaction()?;
        transaction.execute(
            "UPDATE windows SET phase = 'done', outcome = ?3, reads = ?4 WHERE run = ?1 AND number = ?2",
            params![run, window, to_json(&outcome)?, to_json(&reads)?],
        )?;
        if let Some(Change {
            target,
            extent,
            replaced,
            rows,
            checksum,
        }) = change
        {
            let Extent { window, offsets } = extent;
            let offsets = offsets.as_ref().map(to_json).transpose()?;
            transaction.execute(
                "INSERT INTO loads (target, run, start_ms, end_ms, offsets, replaced, rows, checksum) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    target,
                    run,
                    window.start_ms,
                    window.end_ms,
                    offsets,
                    replaced,
                    i64::try_from(rows).unwrap_or(i64::MAX),
                    checksum.map(|checksum| checksum.to_string()),
                ],
            )?;
            if replaced {
                supersede(&transaction, run, target, None)?;
            } else if offsets.is_none() {
                // Otherwise the same window may have other offsets.
                supersede(&transaction, run, target, Some(*window))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The loads whose rows `target` holds, the oldest first: the last one that replaced the others, and those after it.
    pub(crate) fn loads_held(&self, target: &str) -> Result<Vec<Load>, Error> {
        let found = rows(
            &self.lock(),
            "SELECT run, start_ms, end_ms, offsets, rows FROM loads WHERE target = ?1 AND id >= \
             (SELECT COALESCE(MAX(id), 0) FROM loads WHERE target = ?1 AND replaced) ORDER BY id",
            [target],
            |row| {
                let window = Window {
                    start_ms: row.get(1)?,
                    end_ms: row.get(2)?,
                };
                let offsets: Option<String> = row.get(3)?;
                Ok((row.get(0)?, window, offsets, row.get::<_, i64>(4)?))
            },
        )?;
        let load = |(run, window, offsets, rows): (i64, Window, Option<String>, i64)| {
            let offsets = offsets.as_deref().map(from_json).transpose()?;
            let extent = Extent { window, offsets };
            let rows = u64::try_from(rows).unwrap_or(0);
            Ok(Load { run, extent, rows })
        };
        found.into_iter().map(load).collect()
    }

    /// What was last loaded into `target` for the very same `window` by another run than `run`: that run, its rows and their
    /// checksum; nothing where nobody did, or an older version.
    pub(crate) fn last_load(
        &self,
        target: &str,
        window: Window,
        run: i64,
    ) -> Result<Option<(i64, u64, Checksum)>, Error> {
        let found = self
            .lock()
            .query_row(
                "SELECT run, rows, checksum FROM loads WHERE target = ?1 AND start_ms = ?2 AND end_ms = ?3 \
                 AND run <> ?4 ORDER BY id DESC LIMIT 1",
                params![target, window.start_ms, window.end_ms, run],
                |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                },
            )
            .optional()?;
        let Some((run, Some(rows), Some(checksum))): Option<(_, Option<i64>, Option<String>)> =
            found
        else {
            return Ok(None);
        };
        let checksum = checksum.parse().map_err(|error| {
            let message = format!("the journal holds a checksum that is none: {checksum:?}");
            Error::with_source(ErrorKind::Journal, message, error)
        })?;
        Ok(Some((run, u64::try_from(rows).unwrap_or(0), checksum)))
    }

    /// What the last run that loaded the very same `window` into `target`, or found nothing to load, read for it.
    pub(crate) fn last_read(
        &self,
        target: &str,
        window: Window,
    ) -> Result<Option<LastRead>, Error> {
        let found: Option<(i64, String, Option<String>, String)> = self
            .lock()
            .query_row(
                "SELECT run, outcome, topic_id, reads FROM windows JOIN runs ON runs.id = run \
                 WHERE target = ?1 AND start_ms = ?2 AND end_ms = ?3 AND phase = 'done' AND reads IS NOT NULL ORDER BY run DESC LIMIT 1",
                params![target, window.start_ms, window.end_ms],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?;
        let last_read = |(run, outcome, topic_id, reads): (i64, String, _, String)| {
            Ok(LastRead {
                run,
                outcome: from_json(&outcome)?,
                topic_id,
                reads: from_json(&reads)?,
            })
        };
        found.map(last_read).transpose()
    }
}

/// Marks the windows of other open runs that would go into `target`, which got rows from `run`: all, or those that are
/// `only` this one.
fn supersede(
    transaction: &Transaction<'_>,
    run: i64,
    target: &str,
    only: Option<Window>,
) -> Result<(), Error> {
    let superseded = to_json(&WindowOutcome::Superseded)?;
    let found = "SELECT DISTINCT run FROM windows JOIN runs ON id = run \
         WHERE target = ?1 AND phase <> 'done' AND run <> ?2 AND state = 'open' \
         AND (?3 IS NULL OR (start_ms = ?3 AND end_ms = ?4))";
    let (start_ms, end_ms) = only.map(|window| (window.start_ms, window.end_ms)).unzip();
    let bounds = params![target, run, start_ms, end_ms];
    let others: Vec<i64> = rows(transaction, found, bounds, |row| row.get(0))?;
    for other in others {
        transaction.execute(
            "UPDATE windows SET phase = 'done', outcome = ?3 WHERE run = ?1 AND target = ?2 AND phase <> 'done' \
             AND (?4 IS NULL OR (start_ms = ?4 AND end_ms = ?5))",
            params![other, target, superseded, start_ms, end_ms],
        )?;
        let left: bool = transaction.query_row(
            "SELECT EXISTS (SELECT 1 FROM windows WHERE run = ?1 AND (phase <> 'done' OR outcome <> ?2))",
            params![other, superseded],
            |row| row.get(0),
        )?;
        if !left {
            let begun_ms: i64 = transaction.query_row(
                "SELECT COALESCE(begun_ms, 0) FROM runs WHERE id = ?1",
                [run],
                |row| row.get(0),
            )?;
            give_up(transaction, other, begun_ms)?;
        }
    }
    Ok(())
}
