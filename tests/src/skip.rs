//! What people have to hear of tests that pass.

use std::io::Write as _;

/// Says that a test was skipped and why.
///
/// # Panics
///
/// When nobody could read it.
pub fn skipped(why: &str) {
    tell(&format!("\n**** SKIPPED: {why} ****\n"));
}

/// Says a line on standard error itself, past the test harness, which would swallow it.
///
/// # Panics
///
/// When nobody could read it.
pub fn tell(line: &str) {
    let said = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    said.expect("standard error can be written");
}
