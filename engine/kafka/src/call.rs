//! Calls that need an answer: retried while time is left, with the real cause when there is none.

use std::time::Duration;

use engine_model::limits::FIRST_CONTACT_S_MAX;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};

use crate::clock;
use crate::error::{Error, ErrorKind, Result, kind_of, passes};
use crate::settings::Settings;
use crate::watch::Watch;

/// Longest wait for a first answer from the brokers.
pub(crate) const FIRST_CONTACT: Duration = Duration::from_secs(FIRST_CONTACT_S_MAX);

/// When every address has had trouble, librdkafka still goes on: a name may have a second address, and a broker may be
/// starting. After this long without a first answer neither is likely.
pub(crate) const HOPELESS_PATIENCE: Duration = Duration::from_secs(3);

/// First of the growing waits into which a call is cut, so that trouble is heard of between them.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// How long to listen for what librdkafka has to say after a wait without an answer.
const LISTEN: Duration = Duration::from_millis(5);
/// How long nothing has to come for all to be heard that librdkafka has said since the last call. A poll that does not wait
/// would end with the first log line.
const SILENCE: Duration = Duration::from_millis(1);

/// Makes `attempt` until it answers, at most for [`FIRST_CONTACT`]. Trouble of before does not count once brokers have
/// answered: a client may have been without a call for hours, and nobody listened to it. `what` names the purpose in the error for silence,
/// as in "no answer from … while `what`".
pub(crate) fn call<T>(
    consumer: &BaseConsumer<Watch>,
    settings: &Settings,
    what: &str,
    mut attempt: impl FnMut(Duration) -> KafkaResult<T>,
) -> Result<T> {
    let watch = consumer.context();
    while consumer.poll(SILENCE).is_some() {}
    watch.forget_trouble();
    let brokers = settings.broker_list();
    let deadline = clock::now() + FIRST_CONTACT;
    let mut wait = FIRST_WAIT;
    loop {
        let started = clock::now();
        let left = deadline.saturating_duration_since(started);
        if left.is_zero() {
            return Err(no_answer(watch, &brokers, what));
        }
        let error = match attempt(wait.min(left)) {
            Ok(answer) => {
                watch.note_answer();
                return Ok(answer);
            }
            Err(error) => error,
        };
        listen(consumer, LISTEN);
        if !error.rdkafka_error_code().is_some_and(passes) {
            return Err(refused(&error, &brokers, what));
        }
        if let Some(trouble) = watch.trouble() {
            let waited = FIRST_CONTACT.saturating_sub(left) + started.elapsed();
            let refused = kind_of(trouble.code) == ErrorKind::Authentication;
            if refused || watch.is_hopeless() && waited >= HOPELESS_PATIENCE {
                return Err(trouble.error(&brokers));
            }
        }
        // An attempt that failed at once is not repeated at once.
        listen(consumer, wait.min(left).saturating_sub(started.elapsed()));
        wait *= 2;
    }
}

/// The error for brokers that stay silent, with the trouble that librdkafka has with them where it has any.
fn no_answer(watch: &Watch, brokers: &str, what: &str) -> Error {
    watch.trouble().map_or_else(
        || {
            let message = format!(
                "no answer from kafka brokers {brokers} within {FIRST_CONTACT_S_MAX} s while {what}; check the \
                 addresses, the network and `security.protocol`"
            );
            Error::new(ErrorKind::Timeout, message)
        },
        |trouble| trouble.error(brokers),
    )
}

/// Lets librdkafka hand over what it has to say, for as long as `time`.
pub(crate) fn listen(consumer: &BaseConsumer<Watch>, time: Duration) {
    let deadline = clock::now() + time;
    loop {
        let left = deadline.saturating_duration_since(clock::now());
        // Nothing comes but errors, and the watch has those.
        if left.is_zero() || consumer.poll(left).is_none() {
            return;
        }
    }
}

fn refused(error: &KafkaError, brokers: &str, what: &str) -> Error {
    let kind = error.rdkafka_error_code().map_or(ErrorKind::Other, kind_of);
    let advice = match kind {
        ErrorKind::Authorization => "; ask for the permission, or use another log-in",
        ErrorKind::UnknownTopic => "; check the topic's name and the brokers' addresses",
        _ => "",
    };
    Error::new(
        kind,
        format!("kafka brokers {brokers}, while {what}: {error}{advice}"),
    )
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientContext as _;
    use rdkafka::error::RDKafkaErrorCode as Code;

    use super::*;
    use crate::client::Client;
    use crate::testing::{Cluster, TOPIC};

    /// A call whose first attempt gets no answer.
    fn slow_call(client: &Client) -> Result<usize> {
        let mut attempts = 0;
        client.call("trying", |_| {
            attempts += 1;
            match attempts {
                1 => Err(KafkaError::MetadataFetch(Code::OperationTimedOut)),
                attempts => Ok(attempts),
            }
        })
    }

    #[test]
    fn trouble_of_before_ends_no_later_call() {
        let cluster = Cluster::new();
        let client = Client::new(&cluster.settings()).unwrap();
        client.topic(TOPIC).unwrap();
        let no_token = || {
            let cause = "Failed to acquire SASL OAUTHBEARER token: gone";
            let watch = client.consumer.context();
            watch.error(KafkaError::Global(Code::Authentication), cause);
        };
        no_token();
        assert_eq!(slow_call(&client).unwrap(), 2);
        // While the call is made it counts.
        let refused = client.call("trying", |_| {
            no_token();
            Err::<(), _>(KafkaError::MetadataFetch(Code::OperationTimedOut))
        });
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Authentication);
    }

    #[test]
    fn trouble_that_nobody_has_listened_to_is_heard_before_a_call() {
        let cluster = Cluster::new();
        let settings = cluster.settings();
        let client = Client::new(&settings).unwrap();
        client.topic(TOPIC).unwrap();
        cluster.mock.broker_down(1).unwrap();
        let asked = client.consumer.fetch_metadata(Some(TOPIC), FIRST_WAIT);
        assert!(asked.is_err(), "the broker is down");
        assert_eq!(client.consumer.context().trouble(), None, "not yet heard");
        let found = client.call("trying", |_| Ok(client.consumer.context().trouble()));
        assert_eq!(found.unwrap(), None);
        // Nothing is left to be heard.
        listen(&client.consumer, LISTEN);
        assert_eq!(client.consumer.context().trouble(), None);
    }
}
