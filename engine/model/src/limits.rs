//! Defaults and limits, each with its unit in the name and the reason or source beside it.

/// Block ids run from 0 to this one; the service refuses others as `InvalidBlockID`.
pub const BLOCK_ID_MAX: u32 = 19_999;
/// Slices that one window takes rows from: each has a block id in its upload session.
pub const WINDOW_SLICES_MAX: u32 = BLOCK_ID_MAX + 1;
/// Slices of one run: a bound on what is kept of each in memory and in the journal, about 1 KiB.
pub const RUN_SLICES_MAX: u32 = 100_000;
/// Upload sessions that may be opened for one table within [`PACE_PERIOD_S`]. This and the next two are of the service's page on its data
/// transmission (`help/en/maxcompute/user-guide/overview-of-dts`), and hold for every project.
pub const SESSIONS_PER_PERIOD_MAX: usize = 500;
/// Blocks that may be written to one table within [`PACE_PERIOD_S`].
pub const BLOCKS_PER_PERIOD_MAX: usize = 500;
/// The time for these, in seconds.
pub const PACE_PERIOD_S: u64 = 300;
/// Payload bytes that planning aims at per slice. The service advises blocks of 64 MiB and more, as each becomes a
/// file; four times that leaves room for what projection and compression take away.
pub const SLICE_BYTES_TARGET: u64 = 256 << 20;
/// Slices are cut smaller than this only when nothing else keeps the lanes busy; a seek and a block must pay off.
pub const SLICE_BYTES_MIN: u64 = 16 << 20;
/// A slice grows to this before a window runs out of block ids.
pub const SLICE_BYTES_MAX: u64 = 1 << 30;
/// Slices that planning wants for each lane, so that the last one to finish leaves little idle time.
pub const SLICES_PER_LANE: u64 = 4;

/// Messages of one block, at most: enough to make per-block work vanish, few enough to stay in the caches.
pub const BLOCK_ROWS_MAX: usize = 16_384;
/// Bytes at which a block of messages is handed on. A message longer than that gets a block of its own.
pub const BLOCK_BYTES_TARGET: usize = 1 << 20;

/// The default of `limits.memory`: bytes that the engine accounts for.
pub const MEMORY_BYTES_DEFAULT: u64 = 96 << 20;
/// The least that `limits.memory` may be.
pub const MEMORY_BYTES_MIN: u64 = 32 << 20;
/// The least that `limits.bandwidth` may be, in bytes a second. Uploads send pieces in turn, and the service ends one that sent
/// nothing for 120 s: at this rate seven can go on beside each other. What a day brings, for as long an upload session lives, is
/// 5 GiB.
pub const BYTE_RATE_MIN: u64 = 64 << 10;
/// Encoded bytes of one row group in progress, at most; the rest of the budget allowing.
pub const ROW_GROUP_BYTES_MAX: usize = 16 << 20;

/// Message time that `lateness: auto` reads beyond both ends of a window's messages, in ms: producers' clocks and retries
/// seldom differ by more.
pub const LATENESS_MARGIN_MS_DEFAULT: i64 = 15 * 60 * 1_000;

/// Message time beyond both ends of a window's messages that an audit reads unless it is told otherwise, in ms: a day, the
/// longest that devices which buffer are commonly given.
pub const AUDIT_MARGIN_MS_DEFAULT: i64 = 24 * 60 * 60 * 1_000;

/// A run that has not seen a first answer from a server after this long says so and ends, in seconds.
pub const FIRST_CONTACT_S_MAX: u64 = 10;

/// Longest text or bytes in one cell, unless the session says otherwise (`MaxFieldSize`).
pub const CELL_BYTES_MAX: usize = 8 << 20;
/// Longest content of a payload that its producer compressed; a bound on what a few bytes can grow to, and a parser's
/// memory with it. Two of the longest cells fit.
pub const UNPACKED_BYTES_MAX: usize = 16 << 20;
/// Digits of a DECIMAL.
pub const DECIMAL_PRECISION_MAX: u8 = 38;
/// Digits of a DECIMAL after the point.
pub const DECIMAL_SCALE_MAX: u8 = 18;
/// Characters of a VARCHAR.
pub const VARCHAR_CHARS_MAX: u32 = 65_535;
/// Characters of a CHAR.
pub const CHAR_CHARS_MAX: u32 = 255;
/// Nested types within one type; a bound for parsers rather than a rule of the service.
pub const TYPE_DEPTH_MAX: usize = 20;
/// Columns of a table.
pub const COLUMNS_MAX: usize = 1_200;
/// Levels of table partitions.
pub const PARTITION_KEYS_MAX: usize = 6;
/// Bytes of a partition value.
pub const PARTITION_VALUE_BYTES_MAX: usize = 128;
/// Bytes of a table's or a column's name.
pub const NAME_BYTES_MAX: usize = 128;
/// Steps of a field path; a bound for parsers.
pub const FIELD_PATH_STEPS_MAX: usize = 128;

/// Spans of holes that a range and a topic partition name, at most; a person reads them.
pub const HOLE_SPANS_MAX: usize = 16;
/// Fields without a column that a slice and a run name, at most; a person reads them.
pub const UNMAPPED_FIELDS_MAX: usize = 100;

/// The lifecycle that generated tables get: one hundred years, as DataWorks gives its own.
pub const LIFECYCLE_DAYS_DEFAULT: u32 = 36_500;

const _: () =
    assert!(SLICE_BYTES_MIN <= SLICE_BYTES_TARGET && SLICE_BYTES_TARGET <= SLICE_BYTES_MAX);
const _: () = assert!(BLOCK_BYTES_TARGET < ROW_GROUP_BYTES_MAX);
const _: () = assert!(MEMORY_BYTES_MIN <= MEMORY_BYTES_DEFAULT);
