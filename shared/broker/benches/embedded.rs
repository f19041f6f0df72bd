//! Measures the embedded broker: publish, receive and acknowledge in batches. Run with `cargo bench -p oarlock-broker`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measuring program speaks on its standard output"
)]

use std::time::Instant;

use bytes::Bytes;
use oarlock_broker::embedded::Embedded;
use oarlock_broker::{Broker, Message, Publication, QueueDeclaration, QueueKind, Subscription};

const MESSAGES: u64 = 2_000_000;
const BATCH: usize = 64;

fn main() {
    for threads in [1, 2] {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(threads).build().unwrap();
        println!("{threads} thread(s), one pair:   {:>9.0} messages/s", runtime.block_on(measure(1)));
        println!("{threads} thread(s), four pairs: {:>9.0} messages/s", runtime.block_on(measure(4)));
        println!("{threads} thread(s), in turns:   {:>9.0} messages/s", runtime.block_on(in_turns()));
    }
}

/// Messages per second with a publisher and a consumer on each of `pairs` queues.
async fn measure(pairs: u64) -> f64 {
    let broker = Embedded::new();
    let began = Instant::now();
    let mut tasks = Vec::new();
    for pair in 0..pairs {
        let queue = format!("oarlock.inbox.{pair}");
        declare(&broker, &queue).await;
        tasks.push(tokio::spawn(publish(broker.clone(), queue.clone(), MESSAGES / pairs)));
        tasks.push(tokio::spawn(consume(broker.clone(), queue, MESSAGES / pairs)));
    }
    for task in tasks {
        task.await.unwrap();
    }
    MESSAGES as f64 / began.elapsed().as_secs_f64()
}

/// Messages per second where one task does everything, batch by batch.
async fn in_turns() -> f64 {
    let broker = Embedded::new();
    declare(&broker, "q").await;
    let subscription = Subscription { queue: "q".to_owned(), prefetch: 1000, priority: 0 };
    let mut consumer = broker.consume(subscription).await.unwrap();
    let acknowledger = consumer.acknowledger();
    let began = Instant::now();
    for _ in 0..MESSAGES / BATCH as u64 {
        broker.publish(batch("q")).await;
        let deliveries = consumer.receive(BATCH).await.unwrap();
        acknowledger.ack_through(deliveries.last().unwrap().tag).await.unwrap();
    }
    MESSAGES as f64 / began.elapsed().as_secs_f64()
}

async fn declare(broker: &Embedded, name: &str) {
    let declaration = QueueDeclaration {
        name: name.to_owned(),
        kind: QueueKind::Durable,
        delivery_limit: Some(5),
        dead_letter: None,
        hears: Vec::new(),
    };
    broker.declare(&declaration).await.unwrap();
}

async fn publish(broker: Embedded, queue: String, count: u64) {
    for _ in 0..count / BATCH as u64 {
        assert!(broker.publish(batch(&queue)).await.iter().all(Result::is_ok));
    }
}

async fn consume(broker: Embedded, queue: String, count: u64) {
    let mut consumer = broker.consume(Subscription { queue, prefetch: 1000, priority: 0 }).await.unwrap();
    let acknowledger = consumer.acknowledger();
    let mut received = 0;
    while received < count / BATCH as u64 * BATCH as u64 {
        let deliveries = consumer.receive(BATCH).await.unwrap();
        received += deliveries.len() as u64;
        acknowledger.ack_through(deliveries.last().unwrap().tag).await.unwrap();
    }
}

/// Messages such as tasks are: every property set, a body of 700 bytes.
fn batch(queue: &str) -> Vec<Publication> {
    let body = Bytes::from_static(&[b'x'; 700]);
    let message = || Message {
        body: body.clone(),
        message_id: "0190a6d2-6e3f-7c51-9c40-0a1b2c3d4e5f".to_owned(),
        correlation_id: Some("0190a6d2-6e3f-7c51-9c40-0a1b2c3d4e5f".to_owned()),
        reply_to: Some("oarlock.inbox.3".to_owned()),
        kind: "task".to_owned(),
        headers: Vec::new(),
    };
    (0..BATCH).map(|_| Publication { queue: queue.to_owned(), message: message() }).collect()
}
