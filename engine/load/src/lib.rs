//! The pipeline that loads one window, against ports and not products.
//!
//! Read the files in the order of the flow: [`plan`], `read`, `decode`, `stage`, `upload`, `commit`; `pipeline` is the
//! only one that joins them, and [`run()`] calls it between the lock and the report. The journal is written at each
//! border, so that the same call goes on where a crash left off.

mod begin;
mod budget;
mod cancel;
mod clock;
mod commit;
mod decode;
mod disk;
mod error;
mod journal;
mod lock;
mod pipeline;
pub mod plan;
pub mod ports;
mod prepare;
mod progress;
mod read;
pub mod rejects;
mod resume;
mod rules;
mod run;
mod sample;
mod settle;
mod shares;
mod stage;
mod timestamps;
mod upload;

pub use begin::objections;
pub use cancel::Cancel;
pub use clock::SystemClock;
pub use error::{Error, ErrorKind};
pub use journal::Journal;
pub use prepare::{Prepared, plan_notes};
pub use progress::Progress;
pub use run::{Ports, RunOptions, run};
pub use settle::Assume;
pub use shares::MemoryShares;
pub use stage::{FolderStaging, free_bytes};
