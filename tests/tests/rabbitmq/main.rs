//! RabbitMQ where the conformance suite does not reach: lost servers, alarms, refused logins, TLS, full windows.
//!
//! Tests that only need queues share the server of the run, each in a virtual host of its own. Those that hurt a server
//! start a private one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test names its line")]

use std::time::Duration;

use bytes::Bytes;
use oarlock_broker::rabbitmq::{RabbitMq, Settings};
use oarlock_broker::{
    Broker, Consumer, Delivery, Error, Health, Message, Publication, QueueDeclaration, QueueKind,
    Subscription,
};
use oarlock_protocol::Span;
use oarlock_test_servers::{Vhost, shared};
use tokio::time::timeout;

mod announcing;
mod connecting;
mod faults;
mod load;
mod strangers;
mod tls;
mod watchdog;

/// How long a test waits for what must come: a server starts in five seconds, and several start at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// A virtual host on the server of this run.
fn vhost() -> Vhost {
    Vhost::create(&shared().management).unwrap()
}

/// Settings that lose no time.
fn settings(uri: impl Into<String>) -> Settings {
    Settings {
        nodes: vec![uri.into()],
        heartbeat: Span::from_secs(1),
        connect_timeout: Span::from_secs(5),
        ..Settings::default()
    }
}

fn connect(uri: impl Into<String>) -> RabbitMq {
    RabbitMq::connect(settings(uri)).unwrap()
}

/// Waits for a state of health and returns it.
async fn health(rabbitmq: &RabbitMq, fits: impl Fn(&Health) -> bool) -> Health {
    let mut health = rabbitmq.health();
    let found = timeout(PATIENCE, health.wait_for(fits)).await.map(|found| found.unwrap().clone());
    found.unwrap_or_else(|_| panic!("health stays {:?}", health.borrow()))
}

async fn ready(rabbitmq: &RabbitMq) {
    health(rabbitmq, |health| *health == Health::Ready).await;
}

/// Why there is no connection.
async fn down(rabbitmq: &RabbitMq) -> String {
    match health(rabbitmq, |health| matches!(health, Health::Down(_))).await {
        Health::Down(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// Declares a durable queue without a limit.
async fn declare(rabbitmq: &RabbitMq, name: &str) -> String {
    let kind = QueueKind::Durable;
    let name = name.to_owned();
    let queue = QueueDeclaration {
        name: name.clone(),
        kind,
        delivery_limit: None,
        dead_letter: None,
        hears: Vec::new(),
    };
    rabbitmq.declare(&queue).await.unwrap();
    name
}

async fn consume(rabbitmq: &RabbitMq, queue: &str, prefetch: u16) -> Result<Box<dyn Consumer>, Error> {
    rabbitmq.consume(Subscription { queue: queue.to_owned(), prefetch, priority: 0 }).await
}

async fn receive(consumer: &mut Box<dyn Consumer>, max: usize) -> Result<Vec<Delivery>, Error> {
    timeout(PATIENCE, consumer.receive(max)).await.expect("a delivery or the end comes")
}

fn publication(queue: &str, number: usize) -> Publication {
    let message = Message {
        body: Bytes::from(number.to_string()),
        message_id: format!("m{number}"),
        kind: "task".to_owned(),
        ..Message::default()
    };
    Publication { queue: queue.to_owned(), message }
}

async fn publish(rabbitmq: &RabbitMq, queue: &str, number: usize) -> Result<(), Error> {
    rabbitmq.publish(vec![publication(queue, number)]).await.remove(0)
}

fn number(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.message.body).unwrap().parse().unwrap()
}
