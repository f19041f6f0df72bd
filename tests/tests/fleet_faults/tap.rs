//! A broker that carries messages twice, as one may after a lost confirmation: same message id, same body.

use std::sync::Arc;

use async_trait::async_trait;
use oarlock_broker::{
    Announcement, Broker, Consumer, Error, Health, Publication, QueueDeclaration, Subscription,
};
use oarlock_protocol::message::Kind;
use tokio::sync::watch;

/// Publishes every start, task, result and sign of life twice over another broker.
pub(super) struct Tap(pub(super) Arc<dyn Broker>);

fn is_doubled(publication: &Publication) -> bool {
    let kind = Kind::parse(&publication.message.kind);
    matches!(kind, Some(Kind::Start | Kind::Task | Kind::Result | Kind::Progress))
}

#[async_trait]
impl Broker for Tap {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.0.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.0.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        let copies: Vec<_> = publications.iter().filter(|one| is_doubled(one)).cloned().collect();
        let outcomes = self.0.publish(publications).await;
        self.0.publish(copies).await.into_iter().for_each(|copied| copied.unwrap());
        outcomes
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        self.0.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        self.0.consume(subscription).await
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.0.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.0.health()
    }

    fn keeps_messages(&self) -> bool {
        self.0.keeps_messages()
    }
}
