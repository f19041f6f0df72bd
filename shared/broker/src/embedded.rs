//! The embedded broker: queues in this process, with the semantics of the port.
//!
//! `run`, `dev`, tests and the simulator use it where no server is at hand. As RabbitMQ does, it hands messages to
//! consumers ahead of their asking, up to their prefetch; so priorities and depths mean the same here and there. It does
//! no I/O, spawns nothing, and never awaits while it holds a lock. Its messages are gone with the process.
//!
//! Where the port leaves a choice: an exclusive queue goes when its last consumer ends; a full queue answers
//! [`Error::Unavailable`], because it will have room again; a dead letter whose queue is missing or full is dropped with
//! a line in the log; a topic exchange is there as soon as it is named.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::coop;

use crate::port::{LONGEST_NAME, check_exchange};
use crate::{
    Announcement, Broker, Consumer, Error, Health, Message, Publication, QueueDeclaration, Subscription,
};
use consumer::EmbeddedConsumer;
use exchanges::Exchanges;
use queue::{Aftermath, Queue};

mod consumer;
mod exchanges;
mod held;
mod queue;
#[cfg(test)]
mod tests;

/// The most queues: far more than task queues and workers of one process, and small in memory.
const MOST_QUEUES: usize = 100_000;

/// A broker within this process; clones share their queues.
#[derive(Clone)]
pub struct Embedded {
    queues: Arc<Queues>,
}

/// The queues of a broker by name.
struct Queues {
    by_name: RwLock<HashMap<String, Arc<Queue>>>,
    /// Locked after `by_name` where both are.
    exchanges: RwLock<Exchanges>,
    health: watch::Sender<Health>,
}

impl Embedded {
    /// A broker without queues.
    pub fn new() -> Self {
        let health = watch::Sender::new(Health::Ready);
        let queues = Queues { by_name: RwLock::default(), exchanges: RwLock::default(), health };
        Self { queues: Arc::new(queues) }
    }
}

impl Default for Embedded {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Broker for Embedded {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.queues.declare(queue)
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        check_exchange(exchange)
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        // Nothing below ever waits: without this a publisher in a loop would keep its thread from all others.
        coop::consume_budget().await;
        self.queues.publish(publications)
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        coop::consume_budget().await;
        announcements.iter().try_for_each(Announcement::check)?;
        announcements.into_iter().for_each(|announcement| self.queues.announce(&announcement));
        Ok(())
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        if subscription.prefetch == 0 {
            return Err(Error::Refused("a prefetch must be at least 1".to_owned()));
        }
        let queue = self.queues.find(&subscription.queue)?;
        Ok(Box::new(EmbeddedConsumer::join(Arc::clone(&self.queues), queue, &subscription)?))
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.queues.find(queue)?.depth()
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.queues.health.subscribe()
    }

    fn keeps_messages(&self) -> bool {
        false
    }
}

impl Queues {
    fn declare(&self, wanted: &QueueDeclaration) -> Result<(), Error> {
        let name = &wanted.name;
        if name.is_empty() || name.len() > LONGEST_NAME {
            return Err(Error::Refused(format!(
                "the name of a queue has 1 to {LONGEST_NAME} bytes: '{name}'"
            )));
        }
        wanted.check_hears()?;
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = by_name.get(name) {
            let same = queue.declaration == *wanted;
            return if same { Ok(()) } else { Err(declared_otherwise(&queue.declaration)) };
        }
        if by_name.len() >= MOST_QUEUES {
            return Err(Error::Refused(format!("there are {MOST_QUEUES} queues already")));
        }
        let queue = Arc::new(Queue::new(wanted.clone()));
        by_name.insert(name.clone(), Arc::clone(&queue));
        self.exchanges.write().unwrap_or_else(PoisonError::into_inner).add(&queue);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Arc<Queue>, Error> {
        let by_name = self.by_name.read().unwrap_or_else(PoisonError::into_inner);
        by_name.get(name).cloned().ok_or_else(|| Error::NoQueue(name.to_owned()))
    }

    /// Publishes queue by queue, so that each is locked once and each consumer woken once.
    fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let mut outcomes = vec![Ok(()); publications.len()];
        let mut numbered: Vec<_> = publications.into_iter().enumerate().collect();
        // Stable: the messages of a queue stay in their order.
        numbered.sort_by(|(_, one), (_, other)| one.queue.cmp(&other.queue));
        for group in numbered.chunk_by_mut(|(_, one), (_, other)| one.queue == other.queue) {
            self.publish_group(group, &mut outcomes);
        }
        outcomes
    }

    /// Publishes messages that all go to one queue, and writes what became of each at its number.
    fn publish_group(&self, group: &mut [(usize, Publication)], outcomes: &mut [Result<(), Error>]) {
        let Some((_, first)) = group.first() else { return };
        match self.find(&first.queue) {
            Ok(queue) => queue.offer(group, outcomes).wake(),
            Err(error) => group.iter().for_each(|(number, _)| outcomes[*number] = Err(error.clone())),
        }
    }

    /// Gives a message to each queue that hears of it.
    fn announce(&self, announcement: &Announcement) {
        let listeners = self.exchanges.read().unwrap_or_else(PoisonError::into_inner).listeners(announcement);
        for queue in listeners {
            queue.hear(announcement.message.clone()).wake();
        }
    }

    /// Does what a change of `queue` left to be done.
    fn settle(&self, queue: &Arc<Queue>, mut aftermath: Aftermath) {
        let dead = std::mem::take(&mut aftermath.dead);
        if aftermath.gone {
            self.remove(queue);
        }
        aftermath.wake();
        if !dead.is_empty() {
            self.bury(&queue.declaration, dead);
        }
    }

    fn remove(&self, queue: &Arc<Queue>) {
        let mut by_name = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let name = &queue.declaration.name;
        if by_name.get(name).is_some_and(|found| Arc::ptr_eq(found, queue)) {
            by_name.remove(name);
            self.exchanges.write().unwrap_or_else(PoisonError::into_inner).remove(queue);
        }
    }

    /// Moves messages to the dead-letter queue of where they were.
    fn bury(&self, from: &QueueDeclaration, dead: Vec<Message>) {
        let Some(to) = &from.dead_letter else { return };
        let publications =
            dead.into_iter().map(|message| Publication { queue: to.clone(), message }).collect();
        for error in self.publish(publications).into_iter().filter_map(Result::err) {
            tracing::error!(queue = from.name, dead_letter = to, %error, "dropped a dead letter");
        }
    }
}

fn declared_otherwise(standing: &QueueDeclaration) -> Error {
    Error::Refused(format!("the queue '{}' stands with another declaration: {standing:?}", standing.name))
}
