//! The settings of a topic that matter to a load.

use std::time::Duration;

use engine_model::limits::FIRST_CONTACT_S_MAX;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::util::Timeout;

use crate::client::{Client, check_topic};
use crate::error::{Error, ErrorKind, Result, kind_of};
use crate::watch::Watch;

/// Settings of a topic as the broker applies them. Each is missing where the broker does not tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicConfig {
    /// Whether old messages vanish when newer ones have their key (`cleanup.policy` has `compact`). Holes in the offsets
    /// are then to be expected.
    pub compacted: Option<bool>,
    /// Whose clock the message timestamps are of (`message.timestamp.type`).
    pub timestamp_type: Option<TimestampType>,
    /// How long messages are kept at least, in ms (`retention.ms`); -1 for ever.
    pub retention_ms: Option<i64>,
    /// Longest batch that the topic takes, in bytes, and so its longest message (`max.message.bytes`).
    pub message_bytes_max: Option<u64>,
}

/// Whose clock a topic's message timestamps are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's: any value, in any order.
    CreateTime,
    /// The broker's.
    LogAppendTime,
}

impl Client {
    /// Asks for the settings of `topic`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Authorization`] where the log-in may read the topic but not its settings, which is common: go on
    /// without them. Otherwise those of every call.
    pub fn topic_config(&self, topic: &str) -> Result<TopicConfig> {
        check_topic(topic)?;
        let admin: AdminClient<Watch> = self
            .settings
            .for_calls()
            .create_with_context(Watch::new(&self.settings))
            .map_err(|error| self.settings.refused(&error))?;
        let timeout = Timeout::After(Duration::from_secs(FIRST_CONTACT_S_MAX));
        let options = AdminOptions::new().request_timeout(Some(timeout));
        let resource = [ResourceSpecifier::Topic(topic)];
        let answer = futures_executor::block_on(admin.describe_configs(&resource, &options));
        let code = match answer.map(|mut answers| answers.pop()) {
            // The binding drops the code of a refusal and passes on what came with it: nothing.
            Ok(Some(Ok(resource))) if resource.entries.is_empty() => Code::TopicAuthorizationFailed,
            Ok(Some(Ok(resource))) => return Ok(TopicConfig::new(&resource)),
            Ok(Some(Err(code))) | Err(KafkaError::AdminOp(code)) => code,
            Ok(None) => {
                return Err(self.no_config(topic, ErrorKind::Other, "an empty answer"));
            }
            Err(error) => {
                return Err(self.no_config(topic, ErrorKind::Other, &error.to_string()));
            }
        };
        let cause = match code {
            Code::UnsupportedFeature => "brokers before Kafka 0.11 don't tell them".to_owned(),
            code => code.to_string(),
        };
        Err(self.no_config(topic, kind_of(code), &cause))
    }

    fn no_config(&self, topic: &str, kind: ErrorKind, cause: &str) -> Error {
        let message = format!(
            "the settings of topic {topic:?} can't be read from kafka brokers {}: {cause}; without them its cleanup \
             policy and timestamp type are unknown",
            self.settings.broker_list()
        );
        Error::new(kind, message)
    }
}

impl TopicConfig {
    fn new(resource: &ConfigResource) -> Self {
        let value = |name| resource.get(name).and_then(|entry| entry.value.as_deref());
        Self {
            compacted: value("cleanup.policy")
                .map(|policies| policies.split(',').any(|one| one.trim() == "compact")),
            timestamp_type: match value("message.timestamp.type") {
                Some("CreateTime") => Some(TimestampType::CreateTime),
                Some("LogAppendTime") => Some(TimestampType::LogAppendTime),
                _ => None,
            },
            retention_ms: value("retention.ms").and_then(|text| text.parse().ok()),
            message_bytes_max: value("max.message.bytes").and_then(|text| text.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    fn resource(entries: &[(&str, &str)]) -> ConfigResource {
        let entry = |(name, value): &(&str, &str)| ConfigEntry {
            name: (*name).to_owned(),
            value: Some((*value).to_owned()),
            source: ConfigSource::Default,
            is_read_only: false,
            is_default: true,
            is_sensitive: false,
        };
        ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("orders".to_owned()),
            entries: entries.iter().map(entry).collect(),
        }
    }

    #[test]
    fn settings_are_read_and_may_be_missing() {
        let full = resource(&[
            ("cleanup.policy", "compact, delete"),
            ("message.timestamp.type", "LogAppendTime"),
            ("retention.ms", "-1"),
            ("max.message.bytes", "1048588"),
        ]);
        assert_eq!(
            TopicConfig::new(&full),
            TopicConfig {
                compacted: Some(true),
                timestamp_type: Some(TimestampType::LogAppendTime),
                retention_ms: Some(-1),
                message_bytes_max: Some(1_048_588),
            }
        );
        let delete = resource(&[
            ("cleanup.policy", "delete"),
            ("message.timestamp.type", "?"),
        ]);
        let config = TopicConfig::new(&delete);
        assert_eq!(
            (config.compacted, config.timestamp_type),
            (Some(false), None)
        );
        assert_eq!(TopicConfig::new(&resource(&[])), TopicConfig::default());
    }
}
