//! The broker over real connections.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which end a test that cannot go on"
)]

// librdkafka as the client: what users of the broker will see.
mod librdkafka;
// One test for each promise about restarts and the data folder.
mod restart;
// Requests made by hand, where a client would not make them.
mod wire;

mod running;
