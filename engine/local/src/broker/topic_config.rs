//! A topic's settings: which there are, what they may say, and the two that the broker acts on.
//!
//! `message.timestamp.type` and `max.message.bytes` are obeyed. The others are recorded and described for clients that
//! read them, but the broker neither compacts a log nor deletes messages by age or size: development data often carries timestamps
//! from years ago.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use kafka_protocol::records::TimestampType;

use super::limits::{BATCH_BYTES_DEFAULT, BATCH_BYTES_MAX};
use super::refusal::Refusal;

/// One setting that a topic can have.
#[derive(Debug)]
pub(super) struct Setting {
    /// Kafka's name.
    pub(super) name: &'static str,
    /// What holds where the topic says nothing.
    pub(super) default: &'static str,
    /// What a value must be.
    pub(super) values: Values,
}

/// What a setting's value must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values {
    /// A whole number between the two.
    Number(i64, i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Some of these words, separated by commas.
    Words(&'static [&'static str]),
}

/// All settings, sorted by name. The defaults are Kafka's, but for `retention.ms`, which says what this broker does.
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "cleanup.policy",
        default: "delete",
        values: Values::Words(&["compact", "delete"]),
    },
    Setting {
        name: "compression.type",
        default: "producer",
        values: Values::Word(&["producer"]),
    },
    Setting {
        name: "delete.retention.ms",
        default: "86400000",
        values: Values::Number(0, i64::MAX),
    },
    Setting {
        name: MAX_MESSAGE_BYTES,
        default: "1048588",
        values: Values::Number(0, BATCH_BYTES_MAX as i64),
    },
    Setting {
        name: MESSAGE_TIMESTAMP_TYPE,
        default: "CreateTime",
        values: Values::Word(&["CreateTime", LOG_APPEND_TIME]),
    },
    Setting {
        name: "min.insync.replicas",
        default: "1",
        values: Values::Number(1, 1),
    },
    Setting {
        name: "retention.bytes",
        default: "-1",
        values: Values::Number(-1, i64::MAX),
    },
    Setting {
        name: "retention.ms",
        default: "-1",
        values: Values::Number(-1, i64::MAX),
    },
    Setting {
        name: "segment.bytes",
        default: "1073741824",
        values: Values::Number(14, i32::MAX as i64),
    },
    Setting {
        name: "segment.ms",
        default: "604800000",
        values: Values::Number(1, i64::MAX),
    },
];

const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const MESSAGE_TIMESTAMP_TYPE: &str = "message.timestamp.type";
const LOG_APPEND_TIME: &str = "LogAppendTime";

/// The settings that a topic was created with, all of them known and valid.
#[derive(Debug, Clone, Default)]
pub(super) struct TopicConfig {
    set: BTreeMap<String, String>,
}

impl TopicConfig {
    /// Checks settings given as name and value; the last of two with the same name counts.
    pub(super) fn new(given: impl IntoIterator<Item = (String, String)>) -> Result<Self, Refusal> {
        let mut set = BTreeMap::new();
        for (name, value) in given {
            let setting = SETTINGS
                .iter()
                .find(|setting| setting.name == name)
                .ok_or_else(|| invalid(format!("unknown topic setting {name:?}; {}", known())))?;
            if !setting.values.allow(&value) {
                return Err(invalid(format!(
                    "topic setting {name} cannot be {value:?}; {}",
                    setting.values.explain()
                )));
            }
            set.insert(name, value);
        }
        Ok(Self { set })
    }

    /// The settings that were given, by name.
    pub(super) fn given(&self) -> &BTreeMap<String, String> {
        &self.set
    }

    /// The value of a setting, and whether it was given.
    pub(super) fn value<'a>(&'a self, setting: &'a Setting) -> (&'a str, bool) {
        self.set
            .get(setting.name)
            .map_or((setting.default, false), |value| (value, true))
    }

    /// Whether messages keep their create time or get the log append time.
    pub(super) fn timestamps(&self) -> TimestampType {
        match self.set.get(MESSAGE_TIMESTAMP_TYPE) {
            Some(value) if value == LOG_APPEND_TIME => TimestampType::LogAppend,
            _ => TimestampType::Creation,
        }
    }

    /// The largest record batch that the topic takes, in bytes.
    pub(super) fn batch_bytes_max(&self) -> usize {
        self.set
            .get(MAX_MESSAGE_BYTES)
            .and_then(|value| value.parse().ok())
            .unwrap_or(BATCH_BYTES_DEFAULT)
    }
}

impl Values {
    fn allow(self, value: &str) -> bool {
        match self {
            Self::Number(min, max) => value
                .parse()
                .is_ok_and(|number: i64| (min..=max).contains(&number)),
            Self::Word(words) => words.contains(&value),
            Self::Words(words) => value.split(',').all(|word| words.contains(&word.trim())),
        }
    }

    fn explain(self) -> String {
        match self {
            Self::Number(min, max) => format!("it is a whole number from {min} to {max}"),
            Self::Word(words) => format!("it is one of {}", words.join(", ")),
            Self::Words(words) => format!("it is one or more of {}", words.join(", ")),
        }
    }
}

fn known() -> String {
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    format!("this broker knows {}", names.join(", "))
}

fn invalid(message: String) -> Refusal {
    Refusal::new(ResponseError::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<TopicConfig, Refusal> {
        TopicConfig::new(
            pairs
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned())),
        )
    }

    #[test]
    fn every_default_is_allowed_and_the_names_are_sorted() {
        for setting in SETTINGS {
            assert!(setting.values.allow(setting.default), "{}", setting.name);
        }
        assert!(SETTINGS.is_sorted_by_key(|setting| setting.name));
    }

    #[test]
    fn settings_that_matter_are_obeyed() {
        let default = TopicConfig::default();
        assert_eq!(default.timestamps(), TimestampType::Creation);
        assert_eq!(default.batch_bytes_max(), 1_048_588);
        let set = config(&[
            ("message.timestamp.type", "LogAppendTime"),
            ("max.message.bytes", "5000"),
            ("cleanup.policy", "compact,delete"),
        ])
        .unwrap();
        assert_eq!(set.timestamps(), TimestampType::LogAppend);
        assert_eq!(set.batch_bytes_max(), 5000);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (name, value) in [
            ("message.timestamp.type", "logappendtime"),
            ("max.message.bytes", "-1"),
            ("max.message.bytes", "1e6"),
            ("cleanup.policy", "delete,shred"),
            ("cleanup.policy", ""),
            ("compression.type", "zstd"),
            ("retention.hours", "1"),
        ] {
            let refusal = config(&[(name, value)]).unwrap_err();
            assert_eq!(refusal.code(), ResponseError::InvalidConfig.code());
            assert!(refusal.to_string().contains(name), "{refusal}");
        }
    }
}
