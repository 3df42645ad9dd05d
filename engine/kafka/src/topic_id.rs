//! The id of a topic, which the binding knows nothing of.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};

use crate::client::{Client, TopicMetadata, check_topic};
use crate::error::Result;

/// How much longer than librdkafka the answer is waited for: it gives one in any case.
const GRACE: Duration = Duration::from_secs(1);

impl Client {
    /// Asks for the id of `topic`, which a topic of the same name that is made anew does not have. `None` where the brokers
    /// give no ids, as before Kafka 2.8, and where the topic has no leader at all.
    ///
    /// Only the topic's leaders are asked, which have to be within reach to read it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownTopic`](crate::ErrorKind::UnknownTopic) where the topic is gone, and those of every call.
    pub fn topic_id(&self, topic: &TopicMetadata) -> Result<Option<String>> {
        check_topic(&topic.topic)?;
        let mut leaders: Vec<i32> = topic
            .partitions
            .iter()
            .filter_map(|one| one.leader)
            .collect();
        leaders.sort_unstable();
        leaders.dedup();
        let (Ok(name), false) = (CString::new(&*topic.topic), leaders.is_empty()) else {
            return Ok(None);
        };
        let mut next = leaders.iter().cycle();
        let what = format!("asking for the id of topic {:?}", topic.topic);
        self.call(&what, |wait| {
            let leader = next.next().copied().unwrap_or_default();
            describe(self, &name, leader, wait)
        })
    }
}

/// What librdkafka gave us to be given back.
struct Owned<T> {
    pointer: *mut T,
    give_back: unsafe extern "C" fn(*mut T),
}

impl<T> Drop for Owned<T> {
    #[expect(unsafe_code, reason = "librdkafka's values are given back to it")]
    fn drop(&mut self) {
        if !self.pointer.is_null() {
            // SAFETY: the pointer is librdkafka's own, of the type that the function takes, and given back only here.
            unsafe { (self.give_back)(self.pointer) };
        }
    }
}

/// Asks one broker.
#[expect(unsafe_code, reason = "the binding does not pass this call on")]
fn describe(
    client: &Client,
    topic: &CStr,
    broker: i32,
    wait: Duration,
) -> KafkaResult<Option<String>> {
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    let poll_ms = i32::try_from((wait + GRACE).as_millis()).unwrap_or(i32::MAX);
    let rk = client.consumer.client().native_ptr();
    let mut names = [topic.as_ptr()];
    let mut refusal: [c_char; 256] = [0; 256];
    // SAFETY: `rk` is the client's and lives as long as that. All other pointers come from librdkafka, are checked where they may be
    // null, and live until the end of the block: what `Owned` holds is given back in the reverse order, the event before
    // the queue that it came from. `names` is only read, and `refusal` is as long as it is said to be.
    unsafe {
        let queue = Owned {
            pointer: c::rd_kafka_queue_new(rk),
            give_back: c::rd_kafka_queue_destroy,
        };
        let options = Owned {
            pointer: c::rd_kafka_AdminOptions_new(
                rk,
                c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            ),
            give_back: c::rd_kafka_AdminOptions_destroy,
        };
        let topics = Owned {
            pointer: c::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len()),
            give_back: c::rd_kafka_TopicCollection_destroy,
        };
        let (text, length) = (refusal.as_mut_ptr(), refusal.len());
        for code in [
            c::rd_kafka_AdminOptions_set_request_timeout(options.pointer, wait_ms, text, length),
            c::rd_kafka_AdminOptions_set_broker(options.pointer, broker, text, length),
        ] {
            check(code)?;
        }
        c::rd_kafka_DescribeTopics(rk, topics.pointer, options.pointer, queue.pointer);
        let event = Owned {
            pointer: c::rd_kafka_queue_poll(queue.pointer, poll_ms),
            give_back: c::rd_kafka_event_destroy,
        };
        if event.pointer.is_null() {
            return Err(KafkaError::MetadataFetch(Code::OperationTimedOut));
        }
        check(c::rd_kafka_event_error(event.pointer))?;
        let result = c::rd_kafka_event_DescribeTopics_result(event.pointer);
        if result.is_null() {
            return Err(KafkaError::MetadataFetch(Code::Unknown));
        }
        let mut count = 0;
        let described = c::rd_kafka_DescribeTopics_result_topics(result, ptr::from_mut(&mut count));
        if described.is_null() || count == 0 {
            return Err(KafkaError::MetadataFetch(Code::Unknown));
        }
        let described = *described;
        check(c::rd_kafka_error_code(c::rd_kafka_TopicDescription_error(
            described,
        )))?;
        let id = c::rd_kafka_TopicDescription_topic_id(described);
        // Brokers without ids leave it at zero.
        let is_zero = id.is_null()
            || c::rd_kafka_Uuid_most_significant_bits(id) == 0
                && c::rd_kafka_Uuid_least_significant_bits(id) == 0;
        Ok((!is_zero).then(|| {
            let text = CStr::from_ptr(c::rd_kafka_Uuid_base64str(id));
            text.to_string_lossy().into_owned()
        }))
    }
}

fn check(code: c::rd_kafka_resp_err_t) -> KafkaResult<()> {
    match Code::from(code) {
        Code::NoError => Ok(()),
        code => Err(KafkaError::MetadataFetch(code)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ErrorKind;
    use crate::testing::{Cluster, TOPIC};

    #[test]
    fn each_topic_has_an_id_of_its_own() {
        let cluster = Cluster::new();
        cluster.mock.create_topic("other", 1, 1).unwrap();
        let client = Client::new(&cluster.settings()).unwrap();
        let id = |topic| client.topic_id(&client.topic(topic).unwrap()).unwrap();
        let ids: BTreeSet<_> = [TOPIC, "other", TOPIC].map(id).into();
        assert_eq!(ids.len(), 2);
        assert!(ids.iter().flatten().all(|id| id.len() == 22), "{ids:?}");
    }

    #[test]
    fn a_topic_that_is_gone_has_none() {
        let cluster = Cluster::new();
        let client = Client::new(&cluster.settings()).unwrap();
        let mut topic = client.topic(TOPIC).unwrap();
        "gone\0".clone_into(&mut topic.topic);
        let error = client.topic_id(&topic).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownTopic);
        TOPIC.clone_into(&mut topic.topic);
        topic.partitions.clear();
        assert_eq!(client.topic_id(&topic).unwrap(), None);
    }
}
