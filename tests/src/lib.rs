//! What the tests stand on: real brokers, generated messages, and judges that share no code with the engine.
//!
//! `tests/run` prepares what these modules need (jars, a Python environment) in the folder `.cache` of the project.
//! A harness stops its test by panicking: a missing tool or a dead broker has no caller that could act on an error.
#![expect(
    clippy::panic,
    reason = "a test that cannot go on has failed, and says why"
)]

pub mod broker;
pub mod cache;
pub mod certificates;
pub mod conformance;
pub mod crashes;
pub mod disk;
pub mod embedded;
pub mod faulty;
pub mod job;
pub mod journal;
pub mod loader;
pub mod messages;
pub mod orders;
pub mod process;
pub mod produce;
pub mod program;
pub mod proxy;
pub mod rows;
pub mod server;
pub mod skip;
pub mod stopped;
pub mod tokens;
pub mod truth;
pub mod values;
