//! Why a measurement cannot be made.

/// Why a measurement cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan makes no sense; the text says what to change.
    #[error("{0}")]
    Plan(String),
    /// A node refused or failed.
    #[error(transparent)]
    Node(#[from] oarlock_orchestrator::node::Error),
    /// The broker refused or failed.
    #[error(transparent)]
    Broker(#[from] oarlock_broker::Error),
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] oarlock_orchestrator::store::Error),
    /// A process of the measurement failed.
    #[error("the {name} {problem}")]
    Part {
        /// Which.
        name: String,
        /// What happened.
        problem: String,
    },
    /// A run came to another end than it should.
    #[error("a run ended {0}; it should have ended COMPLETED")]
    Ended(String),
}
