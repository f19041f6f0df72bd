//! Rules that only show with many messages, many tasks and dropped futures.

use std::collections::BTreeSet;

use super::*;

/// A `receive` that is dropped while it waits takes no delivery with it.
pub async fn a_dropped_receive_loses_nothing(harness: Harness) {
    const MESSAGES: u32 = 500;
    const DROPS: usize = 1000;
    let queue = harness.queue("q").await;
    let mut consumer = harness.consume(&queue, 100).await;
    let acknowledger = consumer.acknowledger();
    let broker = Arc::clone(&harness.broker);
    let publishing = tokio::spawn(async move {
        for number in 0..MESSAGES {
            broker.publish(vec![publication(&queue, number)]).await.remove(0).unwrap();
            tokio::task::yield_now().await;
        }
    });
    let (mut received, mut drops) = (Vec::new(), 0);
    let began = std::time::Instant::now();
    while received.len() < MESSAGES as usize || drops < DROPS {
        assert!(began.elapsed() < PATIENCE, "lost: {} of {MESSAGES} came", received.len());
        tokio::select! {
            biased;
            deliveries = consumer.receive(3) => for delivery in deliveries.unwrap() {
                assert_eq!(delivery.deliveries, 1);
                acknowledger.ack(delivery.tag).await.unwrap();
                received.push(number(&delivery));
            },
            () = tokio::task::yield_now() => drops += 1,
        }
    }
    publishing.await.unwrap();
    assert_eq!(received, (0..MESSAGES).collect::<Vec<_>>());
}

/// With several publishers and consumers at once each message is delivered once.
pub async fn many_publishers_and_consumers_lose_and_double_nothing(harness: Harness) {
    const PUBLISHERS: u32 = 4;
    const EACH: u32 = 1000;
    let queue = harness.queue("q").await;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(64);
    let mut consumers = tokio::task::JoinSet::new();
    for prefetch in [1, 7, 50, 300] {
        consumers.spawn(pass_on(harness.consume(&queue, prefetch).await, sender.clone()));
    }
    for publisher in 0..PUBLISHERS {
        let (broker, queue) = (Arc::clone(&harness.broker), queue.clone());
        tokio::spawn(async move {
            let numbers: Vec<_> = (publisher * EACH..(publisher + 1) * EACH).collect();
            for batch in numbers.chunks(40) {
                let publications = batch.iter().map(|number| publication(&queue, *number)).collect();
                assert!(broker.publish(publications).await.iter().all(Result::is_ok));
            }
        });
    }
    let mut seen = BTreeSet::new();
    while seen.len() < (PUBLISHERS * EACH) as usize {
        let number = tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("none is lost").unwrap();
        assert!(seen.insert(number), "{number} came twice");
    }
    harness.depth_becomes(&queue, 0).await;
    // Whatever was not acknowledged would come back now.
    consumers.shutdown().await;
    harness.nothing_comes(&mut harness.consume(&queue, 10).await).await;
}

/// Acknowledges everything, each batch in another way, and tells its numbers only then.
async fn pass_on(mut consumer: Box<dyn Consumer>, sender: tokio::sync::mpsc::Sender<u32>) {
    let acknowledger = consumer.acknowledger();
    while let Ok(deliveries) = consumer.receive(20).await {
        if deliveries.len() % 2 == 0 {
            acknowledger.ack_through(deliveries[deliveries.len() - 1].tag).await.unwrap();
        } else {
            for delivery in deliveries.iter().rev() {
                acknowledger.ack(delivery.tag).await.unwrap();
            }
        }
        for number in numbers(&deliveries) {
            let _ = sender.send(number).await;
        }
    }
}
