//! What the pipeline needs from the world. Each port has two implementations: the product's, in the front door, and the
//! simulation's, in tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use engine_model::{MessageBlock, OffsetRange, PartitionSpec, TableColumns, TopicPartition};
use jiff::Timestamp;

use crate::Error;

/// The topics that a run reads.
pub trait MessageSource: Send + Sync {
    /// Says which cluster and topics these are, and which topic partitions they have.
    fn describe(&self) -> Result<TopicDescription, Error>;

    /// Where the log of each of `partitions` begins and ends, in the same order: from the first offset that is kept to one
    /// past the last readable message, which is the last stable offset under read committed.
    fn log_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>, Error>;

    /// One past the last message that was written to each of `partitions`, in the same order: the high watermark, also where a
    /// transaction is open and what lies behind it can't be read yet.
    fn written_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<i64>, Error>;

    /// The offset of the first message of each of `partitions` whose timestamp is `timestamp_ms` or later, in the same
    /// order; nothing where there is none.
    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<Vec<Option<i64>>, Error>;

    /// Whether newer messages take the place of older ones of their key in `topic`, so that holes are to be expected; nothing
    /// where the brokers don't say.
    fn is_compacted(&self, topic: &str) -> Option<bool>;

    /// The position of the job's consumer group in each of `partitions`, in the same order; nothing where it has none.
    fn group_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, Error>;

    /// The first messages of `range`, at most `messages` of them and some MiB; fewer where the range holds fewer.
    fn peek(
        &self,
        partition: &TopicPartition,
        range: OffsetRange,
        messages: usize,
    ) -> Result<MessageBlock, Error>;

    /// Mean bytes of key, payload and headers of the first messages of `range`; nothing where there are none.
    fn sample(&self, partition: &TopicPartition, range: OffsetRange) -> Result<Option<u64>, Error>;

    /// A reader of its own for one lane.
    fn reader(&self) -> Result<Box<dyn MessageReader>, Error>;

    /// Sets the group's position of each topic partition, never backward, for who watches its lag. Call after the
    /// commit; a source without a group does nothing.
    fn set_group_position(&self, offsets: &[(TopicPartition, i64)]) -> Result<(), Error>;
}

/// Reads one range at a time.
pub trait MessageReader: Send {
    /// Turns to `range` of `partition`. A range that begins where the last one ended costs no seek.
    fn open(&mut self, partition: &TopicPartition, range: OffsetRange) -> Result<(), Error>;

    /// Appends the next messages of the open range to `block`, which is empty, and says whether the range is complete.
    /// Returns within about a second, also with no message, so that the caller can stop.
    ///
    /// Complete means that a message at or behind the range's end was delivered or that the log ended there: offsets
    /// without a message are never waited for. Messages come in strictly increasing order and lie within the range.
    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error>;

    /// What of the open range retention deleted before it was read, as far as it is read, in order. A reader that doesn't pass over that
    /// fails in [`read`](Self::read) instead.
    fn deleted(&self) -> &[OffsetRange];
}

/// What the topics of a run are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// The cluster's id, where the brokers say it.
    pub cluster_id: Option<String>,
    /// The topic's id, where the brokers say it: a topic that was deleted and made again has another.
    pub topic_id: Option<String>,
    /// The topic partitions to read, by topic and number.
    pub partitions: Vec<TopicPartition>,
}

/// The table that a run loads into, with its upload sessions.
pub trait TargetTable: Send + Sync {
    /// What tells this table from every other one, for locks, the journal and messages: endpoint and full name, the same
    /// for all spellings of them.
    fn name(&self) -> String;

    /// The table's columns and partition keys.
    fn columns(&self) -> Result<TableColumns, Error>;

    /// Rows that `partition` holds, as the service that takes rows has it, at little cost; nothing where it does not exist.
    fn row_count(&self, partition: &PartitionSpec) -> Result<Option<u64>, Error>;

    /// Rows of `partition` that queries find, by asking one; none where it does not exist.
    fn count_rows(&self, partition: &PartitionSpec) -> Result<u64, Error>;

    /// Creates `partition` unless it exists. Nothing to do for a table without partition keys.
    fn create_partition(&self, partition: &PartitionSpec) -> Result<(), Error>;

    /// Opens an upload session and returns its id. With `overwrite`, its commit replaces what the partition holds;
    /// otherwise it appends.
    fn open_session(&self, partition: &PartitionSpec, overwrite: bool) -> Result<String, Error>;

    /// Asks the server about a session.
    fn session(&self, partition: &PartitionSpec, session: &str) -> Result<SessionState, Error>;

    /// Uploads one block. A block that is sent again replaces itself; may be called from many threads for different
    /// blocks, never for the same one at once.
    fn put_block(
        &self,
        partition: &PartitionSpec,
        session: &str,
        block: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt, Error>;

    /// Makes all blocks visible at once, after comparing the server's list with `blocks` (rows by block id). When it
    /// fails with [`ErrorKind::CommitUnknown`](crate::ErrorKind::CommitUnknown), [`TargetTable::session`] may know
    /// more. Of a session that is being committed already it waits for the end. One that is closed with the same blocks
    /// counts as success; with others it is [`ErrorKind::CommittedDiffers`](crate::ErrorKind::CommittedDiffers). Other
    /// kinds promise that no commit of this call happened or can still happen.
    fn commit(
        &self,
        partition: &PartitionSpec,
        session: &str,
        blocks: &BTreeMap<u32, u64>,
    ) -> Result<(), Error>;
}

/// What the server says of an upload session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// It takes blocks; these it has, with their rows.
    Open(BTreeMap<u32, u64>),
    /// It is being committed; what comes of it is still open.
    Committing,
    /// It was committed.
    Committed,
    /// It can't be used any more: expired, cancelled or forgotten.
    Gone,
}

/// The rows of one block, to be read once per try.
pub trait BlockSource: Send + Sync {
    /// Rows of the block.
    fn rows(&self) -> u64;

    /// Starts from the first row.
    fn open(&self) -> Result<RowBatches, Error>;
}

/// The rows of a block, a record batch at a time.
pub type RowBatches = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>;

/// What an uploaded block took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockReceipt {
    /// Bytes of the last try's body.
    pub bytes: u64,
}

/// Where staged files are kept: one flat folder.
pub trait Staging: Send + Sync {
    /// Starts a file that becomes visible under `name` when it is published. One of that name is replaced.
    fn create(&self, name: &str) -> io::Result<Box<dyn StagingFile>>;

    /// Opens a published file for reading.
    fn open(&self, name: &str) -> io::Result<File>;

    /// The names of all files, published or not.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Deletes a file; one that is not there is no error.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Bytes that can still be written.
    fn free_bytes(&self) -> io::Result<u64>;

    /// The folder, for messages.
    fn location(&self) -> String;
}

/// A file that is being staged. Dropped without being published, it is deleted.
pub trait StagingFile: Write + Send {
    /// Makes the file and its name durable: synced, renamed, folder synced.
    fn publish(self: Box<Self>) -> io::Result<()>;
}

/// Time, so that tests can say what it is.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment; never goes backward.
    fn elapsed(&self) -> Duration;

    /// Waits so long.
    fn sleep(&self, duration: Duration);
}
