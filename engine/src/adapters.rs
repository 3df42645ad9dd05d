//! The edges as the pipeline's ports.

#[cfg(feature = "kafka")]
pub(crate) mod kafka;
pub(crate) mod tunnel;
