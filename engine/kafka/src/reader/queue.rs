//! The messages of one topic partition as librdkafka queues them, many with one call.
//!
//! The binding hands on one message a call, each with an event, a lock and a wake-up of its own, which for small messages takes
//! longer than everything else here. So this asks librdkafka itself. What it gives stays in this module: a message is looked
//! at while it is the first, and freed when the next one becomes that.

use std::ffi::{CStr, CString};
use std::marker::PhantomData;
use std::mem;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use engine_model::TopicPartition;
use engine_model::limits::BLOCK_BYTES_TARGET;
use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::headers::HeaderFields;
use crate::watch::Watch;

/// Messages that are taken with one call, at most. More make no difference any more.
const BATCH_ROWS_MAX: usize = 4096;
/// And before it is known how long messages are.
const BATCH_ROWS_FIRST: usize = 64;

/// The queue of one topic partition. One thread uses it at a time.
///
/// Messages that were taken from librdkafka's queue are no longer among what it fetches ahead, so they are no more than a
/// block would hold, by the mean size of those before.
pub(super) struct PartitionQueue {
    pub(super) topic_partition: TopicPartition,
    queue: NonNull<c::rd_kafka_queue_t>,
    /// Taken and not freed; those before `first` are gone.
    batch: Vec<*mut c::rd_kafka_message_t>,
    first: usize,
    /// Messages that the next call takes, at most.
    rows_max: usize,
    /// Bytes of keys and payloads that were freed of `batch`.
    bytes: usize,
    /// The queue and its messages must go before it.
    _consumer: Arc<BaseConsumer<Watch>>,
}

// SAFETY: librdkafka's queues and messages are bound to no thread, and this one has them alone.
#[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
unsafe impl Send for PartitionQueue {}

/// A message, or an error of the topic partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetched<'q> {
    message: NonNull<c::rd_kafka_message_t>,
    queue: PhantomData<&'q PartitionQueue>,
}

impl PartitionQueue {
    /// The queue of `topic_partition`, which from now on gets what is fetched of it in place of the consumer's; nothing
    /// where librdkafka can't make one. Call before the topic partition is assigned.
    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    pub(super) fn new(
        consumer: &Arc<BaseConsumer<Watch>>,
        topic_partition: &TopicPartition,
    ) -> Option<Self> {
        let topic = CString::new(&*topic_partition.topic).ok()?;
        let client = consumer.client().native_ptr();
        // SAFETY: the client lives, for `consumer` owns it; the name is copied. The queue is ours until it is destroyed. A queue
        // that is forwarded to nothing keeps what it gets.
        let queue = unsafe {
            let queue =
                c::rd_kafka_queue_get_partition(client, topic.as_ptr(), topic_partition.partition);
            let queue = NonNull::new(queue)?;
            c::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            queue
        };
        Some(Self {
            topic_partition: topic_partition.clone(),
            queue,
            batch: Vec::with_capacity(BATCH_ROWS_MAX),
            first: 0,
            rows_max: BATCH_ROWS_FIRST,
            bytes: 0,
            _consumer: Arc::clone(consumer),
        })
    }

    /// The first that was taken and is not freed.
    pub(super) fn first(&self) -> Option<Fetched<'_>> {
        let message = NonNull::new(*self.batch.get(self.first)?)?;
        Some(Fetched {
            message,
            queue: PhantomData,
        })
    }

    /// Frees the first one.
    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    pub(super) fn release(&mut self) {
        let Some(first) = self.first() else { return };
        let (message, bytes) = (first.message.as_ptr(), first.size());
        self.bytes += bytes;
        self.first += 1;
        // SAFETY: it was given to us, nobody borrows from it as `self` is borrowed mutably, and `first` has gone past it.
        unsafe { c::rd_kafka_message_destroy(message) };
    }

    /// Frees what was taken, and what librdkafka still has of a topic partition that is assigned no more.
    pub(super) fn drain(&mut self) {
        self.clear();
        while self.take(Duration::ZERO, BLOCK_BYTES_TARGET) {
            self.clear();
        }
    }

    /// Frees what was taken.
    pub(super) fn clear(&mut self) {
        while self.first().is_some() {
            self.release();
        }
    }

    /// Takes what has come, and waits up to `wait` for a first one where nothing has; says whether there is something now. What
    /// comes together has about `bytes_max` bytes. To be called when all is freed that was taken before.
    pub(super) fn take(&mut self, wait: Duration, bytes_max: usize) -> bool {
        if self.first().is_some() {
            return true;
        }
        let rows = mem::take(&mut self.first);
        let bytes = mem::take(&mut self.bytes);
        if let Some(mean) = bytes.checked_div(rows) {
            self.rows_max = (bytes_max / mean.max(1)).clamp(1, BATCH_ROWS_MAX);
        }
        self.batch.clear();
        // With a longer wait it would wait until the batch is full.
        self.serve(Duration::ZERO, self.rows_max);
        if self.batch.is_empty() && !wait.is_zero() {
            self.serve(wait, 1);
        }
        !self.batch.is_empty()
    }

    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    fn serve(&mut self, wait: Duration, rows_max: usize) {
        let wait_ms = i32::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(i32::MAX);
        let room = &mut self.batch.spare_capacity_mut()[..rows_max];
        // SAFETY: the queue is ours. librdkafka writes so many pointers at most, says how many it wrote, and gives the messages
        // behind them to us.
        unsafe {
            let taken = c::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                wait_ms,
                room.as_mut_ptr().cast(),
                room.len(),
            );
            self.batch.set_len(usize::try_from(taken).unwrap_or(0));
        }
    }
}

impl Drop for PartitionQueue {
    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    fn drop(&mut self) {
        self.clear();
        // SAFETY: it is ours, it is used no more, and the consumer that it is of goes after it.
        unsafe { c::rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

impl<'q> Fetched<'q> {
    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    fn fields(self) -> &'q c::rd_kafka_message_t {
        // SAFETY: the queue frees a message only when it is borrowed mutably, so not while `'q` lasts.
        unsafe { self.message.as_ref() }
    }

    /// The code and the text where it is an error, and its offset.
    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    pub(super) fn error(self) -> Option<(Code, String)> {
        let code = Code::from(self.fields().err);
        if code == Code::NoError {
            return None;
        }
        // SAFETY: the text is the message's, which lives, or a constant, and ends with a NUL.
        let text = unsafe {
            let text = c::rd_kafka_message_errstr(self.message.as_ptr());
            NonNull::new(text.cast_mut()).map(|text| CStr::from_ptr(text.as_ptr()))
        };
        let text = text.map(|text| text.to_string_lossy().into_owned());
        Some((code, text.unwrap_or_else(|| code.to_string())))
    }

    pub(super) fn offset(self) -> i64 {
        self.fields().offset
    }

    /// In ms since the epoch; -1 where the message has none.
    #[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
    pub(super) fn timestamp_ms(self) -> i64 {
        let mut kind = c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message lives, and is only looked at.
        let timestamp_ms =
            unsafe { c::rd_kafka_message_timestamp(self.message.as_ptr(), &raw mut kind) };
        match kind {
            c::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => -1,
            _ => timestamp_ms,
        }
    }

    pub(super) fn key(self) -> Option<&'q [u8]> {
        let fields = self.fields();
        bytes(fields.key.cast(), fields.key_len)
    }

    pub(super) fn payload(self) -> Option<&'q [u8]> {
        let fields = self.fields();
        bytes(fields.payload.cast(), fields.len)
    }

    /// Bytes of key and payload.
    pub(super) fn size(self) -> usize {
        let fields = self.fields();
        fields.key_len + fields.len
    }

    /// Nothing where it has none.
    pub(super) fn headers(self) -> Option<HeaderFields<'q>> {
        HeaderFields::of(self.fields())
    }
}

/// A key or a payload of a message that lives for as long as `'q`; nothing where it is null.
#[expect(unsafe_code, reason = "the binding keeps its queues to itself")]
fn bytes<'q>(start: *const u8, length: usize) -> Option<&'q [u8]> {
    // SAFETY: librdkafka gives a null pointer or so many bytes, which are the message's and which nobody changes.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, length) })
}
