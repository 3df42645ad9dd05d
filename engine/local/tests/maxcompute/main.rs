//! The server as a process of its own.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which end a test that cannot go on"
)]

mod http;
mod kill;
