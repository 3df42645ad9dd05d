//! Where the process ends or holds still, for tests of what becomes of a run then.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use engine_load::{Border, Error, ErrorKind, Passing};
use rustix::process::{Signal, getpid, kill_process};

/// What happens to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// It ends at once, without a word.
    Abort,
    /// It holds still, until it is sent SIGCONT.
    Stop,
}

impl Halt {
    fn happen(self) -> Result<(), Error> {
        match self {
            Self::Abort => process::abort(),
            Self::Stop => kill_process(getpid(), Signal::STOP).map_err(|error| {
                let message = format!("the process can't stop itself: {error}");
                Error::with_source(ErrorKind::Internal, message, error)
            }),
        }
    }
}

/// Halts the process at these passings of borders.
pub(crate) fn halt_at(halts: &[(Passing, Halt)]) -> impl Fn(Border) -> Result<(), Error> {
    let count = |&(passing, halt)| (passing, halt, AtomicU64::new(0));
    let halts: Vec<(Passing, Halt, AtomicU64)> = halts.iter().map(count).collect();
    move |border| {
        for (passing, halt, passings) in &halts {
            if passing.border == border
                && passings.fetch_add(1, Ordering::Relaxed) + 1 == passing.number
            {
                halt.happen()?;
            }
        }
        Ok(())
    }
}
