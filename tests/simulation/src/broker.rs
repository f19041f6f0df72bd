//! A process's way to the broker: messages come late, twice or in another order, confirms are lost, consumers end.
//!
//! The broker itself outlives every process, so nothing that it has confirmed is lost; but for simulations in which all is one
//! process, whose messages end with it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{
    Acknowledge, Announcement, Broker, Consumer, Delivery, Error, Health, Publication, QueueDeclaration,
    Subscription, topology,
};
use oarlock_protocol::message::{Kind, ResultMessage};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::database::Database;
use crate::mutation::Mutation;
use crate::process::Process;
use crate::world::{lock, ms};

/// The broker, as one process reaches it.
pub(crate) struct SimulatedBroker {
    process: Arc<Process>,
    inner: Embedded,
    database: Arc<Database>,
    mutation: Mutation,
    keeps_messages: bool,
    /// One channel for each who listens: where several shared one, who wakes first would be chance.
    health: Arc<Mutex<Vec<watch::Sender<Health>>>>,
}

impl SimulatedBroker {
    pub(crate) fn new(
        process: &Arc<Process>,
        inner: Embedded,
        database: &Arc<Database>,
        mutation: Mutation,
        keeps_messages: bool,
    ) -> Arc<Self> {
        let (process, database, health) = (Arc::clone(process), Arc::clone(database), Arc::default());
        Arc::new(Self { process, inner, database, mutation, keeps_messages, health })
    }

    /// Before a call reaches the broker.
    async fn reach(&self, what: &str) -> Result<(), Error> {
        self.process.step(what).await;
        if self.is_away() || self.process.world.strikes(self.process.world.faults.broker_refuses) {
            return Err(unavailable("refused"));
        }
        Ok(())
    }

    fn is_away(&self) -> bool {
        let process = &self.process;
        let was = *lock(&process.broker_away_until);
        let away = process.is_away(&process.broker_away_until, process.world.faults.broker_away, "broker");
        let until = *lock(&process.broker_away_until);
        if away && until != was {
            self.tell(&Health::Down("away".to_owned()));
            let health = Arc::clone(&self.health);
            tokio::spawn(async move {
                sleep_until(until).await;
                lock(&health).iter().for_each(|told| drop(told.send_replace(Health::Ready)));
            });
        }
        away
    }

    fn tell(&self, news: &Health) {
        let mut health = lock(&self.health);
        health.retain(|told| !told.is_closed());
        health.iter().for_each(|told| drop(told.send_replace(news.clone())));
    }

    /// Publishes one message, as often and as late as chance will have it; whether it is confirmed.
    async fn send(&self, publication: Publication) -> Result<(), Error> {
        let (world, name) = (&self.process.world, &publication.message.message_id);
        let faults = &world.faults;
        if world.strikes(faults.broker_refuses) {
            return Err(unavailable("refused"));
        }
        world.note(&format!("{} publishes {name} to {}", self.process.name, publication.queue));
        let name = name.clone();
        // What no queue takes is told at once.
        self.inner.depth(&publication.queue).await?;
        if world.strikes(faults.duplicate) {
            self.send_late(publication.clone());
        }
        if world.strikes(faults.late_message) {
            self.send_late(publication);
        } else {
            self.inner.publish(vec![publication]).await.pop().unwrap_or(Ok(()))?;
        }
        if world.strikes(faults.confirm_lost) {
            world.note(&format!("the confirm of {name} is lost"));
            return Err(unavailable("the confirm was lost"));
        }
        lock(&self.database.confirmed).insert(name);
        Ok(())
    }

    fn send_late(&self, publication: Publication) {
        let (inner, world) = (self.inner.clone(), Arc::clone(&self.process.world));
        let span = world.draw(|random| random.between(1, 4_000));
        tokio::spawn(async move {
            sleep(ms(span)).await;
            world.note(&format!("{} comes late to {}", publication.message.message_id, publication.queue));
            inner.publish(vec![publication]).await
        });
    }
}

fn unavailable(why: &str) -> Error {
    Error::Unavailable(why.to_owned())
}

#[async_trait]
impl Broker for SimulatedBroker {
    async fn declare(&self, queue: &QueueDeclaration) -> Result<(), Error> {
        self.reach("a declaration").await?;
        self.inner.declare(queue).await
    }

    async fn declare_exchange(&self, exchange: &str) -> Result<(), Error> {
        self.reach("an exchange").await?;
        self.inner.declare_exchange(exchange).await
    }

    async fn publish(&self, publications: Vec<Publication>) -> Vec<Result<(), Error>> {
        if let Err(error) = self.reach("publishing").await {
            return vec![Err(error); publications.len()];
        }
        let mut outcomes = Vec::with_capacity(publications.len());
        for publication in publications {
            let name = publication.message.message_id.clone();
            let outcome = self.send(publication).await;
            self.database.sent(name, outcome.is_err());
            outcomes.push(outcome);
            // Some have left it and others have not when it crashes.
            if self.process.world.strikes(self.process.world.faults.crash / 4) {
                self.process.kill();
            }
            self.process.stand_still().await;
        }
        self.process.step("the confirms").await;
        outcomes
    }

    async fn announce(&self, announcements: Vec<Announcement>) -> Result<(), Error> {
        self.reach("announcing").await?;
        // Nothing may rest on it: now and then it is lost in silence.
        if self.process.world.strikes(self.process.world.faults.confirm_lost) {
            return Ok(());
        }
        self.inner.announce(announcements).await
    }

    async fn consume(&self, subscription: Subscription) -> Result<Box<dyn Consumer>, Error> {
        self.reach("consuming").await?;
        let inbox = subscription.queue.starts_with(topology::INBOX);
        let inner = self.inner.consume(subscription).await?;
        let acknowledger =
            Arc::new(Acknowledger { process: Arc::clone(&self.process), inner: inner.acknowledger() });
        let mutation = if inbox { self.mutation } else { Mutation::None };
        Ok(Box::new(SimulatedConsumer {
            process: Arc::clone(&self.process),
            database: Arc::clone(&self.database),
            acknowledger,
            inner: Some(inner),
            pause_until: Instant::now(),
            mutation,
        }))
    }

    async fn depth(&self, queue: &str) -> Result<u64, Error> {
        self.reach("a depth").await?;
        self.inner.depth(queue).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        let away = *lock(&self.process.broker_away_until) > Instant::now();
        let (tell, told) = watch::channel(if away { Health::Down("away".to_owned()) } else { Health::Ready });
        lock(&self.health).push(tell);
        told
    }

    fn keeps_messages(&self) -> bool {
        self.keeps_messages
    }
}

struct SimulatedConsumer {
    process: Arc<Process>,
    database: Arc<Database>,
    acknowledger: Arc<Acknowledger>,
    /// None once it has ended.
    inner: Option<Box<dyn Consumer>>,
    pause_until: Instant,
    mutation: Mutation,
}

impl SimulatedConsumer {
    /// The result of any attempt closes the one that is open.
    fn mistake(&self, delivery: &mut Delivery) {
        if Kind::parse(&delivery.message.kind) != Some(Kind::Result) {
            return;
        }
        let Ok(mut result) = serde_json::from_slice::<ResultMessage>(&delivery.message.body) else { return };
        let path = result.address.task_path.as_str();
        if let Some(open) = self.database.open_at(&result.address.run, path) {
            result.address.execution_id = open;
            delivery.message.body = serde_json::to_vec(&result).unwrap_or_default().into();
        }
    }
}

#[async_trait]
impl Consumer for SimulatedConsumer {
    async fn receive(&mut self, max: usize) -> Result<Vec<Delivery>, Error> {
        // Whoever waits here may stop waiting at any time: what was received is never awaited upon.
        self.process.stand_still().await;
        sleep_until(self.pause_until).await;
        let world = Arc::clone(&self.process.world);
        let away = *lock(&self.process.broker_away_until) > Instant::now();
        if away || (self.inner.is_some() && world.strikes(world.faults.consumer_ends)) {
            world.note(&format!("a consumer of {} ends", self.process.name));
            self.inner = None;
        }
        let Some(inner) = &mut self.inner else { return Err(Error::Ended) };
        let mut deliveries = inner.receive(max).await?;
        if self.mutation == Mutation::NoDuplicateCheck {
            for delivery in &mut deliveries {
                self.mistake(delivery);
            }
        }
        for delivery in &deliveries {
            let name = delivery.message.message_id.clone();
            lock(&self.database.mail).entry(name).or_default().delivered += 1;
        }
        let names: Vec<&str> =
            deliveries.iter().map(|delivery| delivery.message.message_id.as_str()).collect();
        world.note(&format!("{} receives {}", self.process.name, names.join(" ")));
        if world.strikes(world.faults.delay) {
            let span = world.draw(|random| random.between(1, world.faults.longest_delay_ms.max(1)));
            self.pause_until = Instant::now() + ms(span);
        }
        Ok(deliveries)
    }

    async fn stop(&mut self) -> Result<(), Error> {
        self.process.step("stopping to consume").await;
        match &mut self.inner {
            Some(inner) => inner.stop().await,
            None => Err(Error::Ended),
        }
    }

    fn acknowledger(&self) -> Arc<dyn Acknowledge> {
        Arc::clone(&self.acknowledger) as Arc<dyn Acknowledge>
    }
}

struct Acknowledger {
    process: Arc<Process>,
    inner: Arc<dyn Acknowledge>,
}

#[async_trait]
impl Acknowledge for Acknowledger {
    async fn ack(&self, tag: u64) -> Result<(), Error> {
        self.process.step("an acknowledgement").await;
        self.inner.ack(tag).await
    }

    async fn ack_through(&self, tag: u64) -> Result<(), Error> {
        self.process.step("an acknowledgement").await;
        self.inner.ack_through(tag).await
    }

    async fn reject(&self, tag: u64, requeue: bool) -> Result<(), Error> {
        self.process.step("a rejection").await;
        self.inner.reject(tag, requeue).await
    }
}
