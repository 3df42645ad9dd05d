//! `source.kafka`: brokers, topic and options.

use std::collections::BTreeMap;

use super::checked::{KafkaSource, OptionValue};
use super::message_format;
use super::secret::Secret;
use super::sources::{Connection, Environment, Kind};
use super::walk::{Field, Section, Text, Walk, shown};
use super::yaml::Value;

/// The keys that a data source may hold in the job's stead.
pub(super) const CONNECTION_KEYS: [&str; 2] = ["brokers", "options"];

/// The keys of `source.kafka` that are read here.
const KEYS: [&str; 6] = [
    "datasource",
    "brokers",
    "topic",
    "partitions",
    "group",
    "options",
];

/// Kafka's own limit, `Topic.MAX_NAME_LENGTH`.
const TOPIC_CHARS_MAX: usize = 249;

/// librdkafka's options that have a key of their own in the job file. What else the client refuses, it knows itself.
const OWN_OPTIONS: [(&str, &str); 3] = [
    ("bootstrap.servers", "brokers"),
    ("metadata.broker.list", "brokers"),
    ("group.id", "group"),
];

/// Parts of the names of librdkafka's options that hold passwords, keys and tokens.
const SECRET_PARTS: [&str; 6] = [
    "password",
    "secret",
    "key.pem",
    "oauthbearer.config",
    "assertion",
    "jaas",
];

impl Walk<'_> {
    pub(super) fn kafka<'n>(
        &mut self,
        section: &Section<'n>,
        environment: &Environment<'n>,
    ) -> Option<KafkaSource> {
        let keys = [&KEYS[..], &message_format::KEYS].concat();
        let inline = self.required_section(section, "kafka", &keys)?;
        let connection = environment.connection(self, inline, Kind::Kafka);
        let inline = &connection.inline;
        let advice = "name a `datasource`, or list them: `brokers: [\"host:9092\"]`";
        let brokers = connection.required(self, "brokers", advice);
        let brokers = brokers.and_then(|field| self.brokers(&field));
        let topic = self.required(inline, "topic", "name the topic to read");
        let topics = topic.and_then(|field| self.topics(&field));
        let partitions = inline.get("partitions");
        let partitions = partitions.and_then(|field| self.partitions(&field, topics.as_deref()));
        let group = inline.get("group").and_then(|field| self.name(&field));
        let format = self.message_format(inline);
        let options = self.options(&connection);
        Some(KafkaSource {
            brokers: brokers?,
            topics: topics?,
            partitions,
            group,
            format,
            options,
        })
    }

    /// A list of addresses, or one text with commas between them.
    fn brokers(&mut self, field: &Field<'_>) -> Option<Vec<String>> {
        let mut brokers = Vec::new();
        let mut good = true;
        let elements = field.elements().unwrap_or_else(|| vec![field.clone()]);
        for element in &elements {
            let Some(text) = self.text(element) else {
                good = false;
                continue;
            };
            for address in text.text.split(',').map(str::trim) {
                if is_address(address) {
                    brokers.push(address.to_owned());
                } else {
                    let text = Text {
                        text: address.to_owned(),
                        ..text
                    };
                    let message = format!(
                        "{} is no address of a broker; write `host:port`",
                        text.shown()
                    );
                    self.error(element, message);
                    good = false;
                }
            }
        }
        if good && brokers.is_empty() {
            self.error(field, "lists no broker; write at least one `host:port`");
            return None;
        }
        good.then_some(brokers)
    }

    /// A list of topics, or one.
    fn topics(&mut self, field: &Field<'_>) -> Option<Vec<String>> {
        let elements = field.elements().unwrap_or_else(|| vec![field.clone()]);
        if elements.is_empty() {
            self.error(field, "lists no topic; name at least one");
            return None;
        }
        let mut topics = Vec::with_capacity(elements.len());
        let mut good = true;
        for element in &elements {
            match self.topic(element) {
                Some(topic) if topics.contains(&topic) => {
                    let message = format!("{} is listed twice; leave one out", shown(&topic));
                    self.error(element, message);
                    good = false;
                }
                Some(topic) => topics.push(topic),
                None => good = false,
            }
        }
        good.then_some(topics)
    }

    /// The numbers of the topic partitions to read, in order.
    fn partitions(&mut self, field: &Field<'_>, topics: Option<&[String]>) -> Option<Vec<i32>> {
        if topics.is_some_and(|topics| topics.len() > 1) {
            let message = "chooses topic partitions of one topic, and several are listed; leave it out, or name one topic";
            self.error(field, message);
            return None;
        }
        let elements = field.elements().unwrap_or_else(|| vec![field.clone()]);
        if elements.is_empty() {
            self.error(
                field,
                "lists no topic partition; list numbers, or take the key out to read all",
            );
            return None;
        }
        let mut numbers = Vec::with_capacity(elements.len());
        let mut good = true;
        for element in &elements {
            let Some(text) = self.open_text(element) else {
                good = false;
                continue;
            };
            match partition_number(&text) {
                Some(number) if !numbers.contains(&number) => numbers.push(number),
                Some(number) => {
                    self.error(element, format!("{number} is listed twice; leave one out"));
                    good = false;
                }
                None => {
                    let message = format!(
                        "{} is no number of a topic partition; write 0 or a higher number",
                        shown(&text)
                    );
                    self.error(element, message);
                    good = false;
                }
            }
        }
        numbers.sort_unstable();
        good.then_some(numbers)
    }

    fn topic(&mut self, field: &Field<'_>) -> Option<String> {
        let topic = self.open_text(field)?;
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let problem = if topic.is_empty() || topic == "." || topic == ".." {
            "is no topic's name; name the topic to read".to_owned()
        } else if let Some(bad) = topic.chars().find(|c| !legal(*c)) {
            format!(
                "holds {bad:?}, and topics are named with letters, digits, `.`, `_` and `-`; name one topic"
            )
        } else if topic.len() > TOPIC_CHARS_MAX {
            format!(
                "has {} characters, and a topic has at most {TOPIC_CHARS_MAX}; check the name",
                topic.len()
            )
        } else {
            return Some(topic);
        };
        self.error(field, format!("{} {problem}", shown(&topic)));
        None
    }

    /// A text that isn't empty.
    pub(super) fn name(&mut self, field: &Field<'_>) -> Option<String> {
        let text = self.text(field)?;
        if text.text.trim().is_empty() {
            self.error(field, "is empty; write a value or take the key out");
            return None;
        }
        Some(text.text)
    }

    /// The options of the data source and of the job, which must not name the same one.
    fn options(&mut self, connection: &Connection<'_>) -> BTreeMap<String, OptionValue> {
        let mut options = BTreeMap::new();
        for section in connection.mappings(self, "options") {
            for (name, place, field) in section.fields() {
                let key = Field {
                    place,
                    ..field.clone()
                };
                if let Some((_, own)) = OWN_OPTIONS.iter().find(|(own, _)| *own == name) {
                    self.error(
                        &key,
                        format!("has a key of its own; write `{own}` beside `topic`"),
                    );
                } else if options.contains_key(name) {
                    self.error(
                        &key,
                        "is an option of the data source too; keep one of the two",
                    );
                } else if let Some(value) = self.option(name, &field) {
                    options.insert(name.to_owned(), value);
                }
            }
        }
        options
    }

    fn option(&mut self, name: &str, field: &Field<'_>) -> Option<OptionValue> {
        if !matches!(field.value, Value::Scalar(_)) {
            let kind = field.value.kind();
            let message = format!(
                "found {kind} where the option's value is expected; write the whole name with its dots as one key"
            );
            self.error(field, message);
            return None;
        }
        let secret = SECRET_PARTS.iter().any(|part| name.contains(part));
        let text = if secret {
            self.secret_text(field)?
        } else {
            self.text(field)?
        };
        if secret && !text.opaque {
            self.literal_secret(field);
        }
        if secret || text.opaque {
            return Some(OptionValue::Secret(Secret::new(text.text)));
        }
        Some(OptionValue::Plain(text.text))
    }

    /// Warns of a secret that anybody who reads the file sees.
    pub(super) fn literal_secret(&mut self, field: &Field<'_>) {
        let message = "is a secret written into the file, for all its readers; take it from the environment, as \
                       `${env.NAME}`";
        self.warning(field, message);
    }
}

/// The number of a topic partition.
pub(super) fn partition_number(text: &str) -> Option<i32> {
    text.parse().ok().filter(|number| *number >= 0)
}

/// `host`, `host:port`, `[::1]:port`, each after an optional `PROTOCOL://`, as librdkafka reads them.
fn is_address(text: &str) -> bool {
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let named = |host: &str| {
        !host.is_empty()
            && host
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
    };
    let numbered = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
    inner.map_or_else(|| named(host), numbered)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_hosts_with_ports() {
        for good in [
            "localhost",
            "127.0.0.1:9092",
            "kafka-1.example.com:9093",
            "[::1]:9092",
            "[::1]",
            "SSL://b:9093",
        ] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            ":9092",
            "a b:9092",
            "h:",
            "h:0",
            "h:65536",
            "h:x",
            "::1",
            "[x]:9092",
            "u:p@h:9092",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
