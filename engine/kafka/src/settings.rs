//! librdkafka's settings: what the user chose, what suits bulk reading, and what is the engine's own.

mod option_text;
mod owned;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use crate::error::{Error, ErrorKind, Result};
use option_text::HIDDEN;
use owned::{HINTS, IN_COMMAND, JAVA, OWNED};

pub use option_text::OptionText;

/// A read fails after waiting this long for the next message or the end of the log. A leader election or a broker's
/// restart takes some ten seconds.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);

/// The group that readers name, for librdkafka assigns by hand only to a consumer with a group. Nothing joins it and
/// nothing is committed with it.
const READER_GROUP: &str = "tidegate-reader";

/// Least byte budget of a reader: below it librdkafka's queue would hold less than one batch of most topics.
const BUDGET_BYTES_MIN: usize = 1 << 20;
/// Asked of a broker at once, at most. Larger requests were no faster on either side.
const FETCH_BYTES_MAX: usize = 8 << 20;
/// Upper bound that librdkafka has for `queued.max.messages.kbytes`.
const QUEUE_KBYTES_MAX: usize = 2_097_151;

/// Other spellings that librdkafka takes for an option, the canonical one second.
const ALIASES: &[(&str, &str)] = &[
    ("auto.commit.enable", "enable.auto.commit"),
    ("bootstrap.servers", "metadata.broker.list"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    (
        "sasl.oauthbearer.client.credentials.client.id",
        "sasl.oauthbearer.client.id",
    ),
    (
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.client.secret",
    ),
    ("sasl.mechanism", "sasl.mechanisms"),
];

/// Used unless the user's options say otherwise.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "tidegate"),
    // Whenever the bounded queue is full the fetcher sleeps this long. The default of 1000 costs up to a third of the
    // throughput; 0 makes it spin where reading is not the slowest step.
    ("fetch.queue.backoff.ms", "5"),
    // A broker waits this long only at the end of its log, where nothing is left to read: the answer is what ends a
    // range, and a seek waits for it too.
    ("fetch.wait.max.ms", "10"),
    ("isolation.level", "read_committed"),
    // A broker that comes back is found within seconds; the default of 10000 is for thousands of idle clients.
    ("reconnect.backoff.max.ms", "2000"),
    // Below the 10 s of a first contact, so that its error can tell which step of connecting took too long.
    ("socket.connection.setup.timeout.ms", "8000"),
];

/// How to reach the brokers and how to read from them. Checked when made; holds secrets, which its `Debug` hides.
///
/// Copies of one value share what is known of the cluster: that it answers at all.
#[derive(Clone)]
pub struct Settings {
    brokers: Vec<String>,
    options: BTreeMap<String, OptionText>,
    headers: bool,
    stall_timeout: Duration,
    answered: Arc<AtomicBool>,
}

impl Settings {
    /// Takes broker addresses (`host:port`, one or several in a text) and librdkafka's options, and checks the options
    /// as far as this is possible without a connection. Values of options that hold secrets by their name are opaque.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidOption`], naming the option and what to write instead.
    pub fn new<B, O, N, V>(brokers: B, options: O) -> Result<Self>
    where
        B: IntoIterator<Item: AsRef<str>>,
        O: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: Into<OptionText>,
    {
        let mut addresses: Vec<String> = Vec::new();
        for text in brokers {
            let parts = text.as_ref().split(',').map(str::trim);
            addresses.extend(parts.filter(|part| !part.is_empty()).map(str::to_owned));
        }
        if addresses.is_empty() {
            return Err(invalid(
                "no kafka broker is given; list at least one `host:port`",
            ));
        }
        let mut canonical = BTreeMap::new();
        for (name, value) in options {
            let (name, value) = (name.as_ref(), value.into());
            refuse_owned(name, value.expose())?;
            refuse_command(name, value.expose())?;
            let value = match value {
                OptionText::Plain(text) if is_secret(name) => OptionText::Opaque(text),
                value => value,
            };
            if canonical
                .insert(canonical_name(name).to_owned(), value)
                .is_some()
            {
                return Err(invalid(format!(
                    "kafka option {name:?} is given twice, perhaps under another spelling; leave one out"
                )));
            }
        }
        let settings = Self {
            brokers: addresses,
            options: canonical,
            headers: false,
            stall_timeout: STALL_TIMEOUT,
            answered: Arc::default(),
        };
        settings.check_log_in()?;
        settings
            .for_reader(BUDGET_BYTES_MIN)
            .create_native_config()
            .map_err(|error| settings.refused(&error))?;
        Ok(settings)
    }

    /// Whether readers copy headers too. Off unless asked for: they cost about as much as all the rest of a small
    /// message.
    #[must_use]
    pub fn with_headers(mut self, headers: bool) -> Self {
        self.headers = headers;
        self
    }

    /// Sets how long a read waits for the next message or the end of the log; [`STALL_TIMEOUT`] otherwise.
    #[must_use]
    pub fn with_stall_timeout(mut self, stall_timeout: Duration) -> Self {
        self.stall_timeout = stall_timeout;
        self
    }

    /// The broker addresses, one in each text.
    pub fn brokers(&self) -> &[String] {
        &self.brokers
    }

    /// Whether only messages of committed transactions are read: the default, unless `isolation.level` says otherwise.
    pub fn read_committed(&self) -> bool {
        self.option("isolation.level")
            .is_none_or(|level| level.eq_ignore_ascii_case("read_committed"))
    }

    pub(crate) fn headers(&self) -> bool {
        self.headers
    }

    pub(crate) fn stall_timeout(&self) -> Duration {
        self.stall_timeout
    }

    /// Whether brokers have answered a client of these settings, in this process.
    pub(crate) fn answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Notes that brokers have answered.
    pub(crate) fn note_answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// The addresses as one text, for errors.
    pub(crate) fn broker_list(&self) -> String {
        self.brokers.join(", ")
    }

    /// The same settings with one address instead of all, of which nothing is known yet.
    pub(crate) fn only_broker(&self, address: &str) -> Self {
        Self {
            brokers: vec![address.to_owned()],
            answered: Arc::default(),
            ..self.clone()
        }
    }

    /// For metadata and offsets: a consumer without a group, which can't read.
    pub(crate) fn for_calls(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        // Not by the global log level: what matters comes as an error too.
        config.set_log_level(RDKafkaLogLevel::Error);
        for (name, value) in DEFAULTS {
            config.set(*name, *value);
        }
        if self.encrypted() && !self.names_authorities() {
            // The OpenSSL that is linked in knows no system's certificate store by itself.
            config.set("ssl.ca.location", "probe");
        }
        if self.asks_for_tokens() && !self.names_web_authorities() {
            config.set("https.ca.location", "probe");
        }
        for (name, value) in &self.options {
            config.set(name, value.expose());
        }
        for (name, fixed, _) in OWNED {
            if let Some(value) = fixed {
                config.set(*name, *value);
            }
        }
        config.set("metadata.broker.list", self.brokers.join(","));
        config
    }

    /// For offsets up to the high watermark, also where a transaction is open.
    pub(crate) fn for_uncommitted(&self) -> ClientConfig {
        let mut config = self.for_calls();
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// For calls that also tell which versions of requests a broker takes: librdkafka says so only in its log.
    pub(crate) fn for_check(&self) -> ClientConfig {
        let mut config = self.for_calls();
        let debug = config
            .get("debug")
            .map(|topics| format!("{topics},feature"));
        config.set("debug", debug.as_deref().unwrap_or("feature"));
        config.set_log_level(RDKafkaLogLevel::Debug);
        config
    }

    /// For reading, with at most about `budget` bytes fetched ahead: three quarters wait in librdkafka's queue, one is
    /// under way. Compressed batches can exceed the latter by what they unpack to.
    pub(crate) fn for_reader(&self, budget: usize) -> ClientConfig {
        let budget = budget.max(BUDGET_BYTES_MIN);
        let fetch = (budget / 4).min(FETCH_BYTES_MAX);
        let queue_kbytes = ((budget - fetch) / 1024).min(QUEUE_KBYTES_MAX);
        let mut config = self.for_calls();
        if !self.options.contains_key("fetch.message.max.bytes") {
            config.set("fetch.message.max.bytes", fetch.to_string());
        }
        config.set("queued.max.messages.kbytes", queue_kbytes.to_string());
        config.set("group.id", READER_GROUP);
        config
    }

    /// For the offsets of `group`.
    pub(crate) fn for_group(&self, group: &str) -> ClientConfig {
        let mut config = self.for_calls();
        config.set("group.id", group);
        config
    }

    /// The error for a client that librdkafka did not want to make or a value that it refused.
    pub(crate) fn refused(&self, error: &KafkaError) -> Error {
        match error {
            KafkaError::ClientConfig(_, description, name, _) => {
                let java = JAVA.iter().find(|(java, _)| java == name);
                if let Some((_, advice)) = java {
                    return invalid(format!(
                        "kafka option {name:?} is written for the Java client; {advice}"
                    ));
                }
                // The description may hold the value in a form of its own, as a number does.
                if let Some(OptionText::Opaque(_)) = self.options.get(name) {
                    return invalid(format!(
                        "kafka option {name:?} or its value is refused; librdkafka's CONFIGURATION.md lists all options"
                    ));
                }
                let description = self.conceal(description.trim_end_matches('.'));
                invalid(format!(
                    "kafka option {name:?}: librdkafka says: {description}; its CONFIGURATION.md lists all options"
                ))
            }
            KafkaError::ClientCreation(description) => {
                let hint = HINTS.iter().find(|(part, _)| description.contains(part));
                let hint = hint.map_or_else(String::new, |(_, hint)| format!("; {hint}"));
                let description = self.conceal(description.trim_end_matches('.'));
                invalid(format!(
                    "the kafka options do not go together; librdkafka says: {description}{hint}"
                ))
            }
            KafkaError::Nul(_) => invalid("a kafka option or broker address holds a NUL character"),
            other => {
                let cause = self.conceal(&other.to_string());
                Error::new(
                    ErrorKind::Other,
                    format!("cannot make a kafka client: {cause}"),
                )
            }
        }
    }

    /// `text` of librdkafka's without the opaque values in it.
    pub(crate) fn conceal(&self, text: &str) -> String {
        let mut values: Vec<&str> = self
            .options
            .values()
            .filter_map(|value| match value {
                OptionText::Opaque(value) => Some(value.trim()),
                OptionText::Plain(_) => None,
            })
            .filter(|value| !value.is_empty())
            .collect();
        // One value may be a part of another.
        values.sort_by_key(|value| Reverse(value.len()));
        values
            .into_iter()
            .fold(text.to_owned(), |text, value| text.replace(value, HIDDEN))
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(OptionText::expose)
    }

    /// Whether tokens come from an OAuth endpoint.
    pub(crate) fn asks_for_tokens(&self) -> bool {
        self.option("sasl.oauthbearer.method")
            .is_some_and(|method| method.eq_ignore_ascii_case("oidc"))
    }

    fn protocol(&self) -> String {
        let protocol = self.option("security.protocol");
        protocol.map_or_else(String::new, str::to_ascii_lowercase)
    }

    fn encrypted(&self) -> bool {
        self.protocol().ends_with("ssl")
    }

    fn names_authorities(&self) -> bool {
        ["ssl.ca.location", "ssl.ca.pem", "ssl.ca.certificate.stores"]
            .into_iter()
            .any(|name| self.options.contains_key(name))
    }

    fn names_web_authorities(&self) -> bool {
        ["https.ca.location", "https.ca.pem"]
            .into_iter()
            .any(|name| self.options.contains_key(name))
    }

    /// librdkafka would try Kerberos unless told otherwise, and where it is not built in talk of recompiling.
    fn check_log_in(&self) -> Result<()> {
        if !self.protocol().starts_with("sasl") {
            return Ok(());
        }
        let Some(mechanism) = self.option("sasl.mechanisms") else {
            return Err(invalid(
                "kafka option \"security.protocol\" asks for a log-in, but \"sasl.mechanism\" is missing; set it to \
                 PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER or GSSAPI",
            ));
        };
        if mechanism.eq_ignore_ascii_case("GSSAPI") && !cfg!(feature = "gssapi") {
            return Err(invalid(
                "kafka option \"sasl.mechanism\" asks for Kerberos, which this build does not have; build tidegate with \
                 `--features gssapi`, or log in with PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("options", &self.options)
            .field("headers", &self.headers)
            .field("stall_timeout", &self.stall_timeout)
            .finish_non_exhaustive()
    }
}

fn refuse_owned(name: &str, value: &str) -> Result<()> {
    let canonical = canonical_name(name);
    let Some((_, fixed, reason)) = OWNED.iter().find(|(owned, _, _)| *owned == canonical) else {
        return Ok(());
    };
    if fixed.is_some_and(|fixed| fixed.eq_ignore_ascii_case(value.trim())) {
        return Ok(());
    }
    Err(invalid(format!(
        "kafka option {name:?} is not for a job to set: {reason}"
    )))
}

/// Refuses what a shell takes for more than a word.
fn refuse_command(name: &str, value: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || "/._-@:+=,".contains(c);
    if !IN_COMMAND.contains(&name) || value.chars().all(plain) && !value.starts_with('-') {
        return Ok(());
    }
    Err(invalid(format!(
        "kafka option {name:?} becomes a part of the command line of `kinit`, so it has letters, digits and `/._-@:+=,` alone, \
         and no `-` at its start; rename the file or the principal"
    )))
}

fn canonical_name(name: &str) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == name);
    alias.map_or(name, |(_, canonical)| canonical)
}

fn is_secret(name: &str) -> bool {
    [
        "password",
        "secret",
        "username",
        "key.pem",
        "private.key",
        "oauthbearer.config",
        "jaas",
    ]
    .into_iter()
    .any(|part| name.contains(part))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOption, message)
}
