//! The work that the benches time, on messages from a seed, and how it is timed.
//!
//! Each bench does one step of the engine beside a rival that gives the same rows, in one process, repetition by
//! repetition in turn. The tests run all of it once on a few messages and compare the rows; they time nothing.

pub mod arguments;
pub mod backfill;
pub mod blocks;
pub mod decode;
pub mod end_to_end;
pub mod fields;
pub mod measure;
pub mod memory;
pub mod messages;
pub mod poll;
pub mod process;
pub mod sink;
pub mod stage;
pub mod stages;
pub mod targets;
pub mod upload;

#[cfg(test)]
mod tests;

/// The program's allocator, for librdkafka too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A result whose error is only ever shown.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
