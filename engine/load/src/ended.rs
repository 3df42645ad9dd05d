//! The end of a window: what its slices come to, and how it ended.

use std::collections::BTreeMap;

use engine_model::{LoadPlan, SliceReport, StagedFile, WindowCounts, WindowOutcome};

use crate::commit::{Commits, LoadedWindow, blocks, checksum};
use crate::extent::{Extent, PartitionRead};
use crate::journal::OpenRun;
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

/// The first rejected message of a window in words.
fn first_reject(reports: &BTreeMap<u32, SliceReport>, window: u32) -> Option<String> {
    reports
        .values()
        .find_map(|report| report.windows.get(&window)?.first_reject.clone())
}

/// The windows of which the journal knows how they ended.
pub(crate) fn ended_before(run: &OpenRun, verify: &Verify<'_>) -> Result<Ended, Error> {
    let mut ended = Ended::new();
    for (number, state) in (0_u32..).zip(&run.windows) {
        let Some(outcome) = state.outcome else {
            continue;
        };
        let window = loaded_window(&run.plan, &run.staged, number);
        let counted = verify.after(window.planned, outcome, window.counts.rows, None)?;
        let session = state.session.clone();
        ended.insert(
            number,
            EndedWindow {
                outcome,
                session,
                counted,
            },
        );
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
pub(crate) fn loaded_window<'a>(
    plan: &'a LoadPlan,
    reports: &BTreeMap<u32, SliceReport>,
    number: u32,
) -> LoadedWindow<'a> {
    let mut counts = WindowCounts::default();
    for report in reports.values() {
        counts.add(&report.window(number));
    }
    let planned = &plan.windows[number as usize];
    let extent = Extent::of(plan, number as usize, &plan.bounds);
    LoadedWindow {
        number,
        planned,
        extent: extent.unwrap_or(Extent {
            window: planned.window,
            offsets: None,
        }),
        reads: PartitionRead::of(plan, number as usize, reports.values()),
        counts,
        blocks: blocks(reports.values(), number),
        checksum: checksum(reports.values(), number),
        first_reject: first_reject(reports, number),
    }
}

/// The staged rows of a window.
pub(crate) fn row_files(reports: &BTreeMap<u32, SliceReport>, window: u32) -> Vec<StagedFile> {
    let of_window = |report: &SliceReport| report.windows.get(&window)?.rows.clone();
    reports.values().filter_map(of_window).collect()
}

/// Whether an error is about one window alone, so that others need not wait for it.
pub(crate) fn is_of_one_window(error: &Error) -> bool {
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
        "{} of {windows} windows were not committed, and the others are; run the same command again once it is mended: {}",
        refused.len(),
        list.join("; ")
    );
    Error::new(kind, message)
}
