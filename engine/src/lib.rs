//! The front door of the engine: loads timestamp windows of Kafka topics into MaxCompute tables.
//!
//! An [`Engine`] takes a checked [`Job`](model::job::Job) and checks, plans, previews or runs it. What it needs to
//! survive a crash it keeps in a [`StateFolder`].
//!
//! ```no_run
//! use engine::model::job::{JobSpec, Setting};
//! use engine::model::params::ScheduledTime;
//! use engine::{Cancel, Engine, LoadOptions, Progress, StateFolder};
//! use jiff::tz::TimeZone;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spec = JobSpec::parse("orders.yaml", &std::fs::read_to_string("orders.yaml")?)?;
//! let zone = spec.time_zone(&TimeZone::UTC)?;
//! let checked = spec.check_windows(&Setting {
//!     scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &zone)?,
//!     environment: None,
//!     sources: None,
//!     overrides: &[],
//!     env: &|_| None,
//!     default_time_zone: &TimeZone::UTC,
//! })?;
//!
//! let engine = Engine::new(2)?;
//! let state = StateFolder::open("state".into())?;
//! let report = engine.run(
//!     &checked.jobs,
//!     &state,
//!     &LoadOptions::default(),
//!     &Progress::default(),
//!     &Cancel::default(),
//! )?;
//! println!("{} rows", report.windows[0].rows);
//! # Ok(())
//! # }
//! ```

mod adapters;
#[cfg(feature = "kafka")]
mod bench;
#[cfg(feature = "kafka")]
mod check;
#[cfg(all(feature = "kafka", feature = "local"))]
pub mod demo;
#[cfg(feature = "kafka")]
mod halt;
mod history;
#[cfg(feature = "kafka")]
mod load;
#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "kafka")]
mod preview;
mod rejects;
#[cfg(feature = "kafka")]
mod sample;
mod sql;
mod state;

pub use engine_decode::{
    FieldFigures, Inference, InferredColumn, IntegerRange, KindCounts, PayloadSample, SampledField,
    StringCounts,
};
pub use engine_load::audit::{AuditReport, MissedMessages, WindowAudit};
pub use engine_load::bench::{BenchReport, Bound, StepMeasure};
pub use engine_load::plan::WindowOrder;
pub use engine_load::{
    Assume, Border, Cancel, Error, ErrorKind, LoadStep, Passing, Phase, Progress, RunRecord,
    RunState, SliceProgress, WindowRecord,
};
pub use engine_model as model;

#[cfg(feature = "kafka")]
pub use bench::BenchOptions;
#[cfg(feature = "kafka")]
pub use check::{Check, CheckReport, CheckStatus};
#[cfg(feature = "kafka")]
pub use halt::Halt;
pub use history::{KeptRun, UnfinishedRun};
#[cfg(feature = "kafka")]
pub use load::{AuditOptions, Engine, LoadOptions, PlanReport};
#[cfg(feature = "kafka")]
pub use preview::Preview;
pub use rejects::{Content, RejectedHeader, RejectedMessage, RejectedMessages};
#[cfg(feature = "kafka")]
pub use sample::TopicSample;
pub use sql::{QueryResult, Sql};
pub use state::StateFolder;
