//! Servers that end, stop listening, go silent or forget: what is published and consumed goes on.

use oarlock_broker::Announcement;
use oarlock_test_servers::{Proxy, management, rabbitmq};

use super::*;

/// Publishes one message until it is confirmed.
async fn publish_until_taken(rabbitmq: &RabbitMq, queue: &str, number: usize) {
    let began = std::time::Instant::now();
    while let Err(error) = publish(rabbitmq, queue, number).await {
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        assert!(began.elapsed() < PATIENCE, "{error}");
    }
}

/// Consumes until the number comes, consuming anew after each end.
async fn receive_until(rabbitmq: &RabbitMq, queue: &str, wanted: usize) {
    let began = std::time::Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "{wanted} never came");
        let Ok(mut consumer) = consume(rabbitmq, queue, 10).await else { continue };
        while let Ok(Ok(deliveries)) = timeout(Duration::from_secs(5), consumer.receive(10)).await {
            consumer.acknowledger().ack_through(deliveries.last().unwrap().tag).await.unwrap();
            if deliveries.iter().any(|delivery| number(delivery) == wanted) {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_07_a_broker_that_was_killed_and_comes_back_is_used_again() {
    let mut server = oarlock_test_servers::RabbitMq::start(rabbitmq::Options::default()).unwrap();
    let rabbitmq = connect(server.uri());
    let queue = declare(&rabbitmq, "q").await;
    let mut consumer = consume(&rabbitmq, &queue, 10).await.unwrap();
    publish(&rabbitmq, &queue, 1).await.unwrap();
    let tag = receive(&mut consumer, 1).await.unwrap()[0].tag;
    server.until_on_disk("/", &queue).unwrap();
    server.kill();
    let reason = down(&rabbitmq).await;
    assert!(reason.contains("127.0.0.1"), "{reason}");
    assert_eq!(receive(&mut consumer, 1).await.err(), Some(Error::Ended));
    assert_eq!(consumer.acknowledger().ack(tag).await, Err(Error::Ended));
    tokio::task::block_in_place(|| server.start_again()).unwrap();
    ready(&rabbitmq).await;
    // What was not acknowledged comes again; what is new comes too.
    receive_until(&rabbitmq, &queue, 1).await;
    publish_until_taken(&rabbitmq, &queue, 2).await;
    receive_until(&rabbitmq, &queue, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pain_08_a_memory_alarm_makes_publishing_fail_in_time_and_is_told() {
    let server = oarlock_test_servers::RabbitMq::start(rabbitmq::Options::default()).unwrap();
    let confirm_timeout = Span::from_millis(700);
    let rabbitmq = RabbitMq::connect(Settings { confirm_timeout, ..settings(server.uri()) }).unwrap();
    let queue = declare(&rabbitmq, "q").await;
    for number in 0..5 {
        publish_until_taken(&rabbitmq, &queue, number).await;
    }
    tokio::task::block_in_place(|| server.alarm(true)).unwrap();
    // The server tells a connection when it publishes next; that message is of unknown fate.
    let first = publish(&rabbitmq, &queue, 5).await;
    assert!(matches!(first, Err(Error::Unavailable(_))), "{first:?}");
    health(&rabbitmq, |health| matches!(health, Health::Blocked(_))).await;
    let second = publish(&rabbitmq, &queue, 6).await;
    assert!(
        matches!(&second, Err(Error::Unavailable(text)) if text.contains("takes no messages")),
        "{second:?}"
    );
    let told = Announcement { exchange: "e".into(), topic: "a".into(), message: publication("", 0).message };
    let outcome = timeout(Duration::from_millis(500), rabbitmq.announce(vec![told])).await;
    assert!(matches!(&outcome, Ok(Err(Error::Unavailable(_)))), "{outcome:?}");
    // Consuming goes on.
    let mut consumer = consume(&rabbitmq, &queue, 10).await.unwrap();
    let mut received = 0;
    while received < 5 {
        let deliveries = receive(&mut consumer, 10).await.unwrap();
        received += deliveries.len();
        consumer.acknowledger().ack_through(deliveries.last().unwrap().tag).await.unwrap();
    }
    declare(&rabbitmq, "another").await;
    tokio::task::block_in_place(|| server.alarm(false)).unwrap();
    ready(&rabbitmq).await;
    publish_until_taken(&rabbitmq, &queue, 7).await;
    drop(consumer);
    receive_until(&rabbitmq, &queue, 7).await;
}

#[tokio::test]
async fn a_connection_that_an_administrator_closes_is_made_again() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queue = declare(&rabbitmq, "q").await;
    let mut consumer = consume(&rabbitmq, &queue, 10).await.unwrap();
    publish(&rabbitmq, &queue, 1).await.unwrap();
    assert_eq!(receive(&mut consumer, 10).await.unwrap().len(), 1);
    close_both_connections(&vhost).await;
    assert_eq!(receive(&mut consumer, 10).await.err(), Some(Error::Ended));
    receive_until(&rabbitmq, &queue, 1).await;
    publish_until_taken(&rabbitmq, &queue, 2).await;
    ready(&rabbitmq).await;
}

#[tokio::test]
async fn a_queue_that_is_deleted_ends_its_consumer() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queue = declare(&rabbitmq, "q").await;
    let mut consumer = consume(&rabbitmq, &queue, 10).await.unwrap();
    delete(&vhost, &queue);
    assert_eq!(receive(&mut consumer, 10).await.err(), Some(Error::Ended));
    assert_eq!(consumer.acknowledger().ack(1).await, Err(Error::Ended));
    assert_eq!(consume(&rabbitmq, &queue, 10).await.err(), Some(Error::NoQueue(queue.clone())));
    // The declaration goes to the server, though it was made before.
    declare(&rabbitmq, &queue).await;
    consume(&rabbitmq, &queue, 10).await.unwrap();
}

#[tokio::test]
async fn queues_that_a_server_lost_are_there_after_the_next_connection() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queues = [declare(&rabbitmq, "one").await, declare(&rabbitmq, "two").await];
    queues.iter().for_each(|queue| delete(&vhost, queue));
    publish(&rabbitmq, "one", 1).await.unwrap_err();
    close_both_connections(&vhost).await;
    let began = std::time::Instant::now();
    for queue in &queues {
        // The connection that publishes may be there a moment before the queues.
        while publish(&rabbitmq, queue, 2).await.is_err() {
            assert!(began.elapsed() < PATIENCE, "{queue} stays away");
        }
        receive_until(&rabbitmq, queue, 2).await;
    }
}

#[tokio::test]
async fn pain_08_a_confirmation_that_never_comes_is_an_error_in_time() {
    let vhost = vhost();
    let proxy = Proxy::start(&shared().rabbitmq).unwrap();
    let confirm_timeout = Span::from_millis(500);
    let settings = Settings { confirm_timeout, ..settings(proxy.uri(&vhost.uri())) };
    let rabbitmq = RabbitMq::connect(settings).unwrap();
    let queue = declare(&rabbitmq, "q").await;
    publish(&rabbitmq, &queue, 1).await.unwrap();
    proxy.swallow();
    let outcome = publish(&rabbitmq, &queue, 2).await;
    assert!(
        matches!(&outcome, Err(Error::Unavailable(text)) if text.contains("not confirmed")),
        "{outcome:?}"
    );
    let silent = |health: &Health| matches!(health, Health::Down(reason) if reason.contains("heartbeat"));
    health(&rabbitmq, silent).await;
    proxy.reset().unwrap();
    proxy.pass().unwrap();
    ready(&rabbitmq).await;
    publish_until_taken(&rabbitmq, &queue, 3).await;
}

/// The management interface learns of a connection only after a while.
pub(super) async fn close_both_connections(vhost: &Vhost) {
    let began = std::time::Instant::now();
    let mut closed = 0;
    while closed < 2 {
        assert!(began.elapsed() < PATIENCE, "{closed} connections were closed");
        closed += vhost.close_connections().unwrap();
        tokio::task::yield_now().await;
    }
}

fn delete(vhost: &Vhost, queue: &str) {
    let path = format!("/api/queues/{}/{queue}", vhost.name());
    management::ask("DELETE", &shared().management, &path, "").unwrap();
}
