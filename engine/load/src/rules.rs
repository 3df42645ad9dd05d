//! What holds for every slice of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine_decode::{MappedFields, Projection};
use engine_model::job::{RejectLimit, Tombstones};
use engine_model::{MessageFormat, Window};

use crate::border::{Border, OnBorder};
use crate::ports::{Clock, Staging};
use crate::progress::Progress;
use crate::step::LoadStep;
use crate::{Error, ErrorKind};

/// What holds for every slice of a run.
pub(crate) struct SliceRules<'a> {
    pub(crate) run: i64,
    /// In time order, not overlapping.
    pub(crate) windows: Vec<Window>,
    pub(crate) tombstones: Tombstones,
    /// How messages become rows, for each window: constants may differ.
    pub(crate) projections: Vec<Arc<Projection>>,
    /// The fields that columns take; nothing where those that none takes are not looked for.
    pub(crate) mapped_fields: Option<Arc<MappedFields>>,
    /// How far messages are taken: by a load all the way, by a bench maybe less far.
    pub(crate) last_step: LoadStep,
    pub(crate) staging: Arc<dyn Staging>,
    pub(crate) rejects: RejectGuard,
    /// Bytes of decoded rows that become one record batch.
    pub(crate) batch_bytes: usize,
    /// Bytes that the open row groups of one lane may hold.
    pub(crate) row_group_bytes: usize,
    /// Threads that share the decoding of one block, where cores outnumber lanes.
    pub(crate) threads_per_block: usize,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) progress: &'a Progress,
    pub(crate) on_border: OnBorder<'a>,
}

impl SliceRules<'_> {
    /// Does something that outlives the run, between its two borders.
    pub(crate) fn between<T>(
        &self,
        (before, after): (Border, Border),
        effect: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        (self.on_border)(before)?;
        let done = effect()?;
        (self.on_border)(after)?;
        Ok(done)
    }
}

impl SliceRules<'_> {
    /// How messages become rows of one window.
    pub(crate) fn projection(&self, window: u32) -> &Arc<Projection> {
        &self.projections[window as usize]
    }

    /// How the bytes of messages are read, for all windows.
    pub(crate) fn format(&self) -> &MessageFormat {
        self.projections[0].format()
    }
}

/// Counts the rejected messages of all lanes and stops the run at the first one above a fixed limit. A window among others is
/// refused where it would be committed, so that it doesn't keep them from that.
#[derive(Debug)]
pub(crate) struct RejectGuard {
    limit: RejectLimit,
    seen: Vec<AtomicU64>,
}

impl RejectGuard {
    /// A guard that has already seen so many in each window, from slices of an earlier attempt.
    pub(crate) fn new(limit: RejectLimit, seen: impl IntoIterator<Item = u64>) -> Self {
        Self {
            limit,
            seen: seen.into_iter().map(AtomicU64::new).collect(),
        }
    }

    pub(crate) fn record(&self, window: u32, rejected: &str) -> Result<(), Error> {
        let seen = self.seen[window as usize].fetch_add(1, Ordering::Relaxed) + 1;
        match self.limit {
            RejectLimit::Count(max) if seen > max && self.seen.len() == 1 => Err(Error::new(
                ErrorKind::Rejects,
                format!(
                    "{rejected}; that makes {seen} rejected {}, and the job allows {max}: correct the mapping or raise \
                     `rejects`; `tidegate rejects` shows them",
                    if seen == 1 { "message" } else { "messages" },
                ),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_above_the_limit_stops_the_run_and_is_named() {
        let guard = RejectGuard::new(RejectLimit::Count(2), [1]);
        guard.record(0, "offset 5 of orders[0]: not JSON").unwrap();
        let error = guard
            .record(0, "offset 9 of orders[0]: not JSON")
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejects);
        assert!(
            error
                .to_string()
                .starts_with("offset 9 of orders[0]: not JSON; that makes 3"),
            "{error}"
        );
    }

    #[test]
    fn a_window_among_others_stops_no_run() {
        let guard = RejectGuard::new(RejectLimit::Count(0), [0, 0]);
        guard.record(0, "offset 5 of orders[0]: not JSON").unwrap();
    }
}
