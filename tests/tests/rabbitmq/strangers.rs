//! What others put on the server: messages of other publishers, queues with other arguments, and classic queues.

use oarlock_test_servers::management;
use serde_json::json;

use super::*;

/// The name that the server has checked, and headers of every kind as text.
#[tokio::test]
async fn a_message_of_another_publisher_is_understood() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queue = declare(&rabbitmq, "q").await;
    let message = json!({
        "properties": {"user_id": "guest", "type": "start", "headers": {"n": 5, "yes": true, "text": "t"}},
        "routing_key": queue, "payload": "7", "payload_encoding": "string",
    });
    let path = format!("/api/exchanges/{}/amq.default/publish", vhost.name());
    management::ask("POST", &shared().management, &path, &message.to_string()).unwrap();
    let mut consumer = consume(&rabbitmq, &queue, 1).await.unwrap();
    let delivery = receive(&mut consumer, 1).await.unwrap().remove(0);
    assert_eq!((number(&delivery), delivery.user_id.as_deref()), (7, Some("guest")));
    assert_eq!((delivery.message.kind.as_str(), delivery.message.message_id.as_str()), ("start", ""));
    let headers = [("n", "5"), ("text", "t"), ("yes", "true")].map(|(name, text)| (name.into(), text.into()));
    assert_eq!(delivery.message.headers, headers);
}

#[tokio::test]
async fn a_queue_with_other_arguments_is_refused_with_a_remedy() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    put_queue(&vhost, "q", json!({"x-queue-type": "classic"}));
    let queue = QueueDeclaration {
        name: "q".to_owned(),
        kind: QueueKind::Durable,
        delivery_limit: None,
        dead_letter: None,
        hears: Vec::new(),
    };
    let Err(Error::Refused(text)) = rabbitmq.declare(&queue).await else { panic!("it was taken") };
    assert!(text.contains("other arguments") && text.contains("x-queue-type"), "{text}");
    // The channel that this cost is made anew.
    assert_eq!(rabbitmq.depth("q").await, Ok(0));
}

/// A durable queue survives, its counts are exact, and its dead letters wait for a queue that takes them.
#[tokio::test]
async fn durable_queues_have_the_arguments_that_keep_messages() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    for (name, delivery_limit, dead_letter) in [("plain", None, None), ("tasks", Some(5), Some("dead"))] {
        let dead_letter = dead_letter.map(str::to_owned);
        let (name, kind) = (name.to_owned(), QueueKind::Durable);
        rabbitmq
            .declare(&QueueDeclaration { name, kind, delivery_limit, dead_letter, hears: Vec::new() })
            .await
            .unwrap();
    }
    assert_eq!(arguments(&vhost, "plain"), json!({"x-queue-type": "quorum", "x-delivery-limit": i32::MAX}));
    let expected = json!({
        "x-queue-type": "quorum", "x-delivery-limit": 4, "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": "dead", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
    });
    assert_eq!(arguments(&vhost, "tasks"), expected);
}

/// An exclusive queue cannot count; it says whether a message was delivered before.
#[tokio::test]
async fn a_message_given_back_to_an_exclusive_queue_is_no_first_delivery() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let (name, kind) = ("control".to_owned(), QueueKind::Exclusive);
    let queue = QueueDeclaration { name, kind, delivery_limit: None, dead_letter: None, hears: Vec::new() };
    rabbitmq.declare(&queue).await.unwrap();
    let mut consumer = consume(&rabbitmq, "control", 1).await.unwrap();
    publish(&rabbitmq, "control", 1).await.unwrap();
    for expected in [1, 2, 2] {
        let delivery = receive(&mut consumer, 1).await.unwrap().remove(0);
        assert_eq!(delivery.deliveries, expected);
        consumer.acknowledger().reject(delivery.tag, true).await.unwrap();
    }
    // Another process may publish to it, but not take it.
    let other = connect(vhost.uri());
    publish(&other, "control", 2).await.unwrap();
    assert!(matches!(other.declare(&queue).await, Err(Error::Unavailable(_))));
}

pub(super) fn arguments(vhost: &Vhost, queue: &str) -> serde_json::Value {
    let path = format!("/api/queues/{}/{queue}", vhost.name());
    management::ask("GET", &shared().management, &path, "").unwrap()["arguments"].clone()
}

/// Declares a durable queue past the adapter.
pub(super) fn put_queue(vhost: &Vhost, queue: &str, arguments: serde_json::Value) {
    let path = format!("/api/queues/{}/{queue}", vhost.name());
    let body = json!({"durable": true, "arguments": arguments}).to_string();
    management::ask("PUT", &shared().management, &path, &body).unwrap();
}
