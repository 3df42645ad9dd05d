//! The steps of a load.

use serde::Serialize;

/// The steps that messages go through before a commit, in order. Each needs those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadStep {
    /// Messages come from the brokers.
    Read,
    /// They become rows.
    Decode,
    /// The rows go to files.
    Stage,
    /// The files become blocks, which a bench drops instead of sending them.
    Upload,
}

impl LoadStep {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Decode, Self::Stage, Self::Upload];
}
