//! How a node ends: its partitions are handed over, then the last changes of status are told.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::Node;
use crate::partition::Wish;

/// How long the last events may take to be announced: nothing rests on them.
const LAST_EVENTS: Duration = Duration::from_millis(500);

/// Tasks that end with whoever holds them. Who stops may be stopped in turn: a partition left alone would hold its messages, and
/// while this process lives nobody else would get them.
#[derive(Default)]
pub(super) struct Tasks(pub(super) Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Node {
    /// Hands the partitions over: tells the others first, then gives each up after a last commit. Who stops waiting for it ends
    /// what is left of them at once.
    pub async fn stop(&self) {
        self.services.0.iter().for_each(JoinHandle::abort);
        if let Err(error) = self.members.leave(&self.me.id).await {
            tracing::warn!(%error, "the others are not told that this node leaves; they notice when its lease is over");
        }
        for slot in self.slots.iter() {
            slot.wish.send_replace(Wish::End);
        }
        let mut tasks = std::mem::take(&mut *self.tasks());
        for task in &mut tasks.0 {
            task.await.ok();
        }
        self.shared.events.settle(LAST_EVENTS).await;
    }

    pub(super) fn tasks(&self) -> MutexGuard<'_, Tasks> {
        // A panic elsewhere leaves the list whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
