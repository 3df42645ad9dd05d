//! What the pipeline needs from the world. Each port has two implementations: the product's, in the front door, and the
//! simulation's, in tests.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use arrow::array::RecordBatch;
use engine_model::{
    MessageBlock, OffsetRange, PartitionSpec, TableColumns, TopicPartition, Window,
};
use jiff::Timestamp;

use crate::Error;

/// The topic that a run reads.
pub trait MessageSource: Send + Sync {
    /// Says which cluster and topic this is, and which topic partitions it has.
    fn describe(&self) -> Result<TopicDescription, Error>;

    /// Looks up the offsets that planning needs, for each of `partitions` in the same order.
    fn offsets(
        &self,
        partitions: &[TopicPartition],
        window: Window,
    ) -> Result<Vec<PartitionOffsets>, Error>;

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
}

/// What a topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// The cluster's id, where the brokers say it.
    pub cluster_id: Option<String>,
    /// The topic's id, where the brokers say it: a topic that was deleted and made again has another.
    pub topic_id: Option<String>,
    /// The topic's partitions, by number.
    pub partitions: Vec<TopicPartition>,
}

/// Where the window's bounds lie in one topic partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionOffsets {
    /// First offset still kept.
    pub log_start: i64,
    /// One past the last readable message: the last stable offset under read committed.
    pub high_watermark: i64,
    /// Offset of the first message that is kept and has a timestamp.
    pub first: Option<i64>,
    /// Offset of the first message with a timestamp at or after the window's start.
    pub start: Option<i64>,
    /// Offset of the first message with a timestamp at or after the window's end.
    pub end: Option<i64>,
}

/// The table that a run loads into, with its upload sessions.
pub trait TargetTable: Send + Sync {
    /// What tells this table from every other one, for locks, the journal and messages: endpoint and full name, the same
    /// for all spellings of them.
    fn name(&self) -> String;

    /// The table's columns and partition keys.
    fn columns(&self) -> Result<TableColumns, Error>;

    /// Rows that `partition` holds; nothing where it does not exist.
    fn row_count(&self, partition: &PartitionSpec) -> Result<Option<u64>, Error>;

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
}
