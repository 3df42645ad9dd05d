//! What can go wrong at the edge to Kafka.

use std::fmt;
use std::result;

use engine_model::TopicPartition;
use rdkafka::error::RDKafkaErrorCode as Code;

/// What this crate's functions return.
pub type Result<T> = result::Result<T, Error>;

/// A failed call or read. Its text names the brokers or the topic partition, what was found and what to do, and holds
/// no secret.
#[derive(Clone, Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    topic_partition: Option<TopicPartition>,
    offset: Option<i64>,
    log_start: Option<i64>,
}

/// What a caller can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No broker could be reached: a wrong address, a closed port, a TLS handshake that failed.
    Connect,
    /// Brokers were there but did not answer in time.
    Timeout,
    /// A broker refused the log-in.
    Authentication,
    /// The log-in is good but may not do this.
    Authorization,
    /// The topic does not exist.
    UnknownTopic,
    /// The topic has no such topic partition.
    UnknownPartition,
    /// The offset is not, or no longer, in the log.
    OffsetOutOfRange,
    /// The log ends before the range does: it was cut off, or the topic was made anew.
    Truncated,
    /// The topic's messages have no timestamps: their format is of before Kafka 0.10.
    NoTimestamps,
    /// What a broker sent is damaged, or of a format that librdkafka does not know.
    Corrupt,
    /// An option that is unknown, has a bad value, or is not the user's to set.
    InvalidOption,
    /// Anything else.
    Other,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            topic_partition: None,
            offset: None,
            log_start: None,
        }
    }

    /// Adds where it happened; the text is expected to say it too.
    pub(crate) fn at(mut self, topic_partition: &TopicPartition, offset: Option<i64>) -> Self {
        self.topic_partition = Some(topic_partition.clone());
        self.offset = offset;
        self
    }

    /// Adds where the log begins; the text is expected to say it too.
    pub(crate) fn with_log_start(mut self, log_start: Option<i64>) -> Self {
        self.log_start = log_start;
        self
    }

    /// What went wrong, for a caller to act on.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The topic partition, where the error is about one.
    pub fn topic_partition(&self) -> Option<&TopicPartition> {
        self.topic_partition.as_ref()
    }

    /// The offset that was to be read, where the error is about one.
    pub fn offset(&self) -> Option<i64> {
        self.offset
    }

    /// The first offset that is kept, where the one that was to be read is not in the log.
    pub fn log_start(&self) -> Option<i64> {
        self.log_start
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Whether librdkafka goes on by itself after this code, so that only time tells whether it matters.
///
/// Every other code ends the read, for librdkafka reports broken batches as errors and skips them.
pub(crate) fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerDestroy
            | Code::BrokerNotAvailable
            | Code::BrokerTransportFailure
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::DestroyBroker
            | Code::FencedLeaderEpoch
            | Code::KafkaStorageError
            | Code::LeaderNotAvailable
            | Code::NetworkException
            | Code::NotCoordinator
            | Code::NotLeaderForPartition
            | Code::OffsetNotAvailable
            | Code::OperationTimedOut
            | Code::ReplicaNotAvailable
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::SSL
            | Code::ThrottlingQuotaExceeded
            | Code::TimedOutQueue
            | Code::UnknownLeaderEpoch
            | Code::WaitingForCoordinator
    )
}

/// The same for a client that reads. Reading needs no group; the consumer asks for its coordinator all the same.
pub(crate) fn passes_while_reading(code: Code) -> bool {
    passes(code) || code == Code::GroupAuthorizationFailed
}

/// The kind that a code stands for.
pub(crate) fn kind_of(code: Code) -> ErrorKind {
    match code {
        Code::AllBrokersDown
        | Code::BrokerTransportFailure
        | Code::NetworkException
        | Code::Resolve
        | Code::SSL => ErrorKind::Connect,
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => ErrorKind::Authentication,
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => ErrorKind::Authorization,
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopicId
        | Code::InvalidTopic => ErrorKind::UnknownTopic,
        Code::UnknownPartition => ErrorKind::UnknownPartition,
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::NoOffset => {
            ErrorKind::OffsetOutOfRange
        }
        Code::LogTruncation => ErrorKind::Truncated,
        Code::UnsupportedForMessageFormat => ErrorKind::NoTimestamps,
        Code::BadCompression
        | Code::BadMessage
        | Code::InvalidMessage
        | Code::InvalidMessageSize
        | Code::InvalidRecord
        | Code::NotImplemented
        | Code::Underflow
        | Code::UnsupportedCompressionType => ErrorKind::Corrupt,
        code if passes(code) => ErrorKind::Timeout,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_become_kinds() {
        for (code, kind) in [
            (Code::BrokerTransportFailure, ErrorKind::Connect),
            (Code::OperationTimedOut, ErrorKind::Timeout),
            (Code::LeaderNotAvailable, ErrorKind::Timeout),
            (Code::Authentication, ErrorKind::Authentication),
            (Code::TopicAuthorizationFailed, ErrorKind::Authorization),
            (Code::GroupAuthorizationFailed, ErrorKind::Authorization),
            (Code::UnknownTopicOrPartition, ErrorKind::UnknownTopic),
            (Code::AutoOffsetReset, ErrorKind::OffsetOutOfRange),
            (Code::BadMessage, ErrorKind::Corrupt),
            (Code::BadCompression, ErrorKind::Corrupt),
        ] {
            assert_eq!(kind_of(code), kind, "{code:?}");
        }
    }

    #[test]
    fn a_code_that_skips_messages_never_passes() {
        for code in [
            Code::BadMessage,
            Code::BadCompression,
            Code::NotImplemented,
            Code::AutoOffsetReset,
            Code::UnknownTopicOrPartition,
            Code::TopicAuthorizationFailed,
            Code::Unknown,
        ] {
            assert!(!passes(code) && !passes_while_reading(code), "{code:?}");
        }
    }

    #[test]
    fn a_group_that_may_not_be_used_matters_to_nobody_who_only_reads() {
        let code = Code::GroupAuthorizationFailed;
        assert!(passes_while_reading(code) && !passes(code));
        assert!(passes_while_reading(Code::NotCoordinator));
    }
}
