//! Holds work back in the whole fleet, and lets it go on.

use oarlock_protocol::message::{Operation, PauseSubject};

use super::{Error, Node};
use crate::pauses::Pause;

impl Node {
    /// Lets nothing more of a queue or definition out, in the whole fleet within seconds; whether it was so before. What is open
    /// goes on.
    ///
    /// # Errors
    /// INVALID_REQUEST where nothing can have that name, CONFLICT where too many pauses last; the store or the owner of the
    /// pauses does not answer.
    pub async fn pause(&self, subject: PauseSubject, reason: &str, by: &str) -> Result<bool, Error> {
        self.owners.change_pause(subject, Operation::Pause, reason, by).await
    }

    /// Lets it go on; whether it was not paused.
    ///
    /// # Errors
    /// As [`Node::pause`].
    pub async fn resume(&self, subject: PauseSubject, by: &str) -> Result<bool, Error> {
        self.owners.change_pause(subject, Operation::Resume, "", by).await
    }

    /// What is held back in the whole fleet.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn pauses(&self) -> Result<Vec<Pause>, Error> {
        self.shared.pauses.read().await?;
        Ok(self.shared.pauses.lasting())
    }
}
