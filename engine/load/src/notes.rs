//! What a person should know about a plan, and how windows are told.

use engine_model::{LoadPlan, PlannedPartition, Reach, Window};

/// Windows that are named of many.
pub(crate) const WINDOWS_TOLD_MAX: usize = 3;

/// What a person should know about a plan before it runs.
pub fn plan_notes(plan: &LoadPlan) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.is_open() {
        notes.push(
            "the window was not over when this was planned: messages of it that come later are not loaded; run it again \
             when it is over"
                .to_owned(),
        );
    }
    let kept_back = plan.partitions.iter().filter_map(kept_back);
    notes.extend(kept_back.map(|note| {
        format!("{note}, and messages in them are not loaded; run it again when it has ended")
    }));
    let open = names(plan, |partition, reach| {
        !reach.closed && partition.kept_back().is_none()
    });
    if !open.is_empty() && plan.bounds.end.is_some() {
        notes.push(format!(
            "the logs of {open} don't reach to the end of the window yet: what comes there is not loaded",
        ));
    } else if !open.is_empty() {
        let end = match plan.windows.as_slice() {
            [_] => "the window's end",
            _ => "the end of a window",
        };
        notes.push(format!(
            "the last messages of {open} are not all at or after {end}: if producers are late, more of the window may \
             still come there",
        ));
    }
    let gaps = names(plan, |_, reach| reach.retention_gap);
    if !gaps.is_empty() {
        let cut = |number: &usize| {
            let mut reaches = plan
                .partitions
                .iter()
                .map(|known| known.reaches.get(*number));
            reaches.any(|reach| reach.is_some_and(|reach| reach.retention_gap))
        };
        let cut = (0..plan.windows.len()).filter(cut);
        let windows = window_names(cut.map(|number| plan.windows[number].window));
        notes.push(format!(
            "the log of {gaps} no longer reaches back to the start of {windows}: messages may have been deleted there by \
             retention, and can't be loaded any more",
        ));
    }
    notes
}

/// Says where a transaction keeps messages back that some window may lack; nothing where it doesn't.
pub(crate) fn kept_back(partition: &PlannedPartition) -> Option<String> {
    let kept_back = partition.kept_back()?;
    let open = partition.reaches.iter().any(|reach| !reach.closed);
    open.then(|| {
        format!(
            "a transaction is open at offset {} of {}: the {} offsets from there on can't be read before it ends",
            kept_back.start,
            partition.topic_partition,
            kept_back.len(),
        )
    })
}

/// The topic partitions in which some window reaches in such a way.
fn names(plan: &LoadPlan, is_so: impl Fn(&PlannedPartition, &Reach) -> bool) -> String {
    let found = plan.partitions.iter().filter(|partition| {
        let mut reaches = partition.reaches.iter();
        reaches.any(|reach| is_so(partition, reach))
    });
    let names: Vec<_> = found
        .map(|partition| partition.topic_partition.to_string())
        .collect();
    names.join(", ")
}

/// The windows, or the first of them and how many there are more.
pub(crate) fn window_names(windows: impl Iterator<Item = Window>) -> String {
    let windows: Vec<_> = windows.map(|window| window.to_string()).collect();
    let (told, more) = windows.split_at(windows.len().min(WINDOWS_TOLD_MAX));
    let what = match windows.len() {
        1 => "window",
        _ => "windows",
    };
    let more = match more.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what} {}{more}", told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_of_many_windows_are_named() {
        let windows = |count| (0..count).filter_map(|start| Window::new(start, start + 1));
        let told = |count| window_names(windows(count)).replace("1970-01-01T00:00:00", "");
        assert_eq!(told(1), "window [Z, .001Z)");
        assert_eq!(
            told(3),
            "windows [Z, .001Z), [.001Z, .002Z), [.002Z, .003Z)"
        );
        assert!(
            told(6).ends_with("[.002Z, .003Z) and 3 more"),
            "{}",
            told(6)
        );
    }
}
