//! Who gets how much, and when.

use super::*;

/// A consumer that waits before anything is there gets the message.
pub async fn a_waiting_consumer_gets_what_is_published(harness: Harness) {
    let queue = harness.queue("q").await;
    let mut consumer = harness.consume(&queue, 10).await;
    let waiting = tokio::spawn(async move { numbers(&receive(&mut consumer, 1).await) });
    tokio::task::yield_now().await;
    harness.publish(&queue, 7..8).await;
    assert_eq!(waiting.await.unwrap(), [7]);
}

/// `max` bounds one answer; the rest follows.
pub async fn receive_answers_at_most_as_many_as_asked(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..10).await;
    let mut consumer = harness.consume(&queue, 100).await;
    let mut received = Vec::new();
    while received.len() < 10 {
        let some = consumer.receive(3).await.unwrap();
        assert!((1..=3).contains(&some.len()), "{}", some.len());
        received.extend(numbers(&some));
    }
    assert_eq!(received, (0..10).collect::<Vec<_>>());
}

/// The tags of each consumer grow from 1.
pub async fn tags_grow_from_one(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..4).await;
    let mut consumer = harness.consume(&queue, 10).await;
    let tags: Vec<_> = receive(&mut consumer, 4).await.iter().map(|delivery| delivery.tag).collect();
    assert_eq!(tags, [1, 2, 3, 4]);
    drop(consumer);
    assert_eq!(receive(&mut harness.consume(&queue, 10).await, 1).await[0].tag, 1);
}

/// A consumer never holds more unacknowledged deliveries than its prefetch, and each acknowledgement makes room for one.
pub async fn prefetch_bounds_what_is_unacknowledged(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..10).await;
    let mut consumer = harness.consume(&queue, 3).await;
    let held = receive(&mut consumer, 3).await;
    harness.nothing_comes(&mut consumer).await;
    harness.depth_becomes(&queue, 7).await;
    consumer.acknowledger().ack(held[1].tag).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 1).await), [3]);
    harness.nothing_comes(&mut consumer).await;
}

/// While it has room the consumer of the greatest priority gets everything.
pub async fn the_greatest_priority_is_served_first(harness: Harness) {
    let queue = harness.queue("q").await;
    let mut low = harness.consume_with_priority(&queue, 100, -1).await;
    let mut high = harness.consume_with_priority(&queue, 100, 7).await;
    let mut middle = harness.consume_with_priority(&queue, 100, 2).await;
    harness.publish(&queue, 0..50).await;
    assert_eq!(receive(&mut high, 50).await.len(), 50);
    harness.nothing_comes(&mut low).await;
    harness.nothing_comes(&mut middle).await;
    drop(high);
    assert_eq!(numbers(&receive(&mut middle, 50).await), (0..50).collect::<Vec<_>>());
    harness.nothing_comes(&mut low).await;
}

/// What a full consumer of great priority has no room for goes to the others, until it has room again.
pub async fn a_full_consumer_of_great_priority_lets_others_work(harness: Harness) {
    let queue = harness.queue("q").await;
    let mut low = harness.consume_with_priority(&queue, 100, 0).await;
    let mut high = harness.consume_with_priority(&queue, 3, 1).await;
    harness.publish(&queue, 0..6).await;
    assert_eq!(numbers(&receive(&mut low, 3).await), [3, 4, 5]);
    let held = receive(&mut high, 3).await;
    assert_eq!(numbers(&held), [0, 1, 2]);
    high.acknowledger().ack_through(held[2].tag).await.unwrap();
    // A broker elsewhere may take some messages before it learns of the acknowledgement: those go to the other.
    let mut numbered = 6..50;
    let served = loop {
        let number = numbered.next().expect("room is used again");
        harness.publish(&queue, number..number + 1).await;
        if let Ok(deliveries) = tokio::time::timeout(harness.quiet, high.receive(1)).await {
            break numbers(&deliveries.unwrap());
        }
        assert_eq!(numbers(&receive(&mut low, 1).await), [number]);
    };
    harness.publish(&queue, 50..52).await;
    assert_eq!(numbers(&receive(&mut high, 2).await), [50, 51]);
    assert_eq!(served, [numbered.start - 1]);
}

/// Who stops gives back what it has not received, keeps what it has, and is passed over.
pub async fn a_stopped_consumer_gets_nothing_more_and_settles_what_it_has(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..6).await;
    let mut stopped = harness.consume(&queue, 4).await;
    let held = receive(&mut stopped, 2).await;
    stopped.stop().await.unwrap();
    harness.publish(&queue, 6..8).await;
    harness.depth_becomes(&queue, 6).await;
    let mut other = harness.consume(&queue, 100).await;
    assert_eq!(numbers(&receive(&mut other, 6).await), [2, 3, 4, 5, 6, 7]);
    stopped.acknowledger().ack(held[0].tag).await.unwrap();
    drop(stopped);
    assert_eq!(numbers(&receive(&mut other, 1).await), [1], "what it had not settled comes back");
    harness.nothing_comes(&mut other).await;
}
