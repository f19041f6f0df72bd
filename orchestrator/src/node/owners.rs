//! Asks the owner of a partition: here where that is this node, else through its inbox.

use std::sync::Arc;

use oarlock_protocol::FORMAT;
use oarlock_protocol::message::{Answer, Operation, PauseMessage, PauseSubject};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::Error;
use super::asks::{Asks, PATIENCE};
use super::error::unexpected;
use crate::partition::{Command, Request, Wish};
use crate::pauses::Pauses;

/// A partition, as its node sees it.
pub(super) struct Slot {
    pub(super) wish: watch::Sender<Wish>,
    pub(super) owned: watch::Receiver<bool>,
    pub(super) commands: mpsc::Sender<Command>,
}

impl Slot {
    /// Asks the partition; none where it is lost meanwhile.
    async fn ask(&self, request: Request) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command { request, reply }).await.ok()?;
        answer.await.ok()
    }
}

/// The owners of all partitions.
pub(super) struct Owners {
    slots: Arc<Vec<Slot>>,
    pub(super) asks: Asks,
    pauses: Arc<Pauses>,
}

impl Owners {
    pub(super) fn new(slots: Arc<Vec<Slot>>, asks: Asks, pauses: Arc<Pauses>) -> Self {
        Self { slots, asks, pauses }
    }

    /// Asks the owner of a partition.
    pub(super) async fn request(&self, partition: u32, request: Request) -> Result<Answer, Error> {
        let until = Instant::now() + PATIENCE;
        if self.are_here(partition)
            && let Some(slot) = self.slots.get(partition as usize)
        {
            match tokio::time::timeout_at(until, slot.ask(request.clone())).await {
                Ok(Some(answer)) => return Ok(answer),
                // Lost meanwhile; whoever owns it now may be asked the same again.
                Ok(None) => {}
                Err(_) => {
                    let problem = "this node owns it and waits for the store or the broker".to_owned();
                    return Err(Error::NoAnswer { partition, problem });
                }
            }
        }
        self.asks.ask(partition, &request, until).await
    }

    /// Whether this node owns it.
    pub(super) fn are_here(&self, partition: u32) -> bool {
        self.slots.get(partition as usize).is_some_and(|slot| *slot.owned.borrow())
    }

    /// Returns when the partition is not owned here.
    pub(super) async fn leave(&self, partition: u32) {
        if let Some(slot) = self.slots.get(partition as usize) {
            slot.owned.clone().wait_for(|owned| !owned).await.ok();
        }
    }

    /// Holds something back in the whole fleet, or lets it go on; whether it was so before.
    pub(super) async fn change_pause(
        &self,
        subject: PauseSubject,
        operation: Operation,
        reason: &str,
        by: &str,
    ) -> Result<bool, Error> {
        let home = self.pauses.home();
        let (reason, requested_by) = (reason.to_owned(), by.to_owned());
        let message = PauseMessage { format: FORMAT, subject, operation, reason, requested_by };
        match self.request(home, Request::Pause(message)).await? {
            Answer::Recorded { existing } => {
                // It is done; other nodes learn of it as this one would.
                if let Err(error) = self.pauses.read().await {
                    tracing::debug!(%error, "the pauses cannot be read now; they are within seconds");
                }
                Ok(existing)
            }
            other => Err(unexpected(home, other)),
        }
    }
}
