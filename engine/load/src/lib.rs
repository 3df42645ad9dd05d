//! The pipeline that loads one window, against ports and not products.
//!
//! Read the files in the order of the flow: `resolve`, [`plan`], `read`, `decode`, `stage`, `upload`, `commit`; `pipeline` is the
//! only one that joins them, and [`run()`] calls it between the lock and the report. The journal is written at each
//! border, so that the same call goes on where a crash left off.

mod attempt;
pub mod audit;
mod balance;
mod bandwidth;
mod begin;
pub mod bench;
mod border;
mod budget;
mod cancel;
mod checksum;
mod clean_up;
mod clock;
mod commit;
mod complete;
mod decode;
mod disk;
mod ended;
mod error;
mod extent;
mod journal;
mod lock;
mod notes;
mod pace;
mod pipeline;
pub mod plan;
pub mod ports;
mod position;
mod prepare;
mod progress;
mod read;
pub mod rejects;
mod report;
mod resolve;
mod resume;
mod rules;
mod run;
mod sample;
mod settle;
mod shares;
mod stage;
mod step;
mod survey;
mod threads;
mod timestamps;
mod unchanged;
mod upload;
mod usage;
mod verify;

pub use begin::{missing, objections};
pub use border::{Border, OnBorder, Passing};
pub use cancel::Cancel;
pub use checksum::RowChecksum;
pub use clock::SystemClock;
pub use disk::check_disk_limit;
pub use ended::is_of_one_window;
pub use error::{Error, ErrorKind};
pub use journal::{Journal, Phase, RunRecord, RunState, SliceProgress, WindowRecord};
pub use notes::plan_notes;
pub use prepare::Prepared;
pub use progress::Progress;
pub use run::{Ports, RunOptions, run};
pub use settle::Assume;
pub use shares::MemoryShares;
pub use stage::{FolderStaging, free_bytes};
pub use step::LoadStep;
