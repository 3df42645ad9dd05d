//! What the steps have done so far: counters that threads add to per block and that anyone may look at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use engine_model::{StepFigures, Steps};

/// The counters of one attempt at a run.
#[derive(Debug, Default)]
pub struct Progress {
    /// Offsets of the plan.
    pub offsets_planned: AtomicU64,
    /// Offsets that are behind the readers, those of slices from an earlier attempt included.
    pub offsets_read: AtomicU64,
    /// Windows of the plan.
    pub windows_planned: AtomicU64,
    /// Windows that are committed or need no commit.
    pub windows_ended: AtomicU64,
    /// Slices of the plan.
    pub slices_planned: AtomicU64,
    /// Slices that are staged, those of an earlier attempt included.
    pub slices_staged: AtomicU64,
    /// Blocks to upload, as far as known.
    pub blocks_known: AtomicU64,
    /// Blocks that the upload sessions have.
    pub blocks_uploaded: AtomicU64,
    /// Threads that wait because the table got as many upload sessions or blocks as the service takes within some time.
    pub waiting_for_service: AtomicU64,
    pub(crate) plan: StepCounter,
    pub(crate) read: StepCounter,
    pub(crate) decode: StepCounter,
    pub(crate) stage: StepCounter,
    pub(crate) upload: StepCounter,
    pub(crate) commit: StepCounter,
}

impl Progress {
    /// What each step did up to now.
    pub fn steps(&self) -> Steps {
        Steps {
            plan: self.plan.figures(),
            read: self.read.figures(),
            decode: self.decode.figures(),
            stage: self.stage.figures(),
            upload: self.upload.figures(),
            commit: self.commit.figures(),
        }
    }

    /// Begins to count anew, for another run that whoever looks at these counters is to follow. Nothing may count
    /// meanwhile.
    pub fn reset(&self) {
        let Self {
            offsets_planned,
            offsets_read,
            windows_planned,
            windows_ended,
            slices_planned,
            slices_staged,
            blocks_known,
            blocks_uploaded,
            waiting_for_service,
            plan,
            read,
            decode,
            stage,
            upload,
            commit,
        } = self;
        let counters = [
            offsets_planned,
            offsets_read,
            windows_planned,
            windows_ended,
            slices_planned,
            slices_staged,
            blocks_known,
            blocks_uploaded,
            waiting_for_service,
        ];
        let steps = [plan, read, decode, stage, upload, commit];
        let of_steps = steps
            .iter()
            .flat_map(|step| [&step.busy_ns, &step.items, &step.bytes]);
        for counter in counters.into_iter().chain(of_steps) {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

/// Adds `amount` to a counter that only people look at.
pub(crate) fn count(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

/// Seconds to the nanosecond, rounded once: as JSON they come back as the very same number.
#[expect(
    clippy::cast_precision_loss,
    reason = "exact for the first hundred days"
)]
pub(crate) fn seconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e9
}

/// What one step did.
#[derive(Debug, Default)]
pub(crate) struct StepCounter {
    busy_ns: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
}

impl StepCounter {
    pub(crate) fn add(&self, busy: Duration, items: u64, bytes: u64) {
        count(
            &self.busy_ns,
            u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX),
        );
        count(&self.items, items);
        count(&self.bytes, bytes);
    }

    fn figures(&self) -> StepFigures {
        StepFigures {
            seconds: seconds(Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed))),
            items: self.items.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_run_counts_from_zero() {
        let progress = Progress::default();
        count(&progress.offsets_read, 7);
        progress.upload.add(Duration::from_secs(1), 2, 3);
        assert_ne!(progress.steps(), Steps::default());
        progress.reset();
        assert_eq!(progress.steps(), Steps::default());
        assert_eq!(progress.offsets_read.load(Ordering::Relaxed), 0);
    }
}
