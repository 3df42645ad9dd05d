//! A topic and a table in memory, so that a load is nothing but its own steps.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use engine_load::Error;
use engine_load::ports::{
    BlockReceipt, BlockSource, Clock, MessageReader, MessageSource, SessionState, TargetTable,
    TopicDescription,
};
use engine_model::{MessageBlock, OffsetRange, PartitionSpec, TableColumns, TopicPartition};
use jiff::Timestamp;

use crate::decode::Blocks;
use crate::process::thread_cpu;

/// The topic `bench`, whose only topic partition holds these messages, all of them in the window.
#[derive(Clone, Debug)]
pub struct Topic(pub Arc<Blocks>);

impl Topic {
    fn end(&self) -> i64 {
        i64::try_from(self.0.messages).unwrap_or(i64::MAX)
    }
}

impl MessageSource for Topic {
    fn describe(&self) -> Result<TopicDescription, Error> {
        Ok(TopicDescription {
            cluster_id: None,
            topic_id: None,
            partitions: vec![TopicPartition::new("bench", 0)],
        })
    }

    fn log_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>, Error> {
        let log = OffsetRange {
            start: 0,
            end: self.end(),
        };
        Ok(vec![log; partitions.len()])
    }

    fn written_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<i64>, Error> {
        Ok(vec![self.end(); partitions.len()])
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<Vec<Option<i64>>, Error> {
        let mut messages = self.0.blocks.iter().flat_map(MessageBlock::iter);
        let first = messages.find(|message| message.timestamp_ms >= timestamp_ms);
        Ok(vec![first.map(|message| message.offset); partitions.len()])
    }

    fn is_compacted(&self, _: &str) -> Option<bool> {
        None
    }

    fn group_offsets(&self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, Error> {
        Ok(vec![None; partitions.len()])
    }

    fn peek(
        &self,
        _: &TopicPartition,
        range: OffsetRange,
        messages: usize,
    ) -> Result<MessageBlock, Error> {
        let mut block = MessageBlock::default();
        let all = self.0.blocks.iter().flat_map(MessageBlock::iter);
        let due = all.filter(|message| range.contains(message.offset));
        for message in due.take(messages) {
            block.push(
                message.offset,
                message.timestamp_ms,
                message.key,
                message.payload,
                message.headers.iter(),
            );
        }
        Ok(block)
    }

    fn sample(&self, _: &TopicPartition, _: OffsetRange) -> Result<Option<u64>, Error> {
        Ok(u64::try_from(self.0.bytes / self.0.messages.max(1)).ok())
    }

    fn reader(&self) -> Result<Box<dyn MessageReader>, Error> {
        Ok(Box::new(Reader {
            topic: self.clone(),
            range: OffsetRange { start: 0, end: 0 },
        }))
    }

    fn set_group_position(&self, _: &[(TopicPartition, i64)]) -> Result<(), Error> {
        Ok(())
    }
}

struct Reader {
    topic: Topic,
    /// What is left of the open range.
    range: OffsetRange,
}

impl MessageReader for Reader {
    fn open(&mut self, _: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
        self.range = range;
        Ok(())
    }

    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
        let blocks = &self.topic.0.blocks;
        let ends_behind = |block: &MessageBlock| {
            let last = block.get(block.len().saturating_sub(1));
            last.is_some_and(|last| last.offset >= self.range.start)
        };
        let next = blocks.iter().find(|block| ends_behind(block));
        for message in next.into_iter().flat_map(MessageBlock::iter) {
            if self.range.start <= message.offset && message.offset < self.range.end {
                block.push(
                    message.offset,
                    message.timestamp_ms,
                    message.key,
                    message.payload,
                    message.headers.iter(),
                );
                self.range.start = message.offset + 1;
            }
        }
        Ok(self.range.is_empty())
    }

    fn deleted(&self) -> &[OffsetRange] {
        &[]
    }
}

/// A table that reads what is uploaded, and keeps it where it is told to.
#[derive(Debug)]
pub struct Table {
    columns: TableColumns,
    keep: bool,
    rows: AtomicU64,
    blocks: Mutex<BTreeMap<u32, Vec<RecordBatch>>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: TableColumns, keep: bool) -> Self {
        Self {
            columns,
            keep,
            rows: AtomicU64::new(0),
            blocks: Mutex::default(),
        }
    }

    /// Rows that were uploaded.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// What was kept, in the order of the slices.
    pub fn batches(&self) -> Vec<RecordBatch> {
        let blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.values().flatten().cloned().collect()
    }
}

impl TargetTable for Table {
    fn name(&self) -> String {
        "a table in memory".to_owned()
    }

    fn columns(&self) -> Result<TableColumns, Error> {
        Ok(self.columns.clone())
    }

    fn row_count(&self, _: &PartitionSpec) -> Result<Option<u64>, Error> {
        Ok(Some(0))
    }

    fn count_rows(&self, _: &PartitionSpec) -> Result<u64, Error> {
        Ok(0)
    }

    fn create_partition(&self, _: &PartitionSpec) -> Result<(), Error> {
        Ok(())
    }

    fn open_session(&self, _: &PartitionSpec, _: bool) -> Result<String, Error> {
        Ok("session".to_owned())
    }

    fn session(&self, _: &PartitionSpec, _: &str) -> Result<SessionState, Error> {
        Ok(SessionState::Gone)
    }

    fn put_block(
        &self,
        _: &PartitionSpec,
        _: &str,
        block: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt, Error> {
        for batch in rows.open()? {
            let batch = batch?;
            self.rows
                .fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            if self.keep {
                let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
                blocks.entry(block).or_default().push(batch);
            }
        }
        Ok(BlockReceipt { bytes: 0 })
    }

    fn commit(&self, _: &PartitionSpec, _: &str, _: &BTreeMap<u32, u64>) -> Result<(), Error> {
        Ok(())
    }
}

/// A clock whose time that passes is the CPU time of whoever asks: each step of a load times itself on its own
/// thread, so its seconds become CPU seconds.
#[derive(Clone, Copy, Debug)]
pub struct CpuClock {
    /// What the wall clock shows, always.
    pub now: Timestamp,
}

impl Clock for CpuClock {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn elapsed(&self) -> Duration {
        thread_cpu()
    }

    /// Nothing is waited for in memory.
    fn sleep(&self, _: Duration) {}
}
