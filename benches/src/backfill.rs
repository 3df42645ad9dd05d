//! A topic that goes on for days, and loads of its daily windows.

use std::ops::Range;
use std::path::Path;

use engine::{Cancel, Engine, LoadOptions, Progress, StateFolder};
use engine_model::RunReport;
use engine_model::job::Job;
use engine_model::params::ScheduledTime;
use jiff::tz::TimeZone;

use crate::Result;
use crate::end_to_end;
use crate::fields::MappedFields;
use crate::stage::{DAY_MS, Place, setting, spec};

/// When the first day begins: 2026-10-01 in UTC.
const START_MS: i64 = 1_790_812_800_000;
/// The days that are loaded: those that begin at or after the one, and before the other.
const DAYS: (&str, &str) = ("2026-10-01T00:00:00", "2026-11-01T00:00:00");

/// Makes the topic and the table `place.name`, and sends `payloads`. Day number `n` gets `shares[n]` parts of them, spread
/// evenly over it.
pub fn fill(
    place: &Place,
    fields: &MappedFields,
    payloads: &[Vec<u8>],
    shares: &[usize],
) -> Result<()> {
    let parts: usize = shares.iter().sum();
    let mut timestamps_ms = Vec::with_capacity(payloads.len());
    let mut given = 0;
    for (day, share) in (0_i64..).zip(shares) {
        given += share;
        let messages = payloads.len() * given / parts - timestamps_ms.len();
        let apart = |message: i64| message * DAY_MS / i64::try_from(messages).unwrap_or(i64::MAX);
        let number = 0..i64::try_from(messages)?;
        timestamps_ms.extend(number.map(|message| START_MS + day * DAY_MS + apart(message)));
    }
    end_to_end::fill(place, fields, timestamps_ms.into_iter().zip(payloads))
}

/// Loads the windows of these days in one run, in place of what the table holds of them.
///
/// # Errors
///
/// Those of the load.
pub fn load(
    place: &Place,
    fields: &MappedFields,
    state: &Path,
    days: Range<usize>,
) -> Result<RunReport> {
    let all = jobs(place, fields)?;
    let jobs = all.get(days).ok_or("there are not so many days")?;
    let engine = Engine::new(place.lanes)?;
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let state = StateFolder::open(state.to_owned())?;
    Ok(engine.run(jobs, &state, &LoadOptions::default(), &progress, &cancel)?)
}

/// The jobs of October 2026, one for each day.
fn jobs(place: &Place, fields: &MappedFields) -> Result<Vec<Job>> {
    let window = "start: \"${start}\", end: \"${end}\"";
    let parameters = "parameters: { start: \"$[yyyymmdd-1]\", end: \"$[yyyymmdd]\" }\n";
    let spec = spec(fields, place, (window, "${start}"), parameters)?;
    let zone = TimeZone::UTC;
    let from = ScheduledTime::parse(DAYS.0, &zone)?;
    let to = ScheduledTime::parse(DAYS.1, &zone)?;
    let setting = setting(&from, &zone);
    let checked = spec.check_backfill(&setting, (from.at(), to.at()), Some("1d".parse()?))?;
    Ok(checked.jobs)
}
