//! What the conformance suite leaves to the adapter: bounds, turns and fairness to other tasks.

use bytes::Bytes;

use super::*;
use crate::port::MOST_HEARD;
use crate::{Hears, QueueKind};

const MANY: u16 = u16::MAX;

async fn broker_with(name: &str, dead_letter: Option<&str>) -> Embedded {
    let broker = Embedded::new();
    let dead_letter = dead_letter.map(str::to_owned);
    let kind = QueueKind::Durable;
    let declaration = QueueDeclaration {
        name: name.to_owned(),
        kind,
        delivery_limit: None,
        dead_letter,
        hears: Vec::new(),
    };
    broker.declare(&declaration).await.unwrap();
    broker
}

async fn publish(broker: &Embedded, bodies: impl IntoIterator<Item = Bytes>) -> Vec<Result<(), Error>> {
    let publication =
        |body| Publication { queue: "q".to_owned(), message: Message { body, ..Message::default() } };
    broker.publish(bodies.into_iter().map(publication).collect()).await
}

async fn consume(broker: &Embedded, prefetch: u16) -> Result<Box<dyn Consumer>, Error> {
    broker.consume(Subscription { queue: "q".to_owned(), prefetch, priority: 0 }).await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_alone() {
    let broker = broker_with("q", None).await;
    let sizes = [1, 16 * 1024 * 1024, 16 * 1024 * 1024 + 1, 2];
    let outcomes = publish(&broker, sizes.map(|size| Bytes::from(vec![0; size]))).await;
    assert!(matches!(outcomes.as_slice(), [Ok(()), Ok(()), Err(Error::Refused(_)), Ok(())]), "{outcomes:?}");
    assert_eq!(broker.depth("q").await, Ok(3));
}

#[tokio::test]
async fn a_queue_that_is_full_takes_more_when_there_is_room() {
    let broker = broker_with("q", None).await;
    // They share one body, so that only the queue believes in a gigabyte.
    let body = Bytes::from(vec![0; 16 * 1024 * 1024]);
    let outcomes = publish(&broker, std::iter::repeat_n(body.clone(), 65)).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 64);
    assert!(
        matches!(&outcomes[64], Err(Error::Unavailable(text)) if text.contains("full")),
        "{:?}",
        outcomes[64]
    );
    let mut consumer = consume(&broker, 1).await.unwrap();
    let tag = consumer.receive(1).await.unwrap()[0].tag;
    assert_eq!(publish(&broker, [body]).await, [Ok(())]);
    consumer.acknowledger().ack(tag).await.unwrap();
    assert_eq!(broker.depth("q").await, Ok(63));
}

#[tokio::test]
async fn a_queue_holds_a_million_messages_and_no_more() {
    let broker = broker_with("q", None).await;
    for _ in 0..100 {
        publish(&broker, std::iter::repeat_n(Bytes::new(), 10_000)).await;
    }
    assert_eq!(broker.depth("q").await, Ok(1_000_000));
    assert!(matches!(publish(&broker, [Bytes::new()]).await[0], Err(Error::Unavailable(_))));
    // What a consumer gives back is never refused.
    let mut consumer = consume(&broker, MANY).await.unwrap();
    consumer.receive(10).await.unwrap();
    publish(&broker, std::iter::repeat_n(Bytes::new(), 70_000)).await;
    drop(consumer);
    assert_eq!(broker.depth("q").await, Ok(1_000_000 + u64::from(MANY)));
}

#[tokio::test]
async fn senseless_queues_and_consumers_are_refused() {
    let broker = broker_with("q", None).await;
    assert!(matches!(consume(&broker, 0).await.err(), Some(Error::Refused(_))));
    for name in [String::new(), "x".repeat(256)] {
        let (kind, dead_letter) = (QueueKind::Durable, None);
        let declaration =
            QueueDeclaration { name, kind, delivery_limit: None, dead_letter, hears: Vec::new() };
        assert!(matches!(broker.declare(&declaration).await, Err(Error::Refused(_))));
    }
}

#[tokio::test]
async fn consumers_of_one_priority_take_turns() {
    let broker = broker_with("q", None).await;
    let mut consumers = Vec::new();
    for _ in 0..3 {
        consumers.push(consume(&broker, 100).await.unwrap());
    }
    publish(&broker, std::iter::repeat_n(Bytes::new(), 30)).await;
    for consumer in &mut consumers {
        assert_eq!(consumer.receive(100).await.unwrap().len(), 10);
    }
}

#[tokio::test]
async fn settling_after_the_end_says_so() {
    let broker = broker_with("q", None).await;
    publish(&broker, [Bytes::new()]).await;
    let mut consumer = consume(&broker, 1).await.unwrap();
    let tag = consumer.receive(1).await.unwrap()[0].tag;
    let acknowledger = consumer.acknowledger();
    drop(consumer);
    assert_eq!(acknowledger.ack(tag).await, Err(Error::Ended));
    assert_eq!(acknowledger.ack_through(tag).await, Err(Error::Ended));
    assert_eq!(acknowledger.reject(tag, true).await, Err(Error::Ended));
    assert_eq!(broker.depth("q").await, Ok(1));
}

#[tokio::test]
async fn a_dead_letter_without_a_queue_does_not_stop_the_others() {
    let broker = broker_with("q", Some("nowhere")).await;
    publish(&broker, [Bytes::from("a"), Bytes::from("b")]).await;
    let mut consumer = consume(&broker, 1).await.unwrap();
    let tag = consumer.receive(1).await.unwrap()[0].tag;
    consumer.acknowledger().reject(tag, false).await.unwrap();
    assert_eq!(consumer.receive(1).await.unwrap()[0].message.body, "b");
}

#[tokio::test(flavor = "current_thread")]
async fn a_busy_queue_leaves_other_tasks_their_turn() {
    let broker = broker_with("q", None).await;
    let mut consumer = consume(&broker, MANY).await.unwrap();
    let other = tokio::spawn(std::future::ready(()));
    for _ in 0..1000 {
        publish(&broker, [Bytes::new()]).await;
        consumer.receive(1).await.unwrap();
    }
    assert!(other.is_finished());
}

#[tokio::test]
async fn what_consumers_give_back_takes_its_old_place() {
    let broker = broker_with("q", None).await;
    let bodies = || (0..6u8).map(|number| Bytes::from(vec![number]));
    publish(&broker, bodies().take(4)).await;
    let mut first = consume(&broker, 2).await.unwrap();
    let mut second = consume(&broker, 2).await.unwrap();
    assert_eq!(first.receive(2).await.unwrap().len(), 2);
    assert_eq!(second.receive(2).await.unwrap().len(), 2);
    publish(&broker, bodies().skip(4)).await;
    drop(second);
    drop(first);
    let again = consume(&broker, MANY).await.unwrap().receive(10).await.unwrap();
    let again: Vec<_> = again.iter().map(|delivery| delivery.message.body[0]).collect();
    assert_eq!(again, [0, 1, 2, 3, 4, 5]);
}

/// Declares a queue that hears everything of the exchange `e`.
async fn hear_all(broker: &Embedded, kind: QueueKind) -> Result<(), Error> {
    let hears = vec![Hears { exchange: "e".to_owned(), pattern: "#".to_owned() }];
    let name = "q".to_owned();
    broker.declare(&QueueDeclaration { name, kind, delivery_limit: None, dead_letter: None, hears }).await
}

fn announcement(body: Bytes) -> Announcement {
    let message = Message { body, ..Message::default() };
    Announcement { exchange: "e".to_owned(), topic: "t".to_owned(), message }
}

#[tokio::test]
async fn who_does_not_read_keeps_the_newest_announcements() {
    let broker = Embedded::new();
    hear_all(&broker, QueueKind::Exclusive).await.unwrap();
    let bodies = (0..MOST_HEARD as u64 + 5).map(|number| Bytes::from(number.to_be_bytes().to_vec()));
    broker.announce(bodies.map(announcement).collect()).await.unwrap();
    assert_eq!(broker.depth("q").await, Ok(MOST_HEARD as u64));
    let oldest = consume(&broker, 1).await.unwrap().receive(1).await.unwrap().remove(0);
    assert_eq!(oldest.message.body, 5u64.to_be_bytes().as_slice());
}

#[tokio::test]
async fn a_queue_that_is_gone_leaves_nothing_behind_in_its_exchange() {
    let broker = Embedded::new();
    hear_all(&broker, QueueKind::Exclusive).await.unwrap();
    drop(consume(&broker, 1).await.unwrap());
    assert!(broker.queues.exchanges.read().unwrap().listeners(&announcement(Bytes::new())).is_empty());
    broker.announce(vec![announcement(Bytes::new())]).await.unwrap();
}
