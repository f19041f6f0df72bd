//! A consumer that should get something and does not gives itself up; one that has reason to wait does not.

use serde_json::json;

use super::*;

#[tokio::test]
async fn pain_06_a_consumer_that_gets_nothing_of_a_full_queue_ends_and_no_other() {
    let vhost = vhost();
    let rabbitmq = RabbitMq::connect(Settings { silence: Span::from_millis(100), ..settings(vhost.uri()) });
    let rabbitmq = rabbitmq.unwrap();
    // Of such a queue the server serves one consumer only, so the other starves.
    let arguments = json!({"x-queue-type": "quorum", "x-single-active-consumer": true});
    strangers::put_queue(&vhost, "q", arguments);
    let empty = declare(&rabbitmq, "empty").await;
    let mut active = consume(&rabbitmq, "q", 1).await.unwrap();
    let mut starving = consume(&rabbitmq, "q", 1).await.unwrap();
    let mut idle = consume(&rabbitmq, &empty, 1).await.unwrap();
    for number in 0..3 {
        publish(&rabbitmq, "q", number).await.unwrap();
    }
    let held = receive(&mut active, 10).await.unwrap().remove(0);
    tokio::select! {
        outcome = receive(&mut starving, 10) => assert_eq!(outcome.err(), Some(Error::Ended)),
        _ = active.receive(10) => panic!("its prefetch is used up"),
        _ = idle.receive(10) => panic!("its queue is empty"),
    }
    // Nor do the others end later: so many looks have passed for them too.
    assert!(timeout(Duration::from_secs(1), idle.receive(10)).await.is_err());
    assert!(timeout(Duration::from_secs(1), active.receive(10)).await.is_err());
    active.acknowledger().ack(held.tag).await.unwrap();
    assert_eq!(number(&receive(&mut active, 10).await.unwrap()[0]), 1);
}
