//! Measures the adapter of RabbitMQ against bare lapin doing the same: publish, confirm, receive, acknowledge, in batches.
//! Run with `OARLOCK_TEST_RABBITMQ=amqp://guest:guest@127.0.0.1:5672 cargo bench -p oarlock-broker --bench rabbitmq`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program speaks on its standard output"
)]

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use oarlock_broker::rabbitmq::{RabbitMq, Settings};
use oarlock_broker::{Broker, Message, Publication, QueueDeclaration, QueueKind, Subscription};

const MESSAGES: usize = 20_000;
const BATCH: usize = 256;
const PREFETCH: u16 = 1000;
const ROUNDS: usize = 5;
const QUEUE: &str = "oarlock.bench";
const ID: &str = "0190a6d2-6e3f-7c51-9c40-0a1b2c3d4e5f";
const BODY: &[u8] = &[b'x'; 700];

#[tokio::main]
async fn main() {
    // `cargo test` runs this too, where no server need be.
    let Ok(uri) = std::env::var("OARLOCK_TEST_RABBITMQ") else { return };
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let settings = Settings { nodes: vec![uri.clone()], ..Settings::default() };
    let rabbitmq = Arc::new(RabbitMq::connect(settings).unwrap());
    rabbitmq.declare(&declaration()).await.unwrap();
    let (publishing, consuming) = (connect(&uri).await, connect(&uri).await);
    let (mut rates, mut costs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (index, rates) in rates.iter_mut().enumerate() {
            let (began, worked) = (Instant::now(), processor_time());
            match index {
                0 => through_adapter(&rabbitmq).await,
                _ => through_lapin(&publishing, &consuming).await,
            }
            rates.push(MESSAGES as f64 / began.elapsed().as_secs_f64());
            costs[index].push((processor_time() - worked) * 1e6 / MESSAGES as f64);
        }
    }
    let [adapter, lapin] = rates.map(median);
    println!(
        "messages per second:                   adapter {adapter:>6.0}, lapin {lapin:>6.0}, ratio {:.2}",
        adapter / lapin
    );
    let [adapter, lapin] = costs.map(median);
    println!(
        "microseconds of processor per message: adapter {adapter:>6.1}, lapin {lapin:>6.1}, ratio {:.2}",
        lapin / adapter
    );
    consuming.create_channel().await.unwrap().queue_delete(QUEUE.into(), Default::default()).await.unwrap();
}

async fn connect(uri: &str) -> Connection {
    Connection::connect(uri, ConnectionProperties::default()).await.unwrap()
}

/// The processor time of this process so far, in seconds, as Linux tells it; the server is another process.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// One task publishes, one consumes.
async fn through_adapter(rabbitmq: &Arc<RabbitMq>) {
    let subscription = Subscription { queue: QUEUE.to_owned(), prefetch: PREFETCH, priority: 0 };
    let mut consumer = rabbitmq.consume(subscription).await.unwrap();
    let publisher = Arc::clone(rabbitmq);
    let publishing = tokio::spawn(async move {
        for batch in batches() {
            let publications = std::iter::repeat_with(publication).take(batch).collect();
            assert!(publisher.publish(publications).await.iter().all(Result::is_ok));
        }
    });
    let acknowledger = consumer.acknowledger();
    let mut received = 0;
    while received < MESSAGES {
        let deliveries = consumer.receive(BATCH).await.unwrap();
        received += deliveries.len();
        acknowledger.ack_through(deliveries.last().unwrap().tag).await.unwrap();
    }
    publishing.await.unwrap();
}

/// The same, with nothing between.
async fn through_lapin(publishing: &Connection, consuming: &Connection) {
    let publisher = publishing.create_channel().await.unwrap();
    publisher.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let channel = consuming.create_channel().await.unwrap();
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.unwrap();
    let consuming =
        channel.basic_consume(QUEUE.into(), "".into(), BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = consuming.await.unwrap();
    let publishing = tokio::spawn(async move {
        for batch in batches() {
            publish_bare(&publisher, batch).await;
        }
    });
    let mut received = 0;
    while received < MESSAGES {
        let mut last = consumer.next().await.unwrap().unwrap().delivery_tag;
        let mut count = 1;
        while count < BATCH {
            let Some(Some(Ok(delivery))) = consumer.next().now_or_never() else { break };
            last = delivery.delivery_tag;
            count += 1;
        }
        received += count;
        // Waiting until it is written would make larger batches, which a consumer that does its work makes anyway.
        let acknowledged = channel.basic_ack(last, BasicAckOptions { multiple: true }).now_or_never();
        assert!(acknowledged.is_none_or(|outcome| outcome.is_ok()));
    }
    publishing.await.unwrap();
}

/// Sends all, then collects the confirmations. It asks each publication once and goes on, since waiting until each is
/// written costs a turn of lapin's thread a message, and a third of the rate.
async fn publish_bare(channel: &Channel, count: usize) {
    let mut sendings = Vec::with_capacity(count);
    for _ in 0..count {
        let properties = BasicProperties::default()
            .with_message_id(ID.into())
            .with_correlation_id(ID.into())
            .with_reply_to("oarlock.inbox.3".into())
            .with_type("task".into())
            .with_content_type("application/json".into())
            .with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sending = channel.basic_publish("".into(), QUEUE.into(), options, BODY, properties);
        let mut sending = Box::pin(sending);
        let confirm = sending.as_mut().now_or_never();
        sendings.push((sending, confirm));
    }
    for (sending, confirm) in sendings {
        let confirm = match confirm {
            Some(confirm) => confirm.unwrap(),
            None => sending.await.unwrap(),
        };
        assert!(confirm.await.unwrap().is_ack());
    }
}

fn batches() -> impl Iterator<Item = usize> {
    (0..MESSAGES).step_by(BATCH).map(|start| BATCH.min(MESSAGES - start))
}

fn declaration() -> QueueDeclaration {
    let name = QUEUE.to_owned();
    QueueDeclaration {
        name,
        kind: QueueKind::Durable,
        delivery_limit: None,
        dead_letter: None,
        hears: Vec::new(),
    }
}

fn publication() -> Publication {
    let message = Message {
        body: Bytes::from_static(BODY),
        message_id: ID.to_owned(),
        correlation_id: Some(ID.to_owned()),
        reply_to: Some("oarlock.inbox.3".to_owned()),
        kind: "task".to_owned(),
        headers: Vec::new(),
    };
    Publication { queue: QUEUE.to_owned(), message }
}
