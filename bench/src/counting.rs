//! A broker that counts the bytes of task and result messages: the floor has to move as many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use oarlock_broker::{
    Acknowledge, Announcement, Broker, Consumer, Delivery, Error, Health, Publication, QueueDeclaration,
    Subscription,
};
use oarlock_protocol::message::Kind;
use tokio::sync::watch;

/// Passes everything on to another broker, and counts.
pub struct Counting {
    inner: Arc<dyn Broker>,
    counts: Arc<Counts>,
}

/// Messages and bytes.
#[derive(Debug, Default)]
pub struct Counts {
    tasks: Sum,
    results: Sum,
}

#[derive(Debug, Default)]
struct Sum {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Sum {
    fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn mean(&self) -> usize {
        let messages = self.messages.load(Ordering::Relaxed).max(1);
        usize::try_from(self.bytes.load(Ordering::Relaxed) / messages).unwrap_or(usize::MAX)
    }
}

impl Counts {
    /// The mean size of the bodies of task messages, in bytes.
    pub fn task_bytes(&self) -> usize {
        self.tasks.mean()
    }

    /// The mean size of the bodies of result messages, in bytes.
    pub fn result_bytes(&self) -> usize {
        self.results.mean()
    }
}

impl Counting {
    /// Counts what goes through `inner`.
    pub fn new(inner: Arc<dyn Broker>) -> (Arc<Self>, Arc<Counts>) {
        let counts = Arc::new(Counts::default());
        (Arc::new(Self { inner, counts: Arc::clone(&counts) }), counts)
    }
}

#[async_trait]
impl Broker for Counting {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.inner.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.inner.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let results = publications.iter().filter(|one| one.message.kind == Kind::Result.as_str());
        results.for_each(|one| self.counts.results.add(one.message.body.len()));
        self.inner.publish(publications).await
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        self.inner.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        let inner = self.inner.consume(subscription).await?;
        Ok(Box::new(CountingConsumer { inner, counts: Arc::clone(&self.counts) }))
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.inner.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.inner.health()
    }

    fn keeps_messages(&self) -> bool {
        self.inner.keeps_messages()
    }
}

struct CountingConsumer {
    inner: Box<dyn Consumer>,
    counts: Arc<Counts>,
}

#[async_trait]
impl Consumer for CountingConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        let deliveries = self.inner.receive(max).await?;
        let tasks = deliveries.iter().filter(|delivery| delivery.message.kind == Kind::Task.as_str());
        tasks.for_each(|delivery| self.counts.tasks.add(delivery.message.body.len()));
        Ok(deliveries)
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.inner.stop().await
    }

    fn acknowledger(&self) -> Arc<dyn Acknowledge> {
        self.inner.acknowledger()
    }
}
