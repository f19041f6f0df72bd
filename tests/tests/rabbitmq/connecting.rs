//! Health tells an operator what is wrong, and the adapter finds a node that works.

use super::*;

/// A port where nobody listens.
fn dead_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_wrong_password_is_told_and_never_shown() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri().replace("guest:guest", "guest:secret"));
    let told = |health: &Health| matches!(health, Health::Down(reason) if reason.contains("user 'guest'"));
    let Health::Down(reason) = health(&rabbitmq, told).await else { panic!() };
    assert!(reason.contains("wrong name or password") && !reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn a_missing_virtual_host_is_told() {
    let rabbitmq = connect(format!("{}/nowhere", shared().rabbitmq));
    let told = |health: &Health| matches!(health, Health::Down(reason) if reason.contains("'nowhere'"));
    health(&rabbitmq, told).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_and_calls_wait_no_longer_than_they_may() {
    let port = dead_port();
    let connect_timeout = Span::from_millis(300);
    let settings = Settings { connect_timeout, ..settings(format!("amqp://127.0.0.1:{port}")) };
    let rabbitmq = RabbitMq::connect(settings).unwrap();
    let place = format!("127.0.0.1:{port}");
    let told = |health: &Health| matches!(health, Health::Down(reason) if reason.contains("not reachable"));
    let Health::Down(reason) = health(&rabbitmq, told).await else { panic!() };
    assert!(reason.contains(&place), "{reason}");
    let unavailable = |error: &Error| matches!(error, Error::Unavailable(text) if text.contains(&place));
    assert!(
        rabbitmq.publish(vec![publication("q", 1)]).await.remove(0).is_err_and(|error| unavailable(&error))
    );
    assert!(rabbitmq.depth("q").await.is_err_and(|error| unavailable(&error)));
    assert!(consume(&rabbitmq, "q", 1).await.is_err_and(|error| unavailable(&error)));
}

#[tokio::test]
async fn a_dead_node_is_passed_over() {
    let vhost = vhost();
    let dead = format!("amqp://127.0.0.1:{}", dead_port());
    let settings = Settings { nodes: vec![dead, vhost.uri()], ..settings("") };
    let rabbitmq = RabbitMq::connect(settings).unwrap();
    ready(&rabbitmq).await;
    let queue = declare(&rabbitmq, "q").await;
    publish(&rabbitmq, &queue, 1).await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    for nodes in [vec![], vec!["http://guest:secret@localhost".to_owned()]] {
        let outcome = RabbitMq::connect(Settings { nodes, ..Settings::default() });
        assert!(matches!(outcome.err(), Some(Error::Refused(text)) if !text.contains("secret")));
    }
}

#[tokio::test]
async fn the_connections_close_when_nobody_uses_them_any_more() {
    let vhost = vhost();
    let rabbitmq = connect(vhost.uri());
    let queue = declare(&rabbitmq, "q").await;
    publish(&rabbitmq, &queue, 1).await.unwrap();
    let mut consumer = consume(&rabbitmq, &queue, 10).await.unwrap();
    connections_become(&vhost, 2).await;
    drop(rabbitmq);
    // A consumer keeps its connection.
    connections_become(&vhost, 1).await;
    assert_eq!(receive(&mut consumer, 1).await.unwrap().len(), 1);
    drop(consumer);
    connections_become(&vhost, 0).await;
}

async fn connections_become(vhost: &Vhost, wanted: usize) {
    let path = format!("/api/vhosts/{}/connections", vhost.name());
    let began = std::time::Instant::now();
    loop {
        let list = oarlock_test_servers::management::ask("GET", &shared().management, &path, "").unwrap();
        let count = list.as_array().unwrap().len();
        if count == wanted {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{count} connections, not {wanted}");
        tokio::task::yield_now().await;
    }
}
