//! What goes in comes out, as it was and in order.

use super::*;

/// Every property of a message arrives as it was sent.
pub async fn messages_keep_their_properties(harness: Harness) {
    let queue = harness.queue("q").await;
    let full = Message {
        body: Bytes::from((0..=255).collect::<Vec<u8>>()),
        message_id: "id ü".to_owned(),
        correlation_id: Some("correlation".to_owned()),
        reply_to: Some("reply".to_owned()),
        kind: "result".to_owned(),
        headers: vec![
            ("traceparent".to_owned(), "00-1-2-01".to_owned()),
            ("empty".to_owned(), String::new()),
        ],
    };
    let bare = Message { message_id: "bare".to_owned(), kind: "task".to_owned(), ..Message::default() };
    let large = Message { body: Bytes::from(vec![b'x'; 1024 * 1024]), ..bare.clone() };
    let sent = [full, bare, large];
    let publications =
        sent.iter().map(|message| Publication { queue: queue.clone(), message: message.clone() });
    for outcome in harness.broker.publish(publications.collect()).await {
        outcome.unwrap();
    }
    let received = receive(&mut harness.consume(&queue, 10).await, 3).await;
    for (delivery, sent) in received.iter().zip(&sent) {
        let mut message = delivery.message.clone();
        message.headers.sort_by_key(|(name, _)| std::cmp::Reverse(name.clone()));
        assert_eq!(message, *sent);
        assert_eq!(delivery.deliveries, 1);
    }
}

/// One consumer sees the messages of one publisher in the order in which it published them.
pub async fn messages_come_in_order(harness: Harness) {
    let queue = harness.queue("q").await;
    harness.publish(&queue, 0..60).await;
    let mut consumer = harness.consume(&queue, 200).await;
    harness.publish(&queue, 60..120).await;
    assert_eq!(numbers(&receive(&mut consumer, 120).await), (0..120).collect::<Vec<_>>());
}

/// A publication that no queue takes fails; those around it arrive, and the outcomes have the order of the publications.
pub async fn publishing_to_a_missing_queue_fails_alone(harness: Harness) {
    let (first, second) = (harness.queue("first").await, harness.queue("second").await);
    let missing = harness.name("missing");
    let queues = [&second, &missing, &first, &missing, &second];
    let publications = (0..).zip(queues).map(|(number, queue)| publication(queue, number)).collect();
    let outcomes = harness.broker.publish(publications).await;
    let no_queue = || Err(Error::NoQueue(missing.clone()));
    assert_eq!(outcomes, [Ok(()), no_queue(), Ok(()), no_queue(), Ok(())]);
    assert_eq!(numbers(&receive(&mut harness.consume(&second, 10).await, 2).await), [0, 4]);
    assert_eq!(numbers(&receive(&mut harness.consume(&first, 10).await, 1).await), [2]);
}
