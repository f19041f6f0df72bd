//! More than fits a window, and more than AMQP takes.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_come_in_order_and_none_twice() {
    const MESSAGES: usize = 10_000;
    let vhost = vhost();
    let rabbitmq = std::sync::Arc::new(connect(vhost.uri()));
    let queue = declare(&rabbitmq, "q").await;
    let mut consumer = consume(&rabbitmq, &queue, 1000).await.unwrap();
    let acknowledger = consumer.acknowledger();
    let publishing = tokio::spawn({
        let (rabbitmq, queue) = (rabbitmq.clone(), queue.clone());
        async move {
            // Each call is five windows.
            for start in (0..MESSAGES).step_by(5000) {
                let publications = (start..start + 5000).map(|number| publication(&queue, number));
                let outcomes = rabbitmq.publish(publications.collect()).await;
                assert!(outcomes.len() == 5000 && outcomes.iter().all(Result::is_ok));
            }
        }
    });
    let mut expected = 0;
    while expected < MESSAGES {
        let deliveries = receive(&mut consumer, 256).await.unwrap();
        assert!(deliveries.len() <= 256);
        for delivery in &deliveries {
            assert_eq!((number(delivery), delivery.deliveries), (expected, 1));
            expected += 1;
        }
        acknowledger.ack_through(deliveries.last().unwrap().tag).await.unwrap();
    }
    publishing.await.unwrap();
    drop(consumer);
    let mut again = consume(&rabbitmq, &queue, 10).await.unwrap();
    if let Ok(outcome) = timeout(Duration::from_millis(300), again.receive(1)).await {
        panic!("something came twice, or it ended: {outcome:?}");
    }
}

/// A window with many messages that no queue takes: the server tells of each, in an order of its own.
#[tokio::test]
async fn each_of_many_unroutable_messages_is_found() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queue = declare(&rabbitmq, "q").await;
    let target = |number: usize| if number.is_multiple_of(3) { "missing" } else { queue.as_str() };
    for _ in 0..3 {
        let publications = (0..2000).map(|number| publication(target(number), number)).collect();
        for (number, outcome) in rabbitmq.publish(publications).await.into_iter().enumerate() {
            let expected =
                if number.is_multiple_of(3) { Err(Error::NoQueue("missing".to_owned())) } else { Ok(()) };
            assert_eq!(outcome, expected, "{number}");
        }
    }
}

/// What AMQP cannot carry is refused alone, before it could close the channel of the others.
#[tokio::test]
async fn what_amqp_cannot_carry_is_refused_alone() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queue = declare(&rabbitmq, "q").await;
    let with = |change: fn(&mut Publication)| {
        let mut changed = publication(&queue, 0);
        change(&mut changed);
        changed
    };
    const LIMIT: usize = 16 * 1024 * 1024;
    let outcomes = rabbitmq
        .publish(vec![
            with(|_| {}),
            with(|wrong| wrong.message.body = Bytes::from(vec![b'x'; LIMIT + 1])),
            with(|wrong| wrong.message.message_id = "x".repeat(256)),
            with(|wrong| wrong.message.correlation_id = Some("x".repeat(256))),
            with(|wrong| wrong.queue = "x".repeat(256)),
            with(|wrong| wrong.message.headers = vec![("x".repeat(256), String::new())]),
            with(|large| large.message.body = Bytes::from(vec![b'x'; LIMIT])),
        ])
        .await;
    let refused: Vec<_> = outcomes.iter().map(|outcome| matches!(outcome, Err(Error::Refused(_)))).collect();
    assert_eq!(refused, [false, true, true, true, true, true, false], "{outcomes:?}");
    assert!(outcomes[0].is_ok() && outcomes[6].is_ok(), "{outcomes:?}");
    let mut consumer = consume(&rabbitmq, &queue, 10).await.unwrap();
    let sizes = [receive(&mut consumer, 1).await.unwrap(), receive(&mut consumer, 1).await.unwrap()];
    assert_eq!(sizes.map(|deliveries| deliveries[0].message.body.len()), [1, LIMIT]);
}
