//! A job file that is not finished: its topic, and its table where it names one.

use jiff::tz::TimeZone;

use crate::Findings;

use super::checked::{KafkaSource, MaxComputeTarget};
use super::sources::Environment;
use super::walk::{Field, Walk};
use super::{JobSpec, KEYS, Setting};

/// What an unfinished job says of its topic and its table. Its columns, its window and the rest may be missing, or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The zone of times without an offset.
    pub time_zone: TimeZone,
    /// What to read.
    pub source: KafkaSource,
    /// Where to load into; nothing where the file has no `destination`.
    pub destination: Option<MaxComputeTarget>,
}

impl JobSpec {
    /// Reads source and destination alone.
    ///
    /// # Errors
    ///
    /// What is wrong with these two, with the time zone, with parameters and with keys at the top.
    pub fn draft(&self, setting: &Setting<'_>) -> Result<Draft, Findings> {
        let mut walk = Walk::new(setting.env);
        let draft = walk.draft(self, setting);
        let findings = Findings::new(walk.findings);
        match draft {
            Some(draft) if !findings.has_errors() => Ok(draft),
            _ => Err(findings),
        }
    }
}

impl Walk<'_> {
    fn draft(&mut self, spec: &JobSpec, setting: &Setting<'_>) -> Option<Draft> {
        let root = Field::root(&spec.file, &spec.root);
        let top = self.section(&root, &KEYS)?;
        let time_zone = self.time_zone(&top, &root, setting.default_time_zone);
        self.parameters_of(&top, &root, setting.scheduled_time, setting);
        // The table partition is not looked at, so any start of a window will do.
        self.parameters.window_start = Some(setting.scheduled_time.clone());
        let environment = Environment::choose(self, setting.sources, setting.environment);
        let source = self.required_section(&top, "source", &["kafka"]);
        let source = source.and_then(|section| self.kafka(&section, &environment));
        let destination = top.get("destination").map(|field| {
            let section = self.section(&field, &["maxcompute"])?;
            self.maxcompute(&section, &environment)
        });
        Some(Draft {
            time_zone,
            source: source?,
            destination: match destination {
                Some(destination) => Some(destination?),
                None => None,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::ScheduledTime;

    fn draft(text: &str) -> Result<Draft, String> {
        let spec = JobSpec::parse("orders.yaml", text).unwrap();
        let setting = Setting {
            scheduled_time: &ScheduledTime::parse("2026-11-23T00:15:00", &TimeZone::UTC).unwrap(),
            environment: None,
            sources: None,
            overrides: &[],
            env: &|_| None,
            default_time_zone: &TimeZone::UTC,
        };
        spec.draft(&setting)
            .map_err(|findings| findings.to_string())
    }

    #[test]
    fn columns_and_window_may_be_missing() {
        let source = "source: { kafka: { brokers: [\"h:9092\"], topic: \"orders_${day}\" } }\n";
        let parameters = "parameters: { day: \"$[yyyymmdd]\" }\n";
        let begun = draft(&format!("{source}{parameters}")).unwrap();
        assert_eq!(begun.source.topics, ["orders_20261123"]);
        assert_eq!(begun.destination, None);
        assert_eq!(begun.time_zone, TimeZone::UTC);
        let zone = "time_zone: Asia/Shanghai\n";
        let elsewhere = draft(&format!("{source}{zone}{parameters}")).unwrap();
        assert_eq!(elsewhere.time_zone.iana_name(), Some("Asia/Shanghai"));
        let destination = "destination: { maxcompute: { endpoint: \"http://h/api\", project: p, table: t, \
                           partition: { region: cn, ds: \"${day}\" } } }\n";
        let more = draft(&format!("{source}{parameters}{destination}")).unwrap();
        let target = more.destination.unwrap();
        assert_eq!(target.table.table, "t");
        assert_eq!(target.partition.to_string(), "region=cn,ds=20261123");
    }

    #[test]
    fn what_is_there_must_be_right() {
        let error = draft("job: orders\n").unwrap_err();
        assert!(error.contains("source: is missing"), "{error}");
        let error = draft("source: { kafka: { topic: t } }\n").unwrap_err();
        assert!(
            error.contains("source.kafka.brokers: is missing"),
            "{error}"
        );
        let source = "source: { kafka: { brokers: [\"h:9092\"], topic: t } }\n";
        let error = draft(&format!(
            "{source}destination: {{ maxcompute: {{ table: t }} }}\n"
        ))
        .unwrap_err();
        assert!(error.contains("endpoint: is missing"), "{error}");
    }
}
