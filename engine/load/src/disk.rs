//! The bound on staged bytes, `limits.disk`.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use engine_model::{LoadPlan, SliceReport, SliceSpec, StagedFile};

use crate::cancel::{CANCEL_POLL, Cancel};
use crate::ports::Staging;
use crate::{Error, ErrorKind};

/// Counts staged bytes. Where they reach the bound, files whose blocks are uploaded are deleted, the oldest first; then
/// reading waits for uploads.
///
/// A deleted file is only missed when its upload session is lost: its slice is read again then.
pub(crate) struct DiskBudget {
    staging: Arc<dyn Staging>,
    bytes_max: u64,
    message_bytes: u64,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// Staged bytes, and those that slices under way are expected to stage.
    held: u64,
    /// Files whose blocks the session has.
    uploaded: VecDeque<StagedFile>,
}

impl DiskBudget {
    /// A budget of `bytes_max`, or without one of what the disk has, for the slices of `plan`. Staged already are the
    /// bytes that wait for their upload, and the files whose blocks the session has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Job`] where not even one slice for each of `lanes` lanes fits into a bound that the job sets.
    pub(crate) fn new(
        staging: Arc<dyn Staging>,
        bytes_max: Option<u64>,
        plan: &LoadPlan,
        lanes: usize,
        (waiting, uploaded): (u64, Vec<StagedFile>),
    ) -> Result<Self, Error> {
        let held = waiting + uploaded.iter().map(|file| file.bytes).sum::<u64>();
        let disk_bytes = staging
            .free_bytes()
            .unwrap_or(u64::MAX)
            .saturating_add(held);
        check_disk_limit(bytes_max, plan, lanes)?;
        Ok(Self {
            staging,
            bytes_max: bytes_max.unwrap_or(disk_bytes),
            message_bytes: plan.message_bytes_mean,
            state: Mutex::new(State {
                held,
                uploaded: uploaded.into(),
            }),
            freed: Condvar::new(),
        })
    }

    /// Waits until a slice's staged files are expected to fit, and holds the place for them.
    pub(crate) fn reserve(&self, slice: &SliceSpec, cancel: &Cancel) -> Result<(), Error> {
        let bytes = estimate(slice, self.message_bytes);
        let mut state = self.lock();
        while state.held > 0 && state.held.saturating_add(bytes) > self.bytes_max {
            cancel.check()?;
            if let Some(file) = state.uploaded.pop_front() {
                self.remove(&mut state, &file)?;
                continue;
            }
            let waited = self.freed.wait_timeout(state, CANCEL_POLL);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.held = state.held.saturating_add(bytes);
        Ok(())
    }

    /// Exchanges what was reserved for a slice for what it took.
    pub(crate) fn staged(&self, slice: &SliceSpec, report: &SliceReport) {
        let mut state = self.lock();
        state.held = state
            .held
            .saturating_sub(estimate(slice, self.message_bytes))
            .saturating_add(staged_bytes(report));
        self.freed.notify_all();
    }

    /// Says that a file's block is uploaded.
    pub(crate) fn uploaded(&self, file: StagedFile) {
        self.lock().uploaded.push_back(file);
        self.freed.notify_all();
    }

    /// Deletes staged rows of a window that is done, which nobody needs any more. False where they are gone already, to make
    /// room.
    pub(crate) fn release(&self, file: &StagedFile) -> Result<bool, Error> {
        let mut state = self.lock();
        let place = state
            .uploaded
            .iter()
            .position(|held| held.name == file.name);
        let Some(file) = place.and_then(|place| state.uploaded.remove(place)) else {
            return Ok(false);
        };
        self.remove(&mut state, &file)?;
        Ok(true)
    }

    /// Deletes staged rows that no upload waits for.
    pub(crate) fn discard(&self, file: &StagedFile) -> Result<(), Error> {
        self.remove(&mut self.lock(), file)
    }

    fn remove(&self, state: &mut State, file: &StagedFile) -> Result<(), Error> {
        state.held = state.held.saturating_sub(file.bytes);
        self.freed.notify_all();
        self.staging.remove(&file.name).map_err(|error| {
            Error::staging("deleting an uploaded file", &self.staging.location(), error)
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fails where not even one slice for each of `lanes` lanes fits into `limits.disk`.
///
/// # Errors
///
/// [`ErrorKind::Job`], with what it takes.
pub fn check_disk_limit(
    bytes_max: Option<u64>,
    plan: &LoadPlan,
    lanes: usize,
) -> Result<(), Error> {
    let lanes = lanes.min(plan.slices.len()).max(1);
    let slices = plan.slices.iter();
    let largest = slices
        .map(|slice| estimate(slice, plan.message_bytes_mean))
        .max();
    let least = largest.unwrap_or(0).saturating_mul(lanes as u64);
    let Some(bytes_max) = bytes_max.filter(|bytes_max| least > *bytes_max) else {
        return Ok(());
    };
    let message = if lanes == 1 {
        format!("`limits.disk` is {bytes_max} bytes, and one slice takes about {least}; raise it")
    } else {
        format!(
            "`limits.disk` is {bytes_max} bytes, and one slice for each of {lanes} lanes takes about {least}; raise it, or \
             lower `limits.concurrency`"
        )
    };
    Err(Error::new(ErrorKind::Job, message))
}

/// Bytes that a slice is expected to stage: as many as are read. Projection and compression make it less.
fn estimate(slice: &SliceSpec, message_bytes: u64) -> u64 {
    let offsets: u64 = slice.ranges.iter().map(|range| range.range.len()).sum();
    offsets.saturating_mul(message_bytes)
}

fn staged_bytes(report: &SliceReport) -> u64 {
    // Rejected messages stay, so that counting them would take a place that is never given back.
    let files = report
        .windows
        .values()
        .filter_map(|window| window.rows.as_ref());
    files.map(|file| file.bytes).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine_model::{
        OffsetRange, SLICE_FORMAT, SliceRange, SliceWindowReport, TopicPartition, UnmappedFields,
    };

    use super::*;
    use crate::stage::FolderStaging;

    fn slice(number: u32) -> SliceSpec {
        let start = i64::from(number) * 10;
        let range = OffsetRange {
            start,
            end: start + 10,
        };
        let topic_partition = TopicPartition::new("orders", 0);
        SliceSpec {
            format: SLICE_FORMAT,
            number,
            block_ids: BTreeMap::new(),
            ranges: vec![SliceRange {
                topic_partition,
                range,
                windows: vec![0],
            }],
        }
    }

    fn report(number: u32, bytes: u64) -> SliceReport {
        let file = StagedFile {
            name: format!("file-{number}"),
            rows: 1,
            bytes,
            crc32c: 0,
        };
        let window = SliceWindowReport {
            rows: Some(file),
            ..SliceWindowReport::default()
        };
        SliceReport {
            format: SLICE_FORMAT,
            number,
            ranges: Vec::new(),
            windows: [(0, window)].into(),
            unmapped_fields: UnmappedFields::default(),
        }
    }

    #[test]
    fn what_an_earlier_attempt_uploaded_makes_room_too() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        staging.create("file-0").unwrap().publish().unwrap();
        let plan = LoadPlan {
            windows: Vec::new(),
            bounds: engine_model::job::OffsetBounds::default(),
            newest_first: false,
            partitions: Vec::new(),
            slices: vec![slice(0), slice(1)],
            planned_at_ms: 0,
            message_bytes_mean: 10,
        };
        let uploaded = report(0, 900).windows[&0].rows.clone().unwrap();
        let budget = DiskBudget::new(
            Arc::clone(&staging),
            Some(200),
            &plan,
            1,
            (50, vec![uploaded]),
        )
        .unwrap();
        budget.reserve(&plan.slices[1], &Cancel::default()).unwrap();
        assert!(staging.list().unwrap().is_empty());
    }

    #[test]
    fn uploaded_files_go_first_and_then_reading_waits() {
        let folder = tempfile::tempdir().unwrap();
        let staging: Arc<dyn Staging> =
            Arc::new(FolderStaging::open(folder.path().to_owned()).unwrap());
        staging.create("file-0").unwrap().publish().unwrap();
        let slices: Vec<_> = (0..4).map(slice).collect();
        let plan = LoadPlan {
            windows: Vec::new(),
            bounds: engine_model::job::OffsetBounds::default(),
            newest_first: false,
            partitions: Vec::new(),
            slices: slices.clone(),
            planned_at_ms: 0,
            message_bytes_mean: 10,
        };
        let none = || (0, Vec::new());
        let error = DiskBudget::new(Arc::clone(&staging), Some(250), &plan, 3, none())
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::Job);
        let budget = DiskBudget::new(Arc::clone(&staging), Some(250), &plan, 2, none()).unwrap();
        let cancel = Cancel::default();

        budget.reserve(&slices[0], &cancel).unwrap();
        budget.staged(&slices[0], &report(0, 90));
        budget.reserve(&slices[1], &cancel).unwrap();
        budget.uploaded(report(0, 90).windows[&0].rows.clone().unwrap());
        budget.reserve(&slices[2], &cancel).unwrap();
        assert!(
            staging.list().unwrap().is_empty(),
            "the uploaded file made room"
        );
        cancel.cancel();
        assert_eq!(
            budget.reserve(&slices[3], &cancel).unwrap_err().kind(),
            ErrorKind::Stopped
        );
    }
}
