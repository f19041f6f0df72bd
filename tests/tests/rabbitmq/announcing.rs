//! Announcements where the server refuses, loses or takes nothing: they fail alone and at once.

use std::time::Instant;

use oarlock_broker::{Announcement, Hears, topology};
use oarlock_test_servers::{Proxy, management};
use serde_json::json;

use super::*;

/// A user of the shared server, with permissions in one virtual host. Deleted when dropped.
struct User<'a>(&'a Vhost);

impl<'a> User<'a> {
    fn create(vhost: &'a Vhost, configure: &str, write: &str, read: &str) -> Self {
        let ask = |path: String, body: serde_json::Value| {
            management::ask("PUT", &shared().management, &path, &body.to_string()).unwrap();
        };
        let name = vhost.name();
        ask(format!("/api/users/{name}"), json!({"password": "secret", "tags": ""}));
        let rights = json!({"configure": configure, "write": write, "read": read});
        ask(format!("/api/permissions/{name}/{name}"), rights);
        Self(vhost)
    }

    fn uri(&self) -> String {
        self.0.uri().replace("guest:guest", &format!("{}:secret", self.0.name()))
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let path = format!("/api/users/{}", self.0.name());
        management::ask("DELETE", &shared().management, &path, "").ok();
    }
}

fn announcement(exchange: &str, number: usize) -> Announcement {
    let message = publication("", number).message;
    Announcement { exchange: exchange.to_owned(), topic: "a.b".to_owned(), message }
}

async fn listen(rabbitmq: &RabbitMq, name: &str, exchange: &str) -> Box<dyn Consumer> {
    let hears = vec![Hears { exchange: exchange.to_owned(), pattern: "#".to_owned() }];
    let (name, kind) = (name.to_owned(), QueueKind::Exclusive);
    let queue = QueueDeclaration { name, kind, delivery_limit: None, dead_letter: None, hears };
    rabbitmq.declare(&queue).await.unwrap();
    consume(rabbitmq, &queue.name, 10).await.unwrap()
}

/// With the permissions of docs/security.md a worker announces to the fleet, cannot make the exchange, and reaches no other.
#[tokio::test]
async fn a_worker_announces_without_the_right_to_make_the_exchange() {
    let vhost = vhost();
    let write = r"^(amq\.default|oarlock\.fleet|oarlock\.control\..*)$";
    let user = User::create(&vhost, r"^oarlock\.control\.", write, r"^oarlock\.(tasks|control)\.");
    let (node, worker) = (connect(vhost.uri()), connect(user.uri()));
    ready(&worker).await;
    // Before there is an orchestrator nobody listens.
    worker.announce(vec![announcement(topology::FLEET, 0)]).await.unwrap();
    topology::declare_shared(&node).await.unwrap();
    let mut fleet = listen(&node, &topology::fleet("n"), topology::FLEET).await;
    let mut events = listen(&node, "events", topology::EVENTS).await;
    worker.announce(vec![announcement(topology::FLEET, 1)]).await.unwrap();
    let delivery = receive(&mut fleet, 1).await.unwrap().remove(0);
    assert_eq!((number(&delivery), delivery.user_id.as_deref()), (1, Some(vhost.name())));
    assert!(matches!(worker.declare_exchange(topology::FLEET).await, Err(Error::Refused(_))));
    // What it may not do fails alone, as often as it tries; the connection stays, and what goes beside it arrives.
    let queue = declare(&node, "q").await;
    for turn in 2..5 {
        let told = vec![announcement(topology::EVENTS, turn), announcement(topology::FLEET, turn)];
        let outcome = worker.announce(told).await;
        assert!(
            matches!(&outcome, Err(Error::Refused(text)) if text.contains("oarlock.events")),
            "{outcome:?}"
        );
        assert_eq!(number(&receive(&mut fleet, 1).await.unwrap()[0]), turn);
        publish(&worker, &queue, turn).await.unwrap();
    }
    assert_eq!(*worker.health().borrow(), Health::Ready);
    assert!(timeout(Duration::from_millis(100), events.receive(1)).await.is_err());
}

/// Where the server is away or silent a caller does not wait for it.
#[tokio::test]
async fn an_announcement_waits_for_no_connection() {
    let vhost = vhost();
    let proxy = Proxy::start(&shared().rabbitmq).unwrap();
    let rabbitmq = connect(proxy.uri(&vhost.uri()));
    let began = Instant::now();
    let outcome = rabbitmq.announce(vec![announcement("e", 0)]).await;
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    ready(&rabbitmq).await;
    rabbitmq.declare_exchange("e").await.unwrap();
    proxy.swallow();
    let began = Instant::now();
    for number in 0..3 {
        let outcome = rabbitmq.announce(vec![announcement("e", number)]).await;
        assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    proxy.reset().unwrap();
    proxy.pass().unwrap();
    ready(&rabbitmq).await;
    let mut consumer = listen(&rabbitmq, "q", "e").await;
    while rabbitmq.announce(vec![announcement("e", 7)]).await.is_err() {
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(number(&receive(&mut consumer, 1).await.unwrap()[0]), 7);
}

/// An exchange that was deleted is made again with the next connection, and used again.
#[tokio::test]
async fn an_exchange_that_a_server_lost_is_there_after_the_next_connection() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    rabbitmq.declare_exchange("e").await.unwrap();
    ready(&rabbitmq).await;
    rabbitmq.announce(vec![announcement("e", 0)]).await.unwrap();
    let path = format!("/api/exchanges/{}/e", vhost.name());
    management::ask("DELETE", &shared().management, &path, "").unwrap();
    // The first costs the channel, and after it nobody listens.
    for number in 1..4 {
        rabbitmq.announce(vec![announcement("e", number)]).await.ok();
    }
    faults::close_both_connections(&vhost).await;
    let began = Instant::now();
    while management::ask("GET", &shared().management, &path, "").is_err() {
        assert!(began.elapsed() < PATIENCE, "it stays away");
        tokio::task::yield_now().await;
    }
    let mut consumer = listen(&rabbitmq, "q", "e").await;
    while rabbitmq.announce(vec![announcement("e", 9)]).await.is_err() {
        assert!(began.elapsed() < PATIENCE);
    }
    assert_eq!(number(&receive(&mut consumer, 1).await.unwrap()[0]), 9);
}

/// A listener that does not read loses the oldest, and fills no server.
#[tokio::test]
async fn a_queue_that_hears_is_bounded() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let _consumer = listen(&rabbitmq, "q", "e").await;
    assert_eq!(strangers::arguments(&vhost, "q"), json!({"x-max-length": 10_000}));
}
