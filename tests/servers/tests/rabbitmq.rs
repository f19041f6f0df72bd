//! Private RabbitMQ servers and virtual hosts do what they say, with the real server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failing test names its line; figures are for whoever runs it"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use oarlock_test_servers::{Queue, RabbitMq, RabbitMqCluster, Vhost, management, rabbitmq};

mod processes;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_private_server_keeps_its_data_over_kill_and_stop_and_leaves_nothing() {
    let options = rabbitmq::Options {
        consumer_timeout: Some(Duration::from_secs(77)),
        configuration: vec!["heartbeat = 11".to_owned()],
        users: vec![("ada".to_owned(), "secret".to_owned())],
    };
    let mut rabbit = RabbitMq::start(options).unwrap();
    let folder = rabbit.data_folder().to_owned();
    let environment = rabbit.control(&["environment"]).unwrap();
    assert!(environment.contains("{consumer_timeout,77000}"), "{environment}");
    assert!(environment.contains("{heartbeat,11}"), "{environment}");
    assert!(
        environment.contains("{max_message_size,16777216}"),
        "not from config/rabbitmq.conf: {environment}"
    );
    assert!(rabbit.control(&["authenticate_user", "ada", "secret"]).is_ok());

    declare_with_a_message(&rabbit.management(), "%2F", "kept");
    rabbit.until_on_disk("/", "kept").unwrap();
    let uri = rabbit.uri();
    let first = rabbit.pid();
    rabbit.kill();
    assert_eq!(rabbit.pid(), 0);
    assert!(connect(&uri).is_err(), "a killed server still listens");
    rabbit.start_again().unwrap();
    assert_eq!(rabbit.uri(), uri);
    assert_ne!(rabbit.pid(), first);
    until_ready(&rabbit.management(), "%2F", "kept", 1);

    rabbit.stop().unwrap();
    rabbit.start_again().unwrap();
    until_ready(&rabbit.management(), "%2F", "kept", 1);

    assert!(processes::of(&folder).len() >= 2, "the node and its epmd were not found");
    drop(rabbit);
    processes::assert_none(&folder);
    assert!(!folder.exists());
}

#[test]
fn a_paused_server_is_silent_until_it_is_resumed_and_an_alarm_can_be_raised() {
    let mut rabbit = RabbitMq::start(rabbitmq::Options::default()).unwrap();
    rabbit.pause();
    let mut stream = connect(&rabbit.uri()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    stream.write_all(b"AMQP\x00\x00\x09\x01").unwrap();
    let mut first = [0; 1];
    assert!(stream.read_exact(&mut first).is_err(), "a paused server answered");
    rabbit.resume();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.read_exact(&mut first).unwrap();

    for on in [true, false] {
        rabbit.alarm(on).unwrap();
        until(|| {
            let nodes = management::ask("GET", &rabbit.management(), "/api/nodes", "").unwrap();
            (nodes[0]["mem_alarm"] == on).then_some(()).ok_or(nodes[0]["mem_alarm"].to_string())
        });
    }
    // A server that is paused ends too.
    let folder = rabbit.data_folder().to_owned();
    rabbit.pause();
    drop(rabbit);
    processes::assert_none(&folder);
}

#[test]
fn virtual_hosts_are_apart_count_their_messages_and_go_when_dropped() {
    let rabbit = RabbitMq::start(rabbitmq::Options::default()).unwrap();
    let (one, other) =
        (Vhost::create(&rabbit.management()).unwrap(), Vhost::create(&rabbit.management()).unwrap());
    assert_eq!(one.uri(), format!("{}/{}", rabbit.uri(), one.name()));
    declare_with_a_message(&rabbit.management(), one.name(), "work");
    until_ready(&rabbit.management(), one.name(), "work", 1);
    let work = Queue { name: "work".to_owned(), ready: 1, unacknowledged: 0, consumers: 0 };
    assert_eq!(one.queues().unwrap(), [work]);
    assert_eq!(other.queues().unwrap(), []);
    let name = one.name().to_owned();
    drop(one);
    let vhosts = rabbit.control(&["list_vhosts"]).unwrap();
    assert!(!vhosts.contains(&name) && vhosts.contains(other.name()), "{vhosts}");
}

/// A quorum queue with a message in it.
fn declare_with_a_message(management: &str, vhost: &str, queue: &str) {
    let quorum = r#"{"durable": true, "arguments": {"x-queue-type": "quorum"}}"#;
    management::ask("PUT", management, &format!("/api/queues/{vhost}/{queue}"), quorum).unwrap();
    let message = format!(
        r#"{{"properties": {{"delivery_mode": 2}}, "routing_key": "{queue}", "payload": "hello", "payload_encoding": "string"}}"#
    );
    let path = format!("/api/exchanges/{vhost}/amq.default/publish");
    let answer = management::ask("POST", management, &path, &message).unwrap();
    assert_eq!(answer["routed"], true);
}

/// Waits until so many messages are ready in a queue.
fn until_ready(management: &str, vhost: &str, queue: &str, count: u64) {
    until(|| {
        let found = management::ask("GET", management, &format!("/api/queues/{vhost}/{queue}"), "");
        let found = found.map_err(|error| error.to_string())?;
        (found["messages_ready"] == count).then_some(()).ok_or(found.to_string())
    });
}

fn until(look: impl Fn() -> Result<(), String>) {
    let begun = Instant::now();
    while let Err(last) = look() {
        assert!(begun.elapsed() < LIMIT, "{last}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn connect(uri: &str) -> std::io::Result<TcpStream> {
    TcpStream::connect(uri.rsplit_once('@').unwrap().1)
}

#[test]
fn the_nodes_of_a_cluster_share_a_queue_that_outlives_one_of_them() {
    let begun = Instant::now();
    let mut cluster = RabbitMqCluster::start(3).unwrap();
    println!("three nodes see one another after {} ms", begun.elapsed().as_millis());
    let management: Vec<_> = cluster.nodes().iter().map(RabbitMq::management).collect();
    declare_with_a_message(&management[0], "%2F", "kept");
    for node in cluster.nodes() {
        node.until_on_disk("/", "kept").unwrap();
    }
    cluster.nodes_mut()[0].kill();
    until_ready(&management[1], "%2F", "kept", 1);
    cluster.nodes_mut()[0].start_again().unwrap();
    cluster.until_whole(LIMIT).unwrap();
    until_ready(&management[0], "%2F", "kept", 1);
    let folders: Vec<_> = cluster.nodes().iter().map(|node| node.data_folder().to_owned()).collect();
    drop(cluster);
    folders.iter().for_each(|folder| processes::assert_none(folder));
}
