//! Queues: declared, missing, counted, gone.

use super::*;

/// The same declaration again does nothing to the queue.
pub async fn declaring_again_changes_nothing(harness: Harness) {
    let (queue, _) = harness.mortal_queue(Some(4)).await;
    harness.publish(&queue, 0..3).await;
    harness.mortal_queue(Some(4)).await;
    assert_eq!(numbers(&receive(&mut harness.consume(&queue, 10).await, 3).await), [0, 1, 2]);
}

/// A queue that stands otherwise is not changed in silence, and goes on to work.
pub async fn another_declaration_is_refused(harness: Harness) {
    let (queue, dead) = harness.mortal_queue(Some(4)).await;
    let other = QueueDeclaration {
        name: queue.clone(),
        kind: QueueKind::Durable,
        delivery_limit: Some(5),
        dead_letter: Some(dead),
        hears: Vec::new(),
    };
    let outcome = harness.broker.declare(&other).await;
    assert!(matches!(&outcome, Err(Error::Refused(text)) if text.contains(&queue)), "{outcome:?}");
    harness.publish(&queue, 0..1).await;
    assert_eq!(numbers(&receive(&mut harness.consume(&queue, 10).await, 1).await), [0]);
}

/// Consuming and counting a queue that is not there says so.
pub async fn a_missing_queue_is_told(harness: Harness) {
    let queue = harness.name("missing");
    assert_eq!(harness.broker.depth(&queue).await, Err(Error::NoQueue(queue.clone())));
    let subscription = Subscription { queue: queue.clone(), prefetch: 1, priority: 0 };
    assert_eq!(harness.broker.consume(subscription).await.err(), Some(Error::NoQueue(queue)));
}

/// Depth counts what waits, not what consumers hold.
pub async fn depth_counts_what_waits(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.depth_becomes(&queue, 0).await;
    harness.publish(&queue, 0..5).await;
    harness.depth_becomes(&queue, 5).await;
    let mut consumer = harness.consume(&queue, 2).await;
    receive(&mut consumer, 2).await;
    harness.depth_becomes(&queue, 3).await;
    drop(consumer);
    harness.depth_becomes(&queue, 5).await;
}

/// An exclusive queue stands while it has a consumer, and then is gone with all it held.
pub async fn an_exclusive_queue_goes_with_its_last_consumer(harness: Harness) {
    let queue = harness.declare("control", QueueKind::Exclusive, None, None).await;
    let (first, second) = (harness.consume(&queue, 1).await, harness.consume(&queue, 1).await);
    drop(first);
    harness.publish(&queue, 0..5).await;
    drop(second);
    let publish = || async { harness.broker.publish(vec![publication(&queue, 9)]).await.remove(0).err() };
    let error = eventually("the queue goes", publish).await;
    assert_eq!(error, Error::NoQueue(queue.clone()));
    harness.declare("control", QueueKind::Exclusive, None, None).await;
    harness.depth_becomes(&queue, 0).await;
}

/// A broker that works says that it is ready.
pub async fn a_new_broker_is_ready(harness: Harness) {
    let mut health = harness.broker.health();
    let ready = tokio::time::timeout(PATIENCE, health.wait_for(|health| *health == Health::Ready)).await;
    ready.expect("it becomes ready").unwrap();
}
