//! The integration tests, as one binary.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this is how a test fails"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a test measures how long the program takes"
)]

/// Measuring a job without loading anything.
mod bench;
/// Real Apache Kafka, the generator, and the judge in Python agree with each other.
mod brokers;
/// Topics that change while they are read.
mod changes;
/// What `check` says of a topic and its group beside what is wrong.
mod check;
/// Official clients against the embedded servers.
mod clients;
/// Brokers of a cluster that go away, slow connections and such that break.
mod cluster;
/// Compacted topics.
mod compaction;
/// Our client of MaxCompute against any server that speaks like it.
mod conformance;
/// The program aborted at each border of a run.
mod crash;
/// What a power loss or a full disk leaves in the state folder.
mod damage;
/// The bound on staged bytes.
mod disk;
/// Wrong settings and full disks.
mod failures;
/// Each fault at each call of an upload.
mod faults;
/// Encodings, delimited text, compressed values.
mod formats;
/// Columns proposed for a topic's fields, and fields that nobody maps.
mod infer;
/// What Kafka has and other logs have not: transactions, retention, groups; and a broker that goes away.
mod kafka;
/// The program killed at any time.
mod kill;
/// Windows of a real broker into tables, row by row as the truth has them, also after a kill.
mod load;
/// Passwords, tokens and certificates, on a real broker.
mod log_in;
/// The least memory and the longest messages.
mod memory;
/// What may happen between a run that failed and the one that goes on, and at the server meanwhile.
mod recovery;
/// The oldest, a middle and the newest Kafka: the same rows, and what old topics can't have.
mod releases;
/// What runs leave behind: history, reports.
mod runs;
/// The schedules that users know, from expressions to windows and table partitions.
mod schedule;
/// Passwords, keys and tokens stay where they are.
mod secrets;
/// Signals: a run stops, and goes on later.
mod stop;
/// The shape of the project: who depends on whom, and what must not be in the tree.
mod tidy;
/// Logs out of order, many windows in one pass, bounds that are offsets.
mod windows;
