//! Whether the consumer group that is to show the job's lag is free for that.

use engine_model::job::{Job, OffsetBound};

use super::{CheckReport, CheckStatus};
use crate::adapters::kafka::KafkaTopics;

/// Members that are named, at most.
const MEMBERS_NAMED_MAX: usize = 3;

/// Looks at who else uses the job's group. A group with members belongs to them: its position can't be set, and where a
/// bound of the window is its position, the window is theirs to move.
pub(super) fn check_group(report: &mut CheckReport, job: &Job, source: &KafkaTopics) {
    let Some(group) = &job.source.group else {
        return;
    };
    let members = match source.group_members() {
        Ok(members) => members,
        Err(error) => {
            let found = format!("who is in group {group:?} is not known: {error}");
            return report.add("group", CheckStatus::Note, found);
        }
    };
    if members.is_empty() {
        return check_setters(report, group, source);
    }
    let first = members.iter().take(MEMBERS_NAMED_MAX);
    let mut names: Vec<_> = first
        .map(|member| format!("{:?} at {}", member.client_id, member.host))
        .collect();
    let more = members.len().saturating_sub(MEMBERS_NAMED_MAX);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let is_bound = [&job.offsets.start, &job.offsets.end]
        .into_iter()
        .any(|bound| *bound == Some(OffsetBound::Group));
    let bound = if is_bound {
        ", and the window is bounded by a position that they move"
    } else {
        ""
    };
    let found = format!(
        "group {group:?} has members, {}: while they are there its position can't be set{bound}; give the job a group of its \
         own",
        names.join(", "),
    );
    report.add("group", CheckStatus::Warning, found);
}

/// Looks at who set the group's position, which shows the lag of one job alone: it never goes back, so that of two jobs the one
/// that is behind can't be seen.
fn check_setters(report: &mut CheckReport, group: &str, source: &KafkaTopics) {
    let free = format!("nobody is seen in group {group:?}, so that the job can set its position");
    let (status, found) = match source.group_setters() {
        Err(error) => (
            CheckStatus::Note,
            format!("{free}; who did so before is not known: {error}"),
        ),
        Ok((jobs, _)) if !jobs.is_empty() => {
            let jobs: Vec<_> = jobs.iter().map(|job| format!("{job:?}")).collect();
            let found = format!(
                "the position of group {group:?} in these topics was set by {}: it never goes back, so that a job that is behind \
                 another can't be seen; give each job a group of its own",
                jobs.join(" and "),
            );
            (CheckStatus::Warning, found)
        }
        Ok((_, true)) => {
            let found = format!(
                "{free}; other programs have done so, and where they are ahead of the job their position stays"
            );
            (CheckStatus::Note, found)
        }
        Ok(_) => (CheckStatus::Ok, free),
    };
    report.add("group", status, found);
}
