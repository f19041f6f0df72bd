//! What becomes of a delivery: acknowledged, given back, given up.

use super::*;

/// What is acknowledged does not come back when its consumer ends.
pub async fn an_acknowledged_delivery_is_gone(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..3).await;
    let mut consumer = harness.consume(&queue, 10).await;
    let deliveries = receive(&mut consumer, 3).await;
    consumer.acknowledger().ack(deliveries[1].tag).await.unwrap();
    drop(consumer);
    assert_eq!(numbers(&receive(&mut harness.consume(&queue, 10).await, 2).await), [0, 2]);
}

/// `ack_through` settles every delivery up to and with its tag, and none behind it.
pub async fn acknowledging_through_a_tag_settles_all_before(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..6).await;
    let mut consumer = harness.consume(&queue, 10).await;
    let deliveries = receive(&mut consumer, 6).await;
    consumer.acknowledger().ack(deliveries[1].tag).await.unwrap();
    consumer.acknowledger().ack_through(deliveries[3].tag).await.unwrap();
    drop(consumer);
    let mut other = harness.consume(&queue, 10).await;
    assert_eq!(numbers(&receive(&mut other, 2).await), [4, 5]);
    harness.nothing_comes(&mut other).await;
}

/// A tag that was never handed out, or is settled already, changes nothing.
pub async fn an_unknown_tag_does_nothing(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..3).await;
    let mut consumer = harness.consume(&queue, 2).await;
    let acknowledger = consumer.acknowledger();
    acknowledger.ack(99).await.unwrap();
    let tag = receive(&mut consumer, 1).await[0].tag;
    acknowledger.ack(tag).await.unwrap();
    acknowledger.ack(tag).await.unwrap();
    acknowledger.reject(tag, true).await.unwrap();
    acknowledger.reject(tag + 50, true).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 2).await), [1, 2]);
    harness.nothing_comes(&mut consumer).await;
}

/// The handle may be used from other tasks, after others took the deliveries.
pub async fn an_acknowledger_works_elsewhere(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..2).await;
    let mut consumer = harness.consume(&queue, 1).await;
    let acknowledger = consumer.acknowledger();
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Delivery>(1);
    let elsewhere = tokio::spawn(async move {
        while let Some(delivery) = receiver.recv().await {
            acknowledger.ack(delivery.tag).await.unwrap();
        }
    });
    for expected in 0..2 {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!(number(&delivery), expected);
        sender.send(delivery).await.unwrap();
    }
    drop(sender);
    elsewhere.await.unwrap();
    drop(consumer);
    harness.nothing_comes(&mut harness.consume(&queue, 1).await).await;
}

/// What a consumer held goes back to the front when it is dropped, in the old order and counted.
pub async fn what_a_dropped_consumer_held_comes_back_in_order(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..6).await;
    let mut consumer = harness.consume(&queue, 4).await;
    receive(&mut consumer, 4).await;
    drop(consumer);
    harness.depth_becomes(&queue, 6).await;
    let again = receive(&mut harness.consume(&queue, 10).await, 6).await;
    assert_eq!(numbers(&again), [0, 1, 2, 3, 4, 5]);
    assert_eq!(again.iter().map(|d| d.deliveries).collect::<Vec<_>>(), [2, 2, 2, 2, 1, 1]);
}

/// What consumers give back comes before what is new, and what each of them held is in order. Between two consumers that end
/// at different times there is none: RabbitMQ keeps what came back in the order in which it came back.
pub async fn what_consumers_give_back_comes_before_what_is_new(harness: Harness) {
    let queue = harness.queue("q").await;
    let mut first = harness.consume(&queue, 2).await;
    harness.publish(&queue, 0..2).await;
    assert_eq!(numbers(&receive(&mut first, 2).await), [0, 1]);
    let mut second = harness.consume(&queue, 2).await;
    harness.publish(&queue, 2..6).await;
    assert_eq!(numbers(&receive(&mut second, 2).await), [2, 3]);
    drop(second);
    drop(first);
    harness.depth_becomes(&queue, 6).await;
    let again = numbers(&receive(&mut harness.consume(&queue, 10).await, 6).await);
    let orders = [[0, 1, 2, 3, 4, 5], [2, 3, 0, 1, 4, 5]];
    assert!(orders.iter().any(|order| again == order), "{again:?}");
}

/// An acknowledgement that comes after the consumer ended settles nothing, here or at another consumer.
pub async fn a_tag_of_an_ended_consumer_settles_nothing(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..2).await;
    let mut consumer = harness.consume(&queue, 10).await;
    let tag = receive(&mut consumer, 2).await[1].tag;
    let acknowledger = consumer.acknowledger();
    drop(consumer);
    let mut other = harness.consume(&queue, 10).await;
    assert_eq!(numbers(&receive(&mut other, 2).await), [0, 1]);
    // Whether it says so is the adapter's choice: it may learn of the end later.
    let _ = acknowledger.ack_through(tag).await;
    drop(other);
    assert_eq!(numbers(&receive(&mut harness.consume(&queue, 10).await, 2).await), [0, 1]);
}

/// A delivery given back comes before what waits, and is counted.
pub async fn a_requeued_delivery_comes_first_and_is_counted(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..3).await;
    let mut consumer = harness.consume(&queue, 1).await;
    for expected in 1..=3 {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!((number(&delivery), delivery.deliveries), (0, expected));
        consumer.acknowledger().reject(delivery.tag, true).await.unwrap();
    }
    let delivery = receive(&mut consumer, 1).await.remove(0);
    consumer.acknowledger().ack(delivery.tag).await.unwrap();
    let next = receive(&mut consumer, 1).await.remove(0);
    assert_eq!((number(&next), next.deliveries), (1, 1));
}

/// A delivery given up goes to the dead-letter queue with all it carried, and tells why.
pub async fn a_rejected_delivery_goes_to_the_dead_letter_queue(harness: Harness) {
    let (queue, dead) = harness.mortal_queue(None).await;
    harness.publish(&queue, 0..2).await;
    let mut consumer = harness.consume(&queue, 1).await;
    let delivery = receive(&mut consumer, 1).await.remove(0);
    consumer.acknowledger().reject(delivery.tag, false).await.unwrap();
    let buried = receive(&mut harness.consume(&dead, 10).await, 1).await.remove(0);
    assert_eq!((number(&buried), buried.message.message_id.as_str()), (0, "m0"));
    assert_eq!(reason(&buried), Some("rejected"));
    assert_eq!(numbers(&receive(&mut consumer, 1).await), [1]);
}

/// Without a dead-letter queue a delivery given up is dropped.
pub async fn a_rejected_delivery_without_a_dead_letter_queue_is_gone(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..2).await;
    let mut consumer = harness.consume(&queue, 1).await;
    let tag = receive(&mut consumer, 1).await[0].tag;
    consumer.acknowledger().reject(tag, false).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 1).await), [1]);
    drop(consumer);
    assert_eq!(numbers(&receive(&mut harness.consume(&queue, 10).await, 1).await), [1]);
}

/// After exactly as many deliveries as the limit says a message given back goes to the dead-letter queue.
pub async fn the_delivery_limit_gives_up_rejected_messages(harness: Harness) {
    let (queue, dead) = harness.mortal_queue(Some(3)).await;
    harness.publish(&queue, 0..1).await;
    let mut consumer = harness.consume(&queue, 10).await;
    for expected in 1..=3 {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!(delivery.deliveries, expected);
        consumer.acknowledger().reject(delivery.tag, true).await.unwrap();
    }
    let buried = receive(&mut harness.consume(&dead, 10).await, 1).await.remove(0);
    assert_eq!((number(&buried), reason(&buried)), (0, Some("delivery-limit")));
    harness.nothing_comes(&mut consumer).await;
}

/// The limit counts deliveries to consumers that ended just so.
pub async fn the_delivery_limit_gives_up_messages_of_dropped_consumers(harness: Harness) {
    let (queue, dead) = harness.mortal_queue(Some(2)).await;
    harness.publish(&queue, 0..3).await;
    for expected in 1..=2 {
        let mut consumer = harness.consume(&queue, 10).await;
        let deliveries = receive(&mut consumer, 3).await;
        assert!(deliveries.iter().all(|delivery| delivery.deliveries == expected));
    }
    let buried = receive(&mut harness.consume(&dead, 10).await, 3).await;
    assert_eq!(numbers(&buried), [0, 1, 2]);
    assert!(buried.iter().all(|delivery| reason(delivery) == Some("delivery-limit")));
    harness.depth_becomes(&queue, 0).await;
}

/// A queue without a limit delivers a message as often as it must.
pub async fn without_a_limit_nothing_is_given_up(harness: Harness) {
    let (queue, _) = harness.mortal_queue(None).await;
    harness.publish(&queue, 0..1).await;
    let mut consumer = harness.consume(&queue, 10).await;
    for expected in 1..=60 {
        let delivery = receive(&mut consumer, 1).await.remove(0);
        assert_eq!(delivery.deliveries, expected);
        consumer.acknowledger().reject(delivery.tag, true).await.unwrap();
    }
}

fn reason(delivery: &Delivery) -> Option<&str> {
    let mut headers = delivery.message.headers.iter();
    headers.find(|(name, _)| name == oarlock_broker::port::REASON_HEADER).map(|(_, value)| value.as_str())
}
