//! Announcements: who hears them, and who does not.

use oarlock_broker::port::LARGEST_ANNOUNCEMENT;

use super::*;

/// Every listener whose pattern fits hears an announcement once, and no other does.
pub async fn an_announcement_reaches_everyone_whose_pattern_fits(harness: Harness) {
    let mut exact = harness.listen("exact", &[("news", "run.done")]).await;
    let mut star = harness.listen("star", &[("news", "run.*"), ("news", "*.done")]).await;
    let mut all = harness.listen("all", &[("news", "#"), ("other", "x")]).await;
    let mut hash = harness.listen("hash", &[("news", "run.#")]).await;
    let topics = ["run.done", "task.done", "run.failed", "run", "run.step.done", ""];
    for (number, topic) in (0..).zip(topics) {
        harness.announce("news", topic, number).await;
    }
    harness.announce("other", "x", 9).await;
    harness.announce("other", "y", 10).await;
    let heard = [(&mut exact, vec![0]), (&mut star, vec![0, 1, 2]), (&mut hash, vec![0, 2, 3, 4])];
    for (consumer, expected) in heard {
        assert_eq!(numbers(&receive(consumer, expected.len()).await), expected);
        harness.nothing_comes(consumer).await;
    }
    // One queue, two exchanges: each in its order.
    let mut everything = numbers(&receive(&mut all, 7).await);
    everything.sort_unstable();
    assert_eq!(everything, [0, 1, 2, 3, 4, 5, 9]);
    harness.nothing_comes(&mut all).await;
}

/// An announcement arrives as it was told.
pub async fn announcements_keep_their_properties(harness: Harness) {
    let mut consumer = harness.listen("all", &[("news", "#")]).await;
    let message = Message {
        body: Bytes::from(vec![b'x'; LARGEST_ANNOUNCEMENT]),
        message_id: "id ü".to_owned(),
        kind: "oarlock.beat".to_owned(),
        headers: vec![("traceparent".to_owned(), "00-1-2-01".to_owned())],
        ..Message::default()
    };
    let announcement = Announcement {
        exchange: harness.name("news"),
        topic: "worker.w-1".to_owned(),
        message: message.clone(),
    };
    harness.broker.announce(vec![announcement.clone()]).await.unwrap();
    let delivery = receive(&mut consumer, 1).await.remove(0);
    assert_eq!((delivery.message, delivery.deliveries), (message, 1));
    let mut large = announcement;
    large.message.body = Bytes::from(vec![b'x'; LARGEST_ANNOUNCEMENT + 1]);
    assert!(matches!(harness.broker.announce(vec![large]).await, Err(Error::Refused(_))));
}

/// Where nobody listens nothing fails: not without an exchange, not without a queue; and what is told beside is told.
pub async fn an_announcement_that_nobody_hears_is_no_error(harness: Harness) {
    for number in 0..3 {
        harness.announce("nowhere", "a", number).await;
    }
    harness.broker.declare_exchange(&harness.name("news")).await.unwrap();
    harness.broker.declare_exchange(&harness.name("news")).await.unwrap();
    harness.announce("news", "a", 3).await;
    let mut consumer = harness.listen("all", &[("news", "#")]).await;
    let told = [("news", 4), ("nowhere", 5), ("news", 6)];
    let told = told.map(|(exchange, number)| harness.announcement(exchange, "a", number));
    harness.broker.announce(told.to_vec()).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 2).await), [4, 6]);
    // Queues are reached as before.
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..1).await;
    harness.depth_becomes(&queue, 1).await;
}

/// Who comes later hears nothing of before, and everything from then on; also where the exchange was missing before.
pub async fn a_listener_hears_nothing_of_before(harness: Harness) {
    harness.announce("news", "a", 0).await;
    let mut first = harness.listen("first", &[("news", "a")]).await;
    harness.announce("news", "a", 1).await;
    assert_eq!(numbers(&receive(&mut first, 1).await), [1]);
    let mut second = harness.listen("second", &[("news", "a")]).await;
    harness.announce("news", "a", 2).await;
    assert_eq!(numbers(&receive(&mut second, 1).await), [2]);
    assert_eq!(numbers(&receive(&mut first, 1).await), [2]);
}

/// Nobody hears anything any more when the listener has ended; a new one of that name begins anew.
pub async fn a_listener_goes_with_its_consumer(harness: Harness) {
    let listener = harness.listen("first", &[("news", "a")]).await;
    let mut other = harness.listen("other", &[("news", "a")]).await;
    drop(listener);
    let queue = harness.name("first");
    let missing =
        || async { (harness.broker.depth(&queue).await == Err(Error::NoQueue(queue.clone()))).then_some(()) };
    eventually("the queue goes", missing).await;
    harness.announce("news", "a", 1).await;
    assert_eq!(numbers(&receive(&mut other, 1).await), [1]);
    let mut again = harness.listen("first", &[("news", "b")]).await;
    harness.announce("news", "a", 2).await;
    harness.announce("news", "b", 3).await;
    assert_eq!(numbers(&receive(&mut again, 1).await), [3]);
}

/// Many announcements at once all come, in their order: nothing is dropped while there is room.
pub async fn announcements_come_in_order(harness: Harness) {
    let mut consumer = harness.listen("all", &[("news", "#")]).await;
    let told = (0..1_000).map(|number| harness.announcement("news", "a", number)).collect();
    harness.broker.announce(told).await.unwrap();
    assert_eq!(numbers(&receive(&mut consumer, 1_000).await), (0..1_000).collect::<Vec<_>>());
}

/// A queue that outlives who listens would fill up when nobody does.
pub async fn only_an_exclusive_queue_may_hear(harness: Harness) {
    let declaration = harness.listener("durable", QueueKind::Durable, &[("news", "#")]);
    assert!(matches!(harness.broker.declare(&declaration).await, Err(Error::Refused(_))));
    assert!(matches!(harness.broker.declare_exchange("").await, Err(Error::Refused(_))));
}
