//! A request, or a part of one, that is answered with an error code.

use std::fmt;

use kafka_protocol::error::ResponseError;
use kafka_protocol::protocol::StrBytes;

/// Kafka's error code and a sentence for the client's user; newer versions of many answers carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    error: ResponseError,
    message: String,
}

impl Refusal {
    pub(super) fn new(error: ResponseError, message: impl Into<String>) -> Self {
        Self {
            error,
            message: message.into(),
        }
    }

    /// The disk failed; the client may try again.
    pub(super) fn storage(cause: &impl fmt::Display) -> Self {
        Self::new(
            ResponseError::KafkaStorageError,
            format!("the log cannot be read or written: {cause}"),
        )
    }

    pub(super) fn code(&self) -> i16 {
        self.error.code()
    }

    pub(super) fn message(&self) -> StrBytes {
        StrBytes::from_string(self.message.clone())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} ({}): {}",
            self.error,
            self.error.code(),
            self.message
        )
    }
}
