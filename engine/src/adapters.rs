//! The edges as the pipeline's ports.

pub(crate) mod client;
#[cfg(feature = "kafka")]
pub(crate) mod discard;
#[cfg(feature = "kafka")]
pub(crate) mod kafka;
#[cfg(feature = "kafka")]
pub(crate) mod tunnel;
