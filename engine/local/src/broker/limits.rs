//! Every bound and default of the broker, with its unit and its origin.

use std::time::Duration;

/// Largest request that is read, in bytes: Kafka's default of `socket.request.max.bytes`.
pub(super) const REQUEST_BYTES_MAX: u32 = 100 << 20;

/// Smallest frame that can be a request: API key, API version and correlation id.
pub(super) const REQUEST_BYTES_MIN: u32 = 8;

/// Most elements that all lists of one request may have together: ten requests for every topic partition of a topic.
pub(super) const LIST_ELEMENTS_MAX: usize = 100_000;

/// Most bytes of record batches in one fetch response, whatever the client asks for: Kafka's default of the broker's
/// `fetch.max.bytes`. A single batch larger than this is still sent alone.
pub(super) const FETCH_BYTES_MAX: usize = 55 << 20;

/// Longest that a fetch waits for messages, whatever the client asks for.
pub(super) const FETCH_WAIT_MAX: Duration = Duration::from_mins(1);

/// Connections served at once; the next one is closed at once. Each can hold one request and one response in memory.
pub(super) const CONNECTIONS_MAX: usize = 512;

/// Kafka's default of `max.message.bytes`: the largest record batch, header included.
pub(super) const BATCH_BYTES_DEFAULT: usize = 1_048_588;

/// Largest value of `max.message.bytes`: a batch has to fit into a request with room for what surrounds it.
pub(super) const BATCH_BYTES_MAX: u32 = REQUEST_BYTES_MAX - (64 << 10);

/// Most bytes that one Snappy block may claim to unpack to. Java's producer makes blocks of 32 KiB; librdkafka packs a
/// whole batch into one.
pub(super) const SNAPPY_BLOCK_BYTES_MAX: usize = 256 << 20;

/// Most topic partitions of one topic: enough to try a skewed topic out, few enough for one index in memory each.
pub(super) const PARTITIONS_MAX: i32 = 10_000;

/// Topic partitions of a topic whose creator leaves the number to the broker: Kafka's default of `num.partitions`.
pub(super) const PARTITIONS_DEFAULT: i32 = 1;

/// Longest topic name, in bytes: with it Kafka's folder names stay below the 255 bytes that file systems allow.
pub(super) const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Batches remembered for each idempotent producer and topic partition: Kafka's own number, and the most requests that
/// such a producer may have in flight.
pub(super) const PRODUCER_BATCHES_KEPT: usize = 5;

/// Idempotent producers remembered for each topic partition. The one that was silent longest makes room.
pub(super) const PRODUCERS_MAX: usize = 10_000;

/// Longest metadata text of a group offset: Kafka's default of `offset.metadata.max.bytes`.
pub(super) const OFFSET_METADATA_BYTES_MAX: usize = 4096;

/// How much of a log is read at a time when its index is rebuilt.
pub(super) const SCAN_BUFFER_BYTES: usize = 1 << 20;

/// Pause after the operating system refused a connection, usually for want of file descriptors.
pub(super) const ACCEPT_RETRY: Duration = Duration::from_millis(100);
