//! Servers for development: a MaxCompute-compatible one and a Kafka broker, both in this process and both real.
//!
//! They know nothing of this project's clients and spell both protocols out on their own, so that a mistake on one side
//! cannot hide on the other.

pub mod broker;
pub mod maxcompute;
