//! The integration tests, as one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is how a test fails"
)]

/// Real Apache Kafka, the generator, and the judge in Python agree with each other.
mod brokers;
/// The shape of the project: who depends on whom, and what must not be in the tree.
mod tidy;
