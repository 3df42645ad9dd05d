//! Which of the configured addresses answer.

mod release;
#[cfg(test)]
mod tests;

use std::thread;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;

use crate::call::listen;
use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::settings::Settings;

pub use release::KafkaRelease;
pub(crate) use release::{ApiVersions, api_version};

/// Addresses that are tried at the same time, at most.
const CHECKS_MAX: usize = 16;
/// How long to listen for what librdkafka has logged before the answer; ample on a busy machine.
const LISTEN: Duration = Duration::from_millis(100);

/// What came of trying one configured address on its own.
#[derive(Clone, Debug)]
pub struct BrokerCheck {
    /// The address as configured.
    pub address: String,
    /// The release that it is, as far as this can be told, or why it did not answer.
    pub result: Result<Option<KafkaRelease>>,
}

/// Tries each configured address by itself, all at once, in the order of the settings. Each gets
/// [`FIRST_CONTACT_S_MAX`](engine_model::limits::FIRST_CONTACT_S_MAX) seconds.
///
/// A load needs only one that answers; the others are what fails when that one is down. The addresses that the cluster
/// gives itself are in [`TopicMetadata::brokers`](crate::TopicMetadata::brokers); `topic` serves to ask for something.
pub fn check_brokers(settings: &Settings, topic: &str) -> Vec<BrokerCheck> {
    let mut checks = Vec::with_capacity(settings.brokers().len());
    for addresses in settings.brokers().chunks(CHECKS_MAX) {
        thread::scope(|scope| {
            let running: Vec<_> = addresses
                .iter()
                .map(|address| {
                    let check = thread::Builder::new()
                        .name("kafka-check".to_owned())
                        .spawn_scoped(scope, || check_broker(settings, address, topic));
                    (address, check)
                })
                .collect();
            checks.extend(running.into_iter().map(|(address, check)| {
                let result = match check.map(thread::ScopedJoinHandle::join) {
                    Ok(Ok(result)) => result,
                    Ok(Err(_)) => Err(not_checked(address, "its thread panicked")),
                    Err(error) => Err(not_checked(address, &error.to_string())),
                };
                BrokerCheck {
                    address: address.clone(),
                    result,
                }
            }));
        });
    }
    checks
}

fn check_broker(settings: &Settings, address: &str, topic: &str) -> Result<Option<KafkaRelease>> {
    let client = Client::for_check(&settings.only_broker(address))?;
    let answer = client.topic(topic);
    match answer.map_err(|error| (error.kind(), error)) {
        // An answer all the same.
        Ok(_) | Err((ErrorKind::UnknownTopic | ErrorKind::Authorization, _)) => {
            listen(&client.consumer, LISTEN);
            Ok(KafkaRelease::of(&client.consumer.context().api_versions()))
        }
        Err((_, error)) => Err(error),
    }
}

fn not_checked(address: &str, cause: &str) -> Error {
    let message = format!("broker {address} could not be checked: {cause}");
    Error::new(ErrorKind::Other, message)
}
