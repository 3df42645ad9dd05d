//! Results as text for people and documents for programs.

pub(crate) mod audit;
pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod ddl;
pub(crate) mod demo;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod history;
pub(crate) mod number;
pub(crate) mod params;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod query;
pub(crate) mod record;
pub(crate) mod rejects;
pub(crate) mod report;
mod table;
mod time;
