//! From one job file to the windows of a run: the parts of a window, and the windows of many scheduled times.

use std::sync::Arc;

use jiff::civil::Time;
use jiff::{Timestamp, ToSpan as _, ZonedDateTime};

use crate::Window;
use crate::finding::{Finding, Findings, Severity};
use crate::params::ScheduledTime;

use super::checked::{Every, Job};
use super::{Checked, JobSpec, Setting};

/// Windows of one run, at most: two years of hours.
const WINDOWS_MAX: usize = 20_000;

/// Good jobs that one run loads together, and what somebody should look at nevertheless.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedWindows {
    /// One job for each window, in time order. They may differ in everything that depends on the scheduled time.
    pub jobs: Vec<Job>,
    /// Warnings only, ordered by place; of several windows those of the first.
    pub warnings: Vec<Finding>,
}

impl JobSpec {
    /// Resolves the job for one scheduled time, a job for each part that `window.split` cuts its window into.
    ///
    /// # Errors
    ///
    /// As [`JobSpec::check`].
    pub fn check_windows(&self, setting: &Setting<'_>) -> Result<CheckedWindows, Findings> {
        let Checked { job, warnings } = self.check(setting)?;
        let Some(every) = job.split else {
            return Ok(CheckedWindows {
                jobs: vec![job],
                warnings,
            });
        };
        let parts = parts(&job, every).ok_or_else(|| {
            let message = format!(
                "makes more than {WINDOWS_MAX} parts of the window {}; make them longer",
                job.window
            );
            self.refused("window.split", message)
        })?;
        let mut jobs = Vec::with_capacity(parts.len());
        for part in parts {
            jobs.push(self.check_part(setting, Some(part))?.job);
        }
        Ok(CheckedWindows { jobs, warnings })
    }

    /// Resolves the job for all scheduled times whose windows start at or after `from` and before `to`. They are `every` so
    /// much apart; where nothing is given, as the job's `schedule` says. The scheduled time of the setting doesn't count.
    ///
    /// # Errors
    ///
    /// As [`JobSpec::check`], and where the job says no distance and none is given, its windows are not between times, or
    /// none starts in that range.
    pub fn check_backfill(
        &self,
        setting: &Setting<'_>,
        (from, to): (&ZonedDateTime, &ZonedDateTime),
        every: Option<Every>,
    ) -> Result<CheckedWindows, Findings> {
        let start_of = |job: &Job| job.window.start_ms;
        let at = ScheduledTime::new(from.clone());
        let first = self.check(&Setting {
            scheduled_time: &at,
            ..*setting
        })?;
        let schedule = first.job.schedule.as_ref();
        let every = every.or(schedule.and_then(|schedule| schedule.every));
        let Some(every) = every else {
            let message = "says no distance between the windows of a backfill; write `cycle: day`, or pass --every 1d";
            return Err(self.refused("schedule", message.to_owned()));
        };
        if start_of(&first.job) == i64::MIN || first.job.window.end_ms == i64::MAX {
            let message =
                "is bounded by offsets, and a backfill goes from time to time; load it with `run`";
            return Err(self.refused("window", message.to_owned()));
        }
        let due = schedule.and_then(|schedule| schedule.at);
        let base = first_due(from, every, due);
        let range_ms = from.timestamp().as_millisecond()..to.timestamp().as_millisecond();
        let mut found = CheckedWindows {
            jobs: Vec::new(),
            warnings: first.warnings,
        };
        for at in base.series(every.0) {
            // A window may start long before it is due, and it never starts after that.
            let at = ScheduledTime::new(at);
            let setting = Setting {
                scheduled_time: &at,
                ..*setting
            };
            let checked = self.check(&setting)?;
            if start_of(&checked.job) >= range_ms.end {
                break;
            }
            if !range_ms.contains(&start_of(&checked.job)) {
                if due_too_late(at.at(), to) {
                    break;
                }
                continue;
            }
            found.jobs.extend(self.check_windows(&setting)?.jobs);
            if found.jobs.len() > WINDOWS_MAX {
                let message = format!(
                    "makes more than {WINDOWS_MAX} windows between {from} and {to}; take a shorter time"
                );
                return Err(self.refused("window", message));
            }
        }
        if found.jobs.is_empty() {
            let message =
                format!("none starts at or after {from} and before {to}; check --from and --to");
            return Err(self.refused("window", message));
        }
        Ok(found)
    }

    fn refused(&self, path: &str, message: String) -> Findings {
        Findings::new(vec![Finding {
            severity: Severity::Error,
            file: Arc::clone(&self.file),
            line: 0,
            column: 0,
            path: path.to_owned(),
            message,
        }])
    }
}

/// Whether a job that is due then would have started its window in time, if it ever does.
fn due_too_late(at: &ZonedDateTime, to: &ZonedDateTime) -> bool {
    to.checked_add(2.years()).is_ok_and(|last| *at > last)
}

/// The first time at or after `from` at which a job is due.
fn first_due(from: &ZonedDateTime, every: Every, due: Option<Time>) -> ZonedDateTime {
    let Some(due) = due else {
        return from.clone();
    };
    let day = jiff::Span::new().days(1);
    let is_part_of_day = every
        .0
        .compare((day, jiff::SpanRelativeTo::days_are_24_hours()))
        .is_ok_and(std::cmp::Ordering::is_lt);
    let hour = if is_part_of_day {
        from.hour()
    } else {
        due.hour()
    };
    let on_day = from
        .with()
        .hour(hour)
        .minute(due.minute())
        .second(0)
        .build();
    on_day.unwrap_or_else(|_| from.clone())
}

/// The parts of a job's window; nothing where there are too many.
fn parts(job: &Job, every: Every) -> Option<Vec<Window>> {
    let start = Timestamp::from_millisecond(job.window.start_ms).ok()?;
    let start = start.to_zoned_datetime(job.time_zone.clone());
    let mut parts: Vec<Window> = Vec::new();
    let borders = start.series(every.0).skip(1);
    let mut part_start_ms = job.window.start_ms;
    for border in borders {
        let end_ms = border.timestamp().as_millisecond().min(job.window.end_ms);
        parts.extend(Window::new(part_start_ms, end_ms));
        part_start_ms = end_ms;
        if end_ms == job.window.end_ms {
            return Some(parts);
        }
        if parts.len() > WINDOWS_MAX {
            return None;
        }
    }
    // The calendar ended before the window.
    parts.extend(Window::new(part_start_ms, job.window.end_ms));
    Some(parts)
}
