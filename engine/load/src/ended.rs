//! The end of a window: what its slices come to, and how it ended.

use std::collections::BTreeMap;

use engine_model::{LoadPlan, SliceReport, StagedFile, WindowCounts, WindowOutcome};

use crate::commit::{Commits, LoadedWindow, blocks, checksum};
use crate::extent::{Extent, PartitionRead};
use crate::journal::{Journal, OpenRun};
use crate::upload::Uploads;
use crate::verify::{Counted, Verify};
use crate::{Error, ErrorKind};

/// How windows ended, by their numbers.
pub(crate) type Ended = BTreeMap<u32, EndedWindow>;

/// How a window ended.
pub(crate) struct EndedWindow {
    pub(crate) outcome: WindowOutcome,
    /// The upload session that was committed.
    pub(crate) session: Option<String>,
    /// What its target counts afterwards, where that was asked for.
    pub(crate) counted: Option<Counted>,
}

/// Which slices take messages of each window: what is told of one is told by these alone.
pub(crate) struct SlicesOfWindows(Vec<Vec<u32>>);

impl SlicesOfWindows {
    pub(crate) fn new(plan: &LoadPlan) -> Self {
        let mut slices = vec![Vec::new(); plan.windows.len()];
        for slice in &plan.slices {
            for window in slice.windows() {
                if let Some(slices) = slices.get_mut(window as usize) {
                    slices.push(slice.number);
                }
            }
        }
        Self(slices)
    }

    /// The reports of the slices of a window, in their order.
    pub(crate) fn reports<'a>(
        &'a self,
        reports: &'a BTreeMap<u32, SliceReport>,
        window: u32,
    ) -> impl Iterator<Item = &'a SliceReport> + Clone {
        let slices = self.0.get(window as usize).into_iter().flatten();
        slices.filter_map(|slice| reports.get(slice))
    }
}

/// The windows of which the journal knows how they ended. What one of several counts wrong is added to `refused`.
pub(crate) fn ended_before(
    run: &OpenRun,
    verify: &Verify<'_>,
    journal: &Journal,
    refused: &mut Vec<Error>,
) -> Result<Ended, Error> {
    let mut ended = Ended::new();
    for (number, (state, planned)) in (0_u32..).zip(run.windows.iter().zip(&run.plan.windows)) {
        let Some(outcome) = state.outcome else {
            continue;
        };
        let counted = match verify.again(run.id, planned, outcome, journal) {
            Ok(counted) => counted,
            Err(error) if run.windows.len() > 1 && is_of_one_window(&error) => {
                refused.push(error);
                None
            }
            Err(error) => return Err(error),
        };
        let window = EndedWindow {
            outcome,
            session: state.session.clone(),
            counted,
        };
        ended.insert(number, window);
    }
    Ok(ended)
}

/// Commits a complete window, or finds that it was committed without an answer, and counts its target where that is wanted.
pub(crate) fn end_one(
    window: &LoadedWindow<'_>,
    is_loaded: bool,
    uploads: &Uploads<'_>,
    commits: &Commits<'_>,
    verify: &Verify<'_>,
) -> Result<EndedWindow, Error> {
    let mut before = None;
    let (outcome, session) = if is_loaded {
        let session = uploads.known_session(window.number);
        commits.already_done(window, session)?
    } else {
        before = verify.before(window.planned)?;
        commits.commit(window, uploads)?
    };
    let counted = verify.after(window.planned, outcome, window.counts.rows, before)?;
    Ok(EndedWindow {
        outcome,
        session,
        counted,
    })
}

/// What the slices of a complete window come to.
pub(crate) fn loaded_window<'a, 'r>(
    plan: &'a LoadPlan,
    reports: &(impl Iterator<Item = &'r SliceReport> + Clone),
    number: u32,
) -> LoadedWindow<'a> {
    let mut counts = WindowCounts::default();
    let mut unread = 0;
    for range in reports.clone().flat_map(|report| &report.ranges) {
        if let Some(found) = range.counts.windows.get(&number) {
            counts.add(found);
            unread += range.counts.unread;
        }
    }
    let planned = &plan.windows[number as usize];
    let extent = Extent::of(plan, number as usize);
    let mut staged = reports
        .clone()
        .filter_map(|report| report.windows.get(&number));
    LoadedWindow {
        number,
        planned,
        extent: extent.unwrap_or(Extent {
            window: planned.window,
            offsets: None,
        }),
        reads: PartitionRead::of(plan, number as usize, reports.clone()),
        counts,
        unread,
        blocks: blocks(reports.clone(), number),
        checksum: checksum(reports.clone(), number),
        first_reject: staged.find_map(|staged| staged.first_reject.clone()),
    }
}

/// The staged rows of a window.
pub(crate) fn row_files<'r>(
    reports: impl Iterator<Item = &'r SliceReport>,
    window: u32,
) -> Vec<StagedFile> {
    let of_window = |report: &SliceReport| report.windows.get(&window)?.rows.clone();
    reports.filter_map(of_window).collect()
}

/// Whether an error is about one window alone, so that others need not wait for it.
pub fn is_of_one_window(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Job | ErrorKind::Rejects | ErrorKind::CountDiffers
    )
}

/// The error for a run of which some windows were refused.
pub(crate) fn not_all(refused: &[Error], windows: usize) -> Error {
    let kind = refused.first().map_or(ErrorKind::Internal, Error::kind);
    let list: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let message = format!(
        "{} of {windows} windows were refused, and the others are committed; run the same command again once it is mended: {}",
        refused.len(),
        list.join("; ")
    );
    Error::new(kind, message)
}
