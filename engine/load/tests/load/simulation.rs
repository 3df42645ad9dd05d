//! A topic and a table in memory, with the faults that tests ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use engine_load::ports::{
    BlockReceipt, BlockSource, Clock, MessageReader, MessageSource, SessionState, Staging,
    StagingFile, TargetTable, TopicDescription,
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

impl Message {
    fn push_to(&self, block: &mut MessageBlock) {
        let payload = self.payload.as_deref().map(str::as_bytes);
        let headers = std::iter::empty();
        block.push(self.offset, self.timestamp_ms, None, payload, headers);
    }
}

/// A topic whose topic partitions hold these messages, each log ending one past its last message.
#[derive(Default)]
pub(crate) struct Topic {
    pub(crate) partitions: Vec<Vec<Message>>,
    /// How often each offset was delivered.
    pub(crate) delivered: Mutex<BTreeMap<(i32, i64), u64>>,
    /// The log start offset of every topic partition.
    pub(crate) log_start: i64,
    /// Retention goes on up to this offset, where that is later.
    pub(crate) deleted_below: AtomicI64,
    /// Whether readers pass over what retention has deleted.
    pub(crate) skips_deleted: bool,
    /// Topic partitions, the last of them, that the next description leaves out.
    pub(crate) unborn: AtomicUsize,
    /// The topic's id.
    pub(crate) id: Mutex<Option<String>>,
    /// What the topic holds in place of `partitions` since it was made anew.
    pub(crate) made_anew: OnceLock<Vec<Vec<Message>>>,
    /// From this offset on, nothing is ever delivered.
    pub(crate) silent_from: Option<i64>,
    /// A transaction is open at this offset, in every topic partition that reaches so far: nothing from there on can be read.
    pub(crate) open_transaction: Option<i64>,
    /// Whether the topic says that it is compacted.
    pub(crate) compacted: Option<bool>,
    /// The consumer group's positions.
    pub(crate) group: Mutex<BTreeMap<i32, i64>>,
    /// Whether the consumer group's position can't be set.
    pub(crate) group_fails: bool,
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

    fn start(&self) -> i64 {
        self.deleted_below
            .load(Ordering::SeqCst)
            .max(self.log_start)
    }

    /// The messages of a range.
    fn messages(&self, partition: i32, range: OffsetRange) -> &[Message] {
        let log = self.log(partition);
        let place = |offset: i64| log.partition_point(|message| message.offset < offset);
        let end = place(range.end);
        &log[place(range.start).min(end)..end]
    }

    fn log(&self, partition: i32) -> &[Message] {
        let partitions = self.made_anew.get().unwrap_or(&self.partitions);
        let log = &partitions[usize::try_from(partition).unwrap()];
        let deleted = log.partition_point(|message| message.offset < self.start());
        let stable_end = self.open_transaction.unwrap_or(i64::MAX);
        let stable = log.partition_point(|message| message.offset < stable_end);
        &log[deleted..stable.max(deleted)]
    }
}

/// A topic as the port; a reader keeps it alive.
pub(crate) struct Source(pub(crate) Arc<Topic>);

impl MessageSource for Source {
    fn describe(&self) -> Result<TopicDescription, Error> {
        let unborn = self.0.unborn.swap(0, Ordering::SeqCst);
        let partitions = (0..).take(self.0.partitions.len() - unborn);
        Ok(TopicDescription {
            cluster_id: Some("simulated".into()),
            topic_id: self.0.id.lock().unwrap().clone(),
            partitions: partitions
                .map(|number| TopicPartition::new("orders", number))
                .collect(),
        })
    }

    fn log_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>, Error> {
        let ends = |partition: &TopicPartition| {
            let last = self.0.log(partition.partition).last();
            OffsetRange {
                start: self.0.start(),
                end: last.map_or(self.0.start(), |last| last.offset + 1),
            }
        };
        Ok(partitions.iter().map(ends).collect())
    }

    fn written_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<i64>, Error> {
        let logs = self.0.made_anew.get().unwrap_or(&self.0.partitions);
        let end = |partition: &TopicPartition| {
            let log = &logs[usize::try_from(partition.partition).unwrap()];
            log.last().map_or(self.0.start(), |last| last.offset + 1)
        };
        Ok(partitions.iter().map(end).collect())
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<Vec<Option<i64>>, Error> {
        let first_at = |partition: &TopicPartition| {
            let log = self.0.log(partition.partition);
            let mut messages = log.iter();
            messages
                .find(|message| message.timestamp_ms >= timestamp_ms)
                .map(|message| message.offset)
        };
        Ok(partitions.iter().map(first_at).collect())
    }

    fn is_compacted(&self, _: &str) -> Option<bool> {
        self.0.compacted
    }

    fn group_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, Error> {
        let group = self.0.group.lock().unwrap();
        let position = |partition: &TopicPartition| group.get(&partition.partition).copied();
        Ok(partitions.iter().map(position).collect())
    }

    fn peek(
        &self,
        partition: &TopicPartition,
        range: OffsetRange,
        messages: usize,
    ) -> Result<MessageBlock, Error> {
        let mut block = MessageBlock::default();
        let found = self.0.messages(partition.partition, range);
        for message in found.iter().take(messages) {
            message.push_to(&mut block);
        }
        Ok(block)
    }

    fn sample(&self, partition: &TopicPartition, range: OffsetRange) -> Result<Option<u64>, Error> {
        let found = self.0.messages(partition.partition, range);
        Ok((!found.is_empty()).then_some(MESSAGE_BYTES))
    }

    fn reader(&self) -> Result<Box<dyn MessageReader>, Error> {
        Ok(Box::new(Reader {
            topic: Arc::clone(&self.0),
            open: None,
            deleted: Vec::new(),
        }))
    }

    fn set_group_position(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), Error> {
        if self.0.group_fails {
            return Err(Error::new(ErrorKind::Source, "the group is in use"));
        }
        let mut group = self.0.group.lock().unwrap();
        for (partition, offset) in offsets {
            let position = group.entry(partition.partition).or_insert(*offset);
            *position = (*position).max(*offset);
        }
        Ok(())
    }
}

struct Reader {
    topic: Arc<Topic>,
    open: Option<(i32, OffsetRange)>,
    deleted: Vec<OffsetRange>,
}

impl MessageReader for Reader {
    fn open(&mut self, partition: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
        self.open = Some((partition.partition, range));
        self.deleted.clear();
        Ok(())
    }

    /// Two messages a call, so that a slice takes several blocks.
    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
        let (partition, range) = self.open.as_mut().unwrap();
        let start = self.topic.start();
        if range.start < start {
            if !self.topic.skips_deleted {
                let message = format!("offset {} is gone", range.start);
                return Err(Error::new(ErrorKind::Source, message));
            }
            let deleted_from = range.start;
            range.start = start.min(range.end);
            self.deleted.push(OffsetRange {
                start: deleted_from,
                end: range.start,
            });
        }
        let silent_from = self.topic.silent_from.unwrap_or(i64::MAX);
        let due = self
            .topic
            .messages(*partition, *range)
            .iter()
            .take_while(|message| message.offset < silent_from)
            .take(2);
        for message in due {
            message.push_to(block);
            *self
                .topic
                .delivered
                .lock()
                .unwrap()
                .entry((*partition, message.offset))
                .or_default() += 1;
            range.start = message.offset + 1;
        }
        Ok(self.topic.messages(*partition, *range).is_empty())
    }

    fn deleted(&self) -> &[OffsetRange] {
        &self.deleted
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
    /// Sessions that were ever opened: no id is given twice.
    pub(crate) sessions_opened: usize,
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
    /// Queries are refused.
    pub(crate) refuse_query: AtomicBool,
    /// Rows that another writer adds right after the next commit.
    pub(crate) add_rows: AtomicUsize,
    /// Rows that the next commit loses.
    pub(crate) lose_rows: AtomicUsize,
    /// The next commit is refused.
    pub(crate) refuse_commit: AtomicBool,
    /// Sessions don't tell how many rows their blocks have.
    pub(crate) hide_rows: AtomicBool,
    /// Block uploads until all sessions are forgotten, and how often that happens.
    pub(crate) forget_after: Mutex<Option<(u64, u64)>>,
    /// The next commit finds that its session is forgotten.
    pub(crate) forget_at_commit: AtomicBool,
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

    /// Forgets all sessions when enough blocks were uploaded since the last time.
    fn forget_on_the_way(&self) {
        let mut forget_after = self.faults.forget_after.lock().unwrap();
        let Some((every, times)) = &mut *forget_after else {
            return;
        };
        let uploaded: usize = {
            let state = self.state.lock().unwrap();
            let open = state.sessions.values().filter(|session| !session.committed);
            open.map(|session| session.blocks.len()).sum()
        };
        if uploaded as u64 >= *every && *times > 0 {
            *times -= 1;
            self.forget_sessions();
        }
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

    fn count_rows(&self, partition: &PartitionSpec) -> Result<u64, Error> {
        if self.faults.refuse_query.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Target, "no permission to query"));
        }
        Ok(self.row_count(partition)?.unwrap_or(0))
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
        let id = format!("session-{}", state.sessions_opened);
        state.sessions_opened += 1;
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
                let told = !self.faults.hide_rows.load(Ordering::Relaxed);
                let rows = |(id, ids): (&u32, &Vec<i64>)| (*id, u64::from(told) * ids.len() as u64);
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
        self.forget_on_the_way();
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
        if self.faults.forget_at_commit.swap(false, Ordering::Relaxed) {
            self.forget_sessions();
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
        if &held != blocks {
            let message = format!("it has the blocks {held:?}, and {blocks:?} were sent");
            return Err(Error::new(ErrorKind::Target, message));
        }
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
        ids.truncate(ids.len() - self.faults.lose_rows.swap(0, Ordering::Relaxed));
        ids.resize(
            ids.len() + self.faults.add_rows.swap(0, Ordering::Relaxed),
            -1,
        );
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

/// The ids of a batch; 0 for NULL.
fn ids_of(batch: &RecordBatch) -> Vec<i64> {
    let ids = batch["id"].as_primitive::<Int64Type>();
    ids.iter().map(Option::unwrap_or_default).collect()
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

/// A clock that says when it is, and whose monotonic time goes on only when somebody sleeps.
pub(crate) struct SleepingClock {
    pub(crate) now: Timestamp,
    pub(crate) slept_ms: AtomicU64,
}

impl Clock for SleepingClock {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.slept_ms.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) {
        let slept_ms = u64::try_from(duration.as_millis()).unwrap();
        self.slept_ms.fetch_add(slept_ms, Ordering::Relaxed);
    }
}

/// A clock whose monotonic time goes on by 100 ms whenever it is asked.
pub(crate) struct SteppingClock {
    pub(crate) now: Timestamp,
    pub(crate) steps: AtomicU64,
}

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(100 * self.steps.fetch_add(1, Ordering::Relaxed))
    }

    fn sleep(&self, _: Duration) {}
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
