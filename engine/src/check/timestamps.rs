//! Whose clock a topic's timestamps are of, and what in the job depends on it.

use engine_kafka::TimestampType;
use engine_model::job::{Exit, Job, Lateness};
use engine_model::{LoadPlan, PlannedPartition, Reach};

use super::{CheckReport, CheckStatus};

/// What is known of the timestamps of the job's topics.
#[derive(Default)]
pub(super) struct Timestamps {
    /// Topics whose producers set them.
    create_times: Vec<String>,
    /// Topics of which the brokers don't say.
    unknown: Vec<String>,
}

impl Timestamps {
    /// Notes what the broker says of one topic, and adds what follows from it for the job.
    pub(super) fn note(
        &mut self,
        report: &mut CheckReport,
        job: &Job,
        topic: &str,
        timestamp_type: Option<TimestampType>,
    ) {
        let (status, found) = match timestamp_type {
            None => {
                self.unknown.push(topic.to_owned());
                return;
            }
            Some(TimestampType::LogAppendTime) => (
                CheckStatus::Ok,
                format!("those of {topic} are log append times"),
            ),
            Some(TimestampType::CreateTime) => {
                self.create_times.push(topic.to_owned());
                create_times(job, topic)
            }
        };
        report.add("timestamps", status, found);
    }

    /// Says what `exit: idle` needs so that it loses nothing, and which of it does not hold.
    pub(super) fn check_exit(&self, report: &mut CheckReport, job: &Job, plan: &LoadPlan) {
        let Exit::Idle(after) = job.exit else {
            return;
        };
        let mut missing = Vec::new();
        if !self.create_times.is_empty() {
            missing.push(format!(
                "the timestamps of {} are create times",
                self.create_times.join(", ")
            ));
        }
        if !self.unknown.is_empty() {
            missing.push(format!(
                "whose clock the timestamps of {} are of is not known",
                self.unknown.join(", ")
            ));
        }
        if plan.is_open() {
            missing.push("the window is not over".to_owned());
        }
        let is_open = |partition: &&PlannedPartition| {
            partition.reaches.iter().any(|reach: &Reach| !reach.closed)
        };
        let open = plan.partitions.iter().filter(is_open);
        let open: Vec<_> = open
            .map(|partition| partition.topic_partition.to_string())
            .collect();
        if !open.is_empty() {
            missing.push(format!(
                "nothing was seen yet behind the window's end in {}",
                open.join(", ")
            ));
        }
        let seconds = after.as_secs();
        let meaning = format!(
            "beside its planned end, reading ends when nothing comes for {seconds} s, and what is unread then is not loaded; \
             silence is an end where the timestamps are log append times, the window is over, and there are messages behind \
             its end"
        );
        if missing.is_empty() {
            let found = format!(
                "{meaning}: all of that holds, and only brokers that stall for {seconds} s cost messages"
            );
            return report.add("exit", CheckStatus::Note, found);
        }
        let found = format!(
            "{meaning}: here {}; `exit: planned` reads all that there was when the run was planned",
            missing.join(", and "),
        );
        report.add("exit", CheckStatus::Warning, found);
    }
}

/// What create times mean for the job: much for a window that ends at a time and trusts the look-up of it, nothing for one
/// that is bounded by offsets.
fn create_times(job: &Job, topic: &str) -> (CheckStatus, String) {
    let meaning = format!("those of {topic} are create times: producers set them, in any order");
    let advice = "`message.timestamp.type=LogAppendTime` would make them the broker's";
    match job.lateness {
        _ if job.offsets.end.is_some() => (
            CheckStatus::Ok,
            format!("{meaning}; the window ends at an offset, which they have no part in"),
        ),
        _ if job.offsets.starts_at_group() => (
            CheckStatus::Ok,
            format!(
                "{meaning}; what comes late is of the next window, which starts at the group's position"
            ),
        ),
        Lateness::None => (
            CheckStatus::Warning,
            format!(
                "{meaning}, and with `lateness: none` the first one stamped at or after the window's end stops the reading, \
                 whatever lies behind it; leave `lateness` out, or {advice}"
            ),
        ),
        Lateness::Exact | Lateness::Margin(_) => (
            CheckStatus::Note,
            format!(
                "{meaning}, so messages of the window may lie behind its end, where `lateness` says how far they are looked \
                 for; {advice}"
            ),
        ),
    }
}
