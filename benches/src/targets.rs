//! What the engine is to reach, and whether it does.

use std::fmt::Write as _;

/// A figure that was measured beside the one that is wanted.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its name, for example `T2`.
    pub name: &'static str,
    /// What was measured.
    pub what: String,
    /// What is wanted of it.
    pub wanted: Bound,
    /// What was measured, the median of the repetitions.
    pub reached: f64,
}

/// What is wanted of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Target {
    /// Whether it is what is wanted.
    pub fn is_reached(&self) -> bool {
        match self.wanted {
            Bound::AtLeast(wanted) => self.reached >= wanted,
            Bound::AtMost(wanted) => self.reached <= wanted,
        }
    }
}

/// A table of targets.
pub fn table(targets: &[Target]) -> String {
    let mut table = "| | target | wanted | measured | |\n|---|---|---|---|---|".to_owned();
    for target in targets {
        let wanted = match target.wanted {
            Bound::AtLeast(wanted) => format!("≥ {wanted}"),
            Bound::AtMost(wanted) => format!("≤ {wanted}"),
        };
        let reached = if target.is_reached() {
            "reached"
        } else {
            "**missed**"
        };
        let Target { name, what, .. } = target;
        let _infallible = write!(
            table,
            "\n| {name} | {what} | {wanted} | {:.2} | {reached} |",
            target.reached
        );
    }
    table
}
