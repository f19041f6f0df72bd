//! Why a payload cannot be kept or read.

use oarlock_protocol::ErrorDetails;
use oarlock_protocol::code::Code;

/// The longest address that a message repeats: it may come from anybody.
const LONGEST_URI: usize = 300;

/// What a caller can do about a failure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The store does not answer, or refuses for now: the same may go through later.
    #[error("the payload store does not answer: {0}")]
    Unavailable(String),
    /// The payload is gone, is not what was written, or may not be read: reading again is of no use.
    #[error("the payload '{uri}' {reason}")]
    Lost {
        /// What was to be read.
        uri: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is larger than a payload may be.
    #[error("a payload of {size} bytes is larger than `limits.payload_store_bytes`, {limit} bytes")]
    TooLarge {
        /// How large it is.
        size: u64,
        /// How large it may be.
        limit: u64,
    },
}

impl Error {
    pub(crate) fn lost(uri: &str, reason: impl Into<String>) -> Self {
        let uri = uri.chars().take(LONGEST_URI).collect();
        Self::Lost { uri, reason: reason.into() }
    }

    /// As a step or an attempt fails by it: PAYLOAD_UNAVAILABLE, retryable where the store does not answer, or
    /// PAYLOAD_TOO_LARGE.
    pub fn details(&self) -> ErrorDetails {
        let (code, retryable) = match self {
            Error::Unavailable(_) => (Code::PayloadUnavailable, true),
            Error::Lost { .. } => (Code::PayloadUnavailable, false),
            Error::TooLarge { .. } => (Code::PayloadTooLarge, false),
        };
        ErrorDetails { retryable, ..ErrorDetails::system(code, self.to_string()) }
    }
}
