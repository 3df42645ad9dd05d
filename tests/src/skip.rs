//! Tests that can't run on this machine.

use std::io::Write as _;

/// Says that a test was skipped and why: on standard error itself, past the test harness, which would swallow it.
///
/// # Panics
///
/// When nobody could read it.
pub fn skipped(why: &str) {
    let text = format!("\n**** SKIPPED: {why} ****\n\n");
    let said = std::io::stderr().write_all(text.as_bytes());
    said.expect("standard error can be written");
}
