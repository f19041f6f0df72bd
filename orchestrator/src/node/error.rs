//! Why a node cannot start or answer.

use oarlock_protocol::ErrorDetails;
use oarlock_protocol::message::Answer;

use crate::store;

/// Why a node cannot start or answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is refused for good.
    #[error("{}: {}", .0.code, .0.message)]
    Refused(ErrorDetails),
    /// The broker failed.
    #[error(transparent)]
    Broker(#[from] oarlock_broker::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A payload cannot be kept or read.
    #[error(transparent)]
    Payloads(#[from] oarlock_payloads::Error),
    /// What is stored cannot be read by this release.
    #[error("{0}")]
    Unreadable(String),
    /// The owner of the partition did not answer: whether it was done is unknown.
    #[error(
        "partition {partition} does not answer ({problem}); send the same again, with a key a start starts one run"
    )]
    NoAnswer {
        /// Which partition.
        partition: u32,
        /// What happened instead.
        problem: String,
    },
}

/// What an owner answered that fits no question.
pub(super) fn unexpected(partition: u32, answer: Answer) -> Error {
    match answer {
        Answer::Refused { error } => Error::Refused(error),
        other => Error::NoAnswer { partition, problem: format!("it answered {other:?}") },
    }
}
