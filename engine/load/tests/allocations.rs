//! A load allocates for blocks, batches and pages, and nothing per message.

#![expect(
    unsafe_code,
    reason = "an allocator that counts can't be written without"
)]
#![expect(clippy::unwrap_used, reason = "a test that can't be set up fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine_load::plan::WindowOrder;
use engine_load::ports::{
    BlockReceipt, BlockSource, Clock, MessageReader, MessageSource, SessionState, TargetTable,
    TopicDescription,
};
use engine_load::{Cancel, Error, FolderStaging, Journal, Ports, Progress, RunOptions, run};
use engine_model::job::{Job, JobSpec, Setting, Verify};
use engine_model::limits::{BLOCK_BYTES_TARGET, BLOCK_ROWS_MAX};
use engine_model::params::ScheduledTime;
use engine_model::{
    Column, ColumnType, MessageBlock, OffsetRange, PartitionSpec, TableColumns, TopicPartition,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// 22 November 2026 in UTC, the window of the job.
const DAY_START_MS: i64 = 1_795_305_600_000;
const PAYLOAD: &[u8] = br#"{"id":4711,"city":"Ulm","total":12.5,"paid":true,"at":"2026-11-22T10:00:00Z","more":{"deep":[1,2]}}"#;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A topic partition with so many messages, all alike.
#[derive(Clone, Copy)]
struct Topic(i64);

impl MessageSource for Topic {
    fn describe(&self) -> Result<TopicDescription, Error> {
        Ok(TopicDescription {
            cluster_id: None,
            topic_id: None,
            partitions: vec![TopicPartition::new("orders", 0)],
        })
    }

    fn log_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<OffsetRange>, Error> {
        let log = OffsetRange {
            start: 0,
            end: self.0,
        };
        Ok(vec![log; partitions.len()])
    }

    fn written_ends(&self, partitions: &[TopicPartition]) -> Result<Vec<i64>, Error> {
        Ok(vec![self.0; partitions.len()])
    }

    fn offsets_at(
        &self,
        partitions: &[TopicPartition],
        timestamp_ms: i64,
    ) -> Result<Vec<Option<i64>>, Error> {
        let first = (timestamp_ms <= DAY_START_MS).then_some(0);
        Ok(vec![first; partitions.len()])
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
        for offset in (range.start..range.end).take(messages) {
            push(&mut block, offset);
        }
        Ok(block)
    }

    fn sample(&self, _: &TopicPartition, _: OffsetRange) -> Result<Option<u64>, Error> {
        Ok(Some(PAYLOAD.len() as u64))
    }

    fn reader(&self) -> Result<Box<dyn MessageReader>, Error> {
        Ok(Box::new(Reader(OffsetRange { start: 0, end: 0 })))
    }

    fn set_group_position(&self, _: &[(TopicPartition, i64)]) -> Result<(), Error> {
        Ok(())
    }
}

/// What is left of the open range.
struct Reader(OffsetRange);

impl MessageReader for Reader {
    fn open(&mut self, _: &TopicPartition, range: OffsetRange) -> Result<(), Error> {
        self.0 = range;
        Ok(())
    }

    fn read(&mut self, block: &mut MessageBlock) -> Result<bool, Error> {
        while !self.0.is_empty()
            && block.len() < BLOCK_ROWS_MAX
            && block.size() < BLOCK_BYTES_TARGET
        {
            push(block, self.0.start);
            self.0.start += 1;
        }
        Ok(self.0.is_empty())
    }

    fn deleted(&self) -> &[OffsetRange] {
        &[]
    }
}

fn push(block: &mut MessageBlock, offset: i64) {
    block.push(offset, DAY_START_MS, None, Some(PAYLOAD), iter::empty());
}

/// A table that counts rows.
#[derive(Default)]
struct Table(AtomicU64);

impl TargetTable for Table {
    fn name(&self) -> String {
        "orders".to_owned()
    }

    fn columns(&self) -> Result<TableColumns, Error> {
        let columns = [
            ("id", ColumnType::BigInt),
            ("city", ColumnType::String),
            ("total", ColumnType::Double),
            ("paid", ColumnType::Boolean),
            ("at", ColumnType::DateTime),
            ("offset", ColumnType::BigInt),
        ];
        let columns = columns.map(|(name, column_type)| Column::new(name, column_type));
        Ok(TableColumns {
            columns: columns.into(),
            partition_keys: vec![Column::new("ds", ColumnType::String)],
        })
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
        _: u32,
        rows: &dyn BlockSource,
    ) -> Result<BlockReceipt, Error> {
        for batch in rows.open()? {
            self.0
                .fetch_add(batch?.num_rows() as u64, Ordering::Relaxed);
        }
        Ok(BlockReceipt { bytes: 0 })
    }

    fn commit(&self, _: &PartitionSpec, _: &str, _: &BTreeMap<u32, u64>) -> Result<(), Error> {
        Ok(())
    }
}

/// Time that stands still.
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}
}

fn job(validation: &str) -> Job {
    let text = format!(
        "job: orders
time_zone: UTC
source: {{ kafka: {{ brokers: [\"localhost\"], topic: orders }} }}
window: {{ start: \"20261122\", end: \"20261123\", lateness: none }}
validation: {validation}
destination:
  maxcompute:
    endpoint: http://localhost/api
    project: shop
    table: orders
    partition: {{ ds: \"20261122\" }}
    access_id: a
    access_secret: b
limits: {{ concurrency: 1 }}
columns:
  id: id
  city: city
  total: total
  paid: paid
  at: at
  offset: __offset__
"
    );
    let spec = JobSpec::parse("orders.yaml", &text).unwrap();
    let setting = Setting {
        scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &TimeZone::UTC).unwrap(),
        environment: None,
        sources: None,
        overrides: &[],
        env: &|_| None,
        default_time_zone: &TimeZone::UTC,
    };
    spec.check(&setting).unwrap().job
}

/// Loads so many messages, and tells how often memory was allocated meanwhile.
fn load(job: &Job, messages: i64) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::default();
    let ports = Ports {
        source: &Topic(messages),
        target: &table,
        staging: Arc::new(FolderStaging::open(folder.path().join("staging")).unwrap()),
        journal: &Journal::open(&folder.path().join("journal.sqlite")).unwrap(),
        clock: &Still(Timestamp::from_millisecond(DAY_START_MS + 2 * 86_400_000).unwrap()),
        locks: &folder.path().join("locks"),
        on_border: &|_| Ok(()),
    };
    let options = RunOptions {
        allow_open_window: false,
        replace_other_window: false,
        replan: false,
        order: WindowOrder::OldestFirst,
        assume: None,
        verify: Verify::None,
        cores: 1,
        holder: "a test".to_owned(),
    };
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let jobs = std::slice::from_ref(job);
    let loaded = run(
        jobs,
        &ports,
        &options,
        &Progress::default(),
        &Cancel::default(),
    );
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    loaded.unwrap();
    assert_eq!(table.0.into_inner(), messages.unsigned_abs());
    allocations
}

#[test]
fn messages_cost_no_allocation_from_reading_to_the_upload() {
    const FEW: i64 = 100_000;
    for validation in ["full", "mapped"] {
        let job = job(validation);
        // Whatever is made once is there then.
        load(&job, FEW);
        let few = load(&job, FEW);
        let many = load(&job, 3 * FEW);
        let per_thousand = many.saturating_sub(few) / (2 * FEW.unsigned_abs() / 1_000);
        // A batch that is read back, of some thousand rows, has some for each column.
        assert!(
            per_thousand < 100,
            "{validation}: {few} allocations for {FEW} messages and {many} for three times as many: {per_thousand} for a thousand"
        );
    }
}
