//! A consumer of an embedded queue, and the handle that settles its deliveries.
//!
//! Made by [`super::Embedded`]. It holds no message itself: the queue does, until it is settled, so that dropping a waiting
//! `receive` or the consumer loses nothing.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::task::coop;

use super::Queues;
use super::queue::Queue;
use crate::{Acknowledge, Consumer, Delivery, Error, Subscription};

/// Ends when dropped.
pub(super) struct EmbeddedConsumer {
    membership: Arc<Membership>,
    notify: Arc<Notify>,
}

/// A consumer's place in its queue.
struct Membership {
    queues: Arc<Queues>,
    queue: Arc<Queue>,
    id: u64,
}

impl EmbeddedConsumer {
    pub(super) fn join(
        queues: Arc<Queues>,
        queue: Arc<Queue>,
        subscription: &Subscription,
    ) -> Result<Self, Error> {
        let notify = Arc::new(Notify::new());
        let (id, aftermath) = queue.join(subscription, Arc::clone(&notify))?;
        aftermath.wake();
        Ok(Self { membership: Arc::new(Membership { queues, queue, id }), notify })
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        // A queue that never runs dry would otherwise keep its thread from all other tasks.
        coop::consume_budget().await;
        loop {
            let deliveries = self.membership.queue.take(self.membership.id, max.max(1))?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            self.notify.notified().await;
        }
    }

    async fn stop(&mut self) -> Result<(), Error> {
        let Membership { queues, queue, id } = &*self.membership;
        queue.stop(*id).map(|aftermath| queues.settle(queue, aftermath))
    }

    fn acknowledger(&self) -> Arc<dyn Acknowledge> {
        Arc::clone(&self.membership) as Arc<dyn Acknowledge>
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let Membership { queues, queue, id } = &*self.membership;
        queues.settle(queue, queue.leave(*id));
    }
}

#[async_trait]
impl Acknowledge for Membership {
    async fn ack(&self, tag: u64) -> Result<(), Error> {
        self.queue.ack(self.id, tag).map(|aftermath| self.queues.settle(&self.queue, aftermath))
    }

    async fn ack_through(&self, tag: u64) -> Result<(), Error> {
        self.queue.ack_through(self.id, tag).map(|aftermath| self.queues.settle(&self.queue, aftermath))
    }

    async fn reject(&self, tag: u64, requeue: bool) -> Result<(), Error> {
        self.queue.reject(self.id, tag, requeue).map(|aftermath| self.queues.settle(&self.queue, aftermath))
    }
}
