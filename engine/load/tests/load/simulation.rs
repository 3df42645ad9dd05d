//! A topic and a table in memory, with the faults that tests ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use engine_load::ports::{
    BlockReceipt, BlockSource, Clock, MessageReader, MessageSource, PartitionOffsets, SessionState,
    Staging, StagingFile, TargetTable, TopicDescription,
};
use engine_load::{Error, ErrorKind, FolderStaging};
use engine_model::{
    Column, ColumnType, MessageBlock, OffsetRange, PartitionSpec, TableColumns, TopicPartition,
    Window,
};
use jiff::Timestamp;

/// The size that planning is told of every message, so that a handful of them makes a slice.
const MESSAGE_BYTES: u64 = 4 << 20;

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) payload: Option<String>,
}

/// A topic whose topic partitions hold these messages, each log ending one past its last message.
#[derive(Default)]
pub(crate) struct Topic {
    pub(crate) partitions: Vec<Vec<Message>>,
    /// How often each offset was delivered.
    pub(crate) delivered: Mutex<BTreeMap<(i32, i64), u64>>,
    /// The log start offset of every topic partition.
    pub(crate) log_start: i64,
}

impl Topic {
    pub(crate) fn new(partitions: Vec<Vec<Message>>) -> Self {
        Self {
            partitions,
            ..Self::default()
        }
    }

    /// Offsets that were delivered more than once.
    pub(crate) fn delivered_again(&self) -> usize {
        self.delivered
            .lock()
            .unwrap()
            .values()
            .filter(|times| **times > 1)
            .count()
    }

    fn log(&self, partition: i32) -> &[Message] {
        &self.partitions[usize::try_from(partition).unwrap()]
    }
}

/// A topic as the port; a reader keeps it alive.
pub(crate) struct Source(pub(crate) Arc<Topic>);

impl MessageSource for Source {
    fn describe(&self) -> Result<TopicDescription, Error> {
        let partitions = (0..).take(self.0.partitions.len());
        Ok(TopicDescription {
            cluster_id: Some("simulated".into()),
            topic_id: None,
            partitions: partitions
                .map(|number| TopicPartition::new("orders", number))
                .collect(),
        })
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        window: Window,
    ) -> Result<Vec<PartitionOffsets>, Error> {
        let offsets = |partition: &TopicPartition| {
            let log = self.0.log(partition.partition);
            let first_at = |ms| {
                log.iter()
                    .find(|message| message.timestamp_ms >= ms)
                    .map(|message| message.offset)
            };
            PartitionOffsets {
                log_start: self.0.log_start,
                high_watermark: log.last().map_or(0, |last| last.offset + 1),
                first: first_at(0),
                start: first_at(window.start_ms),
                end: first_at(window.end_ms),
            }
        };
        Ok(partitions.iter().map(offsets).collect())
    }

    fn sample(&self, partition: &TopicPartition, range: OffsetRange) -> Result<Option<u64>, Error> {
        let mut log = self.0.log(partition.partition).iter();
        let any = log.any(|message| (range.start..range.end).contains(&message.offset));
        Ok(any.then_some(MESSAGE_BYTES))
    }

    fn reader(&self) -> Result<Box<dyn MessageReader>, Error> {
        Ok(Box::new(Reader {
            topic: Arc::clone(&self.0),
            open: None,
        }))
    }

    fn set_group_position(&self, _: &[(TopicPartition, i64)]) -> Result<(), Error> {
        Ok(())
    }
}

struct Reader {
    topic: Arc<Topic>,
    open: Option<(i32, OffsetRange)>,
}

impl MessageReader for Reader {
    fn open(&mut self, partition: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
        self.open = Some((partition.partition, range));
        Ok(())
    }

    /// Two messages a call, so that a slice takes several blocks.
    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
        let (partition, range) = self.open.as_mut().unwrap();
        let log = self.topic.log(*partition);
        let due = log
            .iter()
            .filter(|message| range.contains(message.offset))
            .take(2);
        for message in due.collect::<Vec<_>>() {
            let payload = message.payload.as_deref().map(str::as_bytes);
            block.push(
                message.offset,
                message.timestamp_ms,
                None,
                payload,
                std::iter::empty(),
            );
            *self
                .topic
                .delivered
                .lock()
                .unwrap()
                .entry((*partition, message.offset))
                .or_default() += 1;
            range.start = message.offset + 1;
        }
        Ok(!log.iter().any(|message| range.contains(message.offset)))
    }
}

/// A table with the columns `id BIGINT, city STRING, at BIGINT`, and one partition key `ds` unless told otherwise.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) keys: Vec<String>,
    pub(crate) state: Mutex<TableState>,
    pub(crate) faults: Faults,
}

#[derive(Default)]
pub(crate) struct TableState {
    /// The `id` of every row, sorted, by partition.
    pub(crate) rows: BTreeMap<PartitionSpec, Vec<i64>>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) commits: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Session {
    pub(crate) overwrite: bool,
    pub(crate) blocks: BTreeMap<u32, Vec<i64>>,
    pub(crate) committed: bool,
    /// A commit was sent and is not done yet.
    pub(crate) committing: bool,
}

/// What goes wrong, and when.
#[derive(Default)]
pub(crate) struct Faults {
    /// Block uploads that still succeed; at 0, when this is set, they fail.
    pub(crate) fail_uploads_after: Mutex<Option<u64>>,
    /// The next commit happens, and its answer is lost.
    pub(crate) lose_commit_answer: AtomicBool,
    /// The next commit does not happen, and its answer is lost.
    pub(crate) lose_commit: AtomicBool,
    /// The next commit goes on after its answer was lost, until somebody waits for it.
    pub(crate) commit_slowly: AtomicBool,
    /// The next commit is refused.
    pub(crate) refuse_commit: AtomicBool,
}

impl Table {
    pub(crate) fn with_key(key: &str) -> Self {
        Self {
            keys: vec![key.to_owned()],
            ..Self::default()
        }
    }

    /// The ids in a partition, sorted.
    pub(crate) fn ids(&self, partition: &PartitionSpec) -> Vec<i64> {
        self.state
            .lock()
            .unwrap()
            .rows
            .get(partition)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn forget_sessions(&self) {
        self.state.lock().unwrap().sessions.clear();
    }
}

fn gone(session: &str) -> Error {
    Error::new(
        ErrorKind::SessionGone,
        format!("session {session} is not known"),
    )
}

impl TargetTable for Table {
    fn name(&self) -> String {
        "simulated p.orders".into()
    }

    fn columns(&self) -> Result<TableColumns, Error> {
        let columns = vec![
            Column::new("id", ColumnType::BigInt),
            Column::new("city", ColumnType::String),
            Column::new("at", ColumnType::BigInt),
        ];
        let keys = self
            .keys
            .iter()
            .map(|key| Column::new(key, ColumnType::String));
        Ok(TableColumns {
            columns,
            partition_keys: keys.collect(),
        })
    }

    fn row_count(&self, partition: &PartitionSpec) -> Result<Option<u64>, Error> {
        Ok(self
            .state
            .lock()
            .unwrap()
            .rows
            .get(partition)
            .map(|rows| rows.len() as u64))
    }

    fn create_partition(&self, partition: &PartitionSpec) -> Result<(), Error> {
        self.state
            .lock()
            .unwrap()
            .rows
            .entry(partition.clone())
            .or_default();
        Ok(())
    }

    fn open_session(&self, _: &PartitionSpec, overwrite: bool) -> Result<String, Error> {
        let mut state = self.state.lock().unwrap();
        let id = format!("session-{}", state.sessions.len() + 100 * state.commits);
        state.sessions.insert(
            id.clone(),
            Session {
                overwrite,
                ..Session::default()
            },
        );
        Ok(id)
    }

    fn session(&self, _: &PartitionSpec, session: &str) -> Result<SessionState, Error> {
        let state = self.state.lock().unwrap();
        Ok(match state.sessions.get(session) {
            None => SessionState::Gone,
            Some(session) if session.committed => SessionState::Committed,
            Some(session) if session.committing => SessionState::Committing,
            Some(session) => {
                let rows = |(id, ids): (&u32, &Vec<i64>)| (*id, ids.len() as u64);
                SessionState::Open(session.blocks.iter().map(rows).collect())
            }
        })
    }

    fn put_block(
        &self,
        _: &PartitionSpec,
        session: &str,
        block: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt, Error> {
        if let Some(left) = &mut *self.faults.fail_uploads_after.lock().unwrap() {
            if *left == 0 {
                return Err(Error::new(ErrorKind::Target, "the server is down"));
            }
            *left -= 1;
        }
        let ids = rows.open()?.map(|batch| batch.map(|batch| ids_of(&batch)));
        let ids: Vec<i64> = ids.collect::<Result<Vec<_>, _>>()?.concat();
        assert_eq!(ids.len() as u64, rows.rows());
        let mut state = self.state.lock().unwrap();
        let session = state
            .sessions
            .get_mut(session)
            .ok_or_else(|| gone(session))?;
        session.blocks.insert(block, ids);
        Ok(BlockReceipt { bytes: 1 })
    }

    fn commit(
        &self,
        partition: &PartitionSpec,
        session: &str,
        blocks: &BTreeMap<u32, u64>,
    ) -> Result<(), Error> {
        let lost = || Error::new(ErrorKind::CommitUnknown, "the answer never came");
        if self.faults.lose_commit.swap(false, Ordering::Relaxed) {
            return Err(lost());
        }
        if self.faults.refuse_commit.swap(false, Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Target, "no permission"));
        }
        let mut state = self.state.lock().unwrap();
        let open = state
            .sessions
            .get_mut(session)
            .ok_or_else(|| gone(session))?;
        let held: BTreeMap<u32, u64> = open
            .blocks
            .iter()
            .map(|(id, ids)| (*id, ids.len() as u64))
            .collect();
        if open.committed && &held != blocks {
            let message = "it was committed before, with other blocks";
            return Err(Error::new(ErrorKind::CommittedDiffers, message));
        }
        assert_eq!(&held, blocks, "the block lists differ");
        if open.committed {
            return Ok(());
        }
        if self.faults.commit_slowly.swap(false, Ordering::Relaxed) {
            open.committing = true;
            return Err(lost());
        }
        open.committed = true;
        let (overwrite, mut ids) = (
            open.overwrite,
            open.blocks.values().flatten().copied().collect::<Vec<_>>(),
        );
        let rows = state.rows.entry(partition.clone()).or_default();
        if overwrite {
            rows.clear();
        }
        rows.append(&mut ids);
        rows.sort_unstable();
        state.commits += 1;
        if self
            .faults
            .lose_commit_answer
            .swap(false, Ordering::Relaxed)
        {
            Err(lost())
        } else {
            Ok(())
        }
    }
}

fn ids_of(batch: &RecordBatch) -> Vec<i64> {
    batch["id"].as_primitive::<Int64Type>().values().to_vec()
}

/// A staging folder on a disk of a given size.
pub(crate) struct SmallDisk {
    folder: FolderStaging,
    left: Arc<AtomicU64>,
}

impl SmallDisk {
    pub(crate) fn new(folder: FolderStaging, bytes: u64) -> Self {
        Self {
            folder,
            left: Arc::new(AtomicU64::new(bytes)),
        }
    }
}

impl Staging for SmallDisk {
    fn create(&self, name: &str) -> io::Result<Box<dyn StagingFile>> {
        Ok(Box::new(SmallFile {
            file: self.folder.create(name)?,
            left: Arc::clone(&self.left),
        }))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        self.folder.open(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.folder.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.folder.remove(name)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.left.load(Ordering::Relaxed))
    }

    fn location(&self) -> String {
        self.folder.location()
    }
}

struct SmallFile {
    file: Box<dyn StagingFile>,
    left: Arc<AtomicU64>,
}

impl Write for SmallFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let wanted = bytes.len() as u64;
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(wanted)
            })
            .map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl StagingFile for SmallFile {
    fn publish(self: Box<Self>) -> io::Result<()> {
        self.file.publish()
    }
}

/// A clock that says when it is, and whose monotonic time stands still.
pub(crate) struct StoppedClock(pub(crate) Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Offsets 0, 1, 2 … with these timestamps; the payload of each is `{"id": …, "city": "…"}` with ids from `first_id`.
pub(crate) fn log(first_id: i64, timestamps_ms: &[i64]) -> Vec<Message> {
    (0..)
        .zip(timestamps_ms)
        .map(|(offset, timestamp_ms)| Message {
            offset,
            timestamp_ms: *timestamp_ms,
            payload: Some(format!(
                "{{\"id\": {}, \"city\": \"Hangzhou\"}}",
                first_id + offset
            )),
        })
        .collect()
}

/// The ids of the messages whose timestamps lie in `window`.
pub(crate) fn ids_in(logs: &[(i64, Vec<i64>)], window: Window) -> Vec<i64> {
    let ids = logs.iter().flat_map(|(first_id, timestamps)| {
        (*first_id..)
            .zip(timestamps)
            .filter(|(_, ms)| (window.start_ms..window.end_ms).contains(*ms))
    });
    ids.map(|(id, _)| id)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}
