//! The tunnel's byte formats, spelled from the protocol alone: no line is shared with the client.

pub(crate) mod body;
pub(crate) mod codec;
pub(crate) mod frame;
pub(crate) mod message;
pub(crate) mod record;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
