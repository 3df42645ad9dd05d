//! A job's mapping against messages of its topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine_decode::{Decoder, MappedFields, PayloadSample, Rejection, UnmappedFinder};
use engine_load::{Error, Prepared};
use engine_model::job::{Job, Tombstones};
use engine_model::{
    ColumnMapping, ColumnSource, LoadPlan, Message, OffsetRange, PayloadType, PlannedPartition,
    Step, TopicPartition, Verdict,
};

use super::{CheckReport, CheckStatus};
use crate::adapters::kafka::KafkaTopics;
use crate::sample::places;

/// Messages that are tried, at most.
const MESSAGES_MAX: usize = 200;
/// Fields that are named, at most.
const FIELDS_NAMED_MAX: usize = 10;

/// Decodes some messages as the run would: of the window, or where it has none of the whole topic.
pub(super) fn check_messages(
    report: &mut CheckReport,
    job: &Job,
    source: &KafkaTopics,
    prepared: &Prepared,
    plan: &LoadPlan,
) {
    let trial = || -> Result<(Trial, &str), Error> {
        let in_window =
            |message: &Message<'_>| job.window.verdict(message.timestamp_ms) == Verdict::Inside;
        let trial = Trial::run(job, source, prepared, &window_ranges(plan), &in_window)?;
        if trial.messages > 0 {
            return Ok((trial, "of the window"));
        }
        let trial = Trial::run(job, source, prepared, &source.logs()?, &|_| true)?;
        Ok((
            trial,
            "of the topic, for none of those tried is in the window,",
        ))
    };
    match trial() {
        Ok((trial, _)) if trial.messages == 0 => {
            let found = "the topic has no messages to try the mapping on";
            report.add("messages", CheckStatus::Note, found);
        }
        Ok((trial, which)) => trial.describe(report, job, which),
        Err(error) => report.error("messages", &error),
    }
}

/// The parts of the logs where messages of the window are, as far as the look-ups tell.
fn window_ranges(plan: &LoadPlan) -> Vec<(TopicPartition, OffsetRange)> {
    let range = |partition: &PlannedPartition| {
        let reach = partition.reaches.first()?;
        let range = OffsetRange {
            start: reach.range.start,
            end: reach.look_up_end(),
        };
        Some((partition.topic_partition.clone(), range))
    };
    plan.partitions.iter().filter_map(range).collect()
}

/// What came of some messages.
struct Trial {
    decoder: Decoder,
    payloads: PayloadSample,
    /// Nothing where no column takes a field.
    finder: Option<UnmappedFinder>,
    messages: u64,
    /// Columns that had a value, in lower case.
    filled: BTreeSet<String>,
    /// By column and reason: how many, and the first in words.
    rejected: BTreeMap<(Option<String>, &'static str), (u64, String)>,
}

impl Trial {
    fn run(
        job: &Job,
        source: &KafkaTopics,
        prepared: &Prepared,
        ranges: &[(TopicPartition, OffsetRange)],
        wanted: &dyn Fn(&Message<'_>) -> bool,
    ) -> Result<Self, Error> {
        let mapped = MappedFields::new(&job.columns).map(Arc::new);
        let mut trial = Self {
            decoder: Decoder::new(Arc::clone(prepared.projection())),
            payloads: PayloadSample::new(&job.source.format, &job.time_zone),
            finder: mapped.map(|mapped| UnmappedFinder::new(mapped, &job.source.format)),
            messages: 0,
            filled: BTreeSet::new(),
            rejected: BTreeMap::new(),
        };
        source.read_places(&places(ranges, MESSAGES_MAX), |topic_partition, message| {
            let skipped = message.payload.is_none() && job.tombstones == Tombstones::Skip;
            if wanted(message) && !skipped {
                trial.decode(topic_partition, message);
            }
        })?;
        Ok(trial)
    }

    fn decode(&mut self, topic_partition: &TopicPartition, message: &Message<'_>) {
        self.messages += 1;
        if let Some(payload) = message.payload {
            self.payloads.observe(payload);
            if let Some(finder) = &mut self.finder {
                finder.observe(payload);
            }
        }
        if let Err(rejection) = self.decoder.decode(message, topic_partition) {
            self.reject(topic_partition, message.offset, &rejection);
        }
        let row = self.decoder.flush();
        let columns = row.columns().iter().zip(row.schema_ref().fields());
        for (_, field) in columns.filter(|(value, _)| value.null_count() < value.len()) {
            self.filled.insert(field.name().to_lowercase());
        }
    }

    fn reject(&mut self, topic_partition: &TopicPartition, offset: i64, rejection: &Rejection) {
        let column = rejection.column().map(str::to_owned);
        let group = (column, rejection.reason().name());
        let first = || {
            (
                0,
                format!("offset {offset} of {topic_partition}: {rejection}"),
            )
        };
        self.rejected.entry(group).or_insert_with(first).0 += 1;
    }

    fn describe(mut self, report: &mut CheckReport, job: &Job, which: &str) {
        let messages = self.messages;
        let rejected: u64 = self.rejected.values().map(|(count, _)| count).sum();
        let become_rows = match rejected {
            0 => "all become rows".to_owned(),
            rejected => format!("{} become rows", messages - rejected),
        };
        report.add(
            "messages",
            CheckStatus::Ok,
            format!("{messages} messages {which} were decoded: {become_rows}"),
        );
        for ((_, reason), (count, first)) in &self.rejected {
            let found = format!(
                "{count} of {messages} messages would be rejected ({reason}); the first is {first}"
            );
            report.add("rejects", CheckStatus::Warning, found);
        }
        match job.source.format.payload {
            PayloadType::Json => self.describe_missing(report, job),
            PayloadType::Delimited(_) => self.describe_empty(report, job, messages - rejected),
            PayloadType::Primitive(_) => {}
        }
        self.describe_unmapped(report);
    }

    /// Paths that lead nowhere in all messages. A sample that was cut can't tell.
    fn describe_missing(&self, report: &mut CheckReport, job: &Job) {
        let readable = self.payloads.readable();
        if self.finder.is_none() || readable == 0 || self.payloads.is_cut() {
            return;
        }
        let without_fields = self.payloads.without_fields();
        let is_field = |mapping: &ColumnMapping| match &mapping.source {
            ColumnSource::Path(path) => matches!(path.steps().first(), Some(Step::Key(_))),
            _ => true,
        };
        if without_fields > 0 && job.columns.iter().all(is_field) {
            let found = format!(
                "{without_fields} of {readable} messages hold no JSON object: in their rows every column of a field is NULL"
            );
            report.add("paths", CheckStatus::Warning, found);
        }
        for mapping in &job.columns {
            let ColumnSource::Path(path) = &mapping.source else {
                continue;
            };
            if self.payloads.messages_with(path) > 0 {
                continue;
            }
            let hint = match self.payloads.nearest(path) {
                Some(near) => format!("; did you mean {near}?"),
                None => String::new(),
            };
            let found = format!(
                "column {:?}: none of {readable} messages has {path}{hint}",
                mapping.column
            );
            report.add("paths", CheckStatus::Warning, found);
        }
    }

    /// Positions that no record has. Where empty fields are NULL, nobody can tell.
    fn describe_empty(&self, report: &mut CheckReport, job: &Job, rows: u64) {
        if rows == 0 || job.empty_as_null {
            return;
        }
        for mapping in &job.columns {
            if let ColumnSource::Path(path) = &mapping.source
                && !self.filled.contains(&mapping.column.to_lowercase())
            {
                let found = format!(
                    "column {:?}: none of {rows} messages has a field {path}; the first is [0]",
                    mapping.column
                );
                report.add("paths", CheckStatus::Warning, found);
            }
        }
    }

    /// Fields of most messages that no column takes.
    fn describe_unmapped(&mut self, report: &mut CheckReport) {
        let Some(found) = self.finder.as_mut().map(UnmappedFinder::take) else {
            return;
        };
        let common = |(_, messages): &(&str, u64)| *messages * 2 > found.messages;
        let fields: Vec<&str> = found
            .by_messages()
            .into_iter()
            .filter(common)
            .map(|(path, _)| path)
            .collect();
        if fields.is_empty() {
            return;
        }
        let (named, more) = fields.split_at(fields.len().min(FIELDS_NAMED_MAX));
        let more = match (more.len(), found.more) {
            (0, false) => String::new(),
            (0, true) => " and more".to_owned(),
            (more, _) => format!(" and {more} more"),
        };
        let found = format!(
            "no column takes these fields of most messages: {}{more}",
            named.join(", ")
        );
        report.add("unmapped", CheckStatus::Note, found);
    }
}
