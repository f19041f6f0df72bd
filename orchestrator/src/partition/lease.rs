//! The right to commit, as far as this process knows it: taken from the store, renewed, and checked on the monotonic clock.

use std::time::Duration;

use oarlock_protocol::Span;
use tokio::time::Instant;

use super::{Lost, Shared};
use crate::store::{self, Claim, Ownership, Token};

/// The pause before a store that did not answer is asked again for the lease.
const RENEW_AGAIN: Duration = Duration::from_millis(100);

/// The right to commit, as far as this process knows it.
pub(crate) struct Lease {
    pub(crate) token: Token,
    pub(crate) seq: u64,
    /// Whether the store may have lost commits before it was taken.
    pub(crate) restarted: bool,
    span: Duration,
    until: Instant,
    /// Whether it was told that it cannot be renewed.
    told: bool,
}

impl Lease {
    /// Takes the partition; none where another node holds it.
    pub(super) async fn take(shared: &Shared, partition: u32) -> Result<Option<Lease>, Lost> {
        let asked = Instant::now();
        match shared.store.own(partition, &claim(shared, None)).await? {
            Ownership::Owned { token, seq, restarted } => {
                let span = Duration::from(shared.settings.lease);
                tracing::info!(epoch = token.epoch, seq, restarted, "partition taken");
                Ok(Some(Lease { token, seq, restarted, span, until: asked + span, told: false }))
            }
            Ownership::HeldBy { holder, expires_in } => {
                tracing::debug!(holder, %expires_in, "the partition is held by another node");
                Ok(None)
            }
        }
    }

    /// When it is to be renewed: well before it ends, so that a slow store is survived.
    pub(super) fn renew_at(&self) -> Instant {
        self.until - self.span * 2 / 3
    }

    /// Whether it may have ended: by the monotonic clock, counted from before the store was asked.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Renews it. A store that does not answer is no reason to give up while the lease runs.
    pub(super) async fn renew(&mut self, shared: &Shared, partition: u32) -> Result<(), Lost> {
        let asked = Instant::now();
        match shared.store.own(partition, &claim(shared, Some(self.token.clone()))).await {
            // An owner with nothing to commit would not notice otherwise, and go on from what only it knows.
            Ok(Ownership::Owned { seq, .. }) if seq < self.seq => {
                Err(store::Error::RolledBack { partition, stored: seq, mine: self.seq }.into())
            }
            Ok(Ownership::Owned { .. }) => {
                self.until = asked + self.span;
                self.told = false;
                Ok(())
            }
            Ok(Ownership::HeldBy { .. }) => Err(store::Error::Fenced(partition).into()),
            Err(store::Error::Unavailable(reason)) if !self.is_over() => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!(reason, "the lease could not be renewed; it still runs");
                }
                tokio::time::sleep(RENEW_AGAIN).await;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the partition has another owner now; false also where the store does not answer.
pub(super) async fn is_fenced(shared: &Shared, partition: u32, token: &Token) -> bool {
    let answer = shared.store.own(partition, &claim(shared, Some(token.clone()))).await;
    matches!(answer, Ok(Ownership::HeldBy { .. }) | Err(store::Error::Fenced(_)))
}

fn claim(shared: &Shared, token: Option<Token>) -> Claim {
    let lease: Span = shared.settings.lease;
    Claim { holder: shared.settings.node.clone(), lease, token }
}
