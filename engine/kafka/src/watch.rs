//! What librdkafka says on its own: log lines, and errors that belong to no call.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::check::{ApiVersions, api_version};
use crate::error::{Error, ErrorKind, kind_of};
use crate::settings::Settings;

/// Listens to one librdkafka client, so that an error can name its cause and nothing goes to standard error.
#[derive(Debug)]
pub(crate) struct Watch {
    settings: Settings,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    api_versions: ApiVersions,
    trouble: Option<Trouble>,
    /// Configured addresses that had trouble.
    troubled: BTreeSet<String>,
    last: Option<(Code, String)>,
    /// Whether an error was logged that no event told of.
    logged: bool,
    /// Whether brokers have answered this very client.
    answered: bool,
}

/// Why a broker can't be talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) code: Code,
    /// `host:port`, where librdkafka names one.
    pub(crate) address: Option<String>,
    /// The cause, as a part of a sentence.
    pub(crate) cause: String,
    /// Whether tokens for the log-in are asked for at an OAuth endpoint.
    pub(crate) asks_for_tokens: bool,
}

/// How librdkafka knows a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Its address is one of the settings'.
    Configured,
    /// The cluster told its address and number.
    Learned,
}

impl Watch {
    /// Listens to a client that is made with `settings`.
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
            heard: Mutex::default(),
        }
    }

    /// The last trouble with a connection since [`Watch::note_answer`] and [`Watch::forget_trouble`].
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.heard().trouble.clone()
    }

    /// Whether brokers have never answered, and each configured address had trouble.
    ///
    /// librdkafka has an event for "all brokers down", but does not send it in each such case.
    pub(crate) fn is_hopeless(&self) -> bool {
        !self.answered() && self.heard().troubled.len() >= self.settings.brokers().len()
    }

    /// Whether brokers have answered any client of these settings.
    pub(crate) fn answered(&self) -> bool {
        self.settings.answered()
    }

    /// Call when brokers have answered: older trouble is no cause of what comes later.
    pub(crate) fn note_answer(&self) {
        self.settings.note_answer();
        let mut heard = self.heard();
        heard.answered = true;
        heard.forget_trouble();
    }

    /// Call before something new is asked: trouble that came after an answer was got over, or will be heard of again. What a
    /// client heard before its first answer stays, for it tells why there is none.
    pub(crate) fn forget_trouble(&self) {
        let mut heard = self.heard();
        if heard.answered {
            heard.forget_trouble();
        }
    }

    /// The text of the last error event, when it had this code.
    pub(crate) fn reason(&self, code: Code) -> Option<String> {
        let heard = self.heard();
        let (last, reason) = heard.last.as_ref()?;
        (*last == code).then(|| reason.clone())
    }

    /// Whether librdkafka has logged an error since this was asked last. Those of a topic partition that has a queue of its own
    /// come in no other way, without their code.
    pub(crate) fn take_logged_error(&self) -> bool {
        mem::take(&mut self.heard().logged)
    }

    /// Versions of requests that brokers take, where the client was made to be told.
    pub(crate) fn api_versions(&self) -> ApiVersions {
        self.heard().api_versions.clone()
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        // Nothing that holds the lock leaves the value half changed.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn forget_trouble(&mut self) {
        self.trouble = None;
        self.troubled.clear();
    }
}

impl ClientContext for Watch {
    fn log(&self, _level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        if fac == "ERROR" {
            self.heard().logged = true;
        } else if fac == "APIVERSION"
            && let Some((key, highest)) = api_version(log_message)
        {
            self.heard().api_versions.insert(key, highest);
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        // It names no cause and comes after those that do.
        if code == Code::AllBrokersDown {
            return;
        }
        let mut heard = self.heard();
        if matches!(
            kind_of(code),
            ErrorKind::Connect | ErrorKind::Authentication
        ) {
            let (origin, mut trouble) = Trouble::new(code, reason);
            trouble.cause = self.settings.conceal(&trouble.cause);
            trouble.asks_for_tokens = self.settings.asks_for_tokens();
            match origin {
                Some(Origin::Configured) => heard.troubled.extend(trouble.address.clone()),
                // Only the cluster's metadata tells a broker's number.
                Some(Origin::Learned) => self.settings.note_answer(),
                None => {}
            }
            heard.trouble = Some(trouble);
        }
        heard.last = Some((code, self.settings.conceal(reason)));
    }
}

impl ConsumerContext for Watch {}

impl Trouble {
    /// Reads `[protocol://]host:port/node: cause (after 0ms in state CONNECT)`.
    fn new(code: Code, reason: &str) -> (Option<Origin>, Self) {
        let named = reason
            .split_once(": ")
            .and_then(|(name, rest)| Some((address_of(name)?, rest)));
        let (origin, address, rest) = match named {
            Some(((origin, address), rest)) => (Some(origin), Some(address), rest),
            None => (None, None, reason),
        };
        let rest = rest
            .split_once(" (after ")
            .map_or(rest, |(before, _)| before);
        let cause = match rest.split_once(" failed: ") {
            Some((connect, cause)) if connect.starts_with("Connect to ") => cause,
            _ => rest,
        };
        let trouble = Self {
            code,
            address,
            cause: decapitalized(cause),
            asks_for_tokens: false,
        };
        (origin, trouble)
    }

    /// The error that says so.
    pub(crate) fn error(&self, brokers: &str) -> Error {
        let address = self.address.as_deref().unwrap_or(brokers);
        let cause = &self.cause;
        let kind = kind_of(self.code);
        let message = match kind {
            ErrorKind::Authentication if cause.contains("OAUTHBEARER token") => format!(
                "no log-in at broker {address}: {cause}; {}",
                self.token_advice()
            ),
            ErrorKind::Authentication => format!(
                "broker {address} refused the log-in: {cause}; check `sasl.mechanism`, `sasl.username` and \
                 `sasl.password`"
            ),
            _ => format!("cannot reach broker {address}: {cause}; {}", self.advice()),
        };
        Error::new(kind, message)
    }

    /// What to check where there is no token to log in with.
    fn token_advice(&self) -> &'static str {
        let says = |part| self.cause.contains(part);
        if !self.asks_for_tokens {
            "check `sasl.oauthbearer.config`, or set `sasl.oauthbearer.method` to `oidc` and what goes with it"
        } else if says("SSL") && says("cert") || says("error setting certificate") {
            "check that `https.ca.location` or `https.ca.pem` names the authority of the token endpoint's certificate, and \
             that the certificate names the host of `sasl.oauthbearer.token.endpoint.url`"
        } else {
            "check `sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id` and `sasl.oauthbearer.client.secret`"
        }
    }

    /// What to check where a broker can't be reached.
    fn advice(&self) -> &'static str {
        let says = |part| self.cause.contains(part);
        if says("certificate verify failed") {
            "check that `ssl.ca.location` names the authority of the broker's certificate, and that the certificate names \
             this host"
        } else if says(" alert ") && (says("certificate") || says("unknown ca")) {
            "the broker wants a client's certificate that it trusts: check `ssl.certificate.location` and \
             `ssl.key.location`, or `ssl.keystore.location`"
        } else {
            "check the address, the network and `security.protocol`"
        }
    }
}

fn address_of(name: &str) -> Option<(Origin, String)> {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let (address, node) = name.rsplit_once('/')?;
    let origin = match node {
        "bootstrap" => Origin::Configured,
        number => number.parse::<i32>().ok().map(|_| Origin::Learned)?,
    };
    address.contains(':').then(|| (origin, address.to_owned()))
}

/// Lower-cases the first letter of a sentence, but leaves `SSL …` alone.
fn decapitalized(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            let rest = text.get(first.len_utf8()..).unwrap_or_default();
            first.to_lowercase().chain(rest.chars()).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::OptionText;

    use super::*;

    fn watch(brokers: &[&str]) -> Watch {
        Watch::new(&Settings::new(brokers, [("", ""); 0]).unwrap())
    }

    fn gone(watch: &Watch, broker: &str) {
        watch.error(
            KafkaError::Global(Code::BrokerTransportFailure),
            &format!("{broker}: Gone"),
        );
    }

    #[test]
    fn the_cause_is_found_in_what_librdkafka_says() {
        for (code, reason, text) in [
            (
                Code::BrokerTransportFailure,
                "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state \
                 CONNECT)",
                "cannot reach broker 127.0.0.1:1: connection refused; check the address, the network and \
                 `security.protocol`",
            ),
            (
                Code::SSL,
                "ssl://[::1]:9093/3: SSL handshake failed: certificate verify failed (after 4ms in state \
                 SSL_HANDSHAKE, 2 identical error(s) suppressed)",
                "cannot reach broker [::1]:9093: SSL handshake failed: certificate verify failed; check that \
                 `ssl.ca.location` names the authority of the broker's certificate, and that the certificate names this \
                 host",
            ),
            (
                Code::SSL,
                "ssl://a:9093/bootstrap: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate \
                 required: SSL alert number 116 (after 9ms in state APIVERSION_QUERY)",
                "cannot reach broker a:9093: receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate \
                 required: SSL alert number 116; the broker wants a client's certificate that it trusts: check \
                 `ssl.certificate.location` and `ssl.key.location`, or `ssl.keystore.location`",
            ),
            (
                Code::Resolve,
                "nohost:9092/bootstrap: Failed to resolve 'nohost:9092': Name or service not known (after 1ms in \
                 state CONNECT)",
                "cannot reach broker nohost:9092: failed to resolve 'nohost:9092': Name or service not known; check \
                 the address, the network and `security.protocol`",
            ),
            (
                Code::Authentication,
                "sasl_plaintext://a:1/bootstrap: SASL authentication error: Authentication failed (after 9ms in state \
                 AUTH_REQ)",
                "broker a:1 refused the log-in: SASL authentication error: Authentication failed; check \
                 `sasl.mechanism`, `sasl.username` and `sasl.password`",
            ),
            (
                Code::BrokerTransportFailure,
                "something: else",
                "cannot reach broker b1:9092: something: else; check the address, the network and `security.protocol`",
            ),
        ] {
            let (_, trouble) = Trouble::new(code, reason);
            assert_eq!(trouble.error("b1:9092").to_string(), text);
        }
    }

    #[test]
    fn what_to_check_for_a_token_depends_on_where_it_comes_from() {
        let told = |method, cause: &str| {
            let options = [("sasl.oauthbearer.method", method)];
            let watch = Watch::new(&Settings::new(["a:1"], options).unwrap());
            let reason = format!("Failed to acquire SASL OAUTHBEARER token: {cause}");
            watch.error(KafkaError::Global(Code::Authentication), &reason);
            watch.trouble().unwrap().error("a:1").to_string()
        };
        let refused = "{\"error\":\"invalid_client\"}";
        let (url, authority, config) = (
            "check `sasl.oauthbearer.token.endpoint.url`, `sasl.oauthbearer.client.id`",
            "check that `https.ca.location` or `https.ca.pem` names the authority",
            "check `sasl.oauthbearer.config`",
        );
        for (method, cause, advice) in [
            ("oidc", refused, url),
            ("OIDC", "Could not resolve host: login (-1)", url),
            (
                "oidc",
                "SSL certificate problem: unable to get local issuer certificate (-1)",
                authority,
            ),
            (
                "oidc",
                "SSL: no alternative certificate subject name matches target host name 'login' (-1)",
                authority,
            ),
            (
                "oidc",
                "error setting certificate verify locations: CAfile: /a.pem (-1)",
                authority,
            ),
            ("default", "Invalid sasl.oauthbearer.config", config),
        ] {
            let text = told(method, cause);
            let start = "no log-in at broker a:1: failed to acquire SASL OAUTHBEARER token: ";
            assert!(text.starts_with(start), "{text}");
            assert!(text.contains(&format!("; {advice}")), "{text}");
        }
    }

    #[test]
    fn trouble_is_kept_until_an_answer_comes() {
        let watch = watch(&["a:1", "b:1"]);
        gone(&watch, "a:1/bootstrap");
        gone(&watch, "a:1/bootstrap");
        assert!(!watch.is_hopeless());
        gone(&watch, "b:1/bootstrap");
        watch.error(
            KafkaError::Global(Code::AllBrokersDown),
            "2/2 brokers are down",
        );
        assert!(watch.is_hopeless());
        let trouble = watch.trouble().unwrap();
        assert_eq!(
            (trouble.address.as_deref(), trouble.cause.as_str()),
            (Some("b:1"), "gone")
        );
        watch.note_answer();
        assert_eq!(watch.trouble(), None);
        gone(&watch, "a:1/bootstrap");
        gone(&watch, "b:1/bootstrap");
        assert!(watch.answered() && !watch.is_hopeless());
    }

    #[test]
    fn trouble_of_before_a_call_is_forgotten_once_brokers_have_answered() {
        let settings = Settings::new(["a:1"], [("", ""); 0]).unwrap();
        let watch = Watch::new(&settings);
        gone(&watch, "a:1/bootstrap");
        watch.forget_trouble();
        assert!(watch.trouble().is_some() && watch.is_hopeless());
        watch.note_answer();
        gone(&watch, "a:1/bootstrap");
        watch.forget_trouble();
        assert_eq!(watch.trouble(), None);

        // That claims nothing of the cluster, and another client still knows why it has no answer.
        let other = Watch::new(&settings);
        gone(&other, "a:1/bootstrap");
        other.forget_trouble();
        assert!(other.trouble().is_some());
    }

    #[test]
    fn an_answer_to_one_client_is_known_to_all_of_its_settings() {
        let settings = Settings::new(["a:1"], [("", ""); 0]).unwrap();
        let (asking, reading) = (Watch::new(&settings), Watch::new(&settings));
        asking.note_answer();
        gone(&reading, "a:1/bootstrap");
        assert!(reading.answered() && !reading.is_hopeless());
        let alone = Watch::new(&settings.only_broker("a:1"));
        gone(&alone, "a:1/bootstrap");
        assert!(alone.is_hopeless(), "each address is checked by itself");
    }

    #[test]
    fn a_broker_that_the_cluster_named_shows_that_the_cluster_answered() {
        let watch = watch(&["a:1", "b:1"]);
        gone(&watch, "a:1/bootstrap");
        gone(&watch, "ssl://c:1/3");
        assert!(watch.answered() && !watch.is_hopeless());
        assert_eq!(watch.trouble().unwrap().address.as_deref(), Some("c:1"));
    }

    #[test]
    fn opaque_values_show_in_no_cause() {
        let options = [("client.id", OptionText::Opaque("hunter2".to_owned()))];
        let watch = Watch::new(&Settings::new(["a:1"], options).unwrap());
        watch.error(
            KafkaError::Global(Code::Authentication),
            "a:1/bootstrap: Client hunter2 is refused",
        );
        assert_eq!(watch.trouble().unwrap().cause, "client … is refused");
        let reason = watch.reason(Code::Authentication).unwrap();
        assert_eq!(reason, "a:1/bootstrap: Client … is refused");
    }
}
