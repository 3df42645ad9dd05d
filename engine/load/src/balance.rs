//! The ledger of a run.

use std::collections::BTreeMap;

use engine_model::{Counts, Ledger, LoadPlan, SliceReport};

use crate::{Error, ErrorKind};

/// The ledger of all staged slices.
pub(crate) fn ledger<'a>(reports: impl IntoIterator<Item = &'a SliceReport>) -> Ledger {
    let mut ledger = Ledger::default();
    for range in reports.into_iter().flat_map(|report| &report.ranges) {
        ledger.add(&range.topic_partition, &range.counts);
    }
    ledger
}

/// The ledger of all slices, checked: every topic partition balances, and every planned offset is in it.
pub(crate) fn check_ledger(
    plan: &LoadPlan,
    reports: &BTreeMap<u32, SliceReport>,
) -> Result<Ledger, Error> {
    let mut ledger = ledger(reports.values());
    for partition in plan
        .partitions
        .iter()
        .filter(|partition| partition.ranges.is_empty())
    {
        ledger.add(&partition.topic_partition, &Counts::new(0));
    }
    ledger.check().map_err(|imbalance| {
        Error::with_source(ErrorKind::Unbalanced, imbalance.to_string(), imbalance)
    })?;
    for partition in &plan.partitions {
        let counted = ledger
            .get(&partition.topic_partition)
            .map_or(0, |counts| counts.planned);
        if counted != partition.offsets() {
            let message = format!(
                "{} of the {} offsets planned for {} were read; nothing was committed",
                counted,
                partition.offsets(),
                partition.topic_partition,
            );
            return Err(Error::new(ErrorKind::Unbalanced, message));
        }
    }
    Ok(ledger)
}
